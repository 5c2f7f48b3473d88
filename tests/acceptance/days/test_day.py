"""A real day of six clinics through the real command: the expected outcome, whatever fails on the way."""

import gzip
import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import wait_until
from tests.support.running import Up, works

DATA = Path(__file__).parents[2] / "data"
LINES = gzip.decompress((DATA / "day.jsonl.gz").read_bytes()).splitlines()
TRUTH: dict[str, Any] = json.loads(gzip.decompress((DATA / "day.truth.json.gz").read_bytes()))
PURE = (
    "specimens",
    "custody",
    "discrepancies",
    "results",
    "orders",
    "stock",
    "stock-discrepancies",
    "movements",
    "alerts",
)


def export(up: Up, table: str) -> bytes:
    return works("export", table, "--at", TRUTH["cut"], "--data", str(up.home))


def exports(up: Up) -> dict[str, bytes]:
    return {table: export(up, table) for table in PURE}


def publish(up: Up, lines: list[bytes]) -> None:
    works("publish", "-", "--data", str(up.home), stdin=b"\n".join(lines))


def drain(up: Up) -> None:
    works("drain", "--timeout", "60", "--data", str(up.home))


def make(folder: Path) -> Up:
    return Up(folder / "home", folder, LABTRAIL_PRINT_ON_COLLECTION="")


def committed(up: Up) -> int:
    """Records committed to the tables so far, read from outside."""
    path = up.home / "labtrail.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return int(connection.execute("SELECT coalesce(sum(next_offset), 0) FROM progress").fetchone()[0])
        except sqlite3.OperationalError:  # not migrated yet
            return 0


def rows(exported: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in exported.splitlines()]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The day as published in one go, with everything committed and the service still up."""
    up = make(tmp_path_factory.mktemp("day")).start()
    publish(up, LINES)
    drain(up)
    yield up
    up.server.kill()


@pytest.fixture(scope="module")
def exported(day: Up) -> dict[str, bytes]:
    return exports(day)


@pytest.mark.story
def test_every_specimen_ends_as_it_must_and_shows_its_faults_and_no_others(day: Up) -> None:
    specimens = {row["accession"]: row for row in rows(export(day, "specimens"))}
    found: dict[str, set[str]] = {}
    for row in rows(export(day, "discrepancies")):
        found.setdefault(row["accession"], set()).update({row["code"], f"{row['code']}:{row['detail']}"})
    for accession, want in TRUTH["specimens"].items():
        assert specimens[accession]["status"] == want["status"], accession
        assert set(want["must"]) <= found.get(accession, set()), accession
        assert not (want["clean"] and found.get(accession)), accession
        steps = {
            "collected_at": "specimen.collected",
            "labeled_at": "specimen.labeled",
            "dispatched_at": "specimen.dispatched",
            "picked_up_at": "specimen.picked-up",
            "received_at": "specimen.received",
        }
        for column, step in steps.items():
            assert specimens[accession][column] == want["steps"].get(step), (accession, column)
    assert len(specimens) == len(TRUTH["specimens"])


def test_results_stock_and_overdue_results_are_as_they_must_be(exported: dict[str, bytes]) -> None:
    results = {f"{r['accession']}/{r['test']}": [r["status"], r["value"]] for r in rows(exported["results"])}
    assert results == TRUTH["results"]
    stock = {f"{r['site']}/{r['item']}/{r['lot']}": r["on_hand"] for r in rows(exported["stock"])}
    assert {key: stock.get(key) for key in TRUTH["stock"]} == TRUTH["stock"]
    overdue = {r["subject"] for r in rows(exported["alerts"]) if r["kind"] == "overdue-result"}
    assert overdue == set(TRUTH["overdue"])


def test_each_bad_line_is_in_quarantine_with_its_reason(day: Up) -> None:
    reasons = {row["reason"] for row in rows(works("export", "quarantine", "--data", str(day.home)))}
    assert reasons == {
        "not-json",
        "not-cloudevents",
        "unknown-type",
        "invalid-data",
        "bad-identifier",
        "unknown-site",
        "unknown-item",
        "no-offset",
    }


def test_the_ledger_verifies_and_holds_every_event_once(day: Up) -> None:
    works("verify", "--data", str(day.home))
    valid = {json.loads(line)["id"] for line in LINES if line.startswith(b'{"specversion"')}
    ledger = rows(works("export", "ledger", "--data", str(day.home)))
    assert sorted(row["event_id"] for row in ledger) == sorted(i for i in valid if not i.startswith("bad-"))


def test_a_rebuild_changes_no_byte(day: Up, exported: dict[str, bytes]) -> None:
    works("rebuild", "--data", str(day.home))
    assert exports(day) == exported


@pytest.mark.parametrize("seed", [1])
def test_shuffled_doubled_and_killed_ten_times_it_comes_out_the_same(
    tmp_path: Path, exported: dict[str, bytes], seed: int
) -> None:
    chance = random.Random(seed)
    arrivals = LINES + chance.sample(LINES, 300)
    chance.shuffle(arrivals)
    up = make(tmp_path)
    piece = len(arrivals) // 10 + 1
    for start in range(0, len(arrivals), piece):
        up.start()
        publish(up, arrivals[start : start + piece])
        reached = chance.randint(start, start + piece // 2)
        wait_until(lambda reached=reached: committed(up) >= reached, 60, f"{reached} committed (seed {seed})")
        up.server.kill()
    up.start()
    drain(up)
    assert exports(up) == exported, f"seed {seed}"
    works("verify", "--data", str(up.home))
    up.server.stop()
    assert up.exit_code() == 0
