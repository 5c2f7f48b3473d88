"""Which tests of an order wait for a tube, and by when one is due."""

from typing import Any

import pytest

from models.rules.collecting import PlacedOrder, Tube, due_times, open_tests, waiting
from models.rules.event_types import OrderPlaced
from models.rules.events import of_kind
from tests.support.story import POLICY, events, raw, us

STAT, ROUTINE = 60, 24 * 60  # minutes


def due(*placings: tuple[float, str, list[str], dict[str, Any]]) -> dict[str, float]:
    """Test and minute at which its tube is due."""
    said = [
        raw("order.placed", "R-1", minute, {"patient": "P-1", "priority": priority, "tests": tests} | more)
        for minute, priority, tests, more in placings
    ]
    found = due_times(of_kind(events(*said), OrderPlaced), POLICY)
    return {test: (by_us - us(0)) / 60e6 for test, by_us in found.items()}


def test_a_tube_is_due_by_the_priority() -> None:
    assert due((0, "routine", ["TSH"], {})) == {"TSH": ROUTINE}
    assert due((0, "stat", ["TSH", "CBCD"], {})) == {"TSH": STAT, "CBCD": STAT}


@pytest.mark.parametrize(
    ("wanted", "minute"),
    [("2026-11-21T06:00:00Z", 1440), ("2026-11-21T00:00:00-06:00", 1440), ("2026-11-20T05:00:00Z", -60)],
)
def test_the_time_runs_from_when_the_collection_is_wanted(wanted: str, minute: float) -> None:
    assert due((0, "routine", ["TSH"], {"wanted": wanted})) == {"TSH": minute + ROUTINE}
    assert due((0, "stat", ["TSH"], {"wanted": wanted})) == {"TSH": minute + STAT}


@pytest.mark.parametrize("wanted", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_wanted_time_that_no_clock_reaches_counts_as_none(wanted: str) -> None:
    assert due((0, "stat", ["TSH"], {"wanted": wanted})) == {"TSH": STAT}


def test_placed_again_it_adds_tests_and_makes_nothing_later() -> None:
    again = due((0, "routine", ["TSH"], {}), (600, "routine", ["TSH", "CBCD"], {}))
    assert again == {"TSH": ROUTINE, "CBCD": 600 + ROUTINE}


def test_placed_again_as_stat_all_of_it_is_stat_from_then_on_and_never_less() -> None:
    raised = (0, "routine", ["TSH"], {}), (600, "stat", ["CBCD"], {})
    assert due(*raised) == {"TSH": 660, "CBCD": 660}
    assert due(*raised, (700, "routine", ["TSH"], {})) == {"TSH": 660, "CBCD": 660}
    late = (0, "routine", ["TSH"], {}), (ROUTINE - 10, "stat", ["TSH"], {})
    assert due(*late) == {"TSH": ROUTINE}


def order(*, status: str = "placed", priority: str | None = "routine", **tests: float) -> PlacedOrder:
    by = {test: us(minute) for test, minute in tests.items()}
    return PlacedOrder("R-1", status, "NORTH", "P-1", priority, us(0), by)


def tube(accession: str, minute: float, *tests: str, again: float | None = None, **over: Any) -> Tube:
    facts: dict[str, Any] = {"order_id": "R-1", "site": "NORTH", "patient": "P-1", "priority": "routine"} | over
    asked_us = None if again is None else us(again)
    return Tube(accession=accession, tests=tests, collected_us=us(minute), recollect_us=asked_us, **facts)


def needs(of: PlacedOrder | None, *tubes: Tube, again: dict[str, list[Tube]] | None = None) -> dict[str, float]:
    found = open_tests(of, tubes, again or {}, POLICY)
    return {test: (by_us - us(0)) / 60e6 for test, by_us in found.items()}


def test_a_test_waits_until_a_tube_is_drawn_for_it() -> None:
    assert needs(order(TSH=100, CBCD=200)) == {"TSH": 100, "CBCD": 200}
    assert needs(order(TSH=100, CBCD=200), tube("S1", 10, "TSH")) == {"CBCD": 200}
    assert needs(order(TSH=100, CBCD=200), tube("S1", 10, "TSH"), tube("S2", 11, "CBCD", "A1C")) == {}


def test_a_cancelled_order_waits_for_nothing() -> None:
    assert needs(order(status="cancelled", TSH=100), tube("S1", 10, "CBCD", again=20)) == {}


def test_a_recollection_waits_for_a_later_tube_of_the_order() -> None:
    refused = tube("S1", 10, "TSH", "CBCD", again=50)
    assert needs(order(TSH=100, CBCD=100), refused) == {"TSH": 50 + ROUTINE, "CBCD": 50 + ROUTINE}
    earlier, later = tube("S0", 9, "TSH"), tube("S2", 60, "TSH")
    assert needs(order(TSH=100), refused, earlier) == {"TSH": 50 + ROUTINE, "CBCD": 50 + ROUTINE}
    assert needs(order(TSH=100), refused, later) == {"CBCD": 50 + ROUTINE}
    assert needs(order(TSH=100), refused, tube("S2", 60, "TSH", "CBCD")) == {}
    again = tube("S2", 60, "TSH", "CBCD", again=90)  # it ends the first recollection, and asks for one of its own
    assert needs(order(TSH=100), refused, again) == {"TSH": 90 + ROUTINE, "CBCD": 90 + ROUTINE}
    assert needs(order(TSH=100), refused, again, again={"RC-S2": [tube("S3", 95, "TSH", "CBCD")]}) == {}


def test_a_tube_for_rc_and_the_rejected_accession_is_the_recollection() -> None:
    refused = tube("S1", 10, "TSH", again=50)
    assert needs(order(TSH=100), refused, again={"RC-S1": [tube("S2", 60, "TSH", order_id="rc-s1")]}) == {}
    assert needs(order(TSH=100), refused, again={"RC-S9": [tube("S2", 60, "TSH")]}) == {"TSH": 50 + ROUTINE}


@pytest.mark.parametrize(("of_order", "of_tube"), [("stat", "routine"), ("routine", "stat")])
def test_a_stat_recollection_is_due_within_the_hour(of_order: str, of_tube: str) -> None:
    refused = tube("S1", 10, "TSH", again=50, priority=of_tube)
    assert needs(order(priority=of_order, TSH=100), refused) == {"TSH": 50 + STAT}


def test_an_order_that_nobody_placed_here_still_asks_for_its_recollection() -> None:
    assert needs(None, tube("S1", 10, "TSH", again=50)) == {"TSH": 50 + ROUTINE}
    assert needs(None, tube("S1", 10, "TSH")) == {}


def test_the_case_names_the_order_its_site_and_the_tests_and_is_due_with_the_first() -> None:
    case = waiting(order(TSH=100, CBCD=50), [], {"TSH": us(100), "CBCD": us(50)})
    assert (case.kind, case.subject, case.site, case.due_us) == ("uncollected-order", "R-1", "NORTH", us(50))
    assert (case.severity, case.priority, case.detail) == ("warning", "routine", "no tube yet for CBCD, TSH")
    stat = waiting(order(priority="stat", TSH=100), [], {"TSH": us(100)})
    assert (stat.severity, stat.priority) == ("critical", "stat")
    unplaced = tube("S1", 10, "TSH", again=50, order_id="X-9", site="SOUTH", priority="stat")
    case = waiting(None, [unplaced], {"TSH": us(110)})
    assert (case.subject, case.site, case.severity) == ("X-9", "SOUTH", "critical")
