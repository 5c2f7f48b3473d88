"""What is late or wrong at a moment by the contract, as plain as possible: see tests/support/oracle.py."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.catalog import Catalog, Site
from config.policy import Policy
from tests.support.oracle import (
    Event,
    Events,
    Histories,
    closed_tests,
    family_reports,
    first,
    is_settled,
    key,
    of_type,
    poured,
    status,
    tests_of,
)
from tests.support.oracle_orders import cancellations, cancelled_origin, order_of, orders, uncollected
from tests.support.oracle_restocking import overdue_deliveries, restock
from tests.support.oracle_results import by_test, counts_from, critical, read_back_at, standing
from tests.support.oracle_supplies import Shelves, local_day, lot_of, stock_discrepancies

Case = tuple[str, str]
Cases = tuple[set[Case], set[Case]]
WEEK = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"]
OF_SPECIMENS = {
    "uncollected-order",
    "overdue-result",
    "unjudged-result",
    "critical-unacknowledged",
    "missing-specimen",
}
OF_STOCK = {"restock", "overdue-delivery", "expiring-stock", "recalled-stock", "stock-discrepancy"}


def periods(site: Site, day: datetime) -> list[tuple[datetime, datetime]]:
    """When a lab is open on a local day (midnight given): `Mo-Fr 06:00-20:00; Sa 08:00-12:00`."""
    zone, found = ZoneInfo(site.timezone), []
    for rule in (site.open or "").split(";"):
        days, hours = rule.split()
        start, end = (WEEK.index(name) for name in (days.split("-") if "-" in days else (days, days)))
        if start <= day.weekday() <= end:
            opens, closes = (time.fromisoformat(text) for text in hours.split("-"))
            found.append((datetime.combine(day, opens, zone), datetime.combine(day, closes, zone)))
    return found


def after_open_hours(site: Site, start: datetime, hours: float) -> datetime:
    """When so many opening hours have passed since a moment."""
    left = timedelta(hours=hours)
    if not site.open:
        return start + left
    day = datetime.combine(start.astimezone(ZoneInfo(site.timezone)), time(0))
    while True:
        for opens, closes in periods(site, day):
            begin = max(opens, start)
            if closes - begin >= left:
                return begin + left
            left -= max(closes - begin, timedelta(0))
        day += timedelta(days=1)


def result_dues(history: list[Event], test: str, catalog: Catalog, placed: dict[str, str]) -> list[datetime]:
    """When the result of a test should be there; several where the contract does not say which; none before receipt.

    Left open: the priority of a tube whose order was raised after it was drawn; the hours of a STAT that has no STAT
    turnaround of its own; a test that was both drawn and added.
    """
    facts = catalog.tests[test]
    at_lab = [e for e in of_type(history, "specimen.received") if catalog.sites[e["site"]].kind == "lab"]
    collected = first(history, "specimen.collected")
    assert collected is not None
    starts = [(collected["at"], collected["data"]["priority"])] if test in collected["data"]["tests"] else []
    for event in of_type(history, "specimen.test-added"):
        if test in event["data"]["tests"]:
            starts.append((event["at"], event["data"].get("priority") or collected["data"]["priority"]))
    dues = []
    for asked, priority in starts:
        order = order_of(history)
        for own in {priority, placed.get(order or "", priority)}:
            stat = own == "stat" and facts.tat_stat_hours is not None
            hours = facts.tat_stat_hours if stat else facts.tat_routine_hours
            if facts.performed_at == "clinic":
                dues.append(asked + timedelta(hours=hours or 0))
            elif at_lab:
                start = max(at_lab[0]["at"], asked)
                site = catalog.sites[at_lab[0]["site"]]
                if stat or own == "stat":
                    dues.append(start + timedelta(hours=hours or 0))
                if not stat:
                    dues.append(after_open_hours(site, start, hours or 0))
    return dues


def overdue_results(events: Events, of_specimens: Histories, catalog: Catalog, at: datetime) -> Cases:
    """`overdue-result` of every test of every tube that was drawn."""
    due: set[Case] = set()
    left_open: set[Case] = set()
    placed = {of: order["priority"] for of, order in orders(events).items()}
    children = {child for _, child in poured(events)}
    for accession, history in of_specimens.items():
        subjects = {test: ("overdue-result", f"{accession}/{test}") for test in tests_of(history)}
        if first(history, "specimen.collected") is None or accession in children:
            of_aliquot = tests_of(history) | set(by_test(history))  # the contract does not say which these are
            left_open |= {("overdue-result", f"{accession}/{test}") for test in of_aliquot}
            continue
        reports = family_reports(accession, events)
        now = status(history, reports)
        order = order_of(history)
        assert order is not None
        cancelled = bool(cancellations(events, order))
        doubtful = not is_settled(history, reports) and bool(
            of_type(history, "specimen.missing", "specimen.rejected", "specimen.disposed")
        )
        doubtful = doubtful or cancelled_origin(order, events, of_specimens)
        if cancelled and orders(events).get(order, {}).get("open"):
            doubtful = True
        added = [e for e in of_type(history, "specimen.test-added") if key(e["data"]["order"]) != order]
        for test in sorted(set(subjects) - closed_tests(reports)):
            dues = result_dues(history, test, catalog, placed)
            if not dues or min(dues) > at:
                continue
            of_another = any(test in e["data"]["tests"] for e in added)
            other_cancelled = any(cancellations(events, key(e["data"]["order"])) for e in added)
            if doubtful or (of_another and (cancelled or other_cancelled)):
                left_open.add(subjects[test])
            elif now not in ("rejected", "missing") and not cancelled:
                (due if max(dues) <= at else left_open).add(subjects[test])
    return due, left_open


def of_results(of_specimens: Histories, catalog: Catalog, policy: Policy, at: datetime) -> Cases:
    """`critical-unacknowledged` and `unjudged-result`."""
    due: set[Case] = set()
    left_open: set[Case] = set()
    skew = timedelta(minutes=policy.clock_skew_minutes)
    after = {"yes": timedelta(minutes=policy.critical_ack_minutes_max), "unjudged": timedelta(0)}
    kinds = {"yes": "critical-unacknowledged", "unjudged": "unjudged-result"}
    for accession, history in of_specimens.items():
        for test, reports in by_test(history).items():
            possible = standing(reports)
            answers = set()
            for report in possible:
                backs = read_back_at(report, reports, history, skew)
                for answer in critical(report, catalog):
                    for start in {report["at"], counts_from(report, reports)}:
                        for back in backs:
                            late = answer in kinds and back is None and start + after[answer] <= at
                            answers.add(kinds[answer] if late else None)
            cases = {(kind, f"{accession}/{test}") for kind in answers if kind}
            (due if len(answers) == 1 else left_open).update(cases)
    return due, left_open


def missing(events: Events, of_specimens: Histories, at: datetime) -> Cases:
    due: set[Case] = set()
    left_open: set[Case] = set()
    for accession, history in of_specimens.items():
        reported = of_type(history, "specimen.missing")
        reports = family_reports(accession, events)
        if reported and reported[-1]["at"] <= at:
            case = ("missing-specimen", accession)
            if not is_settled(
                [e for e in history if e["type"] not in ("specimen.missing", "specimen.found")], reports
            ):
                left_open.add(case)
            elif status(history, reports) == "missing":
                due.add(case)
    return due, left_open


def of_stock(shelves: Shelves, events: Events, catalog: Catalog, policy: Policy, at: datetime) -> Cases:
    """The cases of supplies at a moment after all events; lots by their keys."""
    low, low_open = restock(shelves, events, catalog, policy, at)
    late, late_open = overdue_deliveries(shelves, events, catalog, at)
    wrong, wrong_open = stock_discrepancies(shelves, events)
    due = {("restock", one) for one in low} | {("overdue-delivery", one) for one in late}
    left_open = {("restock", one) for one in low_open} | {("overdue-delivery", one) for one in late_open}
    due |= {("stock-discrepancy", f"{row[0]}/{row[1]}") for row in wrong}
    left_open |= {("stock-discrepancy", f"{row[0]}/{row[1]}") for row in wrong_open}
    for place, lots in shelves.lots.items():
        for lot, quantity in lots.items():
            expires = shelves.first_expiring(place[1], lot)
            if quantity > 0 and (expires - local_day(place[0], at, catalog)).days <= policy.expiring_days:
                due.add(("expiring-stock", f"{place[0]}/{place[1]}/{lot}"))
    for (item, lot), since in shelves.recalled.items():
        if since > at:
            continue
        there = [place for place, lots in shelves.lots.items() if place[1] == item and lots.get(lot or "", 0) > 0]
        due |= {("recalled-stock", f"{site}/{item}/{lot}") for site, _ in there}
        touched = [
            line
            for event in of_type(events, "specimen.collected", "result.reported")
            for line in event["data"].get("supplies", ())
            if line["item"] == item and lot_of(line) == lot
        ]
        if touched and not there:
            due.add(("recalled-stock", f"{item}/{lot}"))
        if any(place[1] == item for place in shelves.left_open):
            left_open.add(("recalled-stock", f"{item}/{lot}"))
    for site, item in shelves.left_open:
        lots = shelves.lots[(site, item)]
        left_open |= {(kind, f"{site}/{item}/{lot}") for kind in ("expiring-stock", "recalled-stock") for lot in lots}
        left_open.add(("stock-discrepancy", f"{site}/{item}"))
    for site, item in shelves.lots:
        par = catalog.par_levels.get((site, item))
        if par is not None and par.par_level <= 0:  # "not kept there: no alert": none of any kind, or no restock?
            left_open |= {case for case in due if case[1].startswith(f"{site}/{item}") and case[0] != "restock"}
    return due, left_open


def of_specimens_and_orders(
    events: Events, of_specimens: Histories, catalog: Catalog, policy: Policy, at: datetime
) -> Cases:
    waiting, waiting_open = uncollected(events, of_specimens, policy, at)
    due = {("uncollected-order", one) for one in waiting}
    left_open = {("uncollected-order", one) for one in waiting_open}
    for more, more_open in (
        overdue_results(events, of_specimens, catalog, at),
        of_results(of_specimens, catalog, policy, at),
        missing(events, of_specimens, at),
    ):
        due |= more
        left_open |= more_open
    return due, left_open
