"""Orders, folded from their own events. Part of the store's one transaction (models/recording/store.py)."""

from collections.abc import Mapping

from msgspec import Struct
from sqlalchemy import Connection

from models.database.bulk import delete, upsert_structs
from models.database.columns import json_text
from models.database.state_tables import orders
from models.rules.event_types import OrderCancelled, OrderPlaced
from models.rules.events import Event, of_kind
from models.rules.specimen import effective


class OrderRow(Struct, frozen=True, gc=False):
    """A row of `orders`; an order with only a cancellation has only its number and status."""

    order_id: str
    status: str
    patient: str | None = None
    priority: str | None = None
    tests: str = "[]"
    """JSON array, sorted."""
    site: str | None = None
    placed_us: int | None = None
    cancelled_us: int | None = None
    placed_event: str | None = None


def refold(connection: Connection, histories: Mapping[str, tuple[Event, ...]]) -> None:
    """Write the rows of these orders, {order id: every event}; one without a valid event has none."""
    rows = {order_id: _fold(order_id, history) for order_id, history in histories.items()}
    upsert_structs(connection, orders, OrderRow, [row for row in rows.values() if row is not None])
    delete(connection, orders, ("order_id",), [(order_id,) for order_id, row in rows.items() if row is None])


def _fold(order_id: str, history: tuple[Event, ...]) -> OrderRow | None:
    """The first valid placing decides."""
    counting = effective(history)
    placed = next(iter(of_kind(counting, OrderPlaced)), None)
    cancelled = next(iter(of_kind(counting, OrderCancelled)), None)
    status = "cancelled" if cancelled else "placed"
    cancelled_us = cancelled.time_us if cancelled else None
    if placed is None:
        return None if cancelled is None else OrderRow(order_id, status, cancelled_us=cancelled_us)
    return OrderRow(
        order_id,
        status,
        patient=placed.data.patient,
        priority=placed.data.priority,
        tests=json_text(sorted(placed.data.tests)),
        site=placed.data.site or placed.site or None,
        placed_us=placed.time_us,
        cancelled_us=cancelled_us,
        placed_event=placed.id,
    )
