"""The contract's rules for orders and recollections, as plain as possible: see tests/support/oracle.py."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from config.policy import Policy
from tests.support.oracle import Event, Events, Histories, ancestors, first, histories, key, of_type, tests_of

Order = dict[str, Any]


@lru_cache(8)
def orders(events: Events) -> dict[str, Order]:
    """Every order that was placed, by its key.

    `open`: whether it was placed again after a cancellation, of which the contract does not say what it becomes.
    """
    found: dict[str, Order] = {}
    for event in sorted(of_type(events, "order.placed"), key=lambda e: (e["at"], e["id"])):
        order = found.setdefault(
            key(event["subject"]), {"placings": [], "tests": set(), "priority": "routine", "cancelled": None}
        )
        order["placings"].append(event)
        order["tests"] |= set(event["data"]["tests"])
        if event["data"]["priority"] == "stat":
            order["priority"] = "stat"
    for event in of_type(events, "order.cancelled"):
        if key(event["subject"]) in found:
            order = found[key(event["subject"])]
            order["cancelled"] = min(event["at"], order["cancelled"] or event["at"])
    for order in found.values():
        again = [e for e in order["placings"] if order["cancelled"] and e["at"] >= order["cancelled"]]
        order["open"] = bool(again)
    return found


@lru_cache(8)
def every_cancellation(events: Events) -> list[tuple[str, datetime]]:
    return [(key(event["subject"]), event["at"]) for event in of_type(events, "order.cancelled")]


def cancellations(events: Events, of: str) -> list[datetime]:
    """When an order was cancelled."""
    return sorted(at for order, at in every_cancellation(events) if order == of)


@lru_cache(8)
def draws(events: Events) -> dict[str, list[dict[str, Any]]]:
    """By order, for which tests each tube was drawn, or had tests added when it was there.

    `there`: whether the tube, or one that was poured into it, was drawn; else the contract does not say. `perhaps`:
    what was added to the tube for another order.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    of_specimens = histories(events)
    exist = {accession for accession, history in of_specimens.items() if first(history, "specimen.collected")}
    for accession, history in of_specimens.items():
        rejections = [e["at"] for e in of_type(history, "specimen.rejected") if e["data"].get("recollect")]
        named = of_type(history, "specimen.collected", "specimen.test-added")
        for event in named:
            order = key(event["data"]["order"])
            found.setdefault(order, []).append(
                {
                    "tube": accession,
                    "order": order,
                    "tests": {t for e in named if key(e["data"]["order"]) == order for t in e["data"]["tests"]},
                    "perhaps": tests_of(history),
                    "at": event["at"],
                    "drawn": event["type"] == "specimen.collected",
                    "there": bool(({accession} | ancestors(accession, events)) & exist),
                    "priority": event["data"].get("priority"),
                    "recollect": min(rejections, default=None),
                }
            )
    return found


def waiting(of: str, events: Events, policy: Policy) -> list[dict[str, Any]]:
    """What an order waits for: test, the earliest and the latest due time that the contract allows, `sure` or not.

    Left open: the tests that were added for another order, a tube of the same order and test that was drawn before
    a rejection, a later tube that lacks a test, and a tube that was rejected before it was drawn.
    """
    order = orders(events).get(of)
    if cancellations(events, of):
        return []
    by_order = draws(events)
    mine = by_order.get(of, [])
    found = []
    for test in sorted(order["tests"] if order else set()):
        if not any(test in draw["tests"] and draw["there"] for draw in mine):
            sure = not any(test in draw["perhaps"] for draw in mine)
            found.append({"test": test, "sure": sure} | placed_due(order, test, policy))
    for draw in mine:
        if draw["recollect"] is None:
            continue
        again = {of, f"RC-{draw['tube']}"}
        others = [d for one in again for d in by_order.get(one, []) if d["tube"] != draw["tube"]]
        later = [d for d in others if d["at"] > draw["recollect"]]
        for test in sorted(draw["perhaps"]):
            odd = draw["recollect"] < draw["at"]
            if not odd and any(test in d["tests"] and d["drawn"] for d in later):
                continue
            sure = (
                draw["drawn"]
                and not odd
                and test in draw["tests"]
                and not any(test in d["perhaps"] for d in others)
                and not later
            )
            found.append({"test": test, "sure": sure} | recollection_due(draw, order, policy))
    return found


def hours(priority: str, policy: Policy) -> timedelta:
    stat = priority == "stat"
    return timedelta(hours=policy.collect_stat_hours_max if stat else policy.collect_routine_hours_max)


def placed_due(order: Order | None, test: str, policy: Policy) -> dict[str, datetime]:
    """From the wanted time or the placing; placed again, the contract does not say from which of the two."""
    assert order is not None
    after = hours(order["priority"], policy)
    starts = []
    for event in order["placings"]:
        wanted = event["data"].get("wanted")
        starts.append(datetime.fromisoformat(wanted) if wanted else event["at"])
    if len(order["placings"]) == 1:
        return {"earliest": starts[0] + after, "latest": starts[0] + after}
    least = min(starts + [e["at"] for e in order["placings"]])
    return {"earliest": least + after, "latest": max(starts) + after}


def recollection_due(draw: dict[str, Any], order: Order | None, policy: Policy) -> dict[str, datetime]:
    """From the rejection, by the priority of the tube or of its order."""
    priorities = {draw["priority"] or "routine"} | ({order["priority"]} if order else set())
    dues = [draw["recollect"] + hours(priority, policy) for priority in priorities]
    wanted = (
        [datetime.fromisoformat(e["data"]["wanted"]) for e in order["placings"] if e["data"].get("wanted")]
        if order
        else []
    )
    dues += [at + hours(priority, policy) for at in wanted for priority in priorities if at > draw["recollect"]]
    return {"earliest": min(dues), "latest": max(dues)}


def uncollected(events: Events, of_specimens: Histories, policy: Policy, at: datetime) -> tuple[set[str], set[str]]:
    """The orders that wait too long at a moment, and those of which the contract does not say."""
    placed = orders(events)
    due, left_open = set(), set()
    for of in placed.keys() | draws(events).keys():
        for one in waiting(of, events, policy):
            if one["sure"] and one["latest"] <= at:
                due.add(of)
            elif one["earliest"] <= at:
                left_open.add(of)
        if (of in placed and placed[of]["open"]) or cancelled_origin(of, events, of_specimens):
            left_open.add(of)
    return due, left_open


def cancelled_origin(of: str, events: Events, of_specimens: Histories) -> bool:
    """Whether this recollects a tube whose own order was cancelled: the contract names the order alone."""
    origins = [of]
    while origins[-1].startswith("RC-"):
        origin = order_of(of_specimens.get(origins[-1][3:], []))
        if origin is None or origin in origins:
            break
        origins.append(origin)
    return any(cancellations(events, origin) for origin in origins[1:])


def order_of(history: list[Event]) -> str | None:
    """The key of the order that a tube was drawn for."""
    collected = first(history, "specimen.collected")
    return None if collected is None else key(collected["data"]["order"])
