"""Collecting: which tests of an order still wait for a tube, and by when one is due."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from config.messages import Message
from models.rules.deadlines import AlertKind, Deadline, Severity
from models.rules.event_types import OrderPlaced
from models.rules.events import TIME_US_END, TIME_US_MIN, Event
from models.rules.keys import key
from models.rules.times import HOUR_US, MINUTE_US, microseconds

if TYPE_CHECKING:
    from config.policy import Policy


class PlacedOrder(Struct, frozen=True, gc=False):
    """What is known of an order by its own events."""

    order_id: str
    status: str
    site: str | None
    patient: str | None
    priority: str | None
    placed_us: int | None
    due: dict[str, int]
    """By when a tube is due for each of its tests, microseconds since 1970."""


def order_status(status: str, open_tests: object) -> Literal["placed", "collected", "cancelled"]:
    """What is told of an order: by its own events it is placed or cancelled, and collected if no test waits."""
    if status == "cancelled":
        return "cancelled"
    return "placed" if open_tests else "collected"


class Tube(Struct, frozen=True, gc=False):
    """A tube that was collected for an order, or had tests of that order added to it."""

    accession: str
    order_id: str
    tests: tuple[str, ...]
    site: str | None
    patient: str | None
    priority: str | None
    collected_us: int
    recollect_us: int | None
    """When it was rejected with a recollection asked for, if that stands."""


def within_us(priority: str | None, policy: "Policy") -> int:
    """How long a collection may take."""
    hours = policy.collect_stat_hours_max if priority == "stat" else policy.collect_routine_hours_max
    return round(hours * HOUR_US)


def due_times(placings: Sequence[Event[OrderPlaced]], policy: "Policy") -> dict[str, int]:
    """By when a tube is due for each test: from the wanted time, else from when it was placed.

    Placed again as STAT, all that the order has by then becomes STAT from that moment on; what is added to a STAT
    order is STAT.
    """
    due: dict[str, int] = {}
    stat = False
    for event in placings:
        data = event.data
        stat = stat or data.priority == "stat"
        since_us = event.time_us
        if data.wanted is not None and TIME_US_MIN <= (wanted_us := microseconds(data.wanted)) < TIME_US_END:
            since_us = wanted_us
        by_us = since_us + within_us("stat" if stat else "routine", policy)
        raised = due.keys() if data.priority == "stat" else ()
        for test in {*data.tests, *raised}:
            due[test] = min(due.get(test, by_us), by_us)
    return due


def open_tests(
    order: PlacedOrder | None, tubes: Collection[Tube], again: Mapping[str, Sequence[Tube]], policy: "Policy"
) -> dict[str, int]:
    """The tests that wait for a tube, with when it is due.

    A rejection that asks for another tube opens its tests again until one is collected after it, whatever becomes
    of that one.
    `again`: by the key of the order, tubes that were collected for `RC-` and the accession of a rejected one.
    """
    if order is not None and order.status == "cancelled":
        return {}
    skew_us = round(policy.clock_skew_minutes * MINUTE_US)
    drawn = {test for tube in tubes for test in tube.tests}
    needs = {test: due for test, due in (order.due if order else {}).items() if test not in drawn}
    for tube in tubes:
        if tube.recollect_us is None:
            continue
        later = [t for t in tubes if t.collected_us + skew_us >= tube.recollect_us and t is not tube]
        later += again.get(key(f"RC-{tube.accession}"), ())
        there = {test for one in later for test in one.tests}
        stat = "stat" in (tube.priority, order.priority if order else None)
        due_us = tube.recollect_us + within_us("stat" if stat else "routine", policy)
        for test in tube.tests:
            if test not in there:
                needs[test] = min(needs.get(test, due_us), due_us)
    return needs


def waiting(order: PlacedOrder | None, tubes: Collection[Tube], needs: Mapping[str, int]) -> Deadline:
    """The case of an order that waits for a tube."""
    first = min(tubes, key=lambda t: (t.collected_us, t.accession), default=None)
    priorities = {order.priority if order else None, *(t.priority for t in tubes if t.recollect_us is not None)}
    priority = "stat" if "stat" in priorities else "routine"
    return Deadline.of(
        Message("no tube yet for {tests}", tests=", ".join(sorted(needs))),
        kind=AlertKind.UNCOLLECTED_ORDER,
        subject=order.order_id if order else first.order_id if first else "",
        site=(order.site if order else None) or (first.site if first else None),
        severity=Severity.CRITICAL if priority == "stat" else Severity.WARNING,
        due_us=min(needs.values()),
        priority=priority,
    )
