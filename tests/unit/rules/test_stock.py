"""The rules of stock: counts, receipts, uses, first expired first out, goods on their way, when to order."""

import random
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from config.catalog import ParLevel
from models.rules.events import parse
from models.rules.movements import Movement, from_u, movements_of, to_u
from models.rules.specimen import LotFacts
from models.rules.stock import (
    Level,
    Shelf,
    StockState,
    Used,
    apply,
    days_without,
    fold,
    level,
    on_order_u,
    overdue,
    pass_time,
    shelf_life,
    shelf_of,
    usable_u,
)
from models.rules.times import HOUR_US, MINUTE_US
from tests.support.story import POLICY, collected, raw, supply, us

CHICAGO = ZoneInfo("America/Chicago")  # DAWN is midnight there
SKEW_US = 5 * MINUTE_US
FACTS = {
    "L1": LotFacts(expires=date(2027, 1, 1)),
    "L2": LotFacts(expires=date(2026, 12, 1)),
    "OLD": LotFacts(expires=date(2026, 11, 19)),
    "TODAY": LotFacts(expires=date(2026, 11, 20)),
    "BACK": LotFacts(expires=date(2026, 11, 30), notice_us=us(3)),
}
SHELF = Shelf(CHICAGO, to_u(60), lead_days=2)
PAR = ParLevel(site="NORTH", item="SUP-EDTA4", reorder_point=60, par_level=300, lead_time_days=2)
DAY = 1440


def moves(*records: bytes, site: str = "NORTH") -> list[Movement]:
    made = [m for r in records for m in movements_of(parse(r, us(100 * DAY)), SKEW_US)]
    return [m for m in made if (m.site, m.item) == (site, "SUP-EDTA4")]


def folded(*records: bytes, site: str = "NORTH") -> StockState:
    return fold(moves(*records, site=site), FACTS, SHELF)


def on_hand(*records: bytes, site: str = "NORTH") -> dict[str, float]:
    return {lot: from_u(line.on_hand_u) for lot, line in folded(*records, site=site).lots.items()}


def usable(minute: float, *records: bytes) -> float:
    return from_u(usable_u(folded(*records), us(minute), SHELF))


def on_order(minute: float, *records: bytes, site: str = "NORTH") -> float:
    return from_u(on_order_u(folded(*records, site=site), us(minute), SHELF))


def late(minute: float, *records: bytes) -> list[tuple[str, float]]:
    return [(one.reference, from_u(one.open_u)) for one in overdue(folded(*records), us(minute), SHELF)]


def stands(minute: float, *records: bytes, used: Used | None = None, par: ParLevel | None = PAR) -> Level:
    return level(folded(*records), used or Used(), par, POLICY, CHICAGO, us(minute))


def received(minute: float, lot: str | None, quantity: float, **more: object) -> bytes:
    named = {"lot": lot, "expires": "2027-01-01"} if lot is not None else {}
    return supply("received", minute, quantity=quantity, **named, **more)


def ordered(minute: float, quantity: float, **more: object) -> bytes:
    return supply("ordered", minute, quantity=quantity, **more)


def used(minute: float, quantity: float, **more: object) -> bytes:
    return supply("used", minute, quantity=quantity, **more)


def counted(minute: float, lot: str, quantity: float) -> bytes:
    return supply("counted", minute, lot=lot, quantity=quantity)


# --- on hand


def test_with_no_count_stock_starts_from_zero() -> None:
    assert on_hand(received(0, "L1", 100), used(5, 3, lot="L1")) == {"L1": 97}


def test_a_count_is_what_is_there_and_only_what_happened_after_it_adds_to_it() -> None:
    records = [
        received(0, "L1", 100),
        used(5, 3, lot="L1"),
        counted(10, "L1", 90),
        used(10, 2, lot="L1", id="at the same moment"),
        supply("wasted", 11, lot="L1", quantity=1),
    ]
    assert on_hand(*records) == {"L1": 89}


def test_the_tubes_of_a_collection_and_the_kits_of_a_result_are_uses() -> None:
    assert on_hand(received(0, "L1", 10), collected(5)) == {"L1": 9}
    lines = [{"item": "SUP-EDTA4", "lot": "L1", "quantity": 2}, {"item": "SUP-EDTA4", "lot": "L2", "quantity": 3}]
    reported = raw("result.reported", "S2600012334", 6, {"test": "CBCD", "status": "final", "supplies": lines})
    assert on_hand(received(0, "L1", 10), reported) == {"L1": 8, "L2": -3}


def test_stock_goes_negative_rather_than_hiding_a_receipt_that_is_not_entered_yet() -> None:
    assert on_hand(used(5, 3, lot="L1")) == {"L1": -3}
    assert on_hand(used(5, 3, lot="L1"), received(0, "L1", 10)) == {"L1": 7}


def test_the_event_that_took_a_lot_below_zero_is_known_until_it_is_above() -> None:
    first, second = used(5, 3, lot="L1", id="first"), used(6, 1, lot="L1", id="second")
    line = folded(first, second).lots["L1"]
    assert (line.below, line.below_us) == ("first", us(5))
    assert folded(first, second, received(7, "L1", 4)).lots["L1"].below == ""


@pytest.mark.parametrize("spelled", ["l1", " L1 ", "Ｌ１", "L1\u00a0"])
def test_every_spelling_of_a_lot_is_that_lot(spelled: str) -> None:
    assert on_hand(received(0, "L1", 10), used(5, 3, lot=spelled)) == {"L1": 7}


def test_fractions_of_a_unit_add_up_exactly() -> None:
    assert on_hand(*(supply("received", n, lot="L1", quantity=0.1) for n in range(10))) == {"L1": 1}


def test_every_order_of_arrival_gives_the_same_stock() -> None:
    records = [
        received(0, "L1", 5),
        received(1, "L2", 5),
        used(5, 2),
        used(6, 7),
        counted(7, "L2", 4),
        used(8, 3),
        received(9, "L3", 9),
        collected(6),
        ordered(2, 10, order="A"),
        supply("sent", 4, quantity=1, to="SOUTH", id="sent"),
        raw("supply.order-closed", "NORTH/SUP-EDTA4", 10, {"order": "A", "reason": "sold out"}),
    ]
    want = folded(*records)
    for seed in range(50):
        random.Random(seed).shuffle(records)
        assert folded(*records) == want, f"seed {seed}"


# --- first expired, first out


def test_a_use_without_a_lot_takes_the_lot_on_hand_that_expires_first() -> None:
    both = [received(0, "L1", 5), received(1, "L2", 5), received(2, "L3", 5)]
    assert on_hand(*both, used(5, 2)) == {"L1": 5, "L2": 3, "L3": 5}
    assert on_hand(*both, used(5, 7)) == {"L1": 3, "L2": 0, "L3": 5}
    assert on_hand(*both, used(5, 20)) == {"L1": 0, "L2": 0, "L3": -5}
    assert on_hand(used(5, 2)) == {"": -2}


@pytest.mark.parametrize(
    ("lot", "minute", "taken"),
    [
        ("OLD", 5, "L1"),  # expired the day before
        ("TODAY", 5, "TODAY"),  # good to the end of its last day on the site's calendar
        ("TODAY", DAY - 1, "TODAY"),
        ("TODAY", DAY, "L1"),
        ("BACK", 2, "BACK"),  # the notice came a minute later
        ("BACK", 3, "L1"),
    ],
)
def test_what_was_expired_or_recalled_at_that_moment_is_left_on_the_shelf(
    lot: str, minute: float, taken: str
) -> None:
    boxes = [received(0, lot, 5), received(1, "L1", 5)]
    assert on_hand(*boxes, used(minute, 2)) == {lot: 5, "L1": 5} | {taken: 3}


def test_only_where_nothing_else_is_left_the_expired_box_is_drawn_down() -> None:
    boxes = [received(0, "OLD", 5), received(1, "L1", 5)]
    assert on_hand(*boxes, used(5, 7)) == {"OLD": 3, "L1": 0}


def test_only_what_was_on_hand_at_that_time_can_be_taken() -> None:
    assert on_hand(received(0, "L1", 5), used(5, 2), received(9, "L2", 5)) == {"L1": 3, "L2": 5}


# --- the line without a lot


def test_the_line_without_a_lot_is_received_used_and_counted() -> None:
    assert on_hand(received(0, None, 10), used(5, 3, lot="")) == {"": 7}
    assert on_hand(received(0, None, 10), counted(5, "", 4), used(6, 1)) == {"": 3}


def test_a_count_of_every_lot_within_an_hour_settles_the_line_without_a_lot() -> None:
    short, boxes = used(0, 3), [received(10, "L1", 50), received(11, "L2", 50)]
    assert on_hand(short, *boxes, counted(20, "L1", 50)) == {"": -3, "L1": 50, "L2": 50}
    assert on_hand(short, *boxes, counted(20, "L1", 50), counted(80, "L2", 50))[""] == 0
    assert on_hand(short, *boxes, counted(20, "L1", 50), counted(80.1, "L2", 50))[""] == -3


# --- goods on their way


def test_a_transfer_leaves_one_site_and_reaches_the_other_at_once() -> None:
    moved = supply("transferred", 5, lot="L1", quantity=4, to="SOUTH")
    assert on_hand(received(0, "L1", 10), moved) == {"L1": 6}
    assert on_hand(received(0, "L1", 10), moved, site="SOUTH") == {"L1": 4}


def test_what_is_sent_is_on_order_at_the_other_site_until_a_receipt_names_it() -> None:
    sent = supply("sent", 5, lot="L1", quantity=4, to="SOUTH", id="box 1")
    other = supply("sent", 6, lot="L1", quantity=2, to="SOUTH", id="box 2")
    assert on_hand(received(0, "L1", 10), sent) == {"L1": 6}
    assert (on_hand(sent, site="SOUTH"), on_order(7, sent, site="SOUTH")) == ({}, 4)
    arrived = received(9, "L1", 3, site="SOUTH", sent="box 1")
    assert on_order(10, sent, other, arrived, site="SOUTH") == 2
    by_a_slow_clock = received(4, "L1", 4, site="SOUTH", sent="box 1")
    assert on_order(10, sent, by_a_slow_clock, site="SOUTH") == 0
    assert on_order(10, sent, received(9, "L1", 9, site="SOUTH"), site="SOUTH") == 4


def test_a_sending_without_a_lot_takes_what_expires_first() -> None:
    boxes = [received(0, "L1", 5), received(1, "L2", 5)]
    assert on_hand(*boxes, supply("sent", 5, quantity=6, to="SOUTH")) == {"L1": 4, "L2": 0}


def test_a_delivery_fills_the_order_it_names_and_otherwise_the_oldest() -> None:
    first, second = ordered(0, 10, order="A"), ordered(1, 20, order="B")
    assert on_order(9, first, second) == 30
    assert on_order(9, first, second, received(5, "L1", 20, order=" b")) == 10
    assert on_order(9, first, second, received(5, "L1", 15)) == 15
    assert on_order(9, first, received(5, "L1", 50)) == 0


def test_an_order_that_is_closed_brings_nothing_more() -> None:
    closed = raw("supply.order-closed", "NORTH/SUP-EDTA4", 6, {"order": "a ", "reason": "sold out"})
    first, second = ordered(0, 100, order="A"), ordered(1, 20, order="B")
    assert on_order(9, first, second, received(5, "L1", 15, order="A"), closed) == 20


@pytest.mark.parametrize(
    ("expected", "overdue_from_day"),
    [("2026-11-23", 6), ("2026-11-20", 3), (None, 5)],  # without a day: two days of lead time after the order
)
def test_a_delivery_is_overdue_when_it_is_later_than_expected_by_more_than_the_lead_time(
    expected: str | None, overdue_from_day: int
) -> None:
    order = ordered(10, 80, order="PO-1", **({"expected": expected} if expected else {}))
    last_minute = overdue_from_day * DAY - 1
    assert (on_order(last_minute, order), late(last_minute, order)) == (80, [])
    assert (on_order(last_minute + 1, order), late(last_minute + 1, order)) == (0, [("PO-1", 80)])
    assert late(last_minute + 1, order, received(50, "L1", 30, order="PO-1")) == [("PO-1", 50)]


# --- usable, and when to order


def test_usable_leaves_out_what_is_expired_or_recalled_at_that_moment() -> None:
    boxes = [received(0, "TODAY", 5), received(0, "BACK", 7, id="b"), received(0, "L1", 1, id="c")]
    assert usable(2, *boxes) == 13
    assert usable(3, *boxes) == 6
    assert usable(DAY, *boxes) == 1


EVERY_DAY = frozenset(range(date(2026, 11, 7).toordinal(), date(2026, 11, 21).toordinal()))


@pytest.mark.parametrize(
    ("hand", "coming", "used_in_14_days", "due", "suggested"),
    [
        (61, 0, 0, "", 0),
        (60, 0, 0, "reorder-point", 240),
        (20, 30, 0, "reorder-point", 250),
        (20, 41, 0, "", 0),
        (100, 0, 14 * 51, "days-of-cover", 200),  # 51 a day: less than two days left
        (100, 0, 14 * 50, "", 0),
        (0, 300, 0, "empty", 1),  # par is on its way, and still there is nothing
        (0, 300, 14 * 10, "empty", 20),  # what is used until it is here
        (-5, 0, 0, "empty", 305),
    ],
)
def test_ordering_is_due_at_the_reorder_point_or_when_cover_is_shorter_than_the_delivery(
    hand: float, coming: float, used_in_14_days: float, due: str, suggested: float
) -> None:
    month_ago = -30 * DAY
    records = [received(month_ago, "L1", 100), ordered(9, coming)]
    records.append(used(8, 100 - hand, lot="L1"))
    level_ = stands(10, *records, used=Used(to_u(used_in_14_days), EVERY_DAY))
    assert (level_.reason, level_.due, level_.suggested) == (due, bool(due), suggested)
    assert (level_.on_hand, level_.usable, level_.on_order) == (hand, hand, coming)
    cover = None if not used_in_14_days else max(hand, 0) / (used_in_14_days / 14)
    assert level_.days_of_cover == cover


def test_what_can_not_be_used_is_to_be_ordered_again() -> None:
    level_ = stands(10, received(0, "OLD", 300))
    assert (level_.on_hand, level_.usable, level_.reason, level_.suggested) == (300, 0, "empty", 300)


def test_par_0_means_that_the_item_is_not_kept_there() -> None:
    nothing = ParLevel(site="NORTH", item="SUP-EDTA4", reorder_point=0, par_level=0, lead_time_days=2)
    for par in (nothing, None):
        level_ = stands(10, received(0, "L1", 5), used(5, 9, lot="L1"), par=par)
        assert (level_.due, level_.suggested, level_.since_us) == (False, 0, None)
    assert shelf_of(nothing, CHICAGO).reorder_u is None


def test_a_reorder_point_of_0_is_reached_at_nothing() -> None:
    none = ParLevel(site="NORTH", item="SUP-EDTA4", reorder_point=0, par_level=5, lead_time_days=0)
    assert stands(10, received(0, "L1", 1), par=none).reason == ""
    assert stands(10, received(0, "L1", 1), used(5, 1), par=none).reason == "reorder-point"
    assert stands(10, received(0, "L1", 1), used(5, 1), ordered(6, 5), par=none).reason == ""


def test_the_moment_stock_fell_to_the_reorder_point_is_kept_until_it_is_above_again() -> None:
    state, lows = StockState(), []
    for move in moves(
        received(0, "L1", 70),
        used(5, 10, lot="L1"),
        used(6, 1, lot="L1"),
        received(9, "L1", 50, id="more"),
        used(12, 60, lot="L1"),
    ):
        assert apply(state, move, FACTS, SHELF) is None
        lows.append(state.low_since_us)
    assert lows == [None, us(5), us(5), None, us(12)]


def test_stock_is_short_from_the_moment_at_which_a_lot_expires_or_a_delivery_is_overdue() -> None:
    assert stands(5 * DAY, received(0, "TODAY", 100)).since_us == us(DAY)
    assert stands(5 * DAY, received(0, "BACK", 100)).since_us == us(3)
    boxes = received(0, "L1", 30), ordered(1, 50, expected="2026-11-20")
    assert not stands(3 * DAY - 1, *boxes).due
    assert stands(5 * DAY, *boxes).since_us == us(3 * DAY)


# --- days without stock


def test_days_without_anything_usable_are_left_out_of_the_use_rate() -> None:
    records = [received(-13 * DAY, "L1", 20), used(-9 * DAY, 20, lot="L1"), received(-2 * DAY, "L1", 100)]
    last_14 = Used(to_u(40), frozenset({date(2026, 11, 11).toordinal()}))
    # the 14 days are 7 to 20 November: used up at midnight of the 11th, on which there was a use; nothing on 12 to 17
    assert stands(600, *records, used=last_14).days_of_cover == 100 / (40 / 8)


def test_a_day_with_a_use_is_not_a_day_without_stock() -> None:
    state = folded(received(0, "L1", 5), used(0, 5, lot="L1"))
    now = us(5 * DAY + 60)
    pass_time(state, now, SHELF)
    first = date(2026, 11, 20).toordinal()
    assert days_without(state, first, now, (), SHELF) == 6
    assert days_without(state, first, now, (first + 2,), SHELF) == 5


def test_cover_counts_all_days_where_stock_never_ran_out() -> None:
    level_ = stands(0, received(-30 * DAY, "L1", 100), used=Used(to_u(14), frozenset()))
    assert level_.days_of_cover == 100


# --- shelf life


@pytest.mark.parametrize(
    ("expires", "at_us", "zone", "life"),
    [
        (None, us(0), CHICAGO, ""),
        (date(2026, 11, 20), us(DAY - 1), CHICAGO, "expires soon"),
        (date(2026, 11, 20), us(DAY), CHICAGO, "expired"),
        (date(2026, 11, 20), us(DAY) - 6 * HOUR_US, ZoneInfo("UTC"), "expired"),
        (date(2026, 12, 20), us(0) - 1, CHICAGO, ""),
        (date(2026, 12, 20), us(0), CHICAGO, "expires soon"),
        (date(1, 1, 1), us(0), CHICAGO, "expired"),
        (date(9999, 12, 31), us(0), CHICAGO, ""),
    ],
)
def test_a_lot_is_good_to_the_end_of_its_last_day_at_the_site(
    expires: date | None, at_us: int, zone: ZoneInfo, life: str
) -> None:
    assert shelf_life(expires, at_us, POLICY, zone) == life


def test_no_number_is_too_large_for_the_tables() -> None:
    many = [received(n, "L1", 1_000_000_000, id=str(n)) for n in range(5000)]
    assert 0 < folded(*many).lots["L1"].on_hand_u <= 2**62
