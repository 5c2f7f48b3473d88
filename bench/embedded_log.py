"""Rates and latencies of the embedded log: `python -m bench.embedded_log` prints a table. Rates are medians of RUNS.

Every event has 420 bytes; the disk is that of the folder for temporary files (TMPDIR). The no-op agent reads a
backlog and acknowledges it: that is the ceiling of every agent on this log.
"""

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import faust
from rich.console import Console
from rich.table import Table

from agents.log.port import NewRecord
from embedded.batches import acknowledge, batches
from embedded.log import Log

RUNS = 3
EVENTS = 50_000
PINGS = 500
PING_SECONDS = 0.01
VALUE = b'{"x":1}' * 60
TOPIC = "lab.specimens"
PARTITIONS = 4
SECONDS_MAX = 120
APPENDER = """
import sys, time
from pathlib import Path
from embedded.log import Log
from embedded.records import NewRecord
log = Log.open(Path(sys.argv[1]))
for n in range(int(sys.argv[2])):
    log.append([NewRecord(sys.argv[4], b"%d" % n, b"%d" % time.time_ns())])
    time.sleep(float(sys.argv[3]))
log.close()
"""


def records(count: int) -> list[NewRecord]:
    return [NewRecord(TOPIC, b"S26%06d97" % n, VALUE) for n in range(count)]


def new_log(folder: str) -> Log:
    log = Log.open(Path(folder) / "log.db")
    log.ensure_topics({TOPIC: PARTITIONS})
    return log


def append_rate(size: int, threads: int = 1) -> float:
    """Events per second, appended `size` at a time by several threads."""
    count = min(EVENTS, 2000 * size * threads)
    with tempfile.TemporaryDirectory() as folder:
        log, each = new_log(folder), records(count // threads)

        def write() -> None:
            for start in range(0, len(each), size):
                log.append(each[start : start + size])

        writers = [threading.Thread(target=write) for _ in range(threads)]
        began = time.perf_counter()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        seconds = time.perf_counter() - began
        log.close()
    return count / seconds


def make_app(log: Log, folder: str) -> faust.App:
    return faust.App(
        "bench",
        broker=f"sqlite:///{log.path}",
        stream_buffer_maxsize=4096,
        broker_commit_interval=0.5,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        worker_redirect_stdouts=False,
        topic_partitions=PARTITIONS,
        datadir=folder,
    )


def raw_topic(app: faust.App) -> Any:
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    return app.topic(TOPIC, partitions=PARTITIONS, **raw)


async def backlog_rate(in_batches: bool) -> float:
    """Events per second that a no-op agent reads from a full log, from the first to the last."""
    with tempfile.TemporaryDirectory() as folder:
        log = new_log(folder)
        for start in range(0, EVENTS, 1000):
            log.append(records(EVENTS)[start : start + 1000])
        app, seen, began, ended = make_app(log, folder), 0, 0.0, asyncio.Event()

        def count(number: int) -> None:
            nonlocal seen, began
            began = began or time.perf_counter()
            seen += number
            if seen >= EVENTS:
                ended.set()

        async def batch_agent(stream: Any) -> None:
            async for events in batches(stream, 500):
                acknowledge(events)
                count(len(events))

        async def event_agent(stream: Any) -> None:
            async for event in stream.noack().events():
                event.ack()
                count(1)

        app.agent(raw_topic(app), name="noop")(batch_agent if in_batches else event_agent)
        await app.start()
        await asyncio.wait_for(ended.wait(), SECONDS_MAX)
        rate = EVENTS / (time.perf_counter() - began)
        await app.stop()
        log.close()
    return rate


async def latencies(append: Callable[[Log], None]) -> list[float]:
    """Milliseconds from the call of append to the agent, one event every PING_SECONDS."""
    with tempfile.TemporaryDirectory() as folder:
        log, found = new_log(folder), list[float]()
        app, ready = make_app(log, folder), asyncio.Event()

        async def agent(stream: Any) -> None:
            async for events in batches(stream, 500):
                now = time.time_ns()
                ready.set()
                found.extend((now - int(event.value)) / 1e6 for event in events)
                acknowledge(events)

        app.agent(raw_topic(app), name="ping")(agent)
        await app.start()
        log.append([NewRecord(TOPIC, b"first", b"%d" % time.time_ns())])
        await asyncio.wait_for(ready.wait(), SECONDS_MAX)
        found.clear()
        await asyncio.to_thread(append, log)
        async with asyncio.timeout(SECONDS_MAX):
            while len(found) < PINGS:
                await asyncio.sleep(0.05)
        await app.stop()
        log.close()
    return found


def append_here(log: Log) -> None:
    for n in range(PINGS):
        log.append([NewRecord(TOPIC, b"%d" % n, b"%d" % time.time_ns())])
        time.sleep(PING_SECONDS)


def append_there(log: Log) -> None:
    arguments = [str(log.path), str(PINGS), str(PING_SECONDS), TOPIC]
    subprocess.run([sys.executable, "-c", APPENDER, *arguments], check=True, timeout=SECONDS_MAX)


def rows() -> Iterator[tuple[str, str]]:
    """What was measured, and the figure with its unit."""
    for size, threads in ((1, 1), (1, 8), (100, 1), (1000, 1)):
        rate = median(append_rate(size, threads) for _ in range(RUNS))
        yield f"append, {size} at a time, {threads} thread(s)", f"{rate:,.0f} events/s"
    for in_batches, name in ((True, "batches()"), (False, "stream.noack().events()")):
        rate = median(asyncio.run(backlog_rate(in_batches)) for _ in range(RUNS))
        yield f"backlog, no-op agent, {name}", f"{rate:,.0f} events/s"
    for append, where in ((append_here, "the same"), (append_there, "another")):
        percentiles = quantiles(asyncio.run(latencies(append)), n=100)
        yield f"append to agent, idle, {where} process", f"p50 {percentiles[49]:.1f} ms, p99 {percentiles[98]:.1f} ms"


def main() -> None:
    table = Table("embedded log", "measured", title=f"{len(VALUE)}-byte events, fsync at every commit")
    for name, figure in rows():
        table.add_row(name, figure)
    Console().print(table)


if __name__ == "__main__":
    main()
