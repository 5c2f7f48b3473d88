"""The contract's rules for what to order, as plain as possible: see tests/support/oracle.py."""

from datetime import date, datetime, timedelta
from typing import Any

from config.catalog import Catalog
from config.policy import Policy
from tests.support.oracle import Event, Events, key, of_type
from tests.support.oracle_supplies import Place, Shelves, item_of, local_day


def expected_day(event: Event, site: str, lead_days: float, catalog: Catalog) -> date:
    """The day on which an order or a sending should be there."""
    if event["data"].get("expected"):
        return date.fromisoformat(event["data"]["expected"])
    return local_day(site, event["at"], catalog) + timedelta(days=lead_days)


def orders_at(place: Place, events: Events, shelves: Shelves) -> list[dict[str, Any]]:
    """What was ordered or sent to a place: `least` and `most` that is still to come.

    The contract does not say which order a delivery fills that names none or one that is not on record, nor what a
    delivery or a closing means that bears an earlier time than its order, or one in the future.
    """
    site, item = place
    received = [e for e in of_type(events, "supply.received") if e["subject"] == f"{site}/{item}"]
    closed = [e for e in of_type(events, "supply.order-closed") if e["subject"] == f"{site}/{item}"]
    ordered = [e for e in of_type(events, "supply.ordered") if e["subject"] == f"{site}/{item}"]
    sent = [e for e in of_type(events, "supply.sent") if item_of(e) == item and e["data"]["to"] == site]
    numbers = [key(e["data"]["order"]) for e in ordered if e["data"].get("order")]
    ids = {e["id"] for e in sent}
    loose = [
        e
        for e in received
        if (key(e["data"]["order"]) not in numbers if e["data"].get("order") else True)
        and e["data"].get("sent") not in ids
    ]
    sent_at = {e["id"]: e["at"] for e in sent}
    loose += [e for e in received if e["data"].get("sent") in ids and e["at"] < sent_at[e["data"]["sent"]]]
    found = []
    for event in ordered:
        number = key(event["data"]["order"]) if event["data"].get("order") else None
        mine = [e for e in received if number and e["data"].get("order") and key(e["data"]["order"]) == number]
        ends = [e for e in closed if number == key(e["data"]["order"])]
        sure = all(event["at"] <= e["at"] <= shelves.late for e in [event, *mine, *ends]) and not loose
        sure = sure and numbers.count(number) <= 1
        left = 0 if ends else max(0, event["data"]["quantity"] - sum(e["data"]["quantity"] for e in mine))
        found.append(
            {"event": event, "least": left if sure else 0, "most": left if sure else event["data"]["quantity"]}
        )
    for event in sent:
        mine = [e for e in received if e["data"].get("sent") == event["id"]]
        sure = all(event["at"] <= e["at"] <= shelves.late for e in [event, *mine]) and not loose
        left = 0 if mine else event["data"]["quantity"]
        found.append(
            {"event": event, "least": left if sure else 0, "most": left if sure else event["data"]["quantity"]}
        )
    return found


def recent_use(place: Place, shelves: Shelves, policy: Policy, at: datetime) -> tuple[float, float]:
    """The least and the most that a day of recent use may be, as the contract does not say where a day begins.

    Days without stock are left out: at least one day counts, at most all of them.
    """
    days = policy.use_rate_days
    used = [
        (move["at"], move["quantity"])
        for move in shelves.moves
        if move["place"] == place and move["kind"] == "supply.used"
    ]
    surely = sum(quantity for when, quantity in used if at - timedelta(days=days - 1) < when <= at)
    perhaps = sum(quantity for when, quantity in used if when > at - timedelta(days=days + 1))
    return surely / (days + 1), perhaps


def restock(
    shelves: Shelves, events: Events, catalog: Catalog, policy: Policy, at: datetime
) -> tuple[set[str], set[str]]:
    """The `SITE/ITEM` to order at a moment after all events, and those of which the contract does not say."""
    due, left_open = set(), set()
    for (site, item), par in catalog.par_levels.items():
        coming = orders_at((site, item), events, shelves)
        known = (site, item) in shelves.lots or any(one["event"]["at"] <= shelves.late for one in coming)
        if par.par_level <= 0 or not known:
            if par.par_level > 0 and (coming or any(e["subject"] == f"{site}/{item}" for e in events)):
                left_open.add(f"{site}/{item}")  # only the closing of an order, or what is in the future
            continue
        lots = shelves.lots.get((site, item), {})
        usable = sum(quantity for lot, quantity in lots.items() if shelves.usable((site, item), lot, at))
        today = local_day(site, at, catalog)
        least = most = 0.0
        for order in coming:
            late = today - expected_day(order["event"], site, par.lead_time_days, catalog)
            if late <= timedelta(days=par.lead_time_days):
                least, most = least + order["least"], most + order["most"]
        slow, fast = recent_use((site, item), shelves, policy, at)
        surely_short = slow > 0 and usable / slow < par.lead_time_days
        perhaps_short = fast > 0 and usable / fast < par.lead_time_days
        nothing = usable <= 0 and par.reorder_point > 0
        if nothing or usable + most <= par.reorder_point or surely_short:
            due.add(f"{site}/{item}")
        elif usable + least <= par.reorder_point or perhaps_short:
            left_open.add(f"{site}/{item}")
        if (site, item) in shelves.left_open:
            left_open.add(f"{site}/{item}")
    return due, left_open


def overdue_deliveries(shelves: Shelves, events: Events, catalog: Catalog, at: datetime) -> tuple[set[str], set[str]]:
    """The `SITE/ITEM` with an order that should have come; without a par level nobody knows the lead time."""
    due, left_open = set(), set()
    ordered = {tuple(e["subject"].split("/")) for e in of_type(events, "supply.ordered")}
    sent = {(e["data"]["to"], item_of(e)) for e in of_type(events, "supply.sent")}
    for site, item in ordered | sent:
        par = catalog.par_levels.get((site, item))
        for order in orders_at((site, item), events, shelves):
            lead = par.lead_time_days if par else 0
            late = local_day(site, at, catalog) - expected_day(order["event"], site, lead, catalog)
            if order["most"] > 0 and late > timedelta(days=lead):
                sure = par is not None and par.par_level > 0 and order["least"] > 0
                (due if sure else left_open).add(f"{site}/{item}")
    return due, left_open
