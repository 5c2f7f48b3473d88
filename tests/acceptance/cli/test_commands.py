"""The commands on a home with a short recorded story (tests/support/cli_story.py)."""

import csv
import io
import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pypdf
import pytest

from models.views.exports import EXPORTS
from tests.acceptance.cli.conftest import Inside
from tests.support.cli_story import (
    BAD_LINES,
    CLEAN,
    COLLECTOR,
    COURIER,
    CRITICAL,
    LATE,
    LOT,
    ODD,
    RECEIVER,
    good_lines,
)
from tests.support.running import COMMAND, environment, fails, labtrail

NEXT_DAY = "2026-11-21T12:00:00Z"


def _rows(inside: Inside, home: Path, table: str, *more: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in inside("export", table, "--data", str(home), *more).splitlines()]


def test_export_specimens_shows_where_each_specimen_of_the_story_is(inside: Inside, home: Path) -> None:
    rows = {row["accession"]: row for row in _rows(inside, home, "specimens")}
    assert {a: row["status"] for a, row in rows.items()} == {
        CLEAN: "resulted",
        LATE: "received",
        ODD: "stored",
        CRITICAL: "resulted",
    }
    assert rows[CLEAN]["collected_at"] == "2026-11-20T14:00:00.000000Z"
    assert rows[CLEAN]["discrepancies"] == []
    assert rows[ODD]["discrepancies"] == ["missing-step"]
    assert rows[CLEAN]["custodian"] == RECEIVER


@pytest.mark.parametrize("table", list(EXPORTS))
def test_every_table_exports_the_same_bytes_twice_and_the_same_rows_as_csv(
    inside: Inside, home: Path, table: str
) -> None:
    arguments = ("export", table, "--data", str(home), "--at", NEXT_DAY)
    first = inside(*arguments)
    assert inside(*arguments) == first
    rows = [json.loads(line) for line in first.splitlines()]
    assert rows, table
    assert list(rows[0]) == list(EXPORTS[table])
    text = inside(*arguments, "--format", "csv").decode()
    cells = list(csv.reader(io.StringIO(text, newline="")))
    assert cells[0] == list(EXPORTS[table])
    assert len(cells) == len(rows) + 1


def test_a_location_that_is_a_formula_is_harmless_in_csv(inside: Inside, home: Path) -> None:
    text = inside("export", "specimens", "--format", "csv", "--data", str(home)).decode()
    rows = {row["accession"]: row for row in csv.DictReader(io.StringIO(text))}
    assert rows[ODD]["location"] == '\'=HYPERLINK("http://x")'
    marked = inside("export", "specimens", "--format", "csv", "--excel", "--data", str(home))
    assert marked == b"\xef\xbb\xbf" + text.encode()


def test_at_decides_what_is_late(inside: Inside, home: Path) -> None:
    before = _rows(inside, home, "alerts", "--at", "2026-11-20T16:00:00Z")
    after = _rows(inside, home, "alerts", "--at", NEXT_DAY)
    assert not any(row["kind"] == "overdue-result" for row in before)
    assert {row["subject"] for row in after if row["kind"] == "overdue-result"} == {f"{LATE}/CBCD", f"{ODD}/CBCD"}


def test_bad_lines_are_in_quarantine_with_their_bytes_and_a_reason(inside: Inside, home: Path) -> None:
    rows = _rows(inside, home, "quarantine")
    assert sorted(str(row["reason"]) for row in rows) == ["bad-identifier", "not-cloudevents", "not-json", "not-json"]
    listed = inside("quarantine", "list", "--data", str(home))
    assert b"{oops" in listed
    assert b"\\\\xff\\\\xfe not even UTF-8" in listed, "bytes that are no text are shown with escapes"
    assert len(rows) == len(BAD_LINES)


def test_the_text_report_tells_every_hand_over_and_what_is_missing(inside: Inside, home: Path) -> None:
    text = inside("custody", CLEAN, "--data", str(home), "--at", NEXT_DAY).decode()
    assert f"CHAIN OF CUSTODY OF SPECIMEN {CLEAN}" in text
    assert "No discrepancy. The hash chain of this specimen's record holds." in text
    for who in (COLLECTOR, COURIER, RECEIVER):
        assert who in text
    assert "2026-11-20 14:00:00 UTC, 2026-11-20 08:00:00 Chicago time" in text
    assert "manifest" in text
    assert "seal 0042, 20.5 °C" in text
    assert max(map(len, text.splitlines())) <= 100
    odd = inside("custody", ODD, "--data", str(home), "--at", NEXT_DAY).decode()
    assert "missing-step: picked-up" in odd
    assert "overdue-result" in odd
    critical = inside("custody", CRITICAL, "--data", str(home), "--at", NEXT_DAY).decode()
    assert "NOT YET READ BACK BY ANYBODY" in critical
    assert "reported 2 times" in critical


def test_the_json_report_holds_what_is_needed_to_prove_each_event(inside: Inside, home: Path) -> None:
    record = json.loads(inside("custody", CLEAN, "--format", "json", "--data", str(home), "--at", NEXT_DAY))
    assert [one["type"] for one in record["hand_overs"]] == [
        "specimen.collected",
        "specimen.picked-up",
        "specimen.received",
    ]
    assert record["hand_overs"][1]["released_by"] == COLLECTOR
    assert record["ledger"]["checkpoint"]["holds"] is True
    for step in sorted(record["steps"], key=lambda step: step["link"]["sequence"]):
        link = step["link"]
        computed = sha256(
            bytes.fromhex(link["previous_hash"]) + link["sequence"].to_bytes(8, "big") + link["exact"].encode()
        )
        assert computed.hexdigest() == link["hash"]
        assert link["exact"].encode() in good_lines()
        assert step["proof"]["signed"] is True
        assert _root(step) == record["ledger"]["checkpoint"]["root"]


def _root(step: dict[str, dict[str, object]]) -> str:
    """The root that an audit path leads to, computed independently after RFC 6962."""
    index, last = int(str(step["proof"]["leaf_index"])), int(str(step["proof"]["tree_size"])) - 1
    node = sha256(b"\x00" + bytes.fromhex(str(step["link"]["hash"]))).digest()
    path = step["proof"]["path"]
    assert isinstance(path, list)
    for sibling in map(bytes.fromhex, path):
        if index % 2 == 1 or index == last:
            node = sha256(b"\x01" + sibling + node).digest()
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            node = sha256(b"\x01" + node + sibling).digest()
        index, last = index // 2, last // 2
    return node.hex()


def test_the_pdf_report_numbers_its_pages_and_carries_the_fingerprint_of_the_json(
    inside: Inside, home: Path, tmp_path: Path
) -> None:
    arguments = ("custody", CLEAN, "--data", str(home), "--at", NEXT_DAY)
    out = tmp_path / "custody.pdf"
    inside(*arguments, "--format", "pdf", "--out", str(out))
    assert inside(*arguments, "--format", "pdf") == out.read_bytes(), "the same record gives the same bytes"
    reader = pypdf.PdfReader(out)
    pages = [page.extract_text() for page in reader.pages]
    fingerprint = sha256(inside(*arguments, "--format", "json")).hexdigest()
    for number, text in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in text
        assert f"specimen {CLEAN}" in text
        assert fingerprint in text
    whole = "\n".join(pages)
    for words in (COURIER, "Hand-overs", "Certification", "Hash of the link", "Chicago time"):
        assert words in whole


def test_a_specimen_that_nobody_has_seen_is_named(home: Path) -> None:
    assert "no specimen 'S2600012334' is on record" in fails("custody", "S2600012334", "--data", str(home))


def test_recall_names_specimens_orders_and_remaining_stock(inside: Inside, home: Path) -> None:
    text = inside("recall", "SUP-EDTA4", LOT, "--data", str(home)).decode()
    assert "2 specimens of 2 orders" in text
    assert CLEAN in text
    assert LATE in text
    assert "NORTH  48" in text
    trace = json.loads(inside("recall", "SUP-EDTA4", LOT, "--format", "json", "--data", str(home)))
    assert [one["accession"] for one in trace["specimens"]] == [CLEAN, LATE]
    assert "is not on record" in fails("recall", "SUP-EDTA4", "L-NONE", "--data", str(home))


def test_the_ledger_holds_against_the_checkpoints_of_the_home_and_against_carried_ones(
    inside: Inside, home: Path
) -> None:
    count = len(good_lines())
    assert f"the ledger holds: {count} events" in inside("verify", "--data", str(home)).decode()
    folder = home / "checkpoints"
    newest = max(folder.glob("checkpoint-*.txt"))
    for path in (folder, newest):
        assert b"the ledger holds" in inside("verify", "--checkpoint", str(path), "--data", str(home))
    fails("verify", "--checkpoint", str(folder / "none.txt"), "--data", str(home))


def test_doctor_finds_a_healthy_home_healthy_and_shows_no_secret(inside: Inside, home: Path) -> None:
    said = inside("doctor", "--settings", "--data", str(home)).decode()
    for what in ("settings", "disk", "catalog", "broker", "database", "clock", "printer files"):
        assert f"{what}: " in said
    assert "4 records wait for a decision" in said
    for name in ("pepper", "patient_key"):
        assert (home / f"{name}.key").read_text().strip() not in said
    assert "LABTRAIL_PEPPER=(set, not shown)" in said


def test_drain_returns_at_once_when_everything_is_committed(inside: Inside, home: Path) -> None:
    assert inside("drain", "--timeout", "5", "--data", str(home)) == b"all committed (0 events waited for)\n"


def test_a_reader_that_goes_away_is_no_error_worth_a_word(home: Path) -> None:
    command = f"{' '.join(COMMAND)} export custody --data {home} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False, env=environment())
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_one_process_may_read_while_settings_name_another_home(home: Path, tmp_path: Path) -> None:
    environ = environment(LABTRAIL_DATA=str(home))
    done = labtrail("export", "stock", environ=environ)
    assert done.returncode == 0
    assert b"SUP-EDTA4" in done.stdout
    done = labtrail("export", "stock", "--data", str(tmp_path), environ=environ)
    assert done.returncode == 1, "--data goes before LABTRAIL_DATA"
