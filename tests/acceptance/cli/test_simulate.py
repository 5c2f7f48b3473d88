"""`labtrail simulate` as a person types it."""

import json

from labtrail.simulator.truth import Truth
from tests.support.running import fails, works


def test_a_day_comes_as_lines_the_same_for_the_same_seed():
    first = works("simulate", "--clinics", "2", "--orders", "5", "--seed", "3")
    assert first == works("simulate", "--clinics", "2", "--orders", "5", "--seed", "3")
    assert first.endswith(b"}\n")
    assert all(json.loads(line)["specversion"] == "1.0" for line in first.splitlines())
    late = works("simulate", "--clinics", "2", "--orders", "5", "--seed", "3", "--arrival")
    assert set(late.splitlines()) == set(first.splitlines())
    assert late != first


def test_the_truth_of_a_day_is_written_beside_it(tmp_path):
    truth = tmp_path / "truth.json"
    lines = works("simulate", "--orders", "5", "--truth", str(truth)).splitlines()
    told = json.loads(truth.read_text())
    assert told["events"] == len(lines)
    assert set(told) == set(Truth(cut_us=1).at_cut())


def test_more_clinics_come_with_a_catalog_of_their_own(tmp_path):
    folder = tmp_path / "catalog"
    said = fails("simulate", "--clinics", "9")
    assert "the catalog has 6 clinics, not 9: add --catalog-out DIR" in said
    lines = works("simulate", "--clinics", "9", "--orders", "3", "--catalog-out", str(folder)).splitlines()
    sites = {json.loads(line).get("site") for line in lines}
    assert {"C00007", "C00008", "C00009"} <= sites
    assert "is there already" in fails("simulate", "--clinics", "9", "--catalog-out", str(folder))


def test_a_wrong_start_says_how_to_write_it():
    assert "2026-11-20T06:00:00-06:00" in fails("simulate", "--start", "2026-11-20", code=2)
    assert "2026-11-20T06:00:00-06:00" in fails("simulate", "--start", "noon", code=2)
