"""Movements of stock: the lines that one event adds to the history of a site's item.

Quantities are whole millionths of a unit. Lots and references of orders are their keys (models/rules/keys.py).
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from models.rules.event_types import (
    TYPES,
    Collected,
    ResultReported,
    SupplyCounted,
    SupplyLine,
    SupplyOrderClosed,
    SupplyOrdered,
    SupplyReceived,
    SupplySent,
    SupplyTransferred,
    SupplyUsed,
    SupplyWasted,
)
from models.rules.events import Event, stock_subject
from models.rules.keys import key

UNIT = 1_000_000
NO_LOT = ""
"""The line of what has no lot, and of a use without one while nothing is known to be on hand."""


class MovementKind(StrEnum):
    ORDERED = "ordered"
    ORDER_CLOSED = "order-closed"
    RECEIVED = "received"
    TRANSFER_IN = "transfer-in"
    TRANSFER_OUT = "transfer-out"
    SENT_OUT = "sent-out"
    SENT_IN = "sent-in"
    USED = "used"
    WASTED = "wasted"
    COUNTED = "counted"


OUTS = frozenset({MovementKind.USED, MovementKind.WASTED, MovementKind.TRANSFER_OUT, MovementKind.SENT_OUT})
"""Kinds that take from the shelf: a lot that is not named is chosen by expiry."""
INS = frozenset({MovementKind.RECEIVED, MovementKind.TRANSFER_IN, MovementKind.COUNTED})
"""Kinds that say of a lot that it is here."""
Key = tuple[int, int, str, int]


class Movement(Struct, frozen=True, gc=False):
    """One line of one event at one site and item. `line` distinguishes the supplies of one collection."""

    site: str
    item: str
    time_us: int
    rank: int
    event_id: str
    line: int
    kind: MovementKind
    lot: str | None
    """Its key; None: first-expired-first-out decides."""
    quantity_u: int
    supply_order: str | None = None
    """The key of the order."""
    sent: str | None = None
    """The id of the `supply.sent` that it is, or answers."""
    accession: str | None = None
    lot_spelled: str | None = None
    """As the event states it."""
    order_spelled: str | None = None
    """As the event states it."""
    expected: str | None = None
    """The day on which what was ordered or sent should come, ISO 8601."""
    future: int = 0
    """1: it lies after the moment at which the log took it, beyond the clock skew, and doesn't count."""

    @property
    def key(self) -> Key:
        return (self.time_us, self.rank, self.event_id, self.line)


def to_u(quantity: float) -> int:
    """A quantity as whole millionths."""
    return round(quantity * UNIT)


def from_u(quantity_u: int) -> int | float:
    """Millionths as the number a person wrote: an int if it is whole."""
    whole, rest = divmod(quantity_u, UNIT)
    return whole if rest == 0 else quantity_u / UNIT


def is_future(event: Event, skew_us: int) -> bool:
    """Whether it happened after the log took it, beyond the clock skew: by a clock that is wrong."""
    return bool(event.appended_us) and event.time_us > event.appended_us + skew_us


def movements_of(event: Event, skew_us: int) -> list[Movement]:
    """The movements that one event makes; none for an event that moves no stock."""
    make = _MAKERS.get(event.type)
    made = make(event) if make else []
    if made and is_future(event, skew_us):
        return [replace(move, future=1) for move in made]
    return made


Moved = (
    SupplyOrdered | SupplyOrderClosed | SupplyReceived | SupplyTransferred | SupplySent | SupplyUsed | SupplyCounted
)
M = TypeVar("M", bound=Moved)


def _move(event: Event[M], kind: MovementKind, **more: Any) -> Movement:
    """The movement of a supply event; `more` replaces fields."""
    site, item = stock_subject(event.subject)
    data: Any = event.data
    lot = getattr(data, "lot", None)
    fields: dict[str, Any] = {
        "site": site,
        "item": item,
        "time_us": event.time_us,
        "rank": event.rank,
        "event_id": event.id,
        "line": 0,
        "kind": kind,
        "lot": None if lot is None else key(lot),
        "lot_spelled": lot,
        "quantity_u": to_u(getattr(data, "quantity", 0)),
    }
    return Movement(**fields | more)


def _lines(event: Event[Any], lines: Sequence[SupplyLine]) -> list[Movement]:
    return [
        Movement(
            site=event.site,
            item=line.item,
            time_us=event.time_us,
            rank=TYPES["supply.used"].rank,
            event_id=event.id,
            line=number,
            kind=MovementKind.USED,
            lot=None if line.lot is None else key(line.lot),
            lot_spelled=line.lot,
            quantity_u=to_u(line.quantity),
            accession=event.subject,
        )
        for number, line in enumerate(lines)
    ]


def _collected(event: Event[Collected]) -> list[Movement]:
    return _lines(event, event.data.supplies)


def _reported(event: Event[ResultReported]) -> list[Movement]:
    return _lines(event, event.data.supplies)


def _transferred(event: Event[SupplyTransferred]) -> list[Movement]:
    arrives = {"site": event.data.to, "line": 1, "rank": event.rank - 1}  # arrives before any use at the other site
    return [_move(event, MovementKind.TRANSFER_OUT), _move(event, MovementKind.TRANSFER_IN, **arrives)]


def _sent(event: Event[SupplySent]) -> list[Movement]:
    coming = {"site": event.data.to, "line": 1, "sent": event.id, "expected": _day(event.data.expected)}
    return [_move(event, MovementKind.SENT_OUT), _move(event, MovementKind.SENT_IN, **coming)]


def _used(event: Event[SupplyUsed]) -> list[Movement]:
    return [_move(event, MovementKind.USED, accession=event.data.specimen)]


def _wasted(event: Event[SupplyWasted]) -> list[Movement]:
    return [_move(event, MovementKind.WASTED, accession=event.data.specimen)]


def _ordered(event: Event[SupplyOrdered]) -> list[Movement]:
    expected = _day(event.data.expected)
    return [_move(event, MovementKind.ORDERED, **_reference(event.data.order), expected=expected)]


def _closed(event: Event[SupplyOrderClosed]) -> list[Movement]:
    return [_move(event, MovementKind.ORDER_CLOSED, **_reference(event.data.order))]


def _received(event: Event[SupplyReceived]) -> list[Movement]:
    data, lot = event.data, event.data.lot or NO_LOT
    answers = {"sent": data.sent, **_reference(data.order)}
    return [_move(event, MovementKind.RECEIVED, lot=key(lot), lot_spelled=lot, **answers)]


def _counted(event: Event[SupplyCounted]) -> list[Movement]:
    return [_move(event, MovementKind.COUNTED)]


def _reference(order: str | None) -> dict[str, Any]:
    return {"supply_order": None if order is None else key(order), "order_spelled": order}


def _day(day: Any) -> str | None:
    return None if day is None else day.isoformat()


_MAKERS: dict[str, Callable[[Event[Any]], list[Movement]]] = {
    "specimen.collected": _collected,
    "result.reported": _reported,
    "supply.ordered": _ordered,
    "supply.order-closed": _closed,
    "supply.received": _received,
    "supply.transferred": _transferred,
    "supply.sent": _sent,
    "supply.used": _used,
    "supply.wasted": _wasted,
    "supply.counted": _counted,
}
MOVING = frozenset(_MAKERS)
"""The event types that may move stock."""
