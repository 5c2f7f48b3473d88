"""Stock: what is on hand of each lot at each site, folded from movements.

On hand is the latest count plus what came in and minus what went out after it; with no count, from zero. A use
without a lot takes the lots that expire first (FEFO) among those on hand at that time, first of those that can be
used. Stock may go negative: a receipt that nobody has entered yet is shown, not hidden. Usable is what is on hand
without what is expired or recalled at that moment. Quantities are whole millionths of a unit.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, tzinfo
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from models.rules.calendars import begins_us, day_at
from models.rules.movements import INS, NO_LOT, OUTS, UNIT, Key, Movement, MovementKind, from_u, to_u
from models.rules.specimen import LotFacts
from models.rules.times import DAY_US, HOUR_US

if TYPE_CHECKING:
    from config.catalog import ParLevel
    from config.policy import Policy

NO_NUMBER = ""
"""The reference of an order without one."""
BEFORE_ALL_US = -(2**62)
COUNT_US = HOUR_US
"""A count of every lot within this time settles the line without a lot too."""
EMPTY_KEPT_US = 400 * DAY_US
"""How long it is remembered that there was no stock: longer than any use rate looks back."""
ON_HAND_MAX_U = 2**62
"""No shelf holds more: what a column of the tables can hold."""


class Line(Struct, array_like=True):
    """One lot at one site."""

    on_hand_u: int = 0
    expires: int | None = None
    """Its last day, as `date.toordinal` has it."""
    notice_us: int | None = None
    """When its maker took it back."""
    arrived: bool = False
    """Whether it was received, transferred or counted here."""
    counted_us: int | None = None
    below: str = ""
    """The event that took it below zero; empty: it isn't."""
    below_us: int = 0

    def usable(self, at_us: int, zone: tzinfo) -> bool:
        """Whether it is neither expired nor recalled at this moment."""
        if self.notice_us is not None and self.notice_us <= at_us:
            return False
        return self.expires is None or at_us < begins_us(self.expires + 1, zone)


class Coming(Struct, array_like=True):
    """What was ordered, or sent here, and is still open."""

    reference: str
    """The key of the order, or the id of the `supply.sent`."""
    open_u: int
    expected: int
    """The day on which it should come, as `date.toordinal` has it."""
    sent: bool = False


class StockState(Struct):
    """The fold's state of one site and item after the movement at `at`."""

    at: Key = (BEFORE_ALL_US, 0, "", 0)
    lots: dict[str, Line] = {}
    """Every lot ever seen, by its key."""
    coming: list[Coming] = []
    """What is on its way, oldest first."""
    known: list[str] = []
    """The keys of the orders, and the ids of the goods sent, that were on their way here at any time."""
    answered: dict[str, int] = {}
    """What was received, by the clocks, before it was ordered or sent, by the order's key or the sending's id."""
    closed: list[str] = []
    """The keys of orders that were closed, by the clocks, before they were placed."""
    since_mark: int = 0
    """Movements applied since the last stored mark."""
    low_since_us: int | None = None
    """Since when usable and on order together are at or below the reorder point; None while they are above it."""
    empty_since_us: int | None = BEFORE_ALL_US
    """Since when nothing usable is here; None while something is."""
    empty: list[tuple[int, int]] = []
    """Earlier times without anything usable, of a day or more: from, to."""

    @property
    def on_hand_u(self) -> int:
        return sum(line.on_hand_u for line in self.lots.values())


_state = msgspec.json.Decoder(StockState)


def state_of(stored: bytes) -> StockState:
    """The state that a column of the tables holds. Raises msgspec.MsgspecError for one that can't be read."""
    return _state.decode(bytes(stored))


class Shelf(Struct, frozen=True):
    """What the fold must know of a site and item from the catalog."""

    zone: tzinfo
    reorder_u: int | None = None
    """The reorder point; None: the item is not kept there."""
    lead_days: float = 0


def shelf_of(par: "ParLevel | None", zone: tzinfo) -> Shelf:
    """Par 0 means that the item is not kept there."""
    if par is None or par.par_level <= 0:
        return Shelf(zone, None, par.lead_time_days if par else 0)
    return Shelf(zone, to_u(par.reorder_point), par.lead_time_days)


Facts = Mapping[str, LotFacts]
"""By the key of a lot, what is known of it."""
Taken = list[tuple[str, int]]


def usable_u(state: StockState, at_us: int, shelf: Shelf) -> int:
    """What can be used at this moment."""
    return sum(line.on_hand_u for line in state.lots.values() if line.on_hand_u and line.usable(at_us, shelf.zone))


def overdue_us(one: Coming, shelf: Shelf) -> int:
    """From when on it is overdue: later than expected by more than the lead time."""
    return begins_us(one.expected + math.floor(shelf.lead_days) + 1, shelf.zone)


def on_order_u(state: StockState, at_us: int, shelf: Shelf) -> int:
    """What is on its way at this moment and not overdue."""
    return sum(one.open_u for one in state.coming if at_us < overdue_us(one, shelf))


def overdue(state: StockState, at_us: int, shelf: Shelf) -> list[Coming]:
    """What should have come, and hasn't."""
    return [one for one in state.coming if at_us >= overdue_us(one, shelf)]


def _is_low(state: StockState, at_us: int, shelf: Shelf, usable: int) -> bool:
    if shelf.reorder_u is None:
        return False
    if usable <= 0 and shelf.reorder_u > 0:
        return True
    return usable + on_order_u(state, at_us, shelf) <= shelf.reorder_u


def _turning_points(state: StockState, after_us: int, until_us: int, shelf: Shelf) -> Iterator[int]:
    """When, without any movement, a lot stops being usable or a delivery becomes overdue."""
    points: set[int] = set()
    for line in state.lots.values():
        if line.on_hand_u:
            if line.expires is not None:
                points.add(begins_us(line.expires + 1, shelf.zone))
            if line.notice_us is not None:
                points.add(line.notice_us)
    points |= {overdue_us(one, shelf) for one in state.coming}
    return (point for point in sorted(points) if after_us < point <= until_us)


def _note(state: StockState, at_us: int, shelf: Shelf) -> None:
    """Remember since when the stock is low, and since when there is none."""
    usable = usable_u(state, at_us, shelf)
    if _is_low(state, at_us, shelf, usable):
        state.low_since_us = at_us if state.low_since_us is None else state.low_since_us
    else:
        state.low_since_us = None
    if usable <= 0:
        state.empty_since_us = at_us if state.empty_since_us is None else state.empty_since_us
    elif state.empty_since_us is not None:
        if at_us - state.empty_since_us >= DAY_US:
            recent = [one for one in state.empty if one[1] > at_us - EMPTY_KEPT_US]
            state.empty = [*recent, (state.empty_since_us, at_us)]
        state.empty_since_us = None


def pass_time(state: StockState, until_us: int, shelf: Shelf) -> None:
    """Let time pass up to a moment, without a movement."""
    for point in _turning_points(state, state.at[0], until_us, shelf):
        _note(state, point, shelf)


def _fefo(state: StockState, move: Movement, shelf: Shelf) -> Taken:
    """First expired, first out, over as many lots as needed; what they don't cover makes the last one negative.

    Lots that can be used at that moment come before the others.
    """
    at_us = move.time_us

    def place(lot: str) -> tuple[bool, int, str]:
        line = state.lots[lot]
        ends = date.max.toordinal() if line.expires is None else line.expires
        return (not line.usable(at_us, shelf.zone), ends, lot)

    known = sorted(state.lots, key=place)
    taken: Taken = []
    left = move.quantity_u
    for lot in known:
        here_u = state.lots[lot].on_hand_u
        if left > 0 and here_u > 0:
            part = min(left, here_u)
            taken.append((lot, part))
            left -= part
    if left > 0 or not taken:
        if taken:
            taken[-1] = (taken[-1][0], taken[-1][1] + left)
        else:
            usable = [lot for lot in known if state.lots[lot].usable(at_us, shelf.zone)]
            taken.append(((usable or known or [NO_LOT])[-1], left))
    return taken


def _fill(state: StockState, move: Movement) -> None:
    """Apply a delivery to what it names, and to nothing else; one that names nothing to the oldest orders.

    Goods sent are here once a receipt names them. A delivery for an order that nobody has entered fills orders
    without a number.
    """
    if move.sent is not None:
        if move.sent not in state.known:
            state.answered[move.sent] = state.answered.get(move.sent, 0) + move.quantity_u
        state.coming = [one for one in state.coming if not (one.sent and one.reference == move.sent)]
        return
    named = move.supply_order
    meant = named if named is None or named in state.known else NO_NUMBER
    left = move.quantity_u
    kept: list[Coming] = []
    for one in state.coming:
        its_own = not one.sent and (meant is None or one.reference == meant)
        part = min(left, one.open_u) if its_own else 0
        left -= part
        if one.open_u > part or one.sent:
            kept.append(Coming(one.reference, one.open_u - part, one.expected, one.sent))
    state.coming = kept
    if named is not None and named not in state.known and left > 0:
        state.answered[named] = state.answered.get(named, 0) + left


def _close(state: StockState, move: Movement) -> None:
    """What is still open of an order will not come."""
    order = move.supply_order or NO_NUMBER
    state.coming = [one for one in state.coming if one.sent or one.reference != order]
    if order not in state.known:
        state.closed.append(order)


def _expect(state: StockState, move: Movement, shelf: Shelf) -> None:
    """Something was ordered, or sent here."""
    sent = move.kind == MovementKind.SENT_IN
    reference = (move.sent if sent else move.supply_order) or NO_NUMBER
    if reference and reference not in state.known:
        state.known.append(reference)
    here_u = state.answered.pop(reference, 0)
    open_u = 0 if sent and here_u else move.quantity_u - here_u
    if reference in state.closed:
        state.closed.remove(reference)
        return
    if open_u <= 0:
        return
    if move.expected is not None:
        expected = date.fromisoformat(move.expected).toordinal()
    else:
        expected = day_at(move.time_us, shelf.zone).toordinal() + math.ceil(shelf.lead_days)
    state.coming = [*state.coming, Coming(reference, open_u, expected, sent)]


def _settle(state: StockState, at_us: int) -> None:
    """A count of every lot on the shelf within an hour ends an old shortage of the line without a lot."""
    nameless = state.lots.get(NO_LOT)
    if nameless is None or nameless.on_hand_u >= 0:
        return
    here = [line for lot, line in state.lots.items() if lot != NO_LOT and line.on_hand_u]
    if all(line.counted_us is not None and at_us - line.counted_us <= COUNT_US for line in here):
        nameless.on_hand_u, nameless.below = 0, ""


def _line(state: StockState, lot: str, facts: Facts) -> Line:
    line = state.lots.get(lot)
    if line is None:
        known = facts.get(lot, LotFacts())
        expires = known.expires.toordinal() if known.expires is not None else None
        line = state.lots[lot] = Line(expires=expires, notice_us=known.notice_us)
    return line


def _put(line: Line, on_hand_u: int, move: Movement) -> None:
    line.on_hand_u = max(-ON_HAND_MAX_U, min(ON_HAND_MAX_U, on_hand_u))
    if line.on_hand_u >= 0:
        line.below = ""
    elif not line.below:
        line.below, line.below_us = move.event_id, move.time_us


def apply(state: StockState, move: Movement, facts: Facts, shelf: Shelf) -> Taken | None:
    """Apply one movement, the next in order. Returns the lots taken where FEFO decided, else None.

    `facts`: of the lots that the movement may bring; those that the state has keep theirs.
    """
    pass_time(state, move.time_us, shelf)
    state.at = move.key
    state.since_mark += 1
    taken: Taken | None = None
    lot = move.lot if move.lot is not None else NO_LOT
    if move.kind in OUTS:
        if move.lot is None:
            taken = _fefo(state, move, shelf)
        for out, quantity_u in taken or [(lot, move.quantity_u)]:
            line = _line(state, out, facts)
            _put(line, line.on_hand_u - quantity_u, move)
    elif move.kind in INS:
        line = _line(state, lot, facts)
        counted = move.kind == MovementKind.COUNTED
        line.arrived = True
        _put(line, move.quantity_u if counted else line.on_hand_u + move.quantity_u, move)
        if counted:
            line.counted_us = move.time_us
            _settle(state, move.time_us)
        elif move.kind == MovementKind.RECEIVED:
            _fill(state, move)
    elif move.kind == MovementKind.ORDER_CLOSED:
        _close(state, move)
    else:
        _expect(state, move, shelf)
    _note(state, move.time_us, shelf)
    return taken


def fold(moves: Iterable[Movement], facts: Facts, shelf: Shelf) -> StockState:
    """The state after all movements of one site and item that count, given in any order."""
    state = StockState()
    for move in sorted(moves, key=lambda m: m.key):
        if not move.future:
            apply(state, move, facts, shelf)
    return state


def days_without(state: StockState, first: int, at_us: int, used: Iterable[int], shelf: Shelf) -> int:
    """How many local days from the ordinal `first` to that of `at_us` had nothing usable at any time, and no use.

    `used`: the days on which something was used. `pass_time` must have brought the state to `at_us`.
    """
    spans = [*state.empty, *([(state.empty_since_us, at_us)] if state.empty_since_us is not None else [])]
    today, busy = day_at(at_us, shelf.zone).toordinal(), set(used)
    days = 0
    for day in range(first, today + 1):
        begins, ends = begins_us(day, shelf.zone), min(begins_us(day + 1, shelf.zone), at_us)
        if day not in busy and any(since <= begins and ends <= until for since, until in spans):
            days += 1
    return days


ShelfLife = Literal["", "expires soon", "expired"]


def expired(expires: date | None, today: date) -> bool:
    """Whether a lot's last day is over on the calendar of `today`; a lot without a date never expires."""
    return expires is not None and expires < today


def expiring_from_us(expires: date, policy: "Policy", zone: tzinfo) -> int:
    """From when on a lot is reported as expiring, in microseconds since 1970."""
    days, fraction = divmod(policy.expiring_days, 1)
    return begins_us(expires.toordinal() - int(days), zone) - round(fraction * DAY_US)


def shelf_life(expires: date | None, at_us: int, policy: "Policy", zone: tzinfo) -> ShelfLife:
    """A lot's shelf life at a moment, by the site's calendar. Empty: neither expired nor expiring soon."""
    if expires is None:
        return ""
    if at_us >= begins_us(expires.toordinal() + 1, zone):
        return "expired"
    return "expires soon" if expiring_from_us(expires, policy, zone) <= at_us else ""


class Used(Struct, frozen=True):
    """What was used over the days that the use rate looks back."""

    total_u: int = 0
    days: frozenset[int] = frozenset()
    """The local days with any use, as `date.toordinal` has them."""


Reason = Literal["", "empty", "reorder-point", "days-of-cover"]


class Level(Struct, frozen=True):
    """One item's stock at one site at a moment, and whether to order. In units; cover in days."""

    on_hand: float
    usable: float
    on_order: float
    overdue: tuple[Coming, ...]
    days_of_cover: float | None
    """How long what is usable lasts at the recent rate; None: nothing was used."""
    reason: Reason
    """Why to order; empty: no need."""
    suggested: float
    """The quantity that fills up to par; never 0 when an order is due."""
    since_us: int | None
    """Since when an order is due."""

    @property
    def due(self) -> bool:
        return bool(self.reason)


def level(state: StockState, used: Used, par: "ParLevel | None", policy: "Policy", zone: tzinfo, at_us: int) -> Level:
    """What is here at a moment that is not before the state's last movement. Changes the state: decode a new one."""
    shelf = shelf_of(par, zone)
    pass_time(state, at_us, shelf)
    usable, coming = usable_u(state, at_us, shelf), on_order_u(state, at_us, shelf)
    first = day_at(at_us, zone).toordinal() - policy.use_rate_days + 1
    days = policy.use_rate_days - days_without(state, first, at_us, used.days, shelf)
    rate = used.total_u / UNIT / max(days, 1)
    cover = max(from_u(usable), 0) / rate if rate > 0 else None
    reason: Reason = ""
    since_us: int | None = None
    if par is not None and shelf.reorder_u is not None:
        if usable <= 0 and shelf.reorder_u > 0:
            reason = "empty"
        elif usable + coming <= shelf.reorder_u:
            reason = "reorder-point"
        elif cover is not None and cover < par.lead_time_days:
            reason = "days-of-cover"
        if reason:
            low = reason != "days-of-cover" and state.low_since_us is not None
            since_us = state.low_since_us if low else state.at[0]
    suggested = _suggested(from_u(usable + coming), par, rate) if par is not None and reason else 0
    late = tuple(overdue(state, at_us, shelf))
    return Level(from_u(state.on_hand_u), from_u(usable), from_u(coming), late, cover, reason, suggested, since_us)


def _suggested(have: float, par: "ParLevel", rate: float) -> float:
    """Up to par; where that is on its way already, what is used until it is here; at least one."""
    fills = par.par_level - have
    return fills if fills > 0 else max(math.ceil(rate * par.lead_time_days), 1)
