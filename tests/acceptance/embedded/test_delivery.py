"""Real Faust workers on the embedded log: nothing that was acknowledged to its sender is lost."""

import random
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.log import Log
from embedded.records import NewRecord, Position
from tests.support.processes import Server, wait_until

SEED = 20261122
GROUP = "testers"
SECONDS = 30.0


class Bench:
    """A log, workers on it, and the files in which they note what they did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log.open(folder / "log.db")
        self.log.ensure_topics({"things": 2})
        self.workers: list[Server] = []

    def worker(self, name: str, mode: str = "work") -> Server:
        command = [sys.executable, "-m", "tests.support.embedded.worker"]
        broker = f"sqlite:///{self.log.path}"
        worker = Server(
            name,
            [*command, broker, GROUP, str(self.done_file(name)), mode],
            self.folder / f"{name}.{secrets.token_hex(4)}.txt",
        )
        self.workers.append(worker)
        return worker

    def start(self, name: str, mode: str = "work") -> Server:
        """Start a worker; returns once it has processed everything pending, or holds what it can't process."""
        worker = self.worker(name, mode)
        worker.start(lambda: self.log.lag(GROUP) != {} and worker.running, SECONDS)
        return worker

    def done_file(self, name: str) -> Path:
        return self.folder / f"{name}.done"

    def done(self, name: str) -> list[tuple[Position, bytes]]:
        path = self.done_file(name)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        rows = [line.split(" ") for line in lines if line.endswith("\n")]
        return [
            (Position(topic, int(number), int(offset)), bytes.fromhex(value)) for topic, number, offset, value in rows
        ]

    def append(self, values: list[bytes]) -> dict[Position, bytes]:
        return dict(
            zip(self.log.append([NewRecord("things", value[:20], value) for value in values]), values, strict=True)
        )

    def wait_for(self, name: str, wanted: dict[Position, bytes]) -> None:
        wait_until(lambda: wanted.items() <= dict(self.done(name)).items(), SECONDS, f"{name} has done it all")

    def wait_for_number(self, name: str, number: int) -> None:
        wait_until(lambda: len(dict(self.done(name))) >= number, SECONDS, f"seed {SEED}: {number} events are done")

    def wait_until_committed(self) -> None:
        wait_until(lambda: not any(self.log.lag(GROUP).values()), SECONDS, "all of it is committed")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.log.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_no_acknowledged_event_is_lost_when_the_worker_is_killed_again_and_again(bench: Bench) -> None:
    source = random.Random(SEED)
    sent: dict[Position, bytes] = {}
    for kill in range(4):
        worker = bench.start("a")
        for _ in range(source.randint(3, 12)):
            sent |= bench.append([b"%d.%d" % (kill, source.getrandbits(60)) for _ in range(source.randint(1, 200))])
        bench.wait_for_number("a", source.randint(0, len(sent)))
        worker.kill()
    bench.start("a")
    bench.wait_for("a", sent)
    bench.wait_until_committed()
    assert dict(bench.done("a")) == sent, f"seed {SEED}"
    assert bench.log.committed(GROUP)["things", 0] == bench.log.ends()["things", 0]


def test_events_arrive_in_order_within_a_partition_and_as_the_bytes_they_are(bench: Bench) -> None:
    bench.start("a")
    values = [b"", b"\x00\xff not text", b"{", b'{"specversion":"1.0"}', bytes(1_000_000), b"after"]
    sent = bench.append([value for value in values if value] * 3 + [b"%d" % n for n in range(500)])
    sent |= dict.fromkeys(bench.log.append([NewRecord("things", None, b"")]), b"")
    bench.wait_for("a", sent)
    done = bench.done("a")
    for partition in (0, 1):
        offsets = [place.offset for place, _ in done if place.partition == partition]
        assert offsets == sorted(offsets) == list(range(len(offsets)))
    assert dict(done) == sent


def test_a_single_event_that_is_not_acknowledged_comes_again_after_a_restart(bench: Bench) -> None:
    sent = bench.append([b"bad"])
    worker = bench.start("a", "refuse")
    other = bench.append([b"good %d" % n for n in range(20)])
    bench.wait_for("a", other)
    worker.stop()
    assert b"bad" not in dict(bench.done("a")).values()
    assert sum(bench.log.lag(GROUP).values()) >= 1
    bench.start("a")
    bench.wait_for("a", sent | other)
    bench.wait_until_committed()


def test_the_commit_does_not_pass_an_unacknowledged_event_in_the_middle(bench: Bench) -> None:
    [place] = bench.log.append([NewRecord("things", None, b"bad", partition=1)])
    before = bench.append([b"%d" % n for n in range(40)])
    worker = bench.start("a", "refuse")
    bench.wait_for("a", before)
    after = bench.append([b"later %d" % n for n in range(400)])
    bench.wait_for("a", after)
    wait_until(lambda: bench.log.lag(GROUP).get(("things", 0)) == 0, SECONDS, "the other partition is committed")
    assert bench.log.committed(GROUP)["things", 1] == place.offset
    worker.kill()
    assert bench.log.committed(GROUP)["things", 1] == place.offset


def test_what_an_agent_was_doing_when_it_raised_comes_again_after_a_restart(bench: Bench) -> None:
    sent = bench.append([b"one", b"two", b"bad", b"three"])
    worker = bench.start("a", "raise")
    more = bench.append([b"more %d" % n for n in range(30)])
    bench.wait_for("a", more)
    worker.stop()
    assert b"bad" not in dict(bench.done("a")).values()
    bench.start("a")
    bench.wait_for("a", sent | more)
    bench.wait_until_committed()


def test_a_worker_that_stands_by_takes_over_when_the_other_is_killed(bench: Bench) -> None:
    first = bench.start("first")
    second = bench.worker("second")
    second.start(lambda: "standing by" in second.log.read_text(), SECONDS)
    sent = bench.append([b"%d" % n for n in range(200)])
    bench.wait_for("first", sent)
    assert bench.done("second") == []
    bench.wait_until_committed()
    first.kill()
    more = bench.append([b"more %d" % n for n in range(200)])
    bench.wait_for("second", more)
    bench.wait_until_committed()
    assert not sent.items() & dict(bench.done("second")).items(), "what was committed does not come again"


def test_a_worker_that_is_stopped_finishes_commits_and_hands_over(bench: Bench) -> None:
    first = bench.start("first")
    sent = bench.append([b"%d" % n for n in range(3000)])
    wait_until(lambda: bench.done("first") != [], SECONDS, "the first works")
    first.stop()
    done = dict(bench.done("first"))
    assert sum(bench.log.committed(GROUP).values()) == len(done)
    bench.start("second")
    bench.wait_until_committed()
    assert done | dict(bench.done("second")) == sent
    assert not done.keys() & dict(bench.done("second")).keys(), "nothing was done twice"


def test_faults_own_way_of_iterating_a_stream_works_too(bench: Bench) -> None:
    bench.start("a", "each")
    sent = bench.append([b"%d" % n for n in range(300)])
    bench.wait_for("a", sent)
    bench.wait_until_committed()
