"""Orders: folded from their own events, and what of them still waits for a tube.

Part of the store's one transaction (models/recording/store.py). Two spellings of one number are one order.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from models.database.bulk import Update, delete, select_in, upsert, upsert_structs
from models.database.columns import json_text
from models.database.state_tables import order_spellings, order_tubes, orders, waiting_orders
from models.recording.history_cache import HistoryCache
from models.rules.collecting import PlacedOrder, Tube, due_times, open_tests, waiting
from models.rules.event_types import OrderCancelled, OrderPlaced
from models.rules.events import TIME_US_MIN, Event, of_kind
from models.rules.keys import key, same
from models.rules.specimen import effective
from models.rules.times import MINUTE_US

if TYPE_CHECKING:
    from config.policy import Policy

Histories = Mapping[str, tuple[Event, ...]]
_due = msgspec.json.Decoder(dict[str, int])
_tests = msgspec.json.Decoder(tuple[str, ...])


class OrderRow(Struct, frozen=True, gc=False):
    """A row of `orders`; an order with only a cancellation has only its number and status."""

    order_key: str
    order_id: str
    status: str
    patient: str | None = None
    priority: str | None = None
    tests: str = "[]"
    """JSON array, sorted."""
    site: str | None = None
    ordered_by: str | None = None
    placed_us: int | None = None
    placed_event: str | None = None
    other_placing: str | None = None
    """The event by which it was placed for another patient as well."""
    cancelled_us: int | None = None
    cancelled_event: str | None = None
    due: str = "{}"
    """JSON object: by when a tube is due for each test, microseconds since 1970."""


class WaitingRow(Struct, frozen=True, gc=False):
    """A row of `waiting_orders`."""

    order_key: str
    order_id: str
    site: str | None
    patient: str | None
    priority: str
    tests: str
    """JSON array, sorted: those without a tube."""
    since_us: int
    due_us: int
    deadlines: str
    alert_check_us: int


WAITING_UPDATE: Update = (
    *(column for column in WaitingRow.__struct_fields__ if column not in ("order_key", "alert_check_us")),
    ("alert_check_us", "CASE WHEN waiting_orders.alerts_open > 0 THEN 0 ELSE excluded.alert_check_us END"),
)


def refold(connection: Connection, histories: Histories, cache: HistoryCache, policy: "Policy") -> set[str]:
    """Write the rows of these orders, {subject: every event}; returns their keys. Without a valid event: no row."""
    if not histories:
        return set()
    keys = {key(subject) for subject in histories}
    columns = ("order_key", "order_id")
    upsert(connection, order_spellings, columns, sorted((key(subject), subject) for subject in histories))
    spelled: dict[str, list[str]] = {}
    for order_key, subject in select_in(connection, order_spellings, columns, "order_key", keys):
        spelled.setdefault(order_key, []).append(subject)
    others = cache.load(connection, {s for some in spelled.values() for s in some} - histories.keys())
    every = {**histories, **others}
    rows = {k: _fold(k, [e for s in sorted(spelled[k]) for e in every[s]], policy) for k in keys}
    upsert_structs(connection, orders, OrderRow, [row for row in rows.values() if row is not None])
    delete(connection, orders, ("order_key",), [(k,) for k, row in rows.items() if row is None])
    return keys


def _fold(order_key: str, history: Collection[Event], policy: "Policy") -> OrderRow | None:
    """Each placing adds its tests and may raise the priority; otherwise the first one decides.

    One that is placed again after it was cancelled is a new order by the old number.
    """
    counting = effective(history)
    own = [e for e in counting if isinstance(e.data, (OrderPlaced, OrderCancelled))]
    every, cancelled = of_kind(counting, OrderPlaced), _stands(counting, policy)
    placings = every if cancelled else _since_cancelled(counting)
    if not own:
        return None
    row = OrderRow(
        order_key,
        own[0].subject,
        "cancelled" if cancelled else "placed",
        cancelled_us=cancelled.time_us if cancelled else None,
        cancelled_event=cancelled.id if cancelled else None,
    )
    if not placings:
        return row
    first = placings[0]
    return replace(
        row,
        patient=first.data.patient,
        priority="stat" if any(e.data.priority == "stat" for e in placings) else "routine",
        tests=json_text(sorted({test for e in placings for test in e.data.tests})),
        site=next((site for e in placings if (site := e.data.site or e.site)), None),
        ordered_by=next((e.data.ordered_by for e in placings if e.data.ordered_by), None),
        placed_us=first.time_us,
        placed_event=first.id,
        other_placing=next((e.id for e in placings if not same(e.data.patient, first.data.patient)), None),
        due=json_text(due_times(placings, policy)),
    )


def _stands(counting: Collection[Event], policy: "Policy") -> Event[OrderCancelled] | None:
    """The first cancellation after which the order was not placed again, by more than the clocks may differ."""
    placed_us = max((e.time_us for e in of_kind(counting, OrderPlaced)), default=TIME_US_MIN)
    skew_us = round(policy.clock_skew_minutes * MINUTE_US)
    standing = [e for e in of_kind(counting, OrderCancelled) if placed_us <= e.time_us + skew_us]
    return standing[0] if standing else None


def _since_cancelled(counting: Collection[Event]) -> list[Event[OrderPlaced]]:
    """The placings after the last cancellation."""
    last = max((e.order for e in of_kind(counting, OrderCancelled)), default=(TIME_US_MIN - 1, 0, ""))
    return [e for e in of_kind(counting, OrderPlaced) if e.order > last]


TUBE_COLUMNS = ("order_key", *Tube.__struct_fields__)
_ORDER_COLUMNS = ("order_key", "order_id", "status", "site", "patient", "priority", "placed_us", "due")


def refold_waiting(connection: Connection, keys: Collection[str], policy: "Policy") -> None:
    """Write which of these orders wait for a tube, once the tubes' own rows are written."""
    if not keys:
        return
    keys = {*keys, *_orders_of_rejected(connection, keys)}
    tubes = _tubes(connection, keys)
    rejected = {f"RC-{tube.accession}" for some in tubes.values() for tube in some if tube.recollect_us is not None}
    again = _tubes(connection, {key(order) for order in rejected})
    placed = {
        order_key: PlacedOrder(order_id, status, site, patient, priority, placed_us, _due.decode(due))
        for order_key, order_id, status, site, patient, priority, placed_us, due in select_in(
            connection, orders, _ORDER_COLUMNS, "order_key", keys
        )
    }
    want = {}
    for order_key in keys:
        order, some = placed.get(order_key), tubes.get(order_key, [])
        needs = open_tests(order, some, again, policy)
        if needs:
            want[order_key] = _waiting_row(order_key, order, some, needs)
    upsert_structs(connection, waiting_orders, WaitingRow, list(want.values()), WAITING_UPDATE)
    delete(connection, waiting_orders, ("order_key",), [(k,) for k in keys if k not in want])


def _orders_of_rejected(connection: Connection, keys: Iterable[str]) -> set[str]:
    """Of orders for `RC-` and an accession, the orders of that tube: a new tube may be what they wait for."""
    again = {order_key for order_key in keys if order_key.startswith("RC-")}
    rows = select_in(connection, order_tubes, ("order_key",), "again_key", again) if again else ()
    return {order_key for (order_key,) in rows}


def _tubes(connection: Connection, keys: Iterable[str]) -> dict[str, list[Tube]]:
    found: dict[str, list[Tube]] = {}
    for order_key, accession, order_id, tests, *rest in select_in(
        connection, order_tubes, TUBE_COLUMNS, "order_key", keys
    ):
        found.setdefault(order_key, []).append(Tube(accession, order_id, _tests.decode(tests), *rest))
    return found


def _waiting_row(order_key: str, order: PlacedOrder | None, tubes: list[Tube], needs: dict[str, int]) -> WaitingRow:
    case = waiting(order, tubes, needs)
    first = min(tubes, key=lambda t: (t.collected_us, t.accession), default=None)
    return WaitingRow(
        order_key,
        case.subject,
        case.site,
        (order.patient if order else None) or (first.patient if first else None),
        case.priority,
        json_text(sorted(needs)),
        (order.placed_us if order else None) or (first.collected_us if first else case.due_us),
        case.due_us,
        json_text([case]),
        case.due_us,
    )
