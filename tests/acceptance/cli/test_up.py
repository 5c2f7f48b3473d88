"""`labtrail up` as a person or a service manager runs it: start, stop, kill, fail, start again."""

import json
import signal
import sqlite3
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.cli_story import good_lines, lines
from tests.support.processes import free_port, wait_until
from tests.support.running import COMMAND, SECONDS, Up, environment, fails, works

TABLES = ("specimens", "custody", "discrepancies", "results", "stock", "movements", "alerts")


def _exports(home: Path) -> dict[str, bytes]:
    at = ("--at", "2026-11-21T12:00:00Z")
    return {table: works("export", table, "--data", str(home), *at) for table in TABLES}


def _get(address: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read()


def _ready(address: str) -> bool:
    """Whether it can serve; it also says when the last sweep was."""
    status, answer = _get(f"{address}/readyz")
    told = json.loads(answer)
    assert told.keys() == {"ready", "problems", "last_sweep", "unjudged_cases"}
    return status == 200 and told["ready"] and not told["problems"]


def test_from_an_empty_folder_it_takes_events_and_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", tmp_path).start()
    try:
        assert _get(f"{up.address}/healthz") == (200, b'{"alive":true}')
        assert _ready(up.address)
        works("publish", "-", "--data", str(up.home), stdin=b"\n".join(lines()))
        works("drain", "--timeout", "30", "--data", str(up.home))
        status, metrics = _get(f"{up.address}/metrics")
        assert status == 200
        assert b'labtrail_events_total{outcome="recorded",type="specimen.collected"} 4.0' in metrics
        assert b"labtrail_quarantined 4.0" in metrics
        assert b'labtrail_specimens{site="NORTH",status="resulted"} 2.0' in metrics
        assert b"story-0" not in metrics
        up.server.stop(10)
    finally:
        up.server.kill()
    assert up.exit_code() == 0, up.said()
    assert "Traceback" not in up.said()
    assert "nothing is lost" in up.said()
    assert len(works("export", "ledger", "--data", str(up.home)).splitlines()) == len(good_lines())


@pytest.mark.slow
def test_what_is_published_before_the_start_or_while_it_is_killed_is_worked_through_once(tmp_path: Path) -> None:
    up, data = Up(tmp_path / "home", tmp_path), ("--data", str(tmp_path / "home"))
    content = lines()
    works("publish", "-", *data, stdin=b"\n".join(content[:7]))
    assert "no worker is at it" in fails("drain", "--timeout", "0.2", *data)
    for part in (content[7:15], content[15:25], content[25:], content):
        up.start()
        works("publish", "-", *data, stdin=b"\n".join(part))
        up.server.kill()
    up.start()
    works("drain", "--timeout", "30", *data)
    up.server.stop()
    killed = _exports(up.home)
    calm = Up(tmp_path / "calm", tmp_path).start()
    works("publish", "-", "--data", str(calm.home), stdin=b"\n".join(content))
    works("drain", "--timeout", "30", "--data", str(calm.home))
    calm.server.stop()
    assert killed == _exports(calm.home)
    works("rebuild", *data)
    assert killed == _exports(up.home)


def test_a_database_that_cannot_be_written_ends_it_with_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", tmp_path, LABTRAIL_STORE_RETRY_SECONDS="0").start()
    try:
        with sqlite3.connect(up.home / "labtrail.db") as database:
            database.execute("ALTER TABLE events RENAME TO hidden")
        database.close()
        works("publish", "-", "--data", str(up.home), stdin=b"\n".join(lines()))
        wait_until(lambda: not up.server.running, SECONDS, "the process has ended")
    finally:
        up.server.kill()
    assert up.exit_code() == 1, up.said()
    last = up.said().strip().splitlines()[-1]
    assert last.startswith("labtrail: an agent has failed"), up.said()
    with sqlite3.connect(up.home / "labtrail.db") as database:
        database.execute("ALTER TABLE hidden RENAME TO events")
    database.close()
    up.start()
    works("drain", "--timeout", "30", "--data", str(up.home))
    up.server.stop()
    assert len(works("export", "ledger", "--data", str(up.home)).splitlines()) == len(good_lines())


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    up = Up(tmp_path / "home", tmp_path).start()
    try:
        port = up.address.rpartition(":")[2]
        said = fails("up", "--data", str(tmp_path / "other"), "--port", port)
        assert f"port {port} can't be had" in said
        assert "--port" in said
    finally:
        up.server.stop()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_waiting_drain_ends_at_once_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    data = ("--data", str(tmp_path / "home"))
    works("publish", "-", *data, stdin=b"\n".join(lines()))
    waiting = subprocess.Popen(
        [*COMMAND, "drain", "--timeout", "600", *data],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    log = (tmp_path / "home" / "log.db").resolve()
    try:
        wait_until(lambda: _has_open(waiting.pid, log), SECONDS, "it has opened the log")
        waiting.send_signal(number)
        _, said = waiting.communicate(timeout=SECONDS)
    finally:
        waiting.kill()
        waiting.wait()
    assert waiting.returncode == 1
    assert said == b"labtrail: stopped\n"


def _has_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open; a file that it closes while we look is none."""
    folder = Path(f"/proc/{pid}/fd")
    for file in folder.iterdir() if folder.exists() else ():
        with suppress(FileNotFoundError):
            if file.readlink() == path:
                return True
    return False


def test_a_worker_says_that_the_tables_are_missing_and_a_station_too(tmp_path: Path) -> None:
    for part in ("worker", "station"):
        said = fails(part, "--data", str(tmp_path / "home"), "--port", str(free_port()))
        assert "run labtrail migrate" in said


def test_worker_and_station_are_the_parts_of_up_in_processes_of_their_own(tmp_path: Path) -> None:
    home = tmp_path / "home"
    data = ("--data", str(home))
    works("migrate", *data)
    worker, station = Up(home, tmp_path, part="worker"), Up(home, tmp_path, part="station")
    try:
        worker.start()
        station.start()
        works("publish", "-", *data, stdin=b"\n".join(lines()))
        works("drain", "--timeout", "30", *data)
        for part in (worker, station):
            assert _ready(part.address)
            assert b'labtrail_specimens{site="NORTH",status="resulted"} 2.0' in _get(f"{part.address}/metrics")[1]
        assert _get(f"{worker.address}/schema")[0] == 404, "a worker serves no pages"
        assert _get(f"{station.address}/schema")[0] == 200
    finally:
        worker.server.stop()
        station.server.stop()
    assert (worker.exit_code(), station.exit_code()) == (0, 0)


@pytest.mark.slow
def test_a_demo_shows_a_living_day_and_starting_it_again_adds_to_it(tmp_path: Path) -> None:
    first = _demo(tmp_path, more_than=20)
    second = _demo(tmp_path, more_than=len(first) + 20)
    assert {accession: second[accession] for accession in first} == first, (
        "a new stream leaves the old one's tubes alone"
    )


def _demo(folder: Path, *, more_than: int) -> dict[str, list[str]]:
    """Start the demo, wait for that many specimens, stop it; the events of each specimen."""
    up = Up(folder / "home", folder, "--demo").start()
    data = ("--data", str(up.home))
    try:
        wait_until(
            lambda: works("export", "specimens", *data).count(b"\n") > more_than,
            SECONDS,
            "specimens are collected",
            every=0.5,
        )
        said = up.said()
    finally:
        up.server.stop()
    assert "sign in" in said
    assert "badge B" in said
    rest = Up(up.home, folder).start()
    works("drain", "--timeout", "30", *data)
    rest.server.stop()
    assert works("export", "quarantine", *data) == b""
    events: dict[str, list[str]] = {}
    for line in works("export", "custody", *data).splitlines():
        row = json.loads(line)
        events.setdefault(row["accession"], []).append(row["event_id"])
    return events
