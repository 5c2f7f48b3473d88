"""Stock: what is on hand of each lot at each site, folded from movements.

On hand is the latest count plus what came in and minus what went out after it; with no count, from zero. A use
without a lot takes the lots that expire first (FEFO) among those on hand at that time. Stock may go negative: a
receipt that nobody has entered yet is shown, not hidden. Quantities are whole millionths of a unit.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import Struct

from models.rules.event_types import (
    TYPES,
    Collected,
    SupplyCounted,
    SupplyOrdered,
    SupplyReceived,
    SupplyTransferred,
    SupplyUsed,
    SupplyWasted,
)
from models.rules.events import Event, stock_subject
from models.rules.times import DAY_US, EPOCH_DAY, microseconds

if TYPE_CHECKING:
    from config.catalog import ParLevel
    from config.policy import Policy

UNIT = 1_000_000
NO_LOT = ""
"""Means that the lot is not known: a use without a lot while nothing is known to be on hand."""


class MovementKind(StrEnum):
    ORDERED = "ordered"
    RECEIVED = "received"
    TRANSFER_IN = "transfer-in"
    TRANSFER_OUT = "transfer-out"
    USED = "used"
    WASTED = "wasted"
    COUNTED = "counted"


OUTS = frozenset({MovementKind.USED, MovementKind.WASTED, MovementKind.TRANSFER_OUT})
"""Kinds that take from the shelf: a lot that is not named is chosen by expiry."""
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
    quantity_u: int
    supply_order: str | None = None
    accession: str | None = None

    @property
    def key(self) -> Key:
        return (self.time_us, self.rank, self.event_id, self.line)


class StockState(Struct):
    """The fold's state of one site and item after the movement at `at`."""

    at: tuple[int, int, str, int] = (-(2**62), 0, "", 0)
    lots: dict[str, int] = {}
    """On hand of every lot ever seen, in millionths."""
    orders: list[tuple[str, int]] = []
    """Outstanding orders, oldest first: order reference ("" if none) and the outstanding quantity."""
    last_in: str = ""
    """The last event that added or counted stock here: it makes the next shortage a new case."""
    since_mark: int = 0
    """Movements applied since the last stored mark."""
    low_since_us: int | None = None
    """When on hand and on order together last fell to the reorder point; None while they are above it."""

    @property
    def on_hand_u(self) -> int:
        return sum(self.lots.values())

    @property
    def on_order_u(self) -> int:
        return sum(quantity for _, quantity in self.orders)


Expiry = Mapping[str, date | None]
Taken = list[tuple[str, int]]


def to_u(quantity: float) -> int:
    """A quantity as whole millionths."""
    return round(quantity * UNIT)


def from_u(quantity_u: int) -> int | float:
    """Millionths as the number a person wrote: an int if it is whole."""
    whole, rest = divmod(quantity_u, UNIT)
    return whole if rest == 0 else quantity_u / UNIT


def movements_of(event: Event) -> list[Movement]:
    """The movements that one event makes; none for an event that moves no stock."""
    make = _MAKERS.get(event.type)
    return make(event) if make else []


Moved = SupplyOrdered | SupplyReceived | SupplyTransferred | SupplyUsed | SupplyCounted
M = TypeVar("M", bound=Moved)


def _move(event: Event[M], kind: MovementKind, **more: Any) -> Movement:
    """The movement of a supply event; `more` replaces fields."""
    site, item = stock_subject(event.subject)
    data = event.data
    fields: dict[str, Any] = {
        "site": site,
        "item": item,
        "time_us": event.time_us,
        "rank": event.rank,
        "event_id": event.id,
        "line": 0,
        "kind": kind,
        "lot": None if isinstance(data, SupplyOrdered) else data.lot,
        "quantity_u": to_u(data.quantity),
    }
    return Movement(**fields | more)


def _collected(event: Event[Collected]) -> list[Movement]:
    return [
        Movement(
            site=event.site,
            item=line.item,
            time_us=event.time_us,
            rank=TYPES["supply.used"].rank,
            event_id=event.id,
            line=number,
            kind=MovementKind.USED,
            lot=line.lot,
            quantity_u=to_u(line.quantity),
            accession=event.subject,
        )
        for number, line in enumerate(event.data.supplies)
    ]


def _transferred(event: Event[SupplyTransferred]) -> list[Movement]:
    arrives = {"site": event.data.to, "line": 1, "rank": event.rank - 1}  # arrives before any use at the other site
    return [_move(event, MovementKind.TRANSFER_OUT), _move(event, MovementKind.TRANSFER_IN, **arrives)]


def _used(event: Event[SupplyUsed]) -> list[Movement]:
    return [_move(event, MovementKind.USED, accession=event.data.specimen)]


def _wasted(event: Event[SupplyWasted]) -> list[Movement]:
    return [_move(event, MovementKind.WASTED, accession=event.data.specimen)]


def _ordered(event: Event[SupplyOrdered]) -> list[Movement]:
    return [_move(event, MovementKind.ORDERED, supply_order=event.data.order)]


def _received(event: Event[SupplyReceived]) -> list[Movement]:
    return [_move(event, MovementKind.RECEIVED, supply_order=event.data.order)]


def _counted(event: Event[SupplyCounted]) -> list[Movement]:
    return [_move(event, MovementKind.COUNTED)]


_MAKERS: dict[str, Callable[[Event[Any]], list[Movement]]] = {
    "specimen.collected": _collected,
    "supply.ordered": _ordered,
    "supply.received": _received,
    "supply.transferred": _transferred,
    "supply.used": _used,
    "supply.wasted": _wasted,
    "supply.counted": _counted,
}


def _fefo(state: StockState, quantity_u: int, expiry: Expiry) -> Taken:
    """First expired, first out, over as many lots as needed; what they don't cover makes the last one negative."""
    known = sorted(state.lots, key=lambda lot: (expiry.get(lot) or date.max, lot))
    taken: Taken = []
    left = quantity_u
    for lot in known:
        if left > 0 and state.lots[lot] > 0:
            part = min(left, state.lots[lot])
            taken.append((lot, part))
            left -= part
    if left > 0 or not taken:
        if taken:
            taken[-1] = (taken[-1][0], taken[-1][1] + left)
        else:
            taken.append((known[-1] if known else NO_LOT, left))
    return taken


def _fill(state: StockState, move: Movement) -> None:
    """Apply a delivery to the order that it names, else to the oldest ones."""
    left = move.quantity_u
    named = move.supply_order if any(o == move.supply_order for o, _ in state.orders) else None
    kept: list[tuple[str, int]] = []
    for order, open_u in state.orders:
        part = min(left, open_u) if named is None or order == named else 0
        left -= part
        if open_u > part:
            kept.append((order, open_u - part))
    state.orders = kept


def apply(state: StockState, move: Movement, expiry: Expiry, reorder_u: int | None = None) -> Taken | None:
    """Apply one movement, the next in order. Returns the lots taken where FEFO decided, else None.

    `reorder_u`: the reorder point, where the catalog has one for this site and item.
    """
    state.at = move.key
    state.since_mark += 1
    taken: Taken | None = None
    lot = move.lot if move.lot is not None else NO_LOT
    if move.kind in OUTS:
        if move.lot is None:
            taken = _fefo(state, move.quantity_u, expiry)
        for out, quantity_u in taken or [(lot, move.quantity_u)]:
            state.lots[out] = state.lots.get(out, 0) - quantity_u
    elif move.kind == MovementKind.ORDERED:
        state.orders = [*state.orders, (move.supply_order or "", move.quantity_u)]
    else:
        before = 0 if move.kind == MovementKind.COUNTED else state.lots.get(lot, 0)
        state.lots[lot] = before + move.quantity_u
        state.last_in = move.event_id
        if move.kind == MovementKind.RECEIVED:
            _fill(state, move)
    if reorder_u is not None:
        low = state.on_hand_u + state.on_order_u <= reorder_u
        state.low_since_us = (state.low_since_us or move.time_us) if low else None
    return taken


def fold(moves: Iterable[Movement], expiry: Expiry, reorder_u: int | None = None) -> StockState:
    """The state after all movements of one site and item, given in any order."""
    state = StockState()
    for move in sorted(moves, key=lambda m: m.key):
        apply(state, move, expiry, reorder_u)
    return state


ShelfLife = Literal["", "expires soon", "expired"]


def expired(expires: date | None, today: date) -> bool:
    """Whether a lot's last day is over on the calendar of `today`; a lot without a date never expires."""
    return expires is not None and expires < today


def expiring_from_us(expires: date, policy: "Policy") -> int:
    """From when on a lot is reported as expiring, in microseconds since 1970 on the calendar that counts."""
    warning_us = timedelta(days=policy.expiring_days) // timedelta(microseconds=1)
    return (expires.toordinal() - EPOCH_DAY) * DAY_US - warning_us


def shelf_life(expires: date | None, now: datetime, policy: "Policy") -> ShelfLife:
    """A lot's shelf life now, by the calendar of `now`'s time zone. Empty: neither expired nor expiring soon."""
    if expires is None:
        return ""
    if expired(expires, now.date()):
        return "expired"
    shown_us = microseconds(now.replace(tzinfo=UTC))
    return "expires soon" if expiring_from_us(expires, policy) <= shown_us else ""


def days_of_cover(on_hand_u: int, used_u: int, policy: "Policy") -> float | None:
    """How long the stock on hand lasts; None: nothing was used. `used_u`: use over `policy.use_rate_days` days."""
    rate = used_u / UNIT / policy.use_rate_days
    return max(from_u(on_hand_u), 0) / rate if rate > 0 else None


class Restock(Struct, frozen=True):
    """One item's stock at one site, and whether to order. In units; cover in days (None: no recent use)."""

    due: bool
    reason: str
    """`reorder-point` or `days-of-cover` when due, else empty."""
    on_hand: float
    on_order: float
    days_of_cover: float | None
    suggested: float
    """The quantity that fills up to par; 0 when nothing is due."""


def restock(on_hand_u: int, on_order_u: int, used_u: int, par: "ParLevel", policy: "Policy") -> Restock:
    """Whether to order. `used_u`: use over the last `policy.use_rate_days` days."""
    on_hand, on_order = from_u(on_hand_u), from_u(on_order_u)
    cover = days_of_cover(on_hand_u, used_u, policy)
    reason = ""
    if on_hand + on_order <= par.reorder_point:
        reason = "reorder-point"
    elif cover is not None and cover < par.lead_time_days:
        reason = "days-of-cover"
    suggested = max(par.par_level - on_hand - on_order, 0) if reason else 0
    return Restock(bool(reason), reason, on_hand, on_order, cover, suggested)
