"""What people are told of results, orders and stock: one small story for each thing that was once judged wrongly."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine, select

from models.alerts.cases import cases
from models.alerts.supplies import levels
from models.alerts.sweep import acknowledge, sweep
from models.database.acts_tables import alerts
from models.database.engine import reading
from models.recording.rebuild import rebuild
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.views.exports import export_rows, recall_trace
from tests.support.homes import PURE, commit, new_home, new_store, sqlite_url
from tests.support.story import CATALOG, M2, MA, POLICY, TUBE, collected, raw, result, step, supply, us, void

T1, T2, T3, CHILD, GRANDCHILD = (make_identifier("S", 2026, n) for n in (51, 52, 53, 61, 62))
Row = dict[str, Any]


class Clinic:
    """A home, and what is told from it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store: Store = new_store(self.engine)
        self._offset = 0
        self.said: list[bytes] = []

    def happened(self, *events: bytes) -> None:
        """Commit these; each gives the same tables as a rebuild."""
        outcomes = commit(self.store, events, self._offset)
        self._offset += len(events)
        self.said += events
        assert {one.verdict for one in outcomes} <= {"recorded", "duplicate"}, outcomes

    def rows(self, table: str, minute: float = 5000) -> list[Row]:
        with reading(self.engine) as connection:
            return list(export_rows(connection, table, us(minute), catalog=CATALOG, policy=POLICY))

    def one(self, table: str, **having: Any) -> Row:
        (row,) = [row for row in self.rows(table) if having.items() <= row.items()]
        return row

    def cases(self, kind: str, minute: float) -> dict[str, Row]:
        return {row["subject"]: row for row in self.rows("alerts", minute) if row["kind"] == kind}

    def sweep(self, minute: float) -> None:
        while sweep(self.engine, CATALOG, POLICY, us(minute)).more:
            pass

    def open(self) -> list[Row]:
        with reading(self.engine) as connection:
            found = connection.execute(select(alerts).where(alerts.c.resolved_us.is_(None)))
            return [dict(row) for row in found.mappings()]

    def alert(self, kind: str, subject: str) -> Row | None:
        return next((row for row in self.open() if (row["kind"], row["subject"]) == (kind, subject)), None)

    def agrees(self, minute: float) -> None:
        """The open alerts are the cases."""
        with reading(self.engine) as connection:
            due = cases(connection, CATALOG, POLICY, us(minute)).due
        live = {(row["kind"], row["subject"], row["severity"], row["since_us"]) for row in self.open()}
        assert live == {(case.kind, case.subject, case.severity, case.due_us) for case in due}


@pytest.fixture
def clinic(engine: Engine) -> Iterator[Clinic]:
    """On SQLite and on PostgreSQL. In the end a rebuild gives the same tables."""
    made = Clinic(engine)
    yield made
    before = {table: json.dumps(made.rows(table)) for table in PURE}
    rebuild(new_store(made.engine))
    for table in PURE:
        assert json.dumps(made.rows(table)) == before[table], table


def at_lab(tube: str, *tests: str, start: float = 0, **over: Any) -> list[bytes]:
    """Collected, labeled, dispatched, picked up and received at CORE, all in time."""
    return [
        collected(start, tube, tests=list(tests), container="SST5", supplies=[], **over),
        step("labeled", start + 2, tube),
        step("dispatched", start + 30, tube),
        step("picked-up", start + 60, tube),
        step("received", start + 90, tube),
    ]


def read_back(minute: float, test: str, tube: str = TUBE, **over: Any) -> bytes:
    data = {"test": test, "read_back": True} | over
    return raw("result.acknowledged", tube, minute, data, site="CORE")


# --- alerts that come back


def test_an_order_that_was_too_small_does_not_silence_the_next_shortage(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=20))
    clinic.sweep(1)
    first = clinic.alert("restock", "NORTH/SUP-UA8")
    assert first
    clinic.happened(supply("ordered", 10, "SUP-UA8", quantity=5))
    clinic.sweep(11)
    assert clinic.alert("restock", "NORTH/SUP-UA8") is None
    clinic.happened(supply("used", 100, "SUP-UA8", lot="L1", quantity=10))
    clinic.sweep(101)
    again = clinic.alert("restock", "NORTH/SUP-UA8")
    assert again
    assert again["id"] != first["id"]
    assert "order 65" in again["detail"]
    clinic.agrees(101)


def test_an_order_that_is_voided_is_a_shortage_again_and_critical_at_nothing(clinic: Clinic):
    ordered = supply("ordered", 10, "SUP-UA8", quantity=70)
    clinic.happened(supply("received", 0, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=10), ordered)
    clinic.sweep(20)
    assert clinic.alert("restock", "NORTH/SUP-UA8") is None
    clinic.happened(void(100, ordered), supply("used", 110, "SUP-UA8", lot="L1", quantity=10))
    clinic.sweep(111)
    again = clinic.alert("restock", "NORTH/SUP-UA8")
    assert again
    assert again["severity"] == "critical"
    clinic.agrees(111)


def test_a_case_that_comes_back_within_ten_minutes_is_the_same_alert_and_keeps_its_acknowledgement(clinic: Clinic):
    low = supply("received", 0, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=20)
    clinic.happened(low)
    clinic.sweep(1)
    first = clinic.alert("restock", "NORTH/SUP-UA8")
    assert first
    assert acknowledge(clinic.engine, first["id"], MA, us(2))
    more = supply("received", 5, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=60)
    clinic.happened(more)
    clinic.sweep(6)
    assert clinic.open() == []
    clinic.happened(void(7, more))
    clinic.sweep(15)
    again = clinic.alert("restock", "NORTH/SUP-UA8")
    assert again
    assert (again["id"], again["acknowledged_by"]) == (first["id"], MA)
    clinic.agrees(15)


def test_an_acknowledgement_ends_with_its_alert(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=20))
    clinic.sweep(1)
    first = clinic.alert("restock", "NORTH/SUP-UA8")
    assert first
    acknowledge(clinic.engine, first["id"], MA, us(2))
    clinic.happened(supply("received", 5, "SUP-UA8", lot="L1", expires="2027-06-30", quantity=20))
    clinic.sweep(6)
    clinic.happened(supply("used", 60, "SUP-UA8", lot="L1", quantity=30))
    clinic.sweep(61)
    again = clinic.alert("restock", "NORTH/SUP-UA8")
    assert again
    assert again["id"] != first["id"]
    assert again["acknowledged_by"] is None
    assert clinic.cases("restock", 61)["NORTH/SUP-UA8"]["acknowledged_by"] is None


def test_a_second_leg_without_a_pick_up_is_told_although_the_first_one_healed(clinic: Clinic):
    leg = step("dispatched", 30, destination="HUB"), step("received", 90, site="HUB")
    clinic.happened(collected(0), step("labeled", 2), *leg)
    clinic.sweep(91)
    first = clinic.alert("custody-discrepancy", TUBE)
    assert first
    clinic.happened(step("picked-up", 60))
    clinic.sweep(100)
    assert clinic.alert("custody-discrepancy", TUBE) is None
    onward = step("dispatched", 120, manifest=M2, site="HUB"), step("received", 200, manifest=M2)
    clinic.happened(*onward)
    clinic.sweep(201)
    again = clinic.alert("custody-discrepancy", TUBE)
    assert again
    assert again["id"] != first["id"]
    clinic.agrees(201)


# --- results


def test_a_correction_is_not_read_back_by_what_was_said_before_it(clinic: Clinic):
    clinic.happened(*at_lab(TUBE, "GLU"))
    clinic.happened(result(240, "GLU", value="500", unit="mg/dL"), read_back(243, "GLU"))
    assert clinic.one("results", test="GLU")["acknowledged_at"]
    clinic.happened(result(246, "GLU", "corrected", value="30", unit="mg/dL"))
    row = clinic.one("results", test="GLU")
    assert (row["value"], row["critical"], row["acknowledged_at"]) == ("30", "yes", None)
    assert not clinic.cases("critical-unacknowledged", 305)
    assert clinic.cases("critical-unacknowledged", 306)
    clinic.happened(read_back(310, "GLU"))
    assert clinic.one("results", test="GLU")["acknowledged_at"]


def test_a_read_back_belongs_to_the_report_that_it_names(clinic: Clinic):
    first = result(240, "GLU", value="500", unit="mg/dL", id="first")
    clinic.happened(
        *at_lab(TUBE, "GLU"), first, result(246, "GLU", "corrected", value="30", unit="mg/dL", id="second")
    )
    clinic.happened(read_back(300, "GLU", report="first"))
    assert clinic.one("results", test="GLU")["acknowledged_at"] is None
    clinic.happened(read_back(301, "GLU", report="second"))
    assert clinic.one("results", test="GLU")["acknowledged_at"]


@pytest.mark.parametrize("skew", [0.1, 1, 4.9])
def test_a_read_back_by_a_clock_that_is_behind_counts_for_the_first_report(clinic: Clinic, skew: float):
    clinic.happened(*at_lab(TUBE, "GLU"), result(240, "GLU", value="500", unit="mg/dL"))
    clinic.happened(read_back(240 - skew, "GLU"))
    assert clinic.one("results", test="GLU")["acknowledged_at"]


@pytest.mark.parametrize(
    ("value", "unit", "critical"),
    [
        (">1000", "mg/dL", "yes"),
        ("<20", "mg/dL", "yes"),
        ("≥ 600", "mg/dL", "yes"),
        (">400", "mg/dL", "unjudged"),
        ("<60", "mg/dL", "unjudged"),
        ("600", "mg/dl", "yes"),
        ("600", " MG / dL", "yes"),
        ("600", None, "unjudged"),
        ("600 mg/dL", None, "unjudged"),
        ("28", "mmol/L", "unjudged"),
        ("1_000", "mg/dL", "unjudged"),
        ("６００", "mg/dL", "unjudged"),
        ("1,234", "mg/dL", "unjudged"),
        ("95,5", "mg/dL", "no"),
        ("high", "mg/dL", "unjudged"),
        (95.0, "mg/dL", "no"),
    ],
)
def test_a_value_is_critical_or_not_or_nobody_can_tell(clinic: Clinic, value: Any, unit: str | None, critical: str):
    unit_of = {} if unit is None else {"unit": unit}
    clinic.happened(*at_lab(TUBE, "GLU"), result(240, "GLU", value=value, **unit_of))
    assert clinic.one("results", test="GLU")["critical"] == critical
    told = clinic.cases("unjudged-result", 241)
    assert set(told) == ({f"{TUBE}/GLU"} if critical == "unjudged" else set())
    clinic.happened(read_back(250, "GLU"))
    assert not clinic.cases("unjudged-result", 251)


def test_a_corrected_result_outranks_a_final_one_whatever_its_clock_says(clinic: Clinic):
    corrected = result(239, "GLU", "corrected", value="41", unit="mg/dL")
    clinic.happened(*at_lab(TUBE, "GLU"), result(240, "GLU", value="95", unit="mg/dL"), corrected)
    row = clinic.one("results", test="GLU")
    assert (row["status"], row["value"], row["critical"]) == ("corrected", "41", "yes")
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == []
    clinic.happened(result(260, "GLU", value="96", unit="mg/dL"))
    assert clinic.one("results", test="GLU")["value"] == "41"
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == ["out-of-order"]


def test_each_analyte_of_a_panel_is_judged(clinic: Clinic):
    parts = [{"code": "NA", "value": "140", "unit": "mmol/L"}, {"code": "GLU", "value": 30, "unit": "mg/dL"}]
    clinic.happened(*at_lab(TUBE, "BMP"), result(240, "BMP", value=None, components=parts))
    row = clinic.one("results", test="BMP")
    assert row["critical"] == "yes"
    assert [(one["code"], one["critical"]) for one in row["components"]] == [("NA", "no"), ("GLU", "yes")]
    assert clinic.cases("critical-unacknowledged", 300)


def test_a_narrative_and_the_reported_precision_are_kept(clinic: Clinic):
    text = "Adenocarcinoma in situ. " * 1300
    event = json.loads(result(241, "BMP", value=0))
    exact = json.dumps(event).replace('"value": 0', '"value": 5.10')
    clinic.happened(*at_lab(TUBE, "BMP", "TSH"), result(240, "TSH", value=text), exact.encode())
    assert clinic.one("results", test="TSH")["value"] == text
    assert clinic.one("results", test="BMP")["value"] == "5.10"


def test_a_result_on_a_rejected_tube_is_marked(clinic: Clinic):
    clinic.happened(*at_lab(TUBE, "TSH"), step("rejected", 100, recollect=True))
    clinic.happened(result(240, "TSH", "cancelled", value=None))
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == []
    clinic.happened(result(250, "TSH", value="2.2"))
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == ["result-on-rejected"]


def test_a_tube_that_was_rejected_before_it_was_drawn_is_out_of_order(clinic: Clinic):
    clinic.happened(collected(0), step("labeled", 2), step("rejected", -6, site="NORTH"))
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == ["out-of-order"]


def test_nobody_is_chased_for_a_cancelled_order_and_a_late_draw_is_marked(clinic: Clinic):
    order = raw("order.placed", "R-1", -60, {"patient": "P-1", "priority": "routine", "tests": ["CMP"]})
    clinic.happened(order, *at_lab(TUBE, "CMP"))
    assert clinic.cases("overdue-result", 3000)
    clinic.happened(raw("order.cancelled", "R-1", 110, {"reason": "wrong patient"}))
    assert not clinic.cases("overdue-result", 3000)
    assert clinic.one("specimens", accession=TUBE)["discrepancies"] == []
    clinic.happened(collected(120, T1, container="SST5", tests=["CMP"], supplies=[]))
    assert "cancelled-order" in clinic.one("specimens", accession=T1)["discrepancies"]


def test_an_added_test_is_a_test_of_the_tube_from_then_on(clinic: Clinic):
    clinic.happened(*at_lab(TUBE, "CMP"), result(200, "CMP"))
    assert clinic.one("specimens", accession=TUBE)["status"] == "resulted"
    added = {"tests": ["TSH"], "order": "R-1", "priority": "stat"}
    clinic.happened(raw("specimen.test-added", TUBE, 400, added, site="CORE"))
    row = clinic.one("specimens", accession=TUBE)
    assert (row["status"], row["tests"]) == ("received", ["CMP", "TSH"])
    hours = CATALOG.tests["TSH"].tat_stat_hours or CATALOG.tests["TSH"].tat_routine_hours
    assert not clinic.cases("overdue-result", 400 + hours * 60 - 1)
    assert set(clinic.cases("overdue-result", 400 + hours * 60)) == {f"{TUBE}/TSH"}
    clinic.happened(result(500, "TSH"))
    assert clinic.one("specimens", accession=TUBE)["status"] == "resulted"


def test_an_added_test_follows_its_own_order_and_not_that_of_the_tube(clinic: Clinic):
    placings = [
        raw("order.placed", of, -60, {"patient": "P-1", "priority": "routine", "tests": [test]})
        for of, test in (("R-1", "CMP"), ("R-2", "TSH"))
    ]
    added = raw("specimen.test-added", TUBE, 100, {"tests": ["TSH"], "order": "R-2"}, site="CORE")
    clinic.happened(*placings, *at_lab(TUBE, "CMP"), added)
    late = 10_000
    assert set(clinic.cases("overdue-result", late)) == {f"{TUBE}/CMP", f"{TUBE}/TSH"}
    clinic.happened(raw("order.cancelled", "R-1", 110, {"reason": "wrong test"}))
    assert set(clinic.cases("overdue-result", late)) == {f"{TUBE}/TSH"}
    clinic.happened(raw("order.cancelled", "r-2", 120, {"reason": "wrong test"}))
    assert not clinic.cases("overdue-result", late)


# --- aliquots


def poured(minute: float, parent: str, *children: str) -> bytes:
    born = [{"accession": child, "container": "SST5"} for child in children]
    return step("aliquoted", minute, parent, site="CORE", children=born)


def test_the_serum_of_two_patients_in_one_tube_is_an_identity_mismatch(clinic: Clinic):
    clinic.happened(*at_lab(T1, "TSH", order="R-1", patient="P-1"), *at_lab(T2, "TSH", order="R-2", patient="P-2"))
    clinic.happened(poured(100, T1, CHILD), poured(101, T2, CHILD), poured(102, CHILD, GRANDCHILD))
    for tube in (CHILD, GRANDCHILD):
        found = [row for row in clinic.rows("discrepancies") if row["accession"] == tube]
        assert {(row["code"], row["detail"]) for row in found} == {
            ("identity-mismatch", "patient"),
            ("identity-mismatch", "order"),
        }
    named = next(row for row in clinic.rows("discrepancies") if row["accession"] == CHILD)["events"]
    assert {event for event in named if "aliquoted" in event} == {
        json.loads(poured(100, T1, CHILD))["id"],
        json.loads(poured(101, T2, CHILD))["id"],
    }
    assert clinic.one("specimens", accession=T1)["discrepancies"] == []


def test_an_aliquot_with_the_number_of_somebody_elses_tube_is_an_identity_mismatch(clinic: Clinic):
    clinic.happened(*at_lab(T1, "TSH"), *at_lab(T2, "TSH", order="R-2", patient="P-2"), poured(100, T1, T2))
    assert "identity-mismatch" in clinic.one("specimens", accession=T2)["discrepancies"]


def test_results_on_aliquots_come_home(clinic: Clinic):
    clinic.happened(*at_lab(T1, "BMP", "TSH"), poured(100, T1, CHILD), poured(110, CHILD, GRANDCHILD))
    clinic.happened(result(200, "BMP", tube=T1), result(210, "TSH", tube=GRANDCHILD))
    assert clinic.one("specimens", accession=T1)["status"] == "resulted"
    assert not clinic.cases("overdue-result", 100_000)


def test_tubes_poured_in_a_circle_are_the_same_in_any_order(tmp_path: Path):
    said = [
        collected(0, T1, container="SST5", tests=["TSH"], supplies=[]),
        poured(10, T1, T2),
        poured(20, T2, T3),
        poured(30, T3, T1),
        result(40, "TSH", tube=T3),
        collected(5, T2, order="R-2", patient="P-2", container="SST5", tests=["TSH"], supplies=[]),
    ]
    found = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(said), 0, 720, 37)):
        folder = tmp_path / str(number)
        folder.mkdir()
        clinic = Clinic(new_home(sqlite_url(folder)))
        for event in order:
            clinic.happened(event)
        found.add(json.dumps([clinic.rows(table) for table in PURE]))
        clinic.engine.dispose()
    assert len(found) == 1


# --- orders


def placed(minute: float, *tests: str, order: str = "R-7", **over: Any) -> bytes:
    data = {"patient": "P-1", "priority": "routine", "tests": list(tests)} | over
    return raw("order.placed", order, minute, data)


def test_an_order_that_nobody_draws_is_told_by_its_priority(clinic: Clinic):
    clinic.happened(placed(0, "TSH"), placed(0, "TSH", order="R-8", priority="stat"))
    assert not clinic.cases("uncollected-order", 59)
    assert set(clinic.cases("uncollected-order", 60)) == {"R-8"}
    late = clinic.cases("uncollected-order", 24 * 60)
    assert {subject: row["severity"] for subject, row in late.items()} == {"R-7": "warning", "R-8": "critical"}
    clinic.sweep(24 * 60)
    clinic.agrees(24 * 60)
    clinic.happened(raw("specimen.not-collected", "R-7", 1500, {"order": "R-7", "reason": "not fasting"}))
    assert "R-7" in clinic.cases("uncollected-order", 1600)
    clinic.happened(collected(1600, T1, order="R-7", container="SST5", tests=["TSH"], supplies=[]))
    clinic.happened(raw("order.cancelled", "R-8", 1600, {"reason": "patient left"}))
    assert not clinic.cases("uncollected-order", 1700)
    assert clinic.one("orders", order="R-7")["status"] == "collected"
    clinic.sweep(1700)
    clinic.agrees(1700)


def test_an_order_waits_from_its_wanted_time_and_until_each_test_has_a_tube(clinic: Clinic):
    clinic.happened(placed(0, "TSH", "CBCD", wanted="2026-11-25T06:00:00Z"))
    assert not clinic.cases("uncollected-order", 5 * 1440)
    assert clinic.cases("uncollected-order", 6 * 1440)
    clinic.happened(collected(100, T1, order="r-7 ", container="SST5", tests=["TSH"], supplies=[]))
    assert clinic.one("orders", order="R-7")["open_tests"] == ["CBCD"]
    assert clinic.cases("uncollected-order", 6 * 1440)


def test_an_order_that_is_placed_again_adds_tests_and_raises_its_priority(clinic: Clinic):
    clinic.happened(placed(0, "TSH", ordered_by="X-1"), placed(600, "CBCD", priority="stat"), placed(700, "TSH"))
    row = clinic.one("orders", order="R-7")
    assert (row["priority"], row["tests"], row["ordered_by"]) == ("stat", ["CBCD", "TSH"], "X-1")
    assert not clinic.cases("uncollected-order", 659)
    assert clinic.cases("uncollected-order", 660)


def test_a_recollection_that_was_asked_for_has_a_clock(clinic: Clinic):
    clinic.happened(placed(-10, "TSH", order="R-1"), *at_lab(T1, "TSH"), step("rejected", 100, T1, recollect=True))
    assert clinic.one("orders", order="R-1")["open_tests"] == ["TSH"]
    assert not clinic.cases("uncollected-order", 100 + 24 * 60 - 1)
    assert set(clinic.cases("uncollected-order", 100 + 24 * 60)) == {"R-1"}
    clinic.happened(collected(200, T2, order=f"RC-{T1}", container="SST5", tests=["TSH"], supplies=[]))
    assert not clinic.cases("uncollected-order", 100 + 24 * 60)
    clinic.happened(step("rejected", 300, T2, recollect=True))
    assert set(clinic.cases("uncollected-order", 300 + 24 * 60)) == {f"RC-{T1}"}


def test_a_test_that_is_added_to_an_aliquot_has_its_tube(clinic: Clinic):
    clinic.happened(*at_lab(T1, "TSH"), poured(100, T1, CHILD), placed(200, "FERR", order="R-9"))
    assert set(clinic.cases("uncollected-order", 5000)) == {"R-9"}
    added = raw("specimen.test-added", CHILD, 210, {"tests": ["FERR"], "order": "r-9"}, site="CORE")
    clinic.happened(added)
    assert clinic.one("orders", order="R-9")["status"] == "collected"
    assert not clinic.cases("uncollected-order", 5000)
    clinic.happened(step("rejected", 300, CHILD, recollect=True))
    assert set(clinic.cases("uncollected-order", 5000)) == {"R-9"}


# --- stock

USABLE = {"lot": "L1", "expires": "2027-06-30"}


def test_a_lot_is_one_lot_in_every_spelling(clinic: Clinic):
    clinic.happened(supply("received", 0, quantity=100, lot="L2291", expires="2027-06-30"))
    tubes = [make_identifier("S", 2026, n) for n in range(70, 75)]
    for tube, lot in zip(tubes, ("L2291", "l2291", "L2291 ", " L2291", "Ｌ2291"), strict=True):
        used = [{"item": "SUP-EDTA4", "lot": lot, "quantity": 1}]
        clinic.happened(collected(10, tube, supplies=used))
    clinic.happened(collected(20, T1, supplies=[{"item": "SUP-EDTA4", "lot": "L-2291", "quantity": 1}]))
    assert clinic.one("stock", lot="L2291")["on_hand"] == 95
    with reading(clinic.engine) as connection:
        trace = recall_trace(connection, "SUP-EDTA4", "l2291")
        other = recall_trace(connection, "SUP-EDTA4", "L-229I")
    assert len(trace.specimens) == 5
    assert [(twin.lot, twin.specimens) for twin in trace.twins] == [("L-2291", 1)]
    assert not other.specimens
    assert {twin.lot for twin in other.twins} == {"L2291", "L-2291"}
    found = {(row["lot"], row["code"]) for row in clinic.rows("stock-discrepancies")}
    assert found == {
        ("L2291", "similar-lot"),
        ("L-2291", "similar-lot"),
        ("L-2291", "unknown-lot"),
        ("L-2291", "negative-stock"),
    }


def test_an_order_that_never_came_is_overdue_and_counts_no_more(clinic: Clinic):
    clinic.happened(supply("counted", 0, "SUP-UA8", lot="L1", quantity=0))
    clinic.happened(supply("ordered", 10, "SUP-UA8", quantity=80, expected="2026-11-23"))
    before, after = 3 * 1440, 7 * 1440
    assert clinic.cases("restock", before)["NORTH/SUP-UA8"]["severity"] == "critical"
    assert not clinic.cases("overdue-delivery", before)
    assert set(clinic.cases("overdue-delivery", after)) == {"NORTH/SUP-UA8"}
    clinic.happened(raw("supply.order-closed", "NORTH/SUP-UA8", 20, {"order": "PO-1", "reason": "never came"}))
    assert clinic.cases("overdue-delivery", after), "it has no number, so it is not that one"


def test_an_order_is_closed_short(clinic: Clinic):
    clinic.happened(
        supply("ordered", 0, "SUP-UA8", quantity=100, order="PO-20"),
        supply("received", 10, "SUP-UA8", quantity=15, order="po-20", **USABLE),
    )
    assert not clinic.cases("restock", 20)
    clinic.happened(raw("supply.order-closed", "NORTH/SUP-UA8", 30, {"order": "PO-20", "reason": "out of stock"}))
    assert "15 on hand, 0 on order" in clinic.cases("restock", 40)["NORTH/SUP-UA8"]["detail"]


def test_what_is_expired_or_recalled_is_not_usable(clinic: Clinic):
    clinic.happened(
        supply("received", 0, "SUP-UA8", quantity=70, lot="OLD", expires="2026-11-21"),
        supply("received", 0, "SUP-ESWAB", quantity=70, **USABLE),
        supply("recalled", 100, "SUP-ESWAB", lot="L1", notice="notice 7"),
    )
    assert "NORTH/SUP-UA8" not in clinic.cases("restock", 1440)
    midnight = 2 * 1440  # DAWN is midnight in Chicago
    assert "NORTH/SUP-UA8" not in clinic.cases("restock", midnight - 1)
    row = clinic.cases("restock", midnight)["NORTH/SUP-UA8"]
    assert row["severity"] == "critical"
    assert "0 of 70 on hand can be used" in row["detail"]
    assert clinic.cases("restock", 101)["NORTH/SUP-ESWAB"]
    clinic.sweep(midnight)
    clinic.agrees(midnight)


def test_expiry_is_of_the_sites_own_day(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", quantity=70, lot="OLD", expires="2026-11-21"))
    subject = "NORTH/SUP-UA8/OLD"
    assert clinic.cases("expiring-stock", 2 * 1440 - 1)[subject]["detail"] == "expires 2026-11-21"
    assert clinic.cases("expiring-stock", 2 * 1440)[subject]["detail"] == "expired 2026-11-21"


def test_a_use_without_a_lot_takes_what_can_be_used_first(clinic: Clinic):
    clinic.happened(
        supply("received", 0, "SUP-UA8", quantity=10, lot="OLD", expires="2026-11-01"),
        supply("received", 1, "SUP-UA8", quantity=10, lot="NEW", expires="2027-06-30"),
        supply("used", 2, "SUP-UA8", quantity=4),
    )
    assert clinic.one("stock", lot="NEW")["on_hand"] == 6
    assert clinic.one("stock", lot="OLD")["on_hand"] == 10


def test_the_line_without_a_lot_is_received_used_and_counted(clinic: Clinic):
    clinic.happened(supply("used", 0, "SUP-UA8", quantity=3))
    assert clinic.one("stock", lot="")["on_hand"] == -3
    clinic.happened(
        supply("received", 10, "SUP-UA8", quantity=100, lot="C1", expires="2027-06-30"),
        supply("counted", 20, "SUP-UA8", quantity=100, lot="C1"),
    )
    assert clinic.one("stock", lot="")["on_hand"] == 0
    clinic.happened(
        supply("received", 30, "SUP-UA8", quantity=5), supply("counted", 40, "SUP-UA8", quantity=4, lot="")
    )
    assert clinic.one("stock", lot="")["on_hand"] == 4


def test_what_is_sent_is_on_order_there_until_it_is_received(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", quantity=70, **USABLE))
    sent = raw("supply.sent", "NORTH/SUP-UA8", 60, {"lot": "L1", "quantity": 40, "to": "SOUTH"}, id="sent 1")
    clinic.happened(sent)
    assert [(row["site"], row["on_hand"]) for row in clinic.rows("stock")] == [("NORTH", 30)]
    assert "0 on hand, 40 on order" in clinic.cases("restock", 61)["SOUTH/SUP-UA8"]["detail"]
    there = {"quantity": 40, "sent": "sent 1", **USABLE}
    clinic.happened(supply("received", 120, "SUP-UA8", site="SOUTH", **there))
    assert {row["site"]: row["on_hand"] for row in clinic.rows("stock")} == {"NORTH": 30, "SOUTH": 40}
    assert not clinic.cases("overdue-delivery", 100_000)


def test_goods_that_arrive_in_two_boxes_fill_no_order_of_the_supplier(clinic: Clinic):
    clinic.happened(
        supply("received", -10, "SUP-UA8", quantity=70, **USABLE),
        raw("supply.sent", "NORTH/SUP-UA8", 0, {"lot": "L1", "quantity": 40, "to": "SOUTH"}, id="sent 1"),
        supply("ordered", 10, "SUP-UA8", site="SOUTH", quantity=20, expected="2026-11-21"),
        supply("received", 60, "SUP-UA8", site="SOUTH", quantity=20, sent="sent 1", **USABLE),
        supply("received", 61, "SUP-UA8", site="SOUTH", quantity=20, sent="sent 1", **USABLE),
    )
    assert set(clinic.cases("overdue-delivery", 7 * 1440)) == {"SOUTH/SUP-UA8"}


def test_two_dates_of_one_lot_are_told_and_the_earlier_one_holds(clinic: Clinic):
    typo = supply("received", 10, "SUP-UA8", site="SOUTH", quantity=50, lot="Q1", expires="2026-11-03")
    clinic.happened(supply("received", 0, "SUP-UA8", quantity=100, lot="Q1", expires="2027-12-31"), typo)
    assert {row["expires"] for row in clinic.rows("stock")} == {"2026-11-03"}
    found = [(row["site"], row["code"]) for row in clinic.rows("stock-discrepancies")]
    assert found == [("NORTH", "expiry-conflict"), ("SOUTH", "expiry-conflict")]
    assert set(clinic.cases("stock-discrepancy", 20)) == {"NORTH/SUP-UA8", "SOUTH/SUP-UA8"}
    clinic.happened(void(30, typo, site="SOUTH"))
    assert clinic.rows("stock-discrepancies") == []
    assert {row["expires"] for row in clinic.rows("stock")} == {"2027-12-31"}


def test_a_movement_in_the_future_does_not_count(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", quantity=50, **USABLE))
    clinic.happened(supply("counted", 20_000, "SUP-UA8", lot="L1", quantity=5))
    assert clinic.one("stock", lot="L1")["on_hand"] == 50
    assert clinic.one("stock-discrepancies", code="future-time")["lot"] == "L1"


def test_what_is_odd_about_stock_is_written_as_json(clinic: Clinic):
    clinic.happened(supply("used", 0, "SUP-UA8", quantity=3))
    (row,) = msgspec.json.decode(msgspec.json.encode(clinic.rows("stock-discrepancies")))
    assert (row["lot"], row["code"], row["detail"]) == ("", "negative-stock", "-3 on hand")


def test_a_recalled_lot_is_one_alert_with_its_tubes_counted(clinic: Clinic):
    clinic.happened(supply("received", 0, quantity=3, lot="L1", expires="2027-06-30"))
    clinic.happened(*(collected(10, tube) for tube in (T1, T2, T3)))
    clinic.happened(supply("recalled", 100, lot="l1", notice="notice 7"))
    told = clinic.cases("recalled-stock", 101)
    assert set(told) == {"SUP-EDTA4/L1"}
    assert "3 tubes" in told["SUP-EDTA4/L1"]["detail"]
    assert "recalled-supply" in clinic.one("specimens", accession=T1)["discrepancies"]
    assert not {one for one in clinic.cases("custody-discrepancy", 101) if one in (T1, T2, T3)}


# --- one bad row


def test_a_date_that_no_calendar_has_is_refused_and_if_recorded_stops_nothing(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
):
    bad = supply("received", 0, "SUP-UA8", quantity=1, lot="L0", expires="0001-01-01")
    (outcome,) = commit(clinic.store, [bad], 1_000_000)
    assert (outcome.verdict, outcome.reason) == ("quarantined", "invalid-data")
    monkeypatch.setattr("models.recording.evidence.check", lambda *_: None)  # an earlier version took it
    far = supply("received", 0, "SUP-ESWAB", quantity=1, lot="L9", expires="9999-12-31")
    low = supply("received", 0, "SUP-UTM3", quantity=1, lot="L1", expires="2027-06-30")
    clinic.happened(json.dumps(json.loads(bad) | {"id": "old"}).encode(), far, low)
    clinic.sweep(10)
    clinic.agrees(10)
    assert clinic.alert("restock", "NORTH/SUP-UTM3")


# --- orders, add-ons and recollections at their edges


def added(minute: float, tube: str, order: str, *tests: str, **more: Any) -> bytes:
    return raw("specimen.test-added", tube, minute, {"tests": list(tests), "order": order, **more}, site="CORE")


def test_an_order_of_an_add_on_is_compared_with_the_tube_whichever_comes_first(clinic: Clinic):
    clinic.happened(step("labeled", 2, T1, patient="P-1"), added(100, T1, "R-2", "FERR"))
    clinic.happened(placed(50, "FERR", patient="P-9", order="R-2"))
    assert "identity-mismatch" in clinic.one("specimens", accession=T1)["discrepancies"]


def test_a_tube_that_is_refused_too_ends_the_first_recollection_and_asks_for_its_own(clinic: Clinic):
    clinic.happened(placed(0, "TSH", order="R-1"), *at_lab(T1, "TSH", order="R-1"))
    clinic.happened(step("rejected", 100, T1, recollect=True))
    clinic.happened(*at_lab(T2, "TSH", order="R-1", start=200), step("rejected", 1400, T2, recollect=True))
    assert clinic.cases("uncollected-order", 1541) == {}
    assert set(clinic.cases("uncollected-order", 1400 + 24 * 60)) == {"R-1"}
    clinic.happened(collected(1500, T3, order=f"RC-{T2}", tests=["TSH"], container="SST5", supplies=[]))
    assert clinic.cases("uncollected-order", 1400 + 24 * 60) == {}


def test_a_tube_drawn_before_the_rejection_is_no_recollection(clinic: Clinic):
    clinic.happened(
        placed(0, "TSH", order="R-1"), *at_lab(T1, "TSH", order="R-1"), *at_lab(T2, "TSH", order="R-1", start=1)
    )
    clinic.happened(step("rejected", 100, T1, recollect=True))
    assert set(clinic.cases("uncollected-order", 100 + 24 * 60)) == {"R-1"}


def test_a_test_added_to_a_stat_order_is_stat(clinic: Clinic):
    clinic.happened(placed(0, "TSH", priority="stat", order="R-7"), placed(10, "CBCD", order="R-7"))
    clinic.happened(*at_lab(T1, "TSH", order="R-7", start=20))
    assert clinic.cases("uncollected-order", 69) == {}
    assert clinic.cases("uncollected-order", 70)["R-7"]["severity"] == "critical"


def test_an_order_placed_again_after_it_was_cancelled_waits_again(clinic: Clinic):
    cancelled = raw("order.cancelled", "R-7", 10, {"reason": "not needed"})
    clinic.happened(placed(0, "TSH", "CBCD", order="R-7"), cancelled)
    assert clinic.one("orders", order="R-7")["status"] == "cancelled"
    again = placed(60, "TSH", order="R-7")
    clinic.happened(again)
    row = clinic.one("orders", order="R-7")
    assert (row["status"], row["open_tests"], row["tests"]) == ("placed", ["TSH"], ["TSH"])
    clinic.happened(*at_lab(T1, "TSH", order="R-7", start=100))
    assert clinic.one("specimens", accession=T1)["discrepancies"] == []
    clinic.happened(void(200, again))
    assert clinic.one("orders", order="R-7")["status"] == "cancelled"
    assert clinic.one("specimens", accession=T1)["discrepancies"] == ["cancelled-order"]


def test_an_order_that_was_placed_for_two_patients_is_a_mismatch_on_its_tubes(clinic: Clinic):
    other = placed(500, "TSH", order="r-1", patient="P-2")
    clinic.happened(placed(0, "TSH", order="R-1"), *at_lab(T1, "TSH", order="R-1", patient="P-1"))
    assert clinic.one("specimens", accession=T1)["discrepancies"] == []
    clinic.happened(other)
    (found,) = clinic.rows("discrepancies")
    assert (found["code"], found["detail"], json.loads(other)["id"] in found["events"]) == (
        "identity-mismatch",
        "patient",
        True,
    )
    clinic.happened(void(600, other))
    assert clinic.rows("discrepancies") == []


def test_an_added_test_ends_with_its_own_order_and_not_with_the_tubes(clinic: Clinic):
    clinic.happened(placed(0, "TSH", order="R-1"), placed(0, "FERR", order="R-2"))
    clinic.happened(*at_lab(T1, "TSH", order="R-1"), added(200, T1, "R-2", "FERR"))
    late = 200 + 10 * 24 * 60
    clinic.happened(raw("order.cancelled", "R-1", 300, {"reason": "not needed"}))
    assert set(clinic.cases("overdue-result", late)) == {f"{T1}/FERR"}
    clinic.happened(raw("order.cancelled", "R-2", 300, {"reason": "not needed"}))
    assert clinic.cases("overdue-result", late) == {}


def test_a_test_added_to_an_aliquot_is_watched_there(clinic: Clinic):
    clinic.happened(placed(0, "FERR", order="R-2"), *at_lab(T1, "TSH", order="R-1"), poured(100, T1, CHILD))
    clinic.happened(added(200, CHILD, "R-2", "FERR", priority="stat"))
    assert clinic.one("orders", order="R-2")["status"] == "collected"
    late = 200 + 10 * 24 * 60
    assert {f"{T1}/TSH", f"{CHILD}/FERR"} == set(clinic.cases("overdue-result", late))
    assert CHILD not in clinic.cases("stability-at-risk", late)


def test_a_test_of_the_tube_added_again_as_stat_is_due_as_stat(clinic: Clinic):
    clinic.happened(*at_lab(T1, "TSH"), added(200, T1, "R-1", "TSH", priority="stat"))
    hours = CATALOG.tests["TSH"].tat_stat_hours or CATALOG.tests["TSH"].tat_routine_hours
    routine = CATALOG.tests["TSH"].tat_routine_hours
    due = min(200 + hours * 60, 90 + routine * 60)
    assert clinic.cases("overdue-result", due - 1) == {}
    assert set(clinic.cases("overdue-result", due)) == {f"{T1}/TSH"}


# --- panels


@pytest.mark.parametrize(
    ("test", "components", "critical"),
    [
        ("PTINR", [("PT", "60", "s"), ("INR", "8.2", "INR")], "unjudged"),
        ("GLU", [("GLUC", "700", "mg/dL")], "unjudged"),
        ("GLU", [("GLU", "700", "mg/dL")], "yes"),
        ("BMP", [("glu", "700", "mg/dL")], "yes"),
        ("BMP", [("2345-7", "700", "mg/dL"), ("NA", "140", "mmol/L")], "yes"),
        ("BMP", [("GLU", ">400", "mg/dL")], "unjudged"),
        ("BMP", [("NA", "140", "mmol/L")], "no"),
    ],
)
def test_a_panel_is_as_critical_as_its_worst_component(
    clinic: Clinic, test: str, components: list[tuple[str, str, str]], critical: str
):
    parts = [{"code": code, "value": value, "unit": unit} for code, value, unit in components]
    clinic.happened(*at_lab(T1, test), result(200, test, tube=T1, value=None, components=parts))
    assert clinic.one("results", accession=T1)["critical"] == critical


# --- read-backs by their reports' own times


def test_a_late_final_does_not_take_the_read_back_of_the_correction(clinic: Clinic):
    clinic.happened(*at_lab(T1, "GLU"), result(240, "GLU", "corrected", tube=T1, value="30", unit="mg/dL"))
    clinic.happened(read_back(248, "GLU", T1))
    clinic.happened(result(260, "GLU", tube=T1, value="95", unit="mg/dL"))
    row = clinic.one("results", accession=T1)
    assert (row["value"], row["critical"]) == ("30", "yes")
    assert row["acknowledged_at"] is not None


# --- deliveries


def delivered(clinic: Clinic, minute: float, quantity: float, site: str = "NORTH", **names: Any) -> None:
    clinic.happened(supply("received", minute, "SUP-UA8", site=site, lot="L1", quantity=quantity, **names))


def on_order(clinic: Clinic, minute: float, site: str = "NORTH") -> float:
    with reading(clinic.engine) as connection:
        found = {(at, item): one for at, item, one in levels(connection, CATALOG, POLICY, us(minute), [])}
    return found[site, "SUP-UA8"].on_order


def ordered(clinic: Clinic, minute: float, quantity: float, order: str | None = None, site: str = "NORTH") -> None:
    more = {"order": order} if order else {}
    clinic.happened(supply("ordered", minute, "SUP-UA8", site=site, quantity=quantity, **more))


def sent(minute: float, quantity: float, to: str, id: str) -> bytes:
    return raw("supply.sent", "EAST/SUP-UA8", minute, {"quantity": quantity, "to": to}, id=id, site="EAST")


def test_what_answers_a_sending_fills_no_order(clinic: Clinic):
    ordered(clinic, 0, 50, "PO-1")
    clinic.happened(sent(1, 40, "NORTH", "s1"))
    assert on_order(clinic, 2) == 90
    delivered(clinic, 10, 5, sent="s1")
    delivered(clinic, 20, 35, sent="s1")
    assert on_order(clinic, 30) == 50


def test_a_sending_received_before_it_was_sent_by_the_clocks_is_here(clinic: Clinic):
    ordered(clinic, 0, 50, "PO-1")
    delivered(clinic, 9, 40, sent="s1")
    clinic.happened(sent(10, 40, "NORTH", "s1"))
    assert on_order(clinic, 30) == 50


def test_a_delivery_for_an_order_that_is_full_or_closed_fills_no_other(clinic: Clinic):
    ordered(clinic, 0, 50, "PO-1")
    delivered(clinic, 10, 50, order="PO-1")
    ordered(clinic, 20, 80, "PO-2")
    delivered(clinic, 30, 30, order="po-1 ")
    assert on_order(clinic, 40) == 80
    clinic.happened(raw("supply.order-closed", "NORTH/SUP-UA8", 50, {"order": "PO-2", "reason": "gone"}))
    ordered(clinic, 60, 10, "PO-3")
    delivered(clinic, 70, 30, order="PO-2")
    assert on_order(clinic, 80) == 10


def test_clocks_that_differ_leave_nothing_on_order(clinic: Clinic):
    delivered(clinic, 9, 30, order="PO-1")
    ordered(clinic, 10, 80, "PO-1")
    assert on_order(clinic, 20) == 50
    clinic.happened(raw("supply.order-closed", "NORTH/SUP-UA8", 29, {"order": "PO-2", "reason": "gone"}))
    ordered(clinic, 30, 80, "PO-2")
    assert on_order(clinic, 40) == 50
    ordered(clinic, 50, 20, "PO-2")
    assert on_order(clinic, 60) == 70


def test_an_order_of_nothing_is_never_late(clinic: Clinic):
    ordered(clinic, 0, 0, "PO-1")
    assert clinic.cases("overdue-delivery", 60 * 24 * 60) == {}


# --- lots


def test_a_receipt_in_the_future_says_nothing_of_its_lot(clinic: Clinic):
    delivered(clinic, 0, 70, expires="2027-06-30")
    wrong = supply("received", 20_000, "SUP-UA8", lot="L1", quantity=10, expires="2026-11-19")
    clinic.happened(wrong)
    again = void(20_001, wrong, id="a void")
    clinic.happened(again)
    clinic.happened(void(20_002, again, id="a void of the void"))
    (row,) = clinic.rows("stock")
    assert (row["on_hand"], row["expires"]) == (70, "2027-06-30")
    assert [one["code"] for one in clinic.rows("stock-discrepancies")] == ["future-time"]


def test_a_use_of_nothing_is_one_of_what_could_be_used(clinic: Clinic):
    clinic.happened(supply("counted", 0, "SUP-UA8", lot="OLD", quantity=0))
    clinic.happened(supply("received", 0, "SUP-UA8", lot="OLD", quantity=0, expires="2026-10-31", id="old"))
    clinic.happened(supply("received", 0, "SUP-UA8", lot="GOOD", quantity=0, expires="2027-06-30", id="good"))
    clinic.happened(supply("used", 10, "SUP-UA8", quantity=3))
    assert {row["lot"]: row["on_hand"] for row in clinic.rows("stock")} == {"OLD": 0, "GOOD": -3}


def test_a_recall_of_a_lot_spelled_like_one_on_the_shelf_is_told_there(clinic: Clinic):
    clinic.happened(supply("received", 0, lot="L2291", quantity=3, expires="2027-06-30"))
    clinic.happened(supply("recalled", 100, lot="L229I", notice="notice 7"))
    (found,) = clinic.rows("stock-discrepancies")
    assert (found["site"], found["lot"], found["code"]) == ("NORTH", "L2291", "similar-lot")
    assert set(clinic.cases("stock-discrepancy", 101)) == {"NORTH/SUP-EDTA4"}


def test_a_recall_counts_tubes_that_are_gone_too(clinic: Clinic):
    clinic.happened(supply("received", 0, quantity=2, lot="L1", expires="2027-06-30"))
    clinic.happened(collected(10, T1), collected(10, T2), step("disposed", 50, T1), step("disposed", 50, T2))
    clinic.happened(supply("recalled", 100, lot="L1", notice="notice 7"))
    assert "2 tubes" in clinic.cases("recalled-stock", 101)["SUP-EDTA4/L1"]["detail"]


def test_movements_show_lots_and_orders_as_they_were_first_spelled(clinic: Clinic):
    clinic.happened(supply("ordered", 0, "SUP-UA8", quantity=5, order="po-20"))
    clinic.happened(supply("received", 1, "SUP-UA8", quantity=5, order="PO-20", lot="l2291", expires="2027-06-30"))
    clinic.happened(supply("used", 2, "SUP-UA8", quantity=1))
    rows = clinic.rows("movements")
    assert {row["lot"] for row in rows} == {"l2291"}
    assert {row["supply_order"] for row in rows if row["kind"] == "received"} == {"po-20"}


def test_a_lot_of_blanks_is_none(clinic: Clinic):
    clinic.happened(supply("received", 0, "SUP-UA8", lot=" ", quantity=5, expires="2026-10-31"))
    (row,) = clinic.rows("stock")
    assert (row["lot"], row["expires"]) == ("", None)


def test_nothing_is_late_since_a_time_that_is_yet_to_come(clinic: Clinic):
    clinic.happened(supply("received", 100, "SUP-UA8", lot="L1", quantity=1, expires="2027-06-30"))
    assert clinic.rows("alerts", 50) == []
