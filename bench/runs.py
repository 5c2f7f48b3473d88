"""One run of one peer in a process of its own: `python -m bench.runs PEER FOLDER EVENTS`, one JSON line out.

Every run makes its own folder, fills the log first where it needs one, and times from the moment the first events
are handed over until the last is done. Memory is the process's own; events are read from the file as they go.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import quantiles
from typing import Any

import faust
from faust.transport.consumer import Consumer as FaustConsumer
from prometheus_client import CollectorRegistry

from agents.app import make_app
from agents.committing import BATCH_MAX
from agents.service import Service
from bench.eventsourced import record_all
from bench.home import (
    PINGS_MAX,
    WARM_UP,
    Home,
    Place,
    count_lines,
    log_records,
    new_records,
    peak_kib,
    ping,
    read_events,
    resident_kib,
    say,
)
from bench.orm_agent import OrmTables
from config.clock import now_us
from config.settings import Settings
from embedded.batches import acknowledge, batches
from embedded.consumer import Consumer
from models.recording.evidence import Outcome, Record
from models.recording.store import Store
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC

SECONDS_MAX = 1800
BATCH = 1000
POINTS = 20
"""A long run is cut into this many pieces, each with its own rate and memory."""


class Clock:
    """Counts the events done since the first hand-over; keeps a point now and then."""

    def __init__(self, events: int) -> None:
        self.events, self.done, self.finished = events, 0, asyncio.Event()
        self.began = self.cpu = self.ended = self.cpu_ended = 0.0
        self.points: list[tuple[int, float, int, float]] = []
        """Events done, seconds, resident KiB, seconds of CPU."""
        self._next_point = events // POINTS

    def begin(self) -> None:
        if not self.began:
            self.began, self.cpu = time.perf_counter(), time.process_time()

    def count(self, number: int) -> bool:
        """Add to the count; whether that was all."""
        self.done += number
        if self.done >= self._next_point:
            self._next_point += self.events // POINTS
            seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
            self.points.append((self.done, seconds, resident_kib(), cpu))
        if self.done < self.events:
            return False
        self.ended, self.cpu_ended = time.perf_counter(), time.process_time()
        return True

    def result(self) -> dict[str, object]:
        seconds = self.ended - self.began
        return {
            "events": self.done,
            "seconds": seconds,
            "rate": self.done / seconds,
            "cpu_us": 1e6 * (self.cpu_ended - self.cpu) / self.done,
            "peak_mib": peak_kib() / 1024,
            "points": self.points,
        }


def raw_topic(app: faust.App, name: str, partitions: int) -> Any:
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    return app.topic(name, partitions=partitions, **raw)


async def agent_rate(home: Home, events: Path, body: Callable[[Any, Clock], Any]) -> dict[str, object]:
    """A Faust agent with this body on each topic of a full log, in the app that Labtrail itself uses."""
    with home.full_log(events):
        return await run_agents(home.settings, Clock(count_lines(events)), body)


async def run_agents(settings: Settings, clock: Clock, body: Callable[[Any, Clock], Any]) -> dict[str, object]:
    """Agents with this body on the log that the settings name, until the clock has counted everything."""
    app = make_app(settings)
    for name in (SPECIMENS_TOPIC, SUPPLIES_TOPIC):

        async def agent(stream: Any) -> None:
            await body(stream, clock)

        app.agent(raw_topic(app, name, settings.partitions), name=f"bench.{name}")(agent)
    app.finalize()
    await app.start()
    await asyncio.wait_for(clock.finished.wait(), SECONDS_MAX)
    await app.stop()
    return clock.result()


async def count_each(stream: Any, clock: Clock) -> None:
    async for _ in stream:
        clock.begin()
        if clock.count(1):
            clock.finished.set()


async def count_batches(stream: Any, clock: Clock) -> None:
    async for events in batches(stream, BATCH_MAX):
        clock.begin()
        acknowledge(events)
        if clock.count(len(events)):
            clock.finished.set()


def noop(home: Home, events: Path) -> dict[str, object]:
    """(a) Faust's own `async for event in stream`, doing nothing."""
    return asyncio.run(agent_rate(home, events, count_each))


def noop_faust(home: Home, events: Path) -> dict[str, object]:
    """The same no-op, its events delivered by Faust's own loop instead of Labtrail's transport's."""
    Consumer._drain_messages = FaustConsumer._drain_messages  # type: ignore[method-assign]  # for this process only
    return noop(home, events)


def noop_batches(home: Home, events: Path) -> dict[str, object]:
    """Labtrail's way of reading a stream, doing nothing."""
    return asyncio.run(agent_rate(home, events, count_batches))


def orm(home: Home, events: Path) -> dict[str, object]:
    """(b) What a user would write first: an agent that takes one event, one ORM transaction for each."""
    return asyncio.run(agent_rate(home, events, record_each(OrmTables(f"sqlite:///{home.folder}/orm.db"))))


def record_each(tables: OrmTables) -> Callable[[Any, Clock], Any]:
    """The body of the agent that one would write first."""

    async def body(stream: Any, clock: Clock) -> None:
        async for raw in stream:
            clock.begin()
            tables.record(raw)
            if clock.count(1):
                clock.finished.set()

    return body


def eventsourcing(home: Home, events: Path) -> dict[str, object]:
    """(c) The eventsourcing library, one save for each event, without any log before it."""
    return _eventsourcing(home, events, 1)


def eventsourcing_batches(home: Home, events: Path) -> dict[str, object]:
    """The same library with one save for each batch."""
    return _eventsourcing(home, events, BATCH)


def _eventsourcing(home: Home, events: Path, size: int) -> dict[str, object]:
    clock = Clock(count_lines(events))
    clock.begin()
    for number in record_all(home.folder / "eventsourcing.db", read_events(events), size):
        clock.count(number)
    return clock.result()


def store(home: Home, events: Path) -> dict[str, object]:
    """(d) The same writes without Faust: batches given to the store one after the other."""
    clock = Clock(count_lines(events))
    with home.database() as engine:
        ours = Store(
            engine, home.catalog, home.settings.policy, print_on_collection=home.settings.print_on_collection
        )
        raws = read_events(events)
        while records := log_records(islice(raws, BATCH)):
            clock.begin()
            ours.commit(records, now_us())
            clock.count(len(records))
    return clock.result()


class Watched:
    """A service whose commits are counted. `on_commit` is called for each batch, in the store's thread."""

    def __init__(
        self, service: Service, on_batch: Callable[[], None], on_commit: Callable[[list[Record]], None]
    ) -> None:
        commit = service.committer.store.commit

        def watched(records: list[Record], moment_us: int) -> list[Outcome]:
            on_batch()
            outcomes = commit(records, moment_us)
            on_commit(records)
            return outcomes

        service.committer.store.commit = watched  # type: ignore[method-assign,assignment]  # wrapped with a stopwatch


async def service_rate(home: Home, events: Path) -> dict[str, object]:
    with home.full_log(events) as log, home.database() as engine:
        clock, loop = Clock(count_lines(events)), asyncio.get_running_loop()
        service = Service(home.settings, home.catalog, engine, log, CollectorRegistry())

        def counted(records: list[Record]) -> None:
            if clock.count(len(records)):
                loop.call_soon_threadsafe(clock.finished.set)

        Watched(service, clock.begin, counted)
        await service.start()
        finished = asyncio.create_task(clock.finished.wait())
        failed = asyncio.create_task(service.failed())
        await asyncio.wait({finished, failed}, timeout=SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        if not finished.done():
            raise SystemExit(f"the service did not finish: {failed.result() if failed.done() else 'time is up'}")
        failed.cancel()
        await service.stop()
    return clock.result()


def service(home: Home, events: Path) -> dict[str, object]:
    """Labtrail itself, as `labtrail worker` runs it."""
    return asyncio.run(service_rate(home, events))


async def latencies(home: Home, events: Path) -> list[float]:
    """Milliseconds from the call of append to the commit, one event every 10 ms, appended in this process."""
    done: dict[Place, float] = {}
    with home.database() as engine:
        log = home.log()
        service = Service(home.settings, home.catalog, engine, log, CollectorRegistry())

        def committed(records: list[Record]) -> None:
            now = time.perf_counter()
            done.update({(r.topic, r.partition, r.offset): now for r in records})

        Watched(service, lambda: None, committed)
        await service.start()
        try:
            raws = read_events(events, PINGS_MAX + WARM_UP)
            called = await asyncio.to_thread(ping, log, list(new_records(raws)), time.perf_counter)
            async with asyncio.timeout(SECONDS_MAX):
                while len(done) < len(called):
                    await asyncio.sleep(0.05)
        finally:
            await service.stop()
            log.close()
    return [1e3 * (done[place] - began) for place, began in list(called.items())[WARM_UP:]]


def latency(home: Home, events: Path) -> dict[str, object]:
    """Append to committed at 100 events/s through the whole service, as when the station appends."""
    found = asyncio.run(latencies(home, events))
    cuts = quantiles(found, n=100)
    return {
        "events": len(found),
        "p50_ms": cuts[49],
        "p99_ms": cuts[98],
        "max_ms": max(found),
        "peak_mib": peak_kib() / 1024,
    }


PEERS = {
    run.__name__: run
    for run in (service, noop, noop_faust, noop_batches, orm, eventsourcing, eventsourcing_batches, store, latency)
}


def main() -> None:
    name, folder, events = sys.argv[1:]
    os.environ.pop("LABTRAIL_CONFIG", None)
    say(PEERS[name](Home(Path(folder)), Path(events)))


if __name__ == "__main__":
    main()
