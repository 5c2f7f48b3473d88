"""The contract's rules for results, as plain as possible: see tests/support/oracle.py.

Where the contract leaves a case open, an answer is the set of those that it allows.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from config.catalog import Catalog, CriticalValue
from tests.support.oracle import FINAL, Event, of_type

NUMBER = re.compile(r"(<=|>=|<|>|≤|≥)? *([0-9]+)(?:([.,])([0-9]+))?")
SAME_UNITS = [
    {"mg/dl", "mg/100ml", "mg%"},
    {"10*3/ul", "10^3/ul", "x10^3/ul", "x10*3/ul", "10e3/ul", "k/ul", "10³/ul"},
    {"inr", "{inr}"},
]
WORST = ("yes", "unjudged", "no")


def counts_from(report: Event, reports: list[Event]) -> datetime:
    """From when a report counts: a correction not before the latest final that it corrects."""
    finals = [e["at"] for e in reports if e["data"]["status"] == "final"]
    own: datetime = report["at"]
    return max([own, *finals]) if report["data"]["status"] == "corrected" else own


def standing(reports: list[Event]) -> list[Event]:
    """The report of one test that stands; two where a correction and a cancellation count from the same moment."""
    complete = [e for e in reports if e["data"]["status"] in FINAL]
    if not complete:
        return [max(reports, key=lambda e: (e["at"], e["id"]))]
    last = max(counts_from(e, reports) for e in complete)
    latest = [e for e in complete if counts_from(e, reports) == last]
    found = []
    for status in ("corrected", "cancelled", "final"):
        of_status = [e for e in latest if e["data"]["status"] == status]
        if of_status and (status != "final" or not any(e["data"]["status"] == "corrected" for e in latest)):
            found.append(max(of_status, key=lambda e: (e["at"], e["id"])))
    if not any(e["data"]["status"] == "corrected" for e in found):
        found = [max(found, key=lambda e: e["id"])]
    return found


def unit_of(text: str | None) -> str:
    """A unit without regard to case, blanks and the usual spellings."""
    plain = "".join((text or "").lower().split()).replace("µ", "u").replace("μ", "u")
    return next((min(group) for group in SAME_UNITS if plain in group), plain)


def by_limits(value: str, line: CriticalValue) -> set[str]:
    """What the limits say of a value."""
    match = NUMBER.fullmatch(value)
    if match is None:
        return {"unjudged"}
    operator, whole, point, decimals = match.groups()
    number = Decimal(f"{whole}.{decimals or 0}")
    found = {by_number(operator or "", number, line)}
    if point == "," and len(decimals) == 3:  # 1,234: thousands or decimals, nobody can tell
        could_be_thousands = len(whole) <= 3 and not whole.startswith("0")
        found = {"unjudged"} if could_be_thousands else found | {"unjudged"}
    return found


def by_number(operator: str, number: Decimal, line: CriticalValue) -> str:
    low = None if line.low_below is None else Decimal(str(line.low_below))
    high = None if line.high_above is None else Decimal(str(line.high_above))
    if not operator:
        return "yes" if (low is not None and number < low) or (high is not None and number > high) else "no"
    or_equal = operator in (">=", "<=", "≥", "≤")
    if operator[0] in ">≥":
        if high is not None and (number > high or (number == high and not or_equal)):
            return "yes"
        return "no" if high is None and low is not None and number >= low else "unjudged"
    if low is not None and (number < low or (number == low and not or_equal)):
        return "yes"
    return "no" if low is None and high is not None and number <= high else "unjudged"


def part_critical(test: str, data: dict[str, Any], catalog: Catalog, of_panel: bool = False) -> set[str]:
    """Whether one value is critical."""
    flag, value, lines = data.get("flag"), data.get("value"), catalog.critical_values.get(test, ())
    if flag in ("critical", "critical-low", "critical-high"):
        return {"yes"}
    if not lines or (value is None and of_panel):
        found = {"no"}
    elif value is None:
        found = {"no", "unjudged"}  # the contract says nothing of a report without a value
    else:
        of_unit = [line for line in lines if unit_of(line.unit) == unit_of(data.get("unit"))]
        found = by_limits(value, of_unit[0]) if of_unit else {"unjudged"}
    return found | {"no"} if flag else found  # does `high` say that it is not critical?


def components_critical(report: Event, catalog: Catalog) -> list[tuple[str, set[str]]]:
    """(code, answers) of each analyte of a panel."""
    return [
        (part["code"], part_critical(part["code"], part, catalog)) for part in report["exact"].get("components", ())
    ]


def critical(report: Event, catalog: Catalog) -> set[str]:
    """The answers to: is this critical?"""
    if report["data"]["status"] == "cancelled":
        return {"no"}
    parts = components_critical(report, catalog)
    own = part_critical(report["data"]["test"], report["exact"], catalog, bool(parts))
    return {min(answers, key=WORST.index) for answers in product(own, *(answers for _, answers in parts))}


def belongs_to(read_back: Event, reports: list[Event], skew: timedelta, counted: bool) -> set[str]:
    """The report that was read back, by id: its own time or (`counted`) the time that it counts from decides."""

    def clock(report: Event) -> datetime:
        return counts_from(report, reports) if counted else report["at"]

    named = read_back["data"].get("report")
    if named is not None:
        return {named}
    before = [clock(e) for e in reports if clock(e) <= read_back["at"]]
    after = [clock(e) for e in reports if read_back["at"] < clock(e) <= read_back["at"] + skew]
    if not before and not after:
        return set()
    chosen = max(before) if before else min(after)
    of_moment = [e for e in reports if clock(e) == chosen]
    corrections = {e["id"] for e in of_moment if e["data"]["status"] == "corrected"}
    return corrections or {e["id"] for e in of_moment}


def read_back_at(report: Event, reports: list[Event], history: list[Event], skew: timedelta) -> set[datetime | None]:
    """When this report was first read back: None for never."""
    sure: list[datetime] = []
    perhaps: list[datetime] = []
    for event in of_type(history, "result.acknowledged"):
        if event["data"]["test"] != report["data"]["test"] or not event["data"]["read_back"]:
            continue
        ways = [belongs_to(event, reports, skew, counted) for counted in (False, True)]
        if all(way == {report["id"]} for way in ways):
            sure.append(event["at"])
        if any(report["id"] in way for way in ways):
            perhaps.append(event["at"])
    earliest = min(sure, default=None)
    return {earliest} | {at for at in perhaps if earliest is None or at < earliest}


def by_test(history: list[Event]) -> dict[str, list[Event]]:
    """The reports of each test on one specimen."""
    found: dict[str, list[Event]] = {}
    for event in of_type(history, "result.reported"):
        found.setdefault(event["data"]["test"], []).append(event)
    return found
