"""What is late, and from when."""

import pytest

from models.rules.deadlines import deadlines
from tests.support.story import (
    CATALOG,
    LAB,
    M2,
    POLICY,
    TUBE,
    collected,
    raw,
    result,
    specimen,
    step,
    us,
    void,
    whole_day,
)

C, L, D, P, R, F = whole_day()


def due(kind: str, *records: bytes) -> dict[str, float]:
    """Subject and minute of each case of this kind."""
    found = deadlines(specimen(*records), CATALOG, POLICY)
    return {c.subject: (c.due_us - us(0)) / 60e6 for c in found if c.kind == kind}


def test_a_result_is_overdue_from_receipt_at_the_lab_plus_the_turnaround_of_its_priority() -> None:
    assert due("overdue-result", C, L, D, P) == {}
    assert due("overdue-result", C, L, D, P, R) == {f"{TUBE}/CBCD": 90 + 4 * 60}
    stat = collected(0, priority="stat")
    assert due("overdue-result", stat, L, D, P, R) == {f"{TUBE}/CBCD": 90 + 60}
    no_stat = collected(0, priority="stat", tests=["A1C"])
    assert due("overdue-result", no_stat, L, D, P, R) == {f"{TUBE}/A1C": 90 + 48 * 60}


@pytest.mark.parametrize("done", ["final", "corrected", "cancelled"])
def test_a_complete_result_is_not_overdue_but_a_preliminary_one_is(done: str) -> None:
    assert due("overdue-result", C, L, D, P, R, result(100, status=done)) == {}
    assert due("overdue-result", C, L, D, P, R, result(100, status="preliminary")) != {}


def test_a_rejected_or_missing_specimen_has_no_overdue_result() -> None:
    assert due("overdue-result", C, L, D, P, R, step("rejected", 95)) == {}
    assert due("overdue-result", C, L, D, P, R, step("missing", 95)) == {}


def test_receipt_at_a_hub_starts_no_turnaround_but_the_next_leg() -> None:
    by_hub = [
        C,
        L,
        step("dispatched", 30, destination="HUB", site="LAKE"),
        step("picked-up", 40, site="LAKE"),
        step("received", 60, site="HUB"),
    ]
    assert due("overdue-result", *by_hub) == {}
    assert due("overdue-step", *by_hub) == {TUBE: 60 + 2 * 60}
    onward = step("dispatched", 70, manifest=M2, site="HUB")
    assert due("overdue-step", *by_hub, onward) == {TUBE: 70 + 2 * 60}


def test_each_step_has_its_own_limit() -> None:
    assert due("overdue-step", C) == {TUBE: 10}
    assert due("overdue-step", C, L) == {TUBE: 4 * 60}
    assert due("overdue-step", C, L, D) == {TUBE: 30 + 3 * 60}
    assert due("overdue-step", C, L, D, P) == {TUBE: 60 + 3 * 60}
    assert due("overdue-step", C, L, D, P, R) == {}


def test_a_tube_is_at_risk_from_three_quarters_of_its_stability_until_a_lab_has_it() -> None:
    fragile = collected(0, tests=["CMP"], container="SST5")  # 4 h
    assert due("stability-at-risk", fragile, L) == {TUBE: 180}
    assert due("stability-at-risk", fragile, L, D, P, R) == {}


def test_a_missing_specimen_is_a_case_from_the_moment_it_is_reported() -> None:
    assert due("missing-specimen", C, L, D, P, step("missing", 120)) == {TUBE: 120}


def test_a_critical_result_waits_for_a_read_back() -> None:
    critical = result(180, flag="critical-high")
    acknowledged = raw("result.acknowledged", TUBE, 200, {"test": "CBCD", "read_back": True}, actor=LAB)
    heard = raw("result.acknowledged", TUBE, 200, {"test": "CBCD", "read_back": False}, actor=LAB)
    subject = f"{TUBE}/CBCD"
    assert due("critical-unacknowledged", C, L, D, P, R, critical) == {subject: 240}
    assert due("critical-unacknowledged", C, L, D, P, R, critical, heard) == {subject: 240}
    assert due("critical-unacknowledged", C, L, D, P, R, critical, acknowledged) == {}
    corrected = result(300, status="corrected", flag="critical")
    assert due("critical-unacknowledged", C, L, D, P, R, critical, acknowledged, corrected) == {subject: 360}


def test_a_discrepancy_is_a_case_while_it_stands() -> None:
    assert due("custody-discrepancy", C, L, D, R) == {TUBE: 90}
    assert due("custody-discrepancy", C, L, D, R, P) == {}
    assert due("custody-discrepancy", C, L, D, R, step("disposed", 500)) == {}


def test_a_final_result_that_is_voided_makes_the_test_overdue_again_as_before() -> None:
    assert due("overdue-result", C, L, D, P, R, F, void(500, F)) == {f"{TUBE}/CBCD": 90 + 4 * 60}
