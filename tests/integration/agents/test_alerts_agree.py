"""Every place that reports open alerts reports the same ones: database, export, `lab.alerts`, metrics, board, API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.alerts.sweep import acknowledge
from models.rules.deadlines import AlertKind
from tests.support.monitoring.bad_day import (
    EVENTS,
    FRAGILE,
    HIGH,
    LATE,
    LOST,
    MISSED_LABEL,
    MIXED_UP,
    ODD,
    RESULT_OF_THE_STAT,
    STAT,
    UNDER_WAY,
    UNLABELED,
    UNSCANNED,
    Lab,
    Told,
    counts,
)
from tests.support.story import MA, supply, us, void


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.happened(*EVENTS)
    yield made
    made.close()


def agree(lab: Lab, minute: float) -> list[Told]:
    """All places tell the same; returns it."""
    lab.swept(minute)
    opened = lab.open()
    assert lab.exported(minute) == opened
    assert lab.said() == opened
    assert lab.on_the_board() == opened
    assert lab.by_the_api() == opened
    assert lab.counted(minute) == counts(opened)
    return opened


def test_one_of_every_kind_is_told_alike_everywhere(lab: Lab) -> None:
    assert {one.kind for one in agree(lab, LATE)} == set(AlertKind)


def test_each_case_is_as_grave_as_the_alerts_page_says(lab: Lab) -> None:
    """See docs/alerts.md."""
    lab.swept(LATE)
    assert lab.open() == sorted(
        [
            Told("uncollected-order", "R-201", "NORTH", "critical"),
            Told("uncollected-order", "R-202", "NORTH", "warning"),
            Told("overdue-result", f"{STAT}/CBCD", "NORTH", "critical"),
            Told("overdue-step", UNLABELED, "NORTH", "critical"),
            Told("overdue-step", UNDER_WAY, "CORE", "warning"),
            Told("stability-at-risk", FRAGILE, "NORTH", "warning"),
            Told("missing-specimen", LOST, "NORTH", "critical"),
            Told("critical-unacknowledged", f"{HIGH}/GLU", "NORTH", "critical"),
            Told("unjudged-result", f"{ODD}/GLU", "NORTH", "critical"),
            Told("custody-discrepancy", MIXED_UP, "NORTH", "critical"),
            Told("custody-discrepancy", UNSCANNED, "NORTH", "warning"),
            Told("restock", "NORTH/SUP-UA8", "NORTH", "warning"),
            Told("restock", "EAST/SUP-UA8", "EAST", "critical"),
            Told("restock", "NORTH/SUP-UCS4", "NORTH", "critical"),
            Told("restock", "NORTH/SUP-ESWAB", "NORTH", "critical"),
            Told("overdue-delivery", "NORTH/SUP-SST5", "NORTH", "warning"),
            Told("expiring-stock", "NORTH/SUP-SST5/S1", "NORTH", "warning"),
            Told("recalled-stock", "NORTH/SUP-UCS4/C1", "NORTH", "critical"),
            Told("recalled-stock", "SUP-ESWAB/E1", None, "critical"),
            Told("stock-discrepancy", "SOUTH/SUP-RED6", "SOUTH", "warning"),
            Told("quarantined-events", "events", None, "warning"),
        ],
        key=str,
    )


def test_what_ends_what_is_acknowledged_and_what_comes_back_is_told_alike(lab: Lab) -> None:
    opened = agree(lab, LATE)
    assert acknowledge(lab.engine, 1, MA, us(LATE + 1)) is not None
    lab.happened(MISSED_LABEL, RESULT_OF_THE_STAT)
    ended = {("overdue-step", UNLABELED), ("overdue-result", f"{STAT}/CBCD")}
    assert {(one.kind, one.subject) for one in set(opened) - set(agree(lab, LATE + 2))} == ended

    lab.happened(void(LATE + 3, MISSED_LABEL), void(LATE + 3, RESULT_OF_THE_STAT))
    lab.swept(LATE + 4)
    assert lab.open() == opened == lab.exported(LATE + 4), "within ten minutes it is the same alert"
    assert len(lab.said()) == len(opened) - 2, "and nothing is sent"
    assert agree(lab, LATE + 2 + 11) == opened, "until it has outlasted them"


def test_a_case_that_becomes_graver_is_told_with_its_severity(lab: Lab) -> None:
    agree(lab, LATE)
    lab.happened(supply("wasted", 390, "SUP-UA8", lot="U1", quantity=15))
    assert Told("restock", "NORTH/SUP-UA8", "NORTH", "critical") in agree(lab, LATE + 1)
