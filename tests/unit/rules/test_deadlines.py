"""What is late, and from when."""

from typing import Any

import pytest
from msgspec.structs import replace

from config.catalog import Catalog
from models.rules.deadlines import KINDS, AlertKind, deadlines
from models.rules.event_types import ResultReported
from models.rules.events import of_kind
from models.rules.specimen import LotFacts, OrderFacts
from tests.support.story import (
    CATALOG,
    LAB,
    M2,
    POLICY,
    TUBE,
    collected,
    events,
    raw,
    result,
    specimen,
    step,
    us,
    void,
    whole_day,
)

C, L, D, P, R, F = whole_day()


def due(kind: str, *records: bytes, catalog: Catalog = CATALOG, **facts: Any) -> dict[str, float]:
    """Subject and minute of each case of this kind."""
    found = deadlines(specimen(*records, **facts), catalog, POLICY)
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


def test_only_the_label_is_urgent_at_any_priority() -> None:
    by_step = [
        next(c.severity for c in deadlines(specimen(*done), CATALOG, POLICY) if c.kind == "overdue-step")
        for done in ([C], [C, L], [C, L, D], [C, L, D, P])
    ]
    assert by_step == ["critical", "warning", "warning", "warning"]


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


def with_lab_hours(text: str) -> Catalog:
    return replace(CATALOG, sites={**CATALOG.sites, "CORE": replace(CATALOG.sites["CORE"], open=text)})


@pytest.mark.parametrize(
    ("hours", "received", "minute"),
    [  # the story begins on Friday, 20 November, at midnight of the lab; a routine CBCD takes 4 hours
        ("Mo-Fr 06:00-20:00", 90, 10 * 60),  # received at 01:30, before it opens
        ("Mo-Fr 06:00-20:00", 12 * 60, 16 * 60),
        ("Mo-Fr 06:00-20:00", 18 * 60, (3 * 24 + 8) * 60),  # two hours on Friday, two on Monday
        ("Mo-Fr 06:00-20:00; Sa 08:00-12:00", 18 * 60, (24 + 10) * 60),
        ("24/7", 18 * 60, 22 * 60),
    ],
)
def test_a_routine_turnaround_runs_in_the_hours_of_the_lab_and_a_stat_one_always(
    hours: str, received: float, minute: float
) -> None:
    here, at_lab = with_lab_hours(hours), step("received", received)
    assert due("overdue-result", C, L, D, P, at_lab, catalog=here) == {f"{TUBE}/CBCD": minute}
    stat = collected(0, priority="stat")
    assert due("overdue-result", stat, L, D, P, at_lab, catalog=here) == {f"{TUBE}/CBCD": received + 60}
    assert due("overdue-step", C, L, D, P, catalog=here) == due("overdue-step", C, L, D, P)


def test_a_test_that_is_done_in_the_clinic_is_due_from_collection() -> None:
    there = {**CATALOG.tests, "CBCD": replace(CATALOG.tests["CBCD"], performed_at="clinic")}
    here = replace(CATALOG, tests=there)
    assert due("overdue-result", C, catalog=here) == {f"{TUBE}/CBCD": 4 * 60}
    assert due("overdue-result", C, L, D, P, R, catalog=here) == {f"{TUBE}/CBCD": 4 * 60}


@pytest.mark.parametrize(
    ("minute", "priority", "at_minute"),
    [(200, {}, 200 + 48 * 60), (20, {}, 90 + 48 * 60), (200, {"priority": "stat"}, 200 + 48 * 60)],
)
def test_an_added_test_is_due_from_the_later_of_receipt_and_add_on(
    minute: float, priority: dict[str, str], at_minute: float
) -> None:
    added = step("test-added", minute, site="CORE", order="R-1", tests=["A1C"], **priority)
    assert due("overdue-result", *whole_day(), added) == {f"{TUBE}/A1C": at_minute}


def test_an_added_stat_test_has_the_stat_turnaround_and_severity_and_the_others_keep_theirs() -> None:
    added = step("test-added", 200, site="CORE", order="R-1", tests=["TSH"], priority="stat")
    found = {c.subject: c for c in deadlines(specimen(C, L, D, P, R, added), CATALOG, POLICY)}
    hours = CATALOG.tests["TSH"].tat_stat_hours
    assert hours
    assert (found[f"{TUBE}/TSH"].due_us, found[f"{TUBE}/TSH"].severity) == (us(200 + hours * 60), "critical")
    assert (found[f"{TUBE}/CBCD"].due_us, found[f"{TUBE}/CBCD"].severity) == (us(90 + 4 * 60), "warning")


def test_what_is_said_of_an_overdue_result_names_the_moment_from_which_its_time_runs() -> None:
    added = step("test-added", 200, site="CORE", order="R-1", tests=["A1C"])
    early = step("test-added", 20, site="CORE", order="R-1", tests=["TSH"])
    there = {**CATALOG.tests, "CBCD": replace(CATALOG.tests["CBCD"], performed_at="clinic")}
    for catalog, of_cbcd in ((CATALOG, "receipt at the lab"), (replace(CATALOG, tests=there), "collection")):
        found = deadlines(specimen(C, L, D, P, R, added, early), catalog, POLICY)
        tsh = CATALOG.tests["TSH"].tat_routine_hours
        assert {c.detail for c in found if c.kind == "overdue-result"} == {
            f"CBCD is due 4 h after {of_cbcd}",
            "A1C is due 48 h after it was added",
            f"TSH is due {tsh:g} h after receipt at the lab",
        }


def test_nobody_is_chased_for_the_tests_of_a_cancelled_order() -> None:
    cancelled = {"R-1": OrderFacts(patient="P-1", cancelled_us=us(100), cancelled_event="c")}
    assert due("overdue-result", C, L, D, P, R, orders=cancelled) == {}
    assert due("overdue-step", C, L, D, orders=cancelled) == due("overdue-step", C, L, D)


@pytest.mark.parametrize(
    ("cancelled", "waits_for"),
    [((), {"CBCD", "A1C"}), (("R-1",), {"A1C"}), (("R-2",), {"CBCD"}), (("R-1", "R-2"), set())],
)
def test_an_added_test_is_waited_for_as_long_as_the_order_that_it_was_added_for_stands(
    cancelled: tuple[str, ...], waits_for: set[str]
) -> None:
    added = step("test-added", 200, site="CORE", order="r-2", tests=["A1C"])
    facts = {order: OrderFacts(patient="P-1", cancelled_us=us(300), cancelled_event="c") for order in cancelled}
    assert due("overdue-result", C, L, D, P, R, added, orders=facts).keys() == {f"{TUBE}/{t}" for t in waits_for}


def test_a_result_on_an_aliquot_ends_the_wait_of_the_tube_that_it_was_poured_from() -> None:
    reports = tuple(of_kind(events(result(100), result(110, "A1C", "preliminary")), ResultReported))
    two = collected(0, tests=["CBCD", "A1C"])
    assert due("overdue-result", two, L, D, P, R, poured=reports) == {f"{TUBE}/A1C": 90 + 48 * 60}


def glu(minute: float, value: str, status: str = "final", **over: Any) -> bytes:
    return result(minute, "GLU", status, value=value, unit="mg/dL", **over)


def test_a_critical_result_is_due_an_hour_after_it_counts() -> None:
    assert due("critical-unacknowledged", C, glu(180, "500")) == {f"{TUBE}/GLU": 240}
    assert due("critical-unacknowledged", C, glu(180, "95"), glu(179, "41", "corrected")) == {f"{TUBE}/GLU": 240}
    assert due("critical-unacknowledged", C, glu(180, "500"), glu(190, "95", "corrected")) == {}
    assert due("unjudged-result", C, glu(180, "500")) == {}


def test_a_result_that_can_not_be_judged_asks_at_once_until_it_is_read_back_or_replaced() -> None:
    odd = glu(180, ">400")
    assert due("unjudged-result", C, odd) == {f"{TUBE}/GLU": 180}
    assert due("critical-unacknowledged", C, odd) == {}
    said = raw("result.acknowledged", TUBE, 185, {"test": "GLU", "read_back": True}, site="CORE")
    assert due("unjudged-result", C, odd, said) == {}
    assert due("unjudged-result", C, odd, glu(190, "420", "corrected")) == {}
    (case,) = [c for c in deadlines(specimen(C, odd), CATALOG, POLICY) if c.kind == "unjudged-result"]
    assert (case.severity, case.detail) == ("critical", "GLU: can't tell whether it is critical")


def test_a_recalled_lot_opens_no_alert_for_each_tube_but_other_discrepancies_do() -> None:
    recalled = {("SUP-EDTA4", "L1"): LotFacts(notice="FDA Z-1", notice_us=us(900))}
    assert due("custody-discrepancy", *whole_day(), lots=recalled) == {}
    both = due("custody-discrepancy", C, L, D, R, lots=recalled)
    assert both == {TUBE: 90}
    (case,) = [c for c in deadlines(specimen(C, L, D, R, lots=recalled), CATALOG, POLICY) if c.subject == TUBE]
    assert case.detail == "missing-step"


def test_a_kind_that_can_not_be_judged_is_named_and_the_others_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> Any:
        raise KeyError("secret")

    monkeypatch.setitem(KINDS, AlertKind.OVERDUE_STEP, breaks)
    assert due("overdue-result", C, L, D, P, R) != {}
    found = deadlines(specimen(C, L, D, P, R), CATALOG, POLICY)
    assert [(c.kind, c.subject, c.fault) for c in found if c.fault] == [("overdue-step", TUBE, "KeyError")]
    assert "secret" not in repr(found)


@pytest.mark.parametrize("hours", [1e12, 1e300, float("inf"), float("nan")])
def test_a_turnaround_that_no_clock_reaches_is_set_aside(hours: float) -> None:
    tests = {**CATALOG.tests, "CBCD": replace(CATALOG.tests["CBCD"], tat_routine_hours=hours)}
    found = deadlines(specimen(C, L, D, P, R), replace(CATALOG, tests=tests), POLICY)
    assert [(c.kind, c.subject) for c in found if c.fault] == [("overdue-result", TUBE)]
