"""What one run is given by the command, and what can be observed from outside: progress, processor time, memory."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import psycopg

from tests.support.postgres.server import plain

PROGRESS = b"SELECT coalesce(sum(next_offset), 0)::bigint FROM progress"
ROLLED_BACK = b"SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
RECORDED = b"SELECT count(*) FROM events"
SIZE = b"SELECT pg_database_size(current_database())"
OF_ITSELF, WITH_ENDED_CHILDREN = slice(11, 13), slice(11, 15)
"""utime and stime in /proc/PID/stat behind the name, and with those of children that have ended (proc(5))."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Process ids are 0 for servers that are not ours."""

    kafka: str
    """`host:port,…`: fresh topics, filled already where the run reads a backlog."""
    database: str
    """`postgresql+psycopg://…`, fresh."""
    folder: str
    """Empty, for whatever the run writes."""
    events: str
    """File of events, one JSON line each."""
    count: int
    """How many of them."""
    workers: int = 1
    capture: str = ""
    """File of the captured statements, of the plain loop."""
    points: str = ""
    """File to which a long run appends its points, one JSON line each."""
    kafka_pid: int = 0
    postgres_pid: int = 0


class Point(NamedTuple):
    """What was measured at one moment of a backlog."""

    done: int
    seconds: float
    """Since the watch began."""
    cpu_s: float
    """Of all workers since they were started."""
    kafka_cpu_s: float
    postgres_cpu_s: float
    memory_kib: tuple[int, ...]
    """Of each worker, now."""
    database_bytes: int


def cpu_seconds(pid: int, *, family: bool = False) -> float:
    """Processor time of a process so far; `family`: with its children, also those that have ended. Pid 0: 0."""
    if not pid:
        return 0.0
    used = _ticks(pid, WITH_ENDED_CHILDREN if family else OF_ITSELF)
    if family:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        used += sum(_ticks(int(child), OF_ITSELF) for child in children)
    return used / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, which: slice) -> int:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has just ended: the next sample counts it with its parent
        return 0
    return sum(map(int, after_name[which]))


def memory_kib(pid: int, what: str = "VmRSS") -> int:
    """Resident memory of a process now, or its highest so far (`VmHWM`)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def watch(job: Job, pids: Sequence[int], seconds: float, every: float, check: Callable[[], None]) -> Iterator[Point]:
    """A point each `every` seconds until the tables' own progress has reached the job's count.

    One statement per sample, one connection; `check` raises when the workers can't go on. SystemExit after `seconds`.
    """
    began = time.perf_counter()
    with psycopg.connect(plain(job.database), autocommit=True) as connection:
        while True:
            point = _look(job, pids, connection, began)
            yield point
            if point.done >= job.count:
                return
            if point.seconds > seconds:
                raise SystemExit(f"{point.done} of {job.count} events committed after {seconds:g} s: time is up")
            check()
            time.sleep(every)


def _look(job: Job, pids: Sequence[int], connection: psycopg.Connection, began: float) -> Point:
    (done,) = connection.execute(PROGRESS).fetchone() or (0,)
    moment = time.perf_counter() - began
    (size,) = connection.execute(SIZE).fetchone() or (0,) if job.points else (0,)
    return Point(
        done,
        moment,
        sum(map(cpu_seconds, pids)),
        cpu_seconds(job.kafka_pid),
        cpu_seconds(job.postgres_pid, family=True),
        tuple(map(memory_kib, pids)),
        size,
    )


def rolled_back(database: str) -> int:
    """Transactions of this database that ended without a commit, as far as its backends have reported."""
    return _number(database, ROLLED_BACK)


def recorded(database: str) -> int:
    """Events in the tables: each id once, however often it was delivered."""
    return _number(database, RECORDED)


def _number(database: str, question: bytes) -> int:
    with psycopg.connect(plain(database), autocommit=True) as connection:
        (number,) = connection.execute(question).fetchone() or (0,)
    return int(number)


def between(first: Point, last: Point) -> dict[str, float]:
    """Rate and processor time for each event (microseconds) between two points of a backlog."""
    done, seconds = last.done - first.done, last.seconds - first.seconds
    return {
        "seconds": seconds,
        "rate": done / seconds,
        "cpu_us": 1e6 * (last.cpu_s - first.cpu_s) / done,
        "kafka_cpu_us": 1e6 * (last.kafka_cpu_s - first.kafka_cpu_s) / done,
        "postgres_cpu_us": 1e6 * (last.postgres_cpu_s - first.postgres_cpu_s) / done,
    }
