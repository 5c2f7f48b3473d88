"""The rules of custody, each as the story of one tube."""

import itertools
import random
from datetime import date

import pytest

from models.rules.event_types import Aliquoted, ResultReported
from models.rules.events import of_kind
from models.rules.specimen import LotFacts, OrderFacts, Origin
from tests.support.story import (
    COURIER,
    LAB,
    M1,
    M2,
    MA,
    OTHER_TUBE,
    TUBE,
    codes,
    collected,
    events,
    result,
    specimen,
    step,
    us,
    void,
    whole_day,
)

DAY = whole_day()
C, L, D, P, R, F = DAY


def test_an_ordinary_day_has_no_discrepancy_and_ends_resulted() -> None:
    s = specimen(*DAY)
    assert s.discrepancies == []
    assert (s.status, s.custodian, s.location) == ("resulted", LAB, "CORE")
    assert (s.collected_us, s.received_us, s.resulted_us) == (us(0), us(90), us(180))


@pytest.mark.parametrize(
    ("known", "status", "custodian", "location"),
    [
        ((), "expected", None, None),
        ((C,), "collected", MA, "NORTH"),
        ((C, L), "labeled", MA, "NORTH"),
        ((C, L, D), "dispatched", MA, "NORTH"),
        ((C, L, D, P), "in-transit", COURIER, None),
        ((C, L, D, P, R), "received", LAB, "CORE"),
        ((C, L, D, P, R, step("rejected", 95)), "rejected", LAB, "CORE"),
        ((C, L, D, P, R, F, step("stored", 200)), "stored", LAB, "RACK 1"),
        ((C, L, D, P, R, step("stored", 100), F), "stored", LAB, "RACK 1"),
        ((C, L, D, P, R, F, step("stored", 200), step("disposed", 900)), "disposed", None, None),
        ((C, L, D, P, step("missing", 200)), "missing", COURIER, None),
        ((C, L, D, P, step("missing", 200), step("found", 220, site="NORTH")), "in-transit", MA, None),
        ((C, L, D, P, step("missing", 200), step("received", 240)), "received", LAB, "CORE"),
    ],
)
def test_the_status_custodian_and_place_follow_the_evidence(
    known: tuple[bytes, ...], status: str, custodian: str | None, location: str | None
) -> None:
    s = specimen(*known)
    assert (s.status, s.custodian, s.location) == (status, custodian, location)


def test_every_order_of_arrival_gives_the_same_state() -> None:
    states = {repr(specimen(*order)) for order in itertools.permutations(DAY)}
    assert len(states) == 1


@pytest.mark.parametrize("lost", range(5))
def test_a_lost_scan_shows_as_a_missing_step_and_heals_when_it_arrives(lost: int) -> None:
    detail = ("collected", "labeled", "dispatched", "picked-up", "received")[lost]
    without = [record for n, record in enumerate(DAY) if n != lost]
    assert f"missing-step:{detail}" in codes(*without)
    assert codes(*without, DAY[lost]) == set()


def test_the_phone_that_was_offline_for_two_hours_leaves_no_trace_once_its_scans_are_in() -> None:
    assert codes(C, L, D, R) == {"missing-step:picked-up"}
    assert codes(C, L, D, R, P) == set()


def test_a_tube_goes_by_the_hub_in_two_legs() -> None:
    two_legs = [
        C,
        L,
        step("dispatched", 30, destination="HUB"),
        step("picked-up", 40),
        step("received", 60, site="HUB"),
        step("dispatched", 70, manifest=M2, site="HUB"),
        step("picked-up", 80, manifest=M2, site="HUB"),
        step("received", 100, manifest=M2),
    ]
    s = specimen(*two_legs)
    assert [leg.manifest for leg in s.legs] == [M1, M2]
    assert (s.status, s.received_us, s.lab_received.time_us if s.lab_received else None) == (
        "received",
        us(60),
        us(100),
    )
    assert s.discrepancies == []
    assert specimen(*two_legs[:-1]).status == "in-transit"
    assert codes(*two_legs[:4], *two_legs[5:]) == {"missing-step:received"}


def test_a_tube_received_where_it_was_collected_needs_no_leg() -> None:
    s = specimen(collected(0, site="CORE"), step("labeled", 1, site="CORE"), step("received", 2, manifest=None))
    assert (s.status, s.discrepancies) == ("received", [])


def test_a_receipt_elsewhere_without_manifest_counts_for_the_leg_that_is_open() -> None:
    assert specimen(C, L, D, P, step("received", 90, manifest=None)).discrepancies == []


def test_a_receipt_elsewhere_with_no_leg_at_all_lacks_dispatch_and_pick_up() -> None:
    assert codes(C, L, step("received", 90, manifest=None)) == {"missing-step:dispatched", "missing-step:picked-up"}


def test_times_that_contradict_each_other_by_more_than_the_clocks_may_are_out_of_order() -> None:
    assert codes(C, L, D, P, step("received", 56)) == set()  # four minutes: two clocks
    assert codes(C, L, D, P, step("received", 54)) == {"out-of-order:received before picked-up"}
    assert codes(C, step("labeled", -6)) == {"out-of-order:labeled before collected"}
    assert codes(C, L, D, P, R, result(80)) == {"out-of-order:reported before received"}


@pytest.mark.parametrize(
    ("again", "detail"),
    [
        (collected(1), "collected"),
        (step("labeled", 5), "labeled"),
        (step("dispatched", 31), "dispatched"),
        (step("picked-up", 61), "picked-up"),
        (step("received", 91), "received"),
    ],
)
def test_a_step_scanned_twice_is_repeated_until_one_is_voided(again: bytes, detail: str) -> None:
    assert codes(*DAY, again) == {f"repeated-step:{detail}"}
    assert codes(*DAY, again, void(500, again)) == set()


def test_a_tube_moved_to_another_manifest_before_pick_up_was_dispatched_twice() -> None:
    moved = (
        step("dispatched", 40, manifest=M2),
        step("picked-up", 60, manifest=M2),
        step("received", 90, manifest=M2),
    )
    assert codes(C, L, D, *moved) == {"repeated-step:dispatched"}
    assert codes(C, L, D, *moved, void(41, D)) == set()


def test_a_new_label_is_scanned_back_without_being_a_repeated_step() -> None:
    relabeled = step("relabeled", 10, label=f"{TUBE}-2", voids=f"{TUBE}-1", reason="smeared")
    assert codes(C, L, relabeled, step("labeled", 11, label=f"{TUBE}-2")) == set()


def test_a_voided_label_that_is_scanned_later_is_superseded() -> None:
    relabeled = step("relabeled", 10, label=f"{TUBE}-2", voids=f"{TUBE}-1", reason="smeared")
    assert codes(C, relabeled, step("labeled", 11)) == {f"superseded-label:{TUBE}-1"}


def test_another_tubes_barcode_on_the_read_back_is_a_label_mismatch() -> None:
    assert codes(C, step("labeled", 2, scanned=OTHER_TUBE)) == {f"label-mismatch:scanned '{OTHER_TUBE}'"}


def test_two_patients_or_two_orders_on_one_tube_are_an_identity_mismatch() -> None:
    assert codes(C, step("labeled", 2, patient="P-2")) == {"identity-mismatch:patient"}
    assert codes(C, L, step("not-collected", -1, order="R-9", reason="moved")) == {"identity-mismatch:order"}
    order = {"R-1": OrderFacts(patient="P-7", placed_event="placed")}
    assert codes(C, L, orders=order) == {"identity-mismatch:patient"}
    assert codes(C, L, orders={"R-1": OrderFacts(patient="P-1", placed_event="placed")}) == set()


def test_a_tube_that_arrives_elsewhere_than_sent_is_at_the_wrong_destination() -> None:
    assert codes(C, L, D, P, step("received", 90, site="HUB")) == {"wrong-destination:at HUB, sent to CORE"}


def test_a_tube_that_travels_under_another_manifest_than_its_own_is_named() -> None:
    assert f"not-on-manifest:{M2}" in codes(C, L, D, step("picked-up", 60, manifest=M2))
    assert f"not-on-manifest:{M2}" in codes(C, L, D, step("received", 90, manifest=M2))


@pytest.mark.parametrize(
    ("scans", "status"),
    [
        ([step("picked-up", 60, manifest=M2), step("picked-up", 61)], "in-transit"),
        ([step("picked-up", 60, manifest=M2), step("picked-up", 61), R], "received"),
        ([P, step("received", 89, manifest=M2), R], "received"),
        ([P, step("picked-up", 62, manifest=M2), R], "received"),
        ([step("picked-up", 59, manifest=M2), step("received", 89, manifest=M2), P, R], "received"),
    ],
)
def test_a_scan_under_another_manifest_is_named_also_when_the_right_one_follows(
    scans: list[bytes], status: str
) -> None:
    assert codes(C, L, D, *scans) == {f"not-on-manifest:{M2}"}
    s = specimen(C, L, D, *scans)
    assert (s.status, [leg.manifest for leg in s.legs]) == (status, [M1])
    assert repr(specimen(*reversed(scans), D, L, C)) == repr(specimen(C, L, D, *scans))
    wrong = [e for e in scans if M2 in e.decode()]
    assert codes(C, L, D, *scans, *(void(500, e, id=str(n)) for n, e in enumerate(wrong))) == set()


def test_a_scan_under_another_manifest_is_a_receipt_all_the_same() -> None:
    s = specimen(C, L, D, P, step("received", 80, manifest=M2, temperature_c=40), R)
    assert (s.received_us, s.lab_received.time_us if s.lab_received else None) == (us(80), us(80))
    assert {d.code for d in s.discrepancies} == {"not-on-manifest", "temperature-excursion"}


def test_a_second_leg_without_its_dispatch_is_not_a_scan_under_another_manifest() -> None:
    first = [C, L, step("dispatched", 30, destination="HUB"), P, step("received", 69, site="HUB")]
    onward = [step("picked-up", 70, manifest=M2, site="HUB"), step("received", 100, manifest=M2)]
    assert codes(*first, *onward) == {"missing-step:dispatched"}
    assert specimen(*first, *onward).status == "received"


def test_a_tube_missing_from_its_manifest_heals_when_it_turns_up() -> None:
    lost = step("missing", 120, manifest=M1)
    assert codes(C, L, D, P, lost) == {f"missing-from-manifest:{M1}"}
    assert codes(C, L, D, P, lost, step("received", 300)) == set()


@pytest.mark.parametrize(
    ("transport", "container", "measured", "bad"),
    [
        ("ambient", "EDTA4", 25.0, False),
        ("ambient", "EDTA4", 25.1, True),
        ("ambient", "CIT27", 14.9, True),
        ("refrigerated", "EDTA4", 5, False),
        ("refrigerated", "EDTA4", 12, True),
        ("refrigerated", "CIT27", 5, True),
        ("frozen", "EDTA4", -20, False),
        ("frozen", "EDTA4", -5, True),
    ],
)
def test_a_temperature_outside_the_tubes_and_the_transports_band_is_an_excursion(
    transport: str, container: str, measured: float, bad: bool
) -> None:
    tests = ["PTINR"] if container == "CIT27" else ["CBCD"]
    sent = step("dispatched", 30, transport=transport)
    found = codes(
        collected(0, container=container, tests=tests), L, sent, step("picked-up", 60, temperature_c=measured)
    )
    assert any(code.startswith("temperature-excursion") for code in found) == bad


def test_stability_runs_from_collection_to_the_lab_by_the_way_of_the_first_leg() -> None:
    tests = {"tests": ["CMP"], "container": "SST5"}  # 4 h at room temperature, 72 h refrigerated
    late = step("received", 300)
    assert codes(collected(0, **tests), L, D, P, late) == {"stability-exceeded:5.0 h to the lab, stable for 4 h"}
    cold = step("dispatched", 30, transport="refrigerated")
    assert codes(collected(0, **tests), L, cold, P, late) == set()
    never_cold = {"tests": ["PTINR"], "container": "CIT27"}
    assert "stability-exceeded:1.5 h to the lab, stable for 0 h" in codes(collected(0, **never_cold), L, cold, P, R)


def test_a_seal_that_is_not_the_one_it_was_closed_with_is_a_mismatch() -> None:
    sealed = step("dispatched", 30, seal="Z-1")
    assert codes(C, L, sealed, step("picked-up", 60, seal="Z-2")) == {"seal-mismatch:seal Z-2, closed with Z-1"}
    assert codes(C, L, sealed, step("picked-up", 60, seal="Z-1")) == set()


def test_a_tube_of_an_expired_or_recalled_lot_is_caught() -> None:
    expired = {("SUP-EDTA4", "L1"): LotFacts(expires=date(2026, 11, 18))}
    assert codes(C, L, lots=expired) == {"expired-supply:SUP-EDTA4 lot L1 expired 2026-11-18"}
    # 06:00 UTC is midnight in Chicago: a lot is valid to the end of its last day there
    assert codes(C, L, lots={("SUP-EDTA4", "L1"): LotFacts(expires=date(2026, 11, 19))}) != set()
    assert codes(collected(-1), L, lots={("SUP-EDTA4", "L1"): LotFacts(expires=date(2026, 11, 19))}) == set()
    recalled = {("SUP-EDTA4", "L1"): LotFacts(notice="FDA Z-1", notice_us=us(900))}
    assert codes(C, L, lots=recalled) == {"recalled-supply:SUP-EDTA4 lot L1"}


def test_a_tube_seen_after_its_disposal_is_flagged_and_stays_disposed() -> None:
    gone = step("disposed", 400)
    assert codes(*DAY, gone, step("stored", 500)) == {"after-disposal:stored"}
    assert specimen(*DAY, gone, step("stored", 500)).status == "disposed"


def test_a_scan_from_the_future_of_the_log_is_flagged() -> None:
    ahead = step("stored", 10_010)  # the story's log took everything at minute 10,000
    assert codes(*DAY, step("stored", 10_004)) == set()
    assert codes(*DAY, ahead) == {"future-time:stored"}


def test_a_void_of_a_void_brings_the_event_back() -> None:
    wrong = step("rejected", 95)
    first = void(100, wrong, id="v1")
    assert specimen(C, L, D, P, R, wrong, first).status == "received"
    assert specimen(C, L, D, P, R, wrong, first, void(110, first, id="v2")).status == "rejected"


def test_a_corrected_result_replaces_the_final_one_and_is_counted() -> None:
    first = result(180, value="5.0")
    corrected = result(300, status="corrected", value="6.0")
    (row,) = specimen(C, L, D, P, R, first, corrected).results
    assert (row.status, row.value, row.revisions, row.first_final_us) == ("corrected", "6.0", 1, us(180))
    (row,) = specimen(C, L, D, P, R, first, result(310, status="preliminary", value="4")).results
    assert (row.status, row.value) == ("final", "5.0")


def test_a_specimen_is_resulted_only_when_every_test_is_final_corrected_or_cancelled() -> None:
    two = collected(0, tests=["CBCD", "A1C"])
    assert specimen(two, L, D, P, R, F).status == "received"
    assert specimen(two, L, D, P, R, F, result(190, "A1C", "preliminary")).status == "received"
    assert specimen(two, L, D, P, R, F, result(200, "A1C", "cancelled")).status == "resulted"


@pytest.mark.parametrize(
    ("value", "unit", "critical"),
    [
        ("460", "mg/dL", "yes"),
        ("460", "mmol/L", "unjudged"),
        ("54.9", "mg/dL", "yes"),
        ("<55", "mg/dL", "yes"),
        ("<56", "mg/dL", "unjudged"),
        ("100", "mg/dL", "no"),
    ],
)
def test_our_own_critical_table_finds_a_critical_value_that_the_lab_did_not_flag(
    value: str, unit: str, critical: str
) -> None:
    tube = collected(0, tests=["GLU"], container="NAF4")
    (row,) = specimen(tube, L, D, P, R, result(180, "GLU", value=value, unit=unit)).results
    assert row.critical == critical
    assert row.undecided == (("GLU",) if critical == "unjudged" else ())


def test_a_correction_is_out_of_order_only_if_its_clock_is_behind_by_more_than_clocks_differ() -> None:
    for minute, told in ((179, set()), (174, {"out-of-order:CBCD: corrected before final"})):
        corrected = result(minute, status="corrected", value="6.0")
        s = specimen(C, L, D, P, R, F, corrected)
        assert codes(C, L, D, P, R, F, corrected) == told
        (row,) = s.results
        assert (row.status, row.value, row.counts_us) == ("corrected", "6.0", us(180))


def test_an_added_test_is_a_test_of_the_tube_and_takes_it_back_from_resulted() -> None:
    added = step("test-added", 200, site="CORE", order="R-2", tests=["A1C"], priority="stat")
    s = specimen(*DAY, added)
    assert (s.status, s.tests, s.priority, s.discrepancies) == ("received", ("A1C", "CBCD"), "routine", [])
    assert [(one.added_us, one.priority) for one in s.added["A1C"]] == [(us(200), "stat")]
    done = specimen(*DAY, added, result(260, "A1C"))
    assert (done.status, done.resulted_us) == ("resulted", us(260))
    assert specimen(*DAY, added, void(210, added)).status == "resulted"


def test_a_test_that_the_tube_has_already_may_be_added_as_stat() -> None:
    again = step("test-added", 100, site="CORE", order="R-1", tests=["CBCD"], priority="stat")
    s = specimen(C, L, D, P, R, again)
    assert (s.tests, s.drawn) == (("CBCD",), frozenset({"CBCD"}))
    assert [one.priority for one in s.added["CBCD"]] == ["stat"]


def test_a_test_added_for_another_patients_order_is_an_identity_mismatch() -> None:
    added = step("test-added", 200, site="CORE", order="R-2", tests=["A1C"])
    for patient, told in (("P-2", {"identity-mismatch:patient"}), (" p-1", set())):
        assert codes(*DAY, added, orders={"R-2": OrderFacts(patient=patient, placed_event="placed")}) == told


def test_references_are_compared_by_their_key() -> None:
    assert codes(C, step("labeled", 2, patient="p-1 ", scanned=f" {TUBE.lower()}"), D, P, R) == set()
    sealed = step("dispatched", 30, seal="z-1")
    assert codes(C, L, sealed, step("picked-up", 60, seal="Ｚ-1 ")) == set()
    assert codes(C, L, orders={"R-1": OrderFacts(patient="p-1", placed_event="placed")}) == set()
    lots = {("SUP-EDTA4", "L1"): LotFacts(notice="FDA Z-1", notice_us=us(900))}
    used = [{"item": "SUP-EDTA4", "lot": "l1 ", "quantity": 1}]
    assert codes(collected(0, supplies=used), L, lots=lots) == {"recalled-supply:SUP-EDTA4 lot l1 "}


CANCELLED = {"R-1": OrderFacts(patient="P-1", cancelled_us=us(-30), cancelled_event="cancelled")}


def test_a_tube_drawn_after_its_order_was_cancelled_is_marked_and_one_drawn_before_is_not() -> None:
    assert codes(C, L, orders=CANCELLED) == {"cancelled-order:R-1"}
    assert codes(collected(-31), L, orders=CANCELLED) == set()
    (found,) = specimen(C, L, orders=CANCELLED).discrepancies
    assert "cancelled" in found.events
    assert specimen(C, L, orders=CANCELLED).cancelled_us == us(-30)


def test_a_complete_result_after_a_rejection_is_marked_until_one_of_them_is_voided() -> None:
    refused = step("rejected", 95)
    marked = {"result-on-rejected:CBCD"}
    assert codes(C, L, D, P, R, refused, F) == marked
    assert codes(C, L, D, P, R, refused, result(180, status="corrected")) == marked
    assert codes(C, L, D, P, R, refused, result(180, status="preliminary")) == set()
    assert codes(C, L, D, P, R, refused, result(180, status="cancelled")) == set()
    assert codes(C, L, D, P, R, result(94), refused) == set()
    assert codes(C, L, D, P, R, refused, F, void(200, refused)) == set()
    assert codes(C, L, D, P, R, refused, F, void(200, F)) == set()


def test_an_aliquot_is_its_parents_and_a_result_on_it_comes_home() -> None:
    poured = step("aliquoted", 100, site="CORE", children=[{"accession": OTHER_TUBE, "container": "SST5"}])
    (birth,) = of_kind(events(poured), Aliquoted)
    drawn = {"order": "R-1", "order_event": "c", "patient": "P-1", "patient_event": "c"}
    home = Origin(accession=TUBE, **drawn, site="NORTH", collected_us=us(0))
    child = specimen(tube=OTHER_TUBE, births=(birth,), lineage=(home,), ancestors=(home,))
    assert (child.status, child.parent, child.container, child.patient) == ("received", TUBE, "SST5", "P-1")
    assert child.discrepancies == []
    stranger = Origin(accession=M1, order="R-9", order_event="x", patient="P-9", patient_event="x")
    mixed = specimen(tube=OTHER_TUBE, births=(birth,), lineage=(home,), ancestors=(home, stranger))
    assert {(d.code, str(d.detail)) for d in mixed.discrepancies} == {
        ("identity-mismatch", "patient"),
        ("identity-mismatch", "order"),
    }
    assert all({"c", "x", birth.id} <= set(d.events) for d in mixed.discrepancies)
    reported = of_kind(events(result(180, tube=OTHER_TUBE)), ResultReported)
    parent = specimen(C, L, D, P, R, poured, poured=tuple(reported))
    assert (parent.status, parent.resulted_us, parent.results) == ("resulted", us(180), [])


@pytest.mark.parametrize("seed", range(20))
def test_any_part_of_a_tangled_history_folds_the_same_in_any_order(seed: int) -> None:
    tangle = [
        *DAY,
        collected(3),
        step("labeled", 4, scanned=OTHER_TUBE),
        step("dispatched", 20, manifest=M2),
        step("picked-up", 200),
        step("received", 10, site="HUB", manifest=None),
        step("missing", 70),
        step("found", 75),
        void(300, DAY[1], id="v1"),
        step("disposed", 150),
        step("stored", 160),
        result(185, status="corrected"),
    ]
    random.Random(seed).shuffle(tangle)
    part = tangle[: 5 + seed % 10]
    once = specimen(*part)
    random.Random(seed + 100).shuffle(part)
    assert repr(specimen(*part)) == repr(once), f"seed {seed}"


def test_a_leg_begins_with_its_first_scan_also_where_its_dispatch_is_late() -> None:
    late = step("dispatched", 130, site="NORTH", destination="HUB")
    onward = step("dispatched", 120, manifest=M2, site="HUB", destination="CORE")
    s = specimen(C, L, P, step("received", 90, site="HUB"), late, onward)
    assert [leg.manifest for leg in s.legs] == [M1, M2]
    assert s.status == "dispatched"
    assert not any(d.code == "missing-step" for d in s.discrepancies)


def test_a_scan_before_the_tube_was_put_on_the_next_manifest_is_no_stray_of_it() -> None:
    onward = step("dispatched", 120, manifest=M2, site="HUB", destination="CORE")
    taken = step("picked-up", 125, manifest=M1)  # by a clock that was fast
    found = codes(
        C, L, step("received", 90, site="HUB"), onward, taken, step("picked-up", 150, manifest=M2, site="HUB")
    )
    assert "missing-step:dispatched" in found
    assert not any(one.startswith("not-on-manifest") for one in found)
