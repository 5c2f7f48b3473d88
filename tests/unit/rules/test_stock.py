"""The rules of stock: counts, receipts, uses, first expired first out, transfers, orders."""

import random
from datetime import date

import pytest

from config.catalog import ParLevel
from models.rules.events import parse
from models.rules.stock import StockState, Taken, apply, fold, from_u, movements_of, restock, to_u
from tests.support.story import POLICY, collected, supply

EXPIRY = {"L1": date(2027, 1, 1), "L2": date(2026, 12, 1), "L3": None}


def on_hand(*records: bytes, site: str = "NORTH") -> dict[str, float]:
    moves = [m for r in records for m in movements_of(parse(r)) if (m.site, m.item) == (site, "SUP-EDTA4")]
    return {lot: from_u(u) for lot, u in fold(moves, EXPIRY).lots.items()}


def received(minute: float, lot: str, quantity: float, **more: object) -> bytes:
    return supply("received", minute, lot=lot, expires="2027-01-01", quantity=quantity, **more)


def test_with_no_count_stock_starts_from_zero() -> None:
    assert on_hand(received(0, "L1", 100), supply("used", 5, lot="L1", quantity=3)) == {"L1": 97}


def test_a_count_is_what_is_there_and_only_what_happened_after_it_adds_to_it() -> None:
    records = [
        received(0, "L1", 100),
        supply("used", 5, lot="L1", quantity=3),
        supply("counted", 10, lot="L1", quantity=90),
        supply("used", 10, lot="L1", quantity=2, id="at the same moment"),
        supply("wasted", 11, lot="L1", quantity=1),
    ]
    assert on_hand(*records) == {"L1": 89}


def test_the_tubes_of_a_collection_are_uses() -> None:
    assert on_hand(received(0, "L1", 10), collected(5)) == {"L1": 9}


def test_stock_goes_negative_rather_than_hiding_a_receipt_that_is_not_entered_yet() -> None:
    assert on_hand(supply("used", 5, lot="L1", quantity=3)) == {"L1": -3}
    assert on_hand(supply("used", 5, lot="L1", quantity=3), received(0, "L1", 10)) == {"L1": 7}


def test_a_use_without_a_lot_takes_the_lot_on_hand_that_expires_first() -> None:
    both = [received(0, "L1", 5), received(1, "L2", 5), received(2, "L3", 5)]
    assert on_hand(*both, supply("used", 5, quantity=2)) == {"L1": 5, "L2": 3, "L3": 5}
    assert on_hand(*both, supply("used", 5, quantity=7)) == {"L1": 3, "L2": 0, "L3": 5}
    assert on_hand(*both, supply("used", 5, quantity=20)) == {"L1": 0, "L2": 0, "L3": -5}
    assert on_hand(supply("used", 5, quantity=2)) == {"": -2}


def test_only_what_was_on_hand_at_that_time_can_be_taken() -> None:
    assert on_hand(received(0, "L1", 5), supply("used", 5, quantity=2), received(9, "L2", 5)) == {"L1": 3, "L2": 5}


def test_a_transfer_leaves_one_site_and_reaches_the_other() -> None:
    sent = supply("transferred", 5, lot="L1", quantity=4, to="SOUTH")
    assert on_hand(received(0, "L1", 10), sent) == {"L1": 6}
    assert on_hand(received(0, "L1", 10), sent, site="SOUTH") == {"L1": 4}


def test_fractions_of_a_unit_add_up_exactly() -> None:
    assert on_hand(*(supply("received", n, lot="L1", expires="2027-01-01", quantity=0.1) for n in range(10))) == {
        "L1": 1
    }


def test_every_order_of_arrival_gives_the_same_stock() -> None:
    records = [
        received(0, "L1", 5),
        received(1, "L2", 5),
        supply("used", 5, quantity=2),
        supply("used", 6, quantity=7),
        supply("counted", 7, lot="L2", quantity=4),
        supply("used", 8, quantity=3),
        received(9, "L3", 9),
        collected(6),
    ]
    want = on_hand(*records)
    for seed in range(50):
        random.Random(seed).shuffle(records)
        assert on_hand(*records) == want, f"seed {seed}"


def test_a_delivery_fills_the_order_it_names_and_otherwise_the_oldest() -> None:
    def open_u(*records: bytes) -> float:
        return from_u(fold([m for r in records for m in movements_of(parse(r))], {}).on_order_u)

    first, second = supply("ordered", 0, quantity=10, order="A"), supply("ordered", 1, quantity=20, order="B")
    assert open_u(first, second) == 30
    assert open_u(first, second, received(5, "L1", 20, order="B")) == 10
    assert open_u(first, second, received(5, "L1", 15)) == 15
    assert open_u(first, received(5, "L1", 50)) == 0


PAR = ParLevel(site="NORTH", item="SUP-EDTA4", reorder_point=60, par_level=300, lead_time_days=2)


@pytest.mark.parametrize(
    ("hand", "ordered", "used_in_14_days", "due", "suggested"),
    [
        (61, 0, 0, "", 0),
        (60, 0, 0, "reorder-point", 240),
        (20, 30, 0, "reorder-point", 250),
        (20, 41, 0, "", 0),
        (100, 0, 14 * 51, "days-of-cover", 200),  # 51 a day: less than two days left
        (100, 0, 14 * 50, "", 0),
        (-5, 0, 0, "reorder-point", 305),
    ],
)
def test_restock_is_due_at_the_reorder_point_or_when_cover_is_shorter_than_the_delivery(
    hand: float, ordered: float, used_in_14_days: float, due: str, suggested: float
) -> None:
    stands = restock(to_u(hand), to_u(ordered), to_u(used_in_14_days), PAR, POLICY)
    assert (stands.reason, stands.due, stands.suggested) == (due, bool(due), suggested)


def test_the_moment_stock_fell_to_the_reorder_point_is_kept_until_it_is_above_again() -> None:
    state, lows = StockState(), []
    for record in (
        received(0, "L1", 70),
        supply("used", 5, lot="L1", quantity=10),
        supply("used", 6, lot="L1", quantity=1),
        received(9, "L1", 50, id="more"),
        supply("used", 12, lot="L1", quantity=60),
    ):
        for move in movements_of(parse(record)):
            taken: Taken | None = apply(state, move, {}, to_u(60))
            assert taken is None
            lows.append(state.low_since_us is not None and (state.low_since_us, move.time_us))
    assert lows[0] is False
    assert lows[1][0] == lows[1][1]
    assert lows[2][0] == lows[1][1]
    assert lows[3] is False
    assert lows[4][0] == lows[4][1]
