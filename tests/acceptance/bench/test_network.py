"""The benchmark on Kafka and PostgreSQL: the report has every figure, and every run processed all of its events."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.home import WARM_UP
from bench.network import PEERS
from tests.support.kafka import broker
from tests.support.postgres import server
from tests.support.servers import skip_if

EVENTS, SLOW_EVENTS, GROWTH = 700, 250, 900
SECONDS_MAX = 900
TIMED = {"events", "seconds", "rate", "cpu_us"}
WORKED = {"recorded", "shares", "peak_mib", "transactions_rolled_back"}
OF_SERVERS = {"kafka_cpu_us", "postgres_cpu_us"}
FIGURES = {
    "append": TIMED | {"kafka_cpu_us", "peak_mib"},
    "backlog": TIMED | OF_SERVERS | WORKED,
    "growth": TIMED | OF_SERVERS | WORKED | {"points", "database_bytes_an_event"},
    "latency": {"events", "p50_ms", "p99_ms", "max_ms", "histogram_mean_ms"} | WORKED,
    "capture": {"batches", "statements_a_batch"},
    "limit": TIMED | {"recorded", "peak_mib"},
    "naive": TIMED | {"peak_mib"},
    "noop": TIMED | {"peak_mib"},
    "noop_batches": TIMED | {"peak_mib"},
}
"""The minimum that each kind of run reports."""

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the report of one small run. It starts its own servers, since it deletes topics."""
    skip_if(broker.missing(), server.missing())
    folder = tmp_path_factory.mktemp("bench")
    environ = {k: v for k, v in os.environ.items() if k not in ("KAFKA_BOOTSTRAP", "LABTRAIL_DATABASE")}
    sizes = {"--events": EVENTS, "--slow-events": SLOW_EVENTS, "--growth": GROWTH, "--repeats": 1}
    told = [word for name, value in sizes.items() for word in (name, str(value))]
    files = ["--out", str(folder / "report.json"), "--events-file", str(folder / "growth.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "bench.network", *told, *files],
        env=environ,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((folder / "report.json").read_text())["runs"]
    return found


def test_every_run_tells_its_figures(runs: dict[str, list[dict[str, Any]]]) -> None:
    kinds = {peer.key: peer.run for peer in PEERS}
    assert set(runs) == {*kinds, "append", "capture", "growth"}
    for key, results in runs.items():
        for result in results:
            assert set(result) >= FIGURES[kinds.get(key, key)], key
            assert all(result[name] > 0 for name in ("rate", "p50_ms") if name in result), key


def test_every_run_counts_all_of_its_events_once(runs: dict[str, list[dict[str, Any]]]) -> None:
    for key in ("worker_1", "worker_2", "limit", "noop", "noop_batches"):
        assert [result["events"] for result in runs[key]] == [EVENTS], key
    assert [result["events"] for result in runs["naive"]] == [SLOW_EVENTS]
    for key in ("latency_1", "latency_2"):
        assert [result["events"] for result in runs[key]] == [EVENTS - 2 * WARM_UP], key
    assert sorted(result["events"] for result in runs["append"]) == sorted([EVENTS] * 5 + [SLOW_EVENTS] + [GROWTH])


def test_the_workers_have_committed_everything_between_them(runs: dict[str, list[dict[str, Any]]]) -> None:
    """At least: after a rebalance, records may be delivered a second time."""
    for key, workers, events in (("worker_1", 1, EVENTS), ("worker_2", 2, EVENTS), ("growth", 2, GROWTH)):
        (result,) = runs[key]
        assert len(result["shares"]) == workers
        assert sum(result["shares"]) >= events, key


def test_the_plain_loop_writes_as_many_events_as_the_workers(runs: dict[str, list[dict[str, Any]]]) -> None:
    (one,), (two,), (limit,) = (runs[key] for key in ("worker_1", "worker_2", "limit"))
    assert limit["recorded"] == one["recorded"] == two["recorded"] <= EVENTS


def test_the_long_run_records_every_event_once(folder: Path, runs: dict[str, list[dict[str, Any]]]) -> None:
    lines = (folder / "growth.jsonl").read_bytes().splitlines()
    assert runs["growth"][0]["recorded"] == len({json.loads(line)["id"] for line in lines})


def test_the_long_run_keeps_its_points_in_a_file_as_it_goes(
    folder: Path, runs: dict[str, list[dict[str, Any]]]
) -> None:
    (growth,) = runs["growth"]
    written = [json.loads(line) for line in (folder / "report-growth.jsonl").read_text().splitlines()]
    assert written == growth["points"]
    assert written[-1]["done"] == growth["events"] == GROWTH
    assert all(len(point["memory_mib"]) == 2 and point["database_mib"] > 0 for point in written)


def test_the_events_of_the_long_run_are_kept_for_the_next(folder: Path) -> None:
    assert len((folder / "growth.jsonl").read_bytes().splitlines()) == GROWTH
