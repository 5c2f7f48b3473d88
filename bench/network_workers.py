"""The runs of real `labtrail worker` processes: a backlog, a long one, and the latency of single events."""

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.request import urlopen

from agents.log.kafka import KafkaLog
from agents.log.port import GROUP
from bench.home import PINGS_MAX, WARM_UP, Place, new_records, ping, read_events
from bench.network_job import Job, Point, between, memory_kib, recorded, rolled_back, watch
from bench.network_servers import access
from tests.support.processes import Server, free_port, tail, wait_until

START_SECONDS, STOP_SECONDS = 90.0, 30.0
BACKLOG_SECONDS_MAX, GROWTH_SECONDS_MAX = 1800.0, 6 * 3600.0
POLL_SECONDS, GROWTH_POLL_SECONDS = 0.1, 1.0
POINTS = 20
LATENCY = "labtrail_event_latency_seconds"


class Worker:
    """One `labtrail worker` with its default settings, no printer and the home that all of them share."""

    def __init__(self, number: int, job: Job, module: list[str]) -> None:
        folder = Path(job.folder)
        self.port = free_port()
        self.commits = folder / f"commits{number}.txt"
        """The stopwatch's output."""
        self.environ = {
            "PATH": os.environ["PATH"],
            "LABTRAIL_BROKER": f"kafka://{job.kafka}",
            "LABTRAIL_DATABASE": job.database,
            "LABTRAIL_DATA": str(folder / "home"),
            "LABTRAIL_PORT": str(self.port),
            "LABTRAIL_PRINT_ON_COLLECTION": "",
        }
        command = [sys.executable, "-m", *(part.format(commits=self.commits) for part in module)]
        self.process = Server(f"worker {number}", command, folder / f"worker{number}.log")

    def start(self) -> None:
        """Start, without waiting."""
        self.process.start(lambda: True, START_SECONDS, environ=self.environ)

    def up(self) -> bool:
        """Whether it is up. Raises ServerFault when it has ended."""
        return bool(self.process.pid) and "Labtrail is up" in self.process.said

    def metrics(self) -> dict[str, float]:
        """The sum over all labels of each of its metrics."""
        sums: dict[str, float] = {}
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if not line.startswith("#"):
                    name, value = line.split("{")[0].split(" ")[0], float(line.rsplit(" ", 1)[1])
                    sums[name] = sums.get(name, 0.0) + value
        return sums


@contextmanager
def working(job: Job, *, stopwatch: bool = False) -> Iterator[list[Worker]]:
    """The job's workers, all started at once; stopped in order afterwards. SystemExit with a log's end on a fault."""
    module = ["bench.network_stopwatch", "{commits}"] if stopwatch else ["labtrail", "worker"]
    (Path(job.folder) / "home").mkdir()
    workers = [Worker(number, job, module) for number in range(1, job.workers + 1)]
    try:
        for worker in workers:
            worker.start()
        yield workers
        for worker in workers:
            worker.process.stop(STOP_SECONDS)
    finally:
        for worker in workers:
            worker.process.kill()


def check(workers: list[Worker]) -> None:
    """Raise SystemExit when one of them has ended."""
    for worker in workers:
        if not worker.process.running:
            raise SystemExit(f"{worker.process.name} has ended: {tail(worker.process.log)}")


def _shares(job: Job, workers: list[Worker]) -> dict[str, Any]:
    """Who committed how much, what came of it, retried transactions, the most memory that any has used."""
    return {
        "recorded": recorded(job.database),
        "transactions_rolled_back": rolled_back(job.database),
        "shares": [int(worker.metrics().get("labtrail_events_total", 0.0)) for worker in workers],
        "peak_mib": max(memory_kib(worker.process.pid, "VmHWM") for worker in workers) / 1024,
    }


def backlog(job: Job) -> dict[str, object]:
    """Real workers on topics that are full before they start; what is committed is read from the table `progress`.

    The clock runs from the first sample at which something is committed (workers take seconds to start) to the first
    at which all is; where the first sees all of it, from the sample before.
    """
    with working(job) as workers:
        points = list(twentieths(_looks(job, workers, BACKLOG_SECONDS_MAX, POLL_SECONDS), job.count))
        return {"events": points[-1].done, **between(points[0], points[-1]), **_shares(job, workers)}


def growth(job: Job) -> dict[str, object]:
    """The same over one long backlog. Each twentieth goes to standard error and to the job's file of points."""
    pieces: list[dict[str, Any]] = []
    points: list[Point] = []
    with working(job) as workers, Path(job.points).open("w") as file:
        for point in twentieths(_looks(job, workers, GROWTH_SECONDS_MAX, GROWTH_POLL_SECONDS), job.count):
            if points:
                pieces.append(piece(points[-1], point))
                file.write(json.dumps(pieces[-1]) + "\n")
                file.flush()
                print(line_of(pieces[-1]), file=sys.stderr, flush=True)
            points.append(point)
        first, last = points[0], points[-1]
        grown = (last.database_bytes - first.database_bytes) / (last.done - first.done)
        return {
            "events": last.done,
            **between(first, last),
            "database_bytes_an_event": grown,
            "points": pieces,
            **_shares(job, workers),
        }


def _looks(job: Job, workers: list[Worker], seconds: float, every: float) -> Iterator[Point]:
    return watch(job, [worker.process.pid for worker in workers], seconds, every, lambda: check(workers))


def twentieths(points: Iterable[Point], count: int) -> Iterator[Point]:
    """Where the clock starts, then a point for each twentieth of a backlog, and the last one."""
    before: Point | None = None
    due = 0
    for point in points:
        if point.done and not due:
            start = before if before is not None and point.done >= count else point
            due = start.done + max(1, count // POINTS)
            yield start
        if due and point.done >= min(due, count):
            due = point.done + max(1, count // POINTS)
            yield point
        before = point


def piece(first: Point, last: Point) -> dict[str, Any]:
    """A part of a long backlog: where it ended, and its own rate and use of the machine."""
    return {
        "done": last.done,
        **between(first, last),
        "memory_mib": [kib / 1024 for kib in last.memory_kib],
        "database_mib": last.database_bytes / 2**20,
    }


def line_of(part: dict[str, Any]) -> str:
    memory = ", ".join(f"{mib:.0f}" for mib in part["memory_mib"])
    return (
        f"{part['done']:>10,} events: {part['rate']:>6,.0f}/s, workers {part['cpu_us']:.0f} µs/event, {memory} MiB, "
        f"database {part['database_mib']:,.0f} MiB at {part['postgres_cpu_us']:.0f} µs/event"
    )


def latency(job: Job) -> dict[str, object]:
    """Append to committed at 100 events/s: one process appends through the EventLog of kafka-python, workers commit.

    For each event from the call of `append` until `Store.commit` has returned in the worker that took it (see
    network_stopwatch.py). Beside it the mean of the workers' histogram labtrail_event_latency_seconds, which counts
    from the broker's time of arrival (milliseconds) over all events, those of the warm-up too.
    """
    log = KafkaLog(access(job.kafka))
    try:
        with working(job, stopwatch=True) as workers:
            _joined(log, workers)
            raws = read_events(Path(job.events), PINGS_MAX + 2 * WARM_UP)
            log.append(list(new_records(islice(raws, WARM_UP))))
            _reached(job, workers, WARM_UP)
            called = ping(log, list(new_records(raws)), time.time_ns)
            _reached(job, workers, WARM_UP + len(called))
            metrics = [worker.metrics() for worker in workers]
            shares = _shares(job, workers)
        done = committed(workers)
    finally:
        log.close()
    found = [1e-6 * (done[place] - began) for place, began in list(called.items())[WARM_UP:]]
    cuts = quantiles(found, n=100)
    seconds, number = (sum(each[f"{LATENCY}_{what}"] for each in metrics) for what in ("sum", "count"))
    return {
        "events": len(found),
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "max_ms": max(found),
        "histogram_mean_ms": 1e3 * seconds / number,
        **shares,
    }


def _joined(log: KafkaLog, workers: list[Worker]) -> None:
    """Wait until all are up and the group is stable."""

    def stable() -> bool:
        group = log.ask(lambda admin: admin.describe_groups([GROUP]))[GROUP]
        return group["group_state"] == "Stable" and len(group["members"]) == len(workers)

    wait_until(lambda: all(worker.up() for worker in workers), START_SECONDS, "all workers are up")
    wait_until(stable, START_SECONDS, "all workers are in the group", every=0.5)


def _reached(job: Job, workers: list[Worker], count: int) -> None:
    so_far = Job(kafka=job.kafka, database=job.database, folder="", events="", count=count)
    for _ in watch(so_far, (), START_SECONDS, POLL_SECONDS, lambda: check(workers)):
        pass


def committed(workers: list[Worker]) -> dict[Place, int]:
    """When each record was first committed (nanoseconds since 1970)."""
    done: dict[Place, int] = {}
    for worker in workers:
        for line in worker.commits.read_text().splitlines():
            topic, partition, offset, moment = line.split()
            place = (topic, int(partition), int(offset))
            done[place] = min(int(moment), done.get(place, sys.maxsize))
    return done
