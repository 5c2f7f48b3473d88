"""What every run starts from: a file of simulated events, a home folder of its own, and a log filled with them."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine

from agents.log.open import open_log
from agents.log.port import EventLog, NewRecord
from config.catalog import Catalog, load_catalog
from config.clock import now_us
from config.files import write_whole
from config.settings import Settings, load_settings
from labtrail.simulator.simulation import ORDERS_A_DAY, arrivals
from models.database.engine import make_engine
from models.database.migrate import migrate
from models.recording.evidence import Record
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC, route

APPEND = 1000
PING_SECONDS, PINGS_MAX, WARM_UP = 0.01, 1500, 100
Place = tuple[str, int, int]
"""Topic, partition, offset."""
Moment = TypeVar("Moment", int, float)
EVENTS_A_DAY = 2200
"""What the packaged catalog's six clinics produce in a day, roughly."""
SEED = 7


def save(path: Path, report: Mapping[str, Any]) -> None:
    """Write what was measured as JSON, atomically; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(report, indent=1).encode() + b"\n")


def write_events(path: Path, count: int) -> None:
    """Simulated events in the order of their arrival, one JSON line each; the last of them happened about now."""
    catalog = load_catalog(load_settings({}).catalog)
    days = count // EVENTS_A_DAY + 3
    start = datetime.now(UTC) - timedelta(days=days + 1)
    with path.open("wb") as file:
        many = arrivals(catalog, days=days, seed=SEED, start=start, orders=ORDERS_A_DAY)
        written = sum(bool(file.write(raw + b"\n")) for raw in islice(many, count))
    if written < count:
        raise SystemExit(f"{days} simulated days have only {written} events: lower EVENTS_A_DAY")


def read_events(path: Path, count: int | None = None) -> Iterator[bytes]:
    """The lines of a file of events, without their line ends."""
    with path.open("rb") as file:
        yield from (line.rstrip(b"\n") for line in islice(file, count))


def new_records(raws: Iterator[bytes]) -> Iterator[NewRecord]:
    for raw in raws:
        topic, key = route(raw)
        yield NewRecord(topic, key, raw)


class Home:
    """A service's folder as `labtrail up` would have it: default settings, embedded log, SQLite with full sync."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: Settings = load_settings({}, data=folder)
        self.catalog: Catalog = load_catalog(self.settings.catalog)

    def log(self) -> EventLog:
        topics = {SPECIMENS_TOPIC: self.settings.partitions, SUPPLIES_TOPIC: self.settings.partitions}
        return open_log(self.settings.broker, topics)

    @contextmanager
    def full_log(self, events: Path) -> Iterator[EventLog]:
        """The log with every event of the file in it."""
        log = self.log()
        waiting = new_records(read_events(events))
        while piece := list(islice(waiting, APPEND)):
            log.append(piece)
        yield log
        log.close()

    @contextmanager
    def database(self) -> Iterator[Engine]:
        engine = make_engine(self.settings.database)
        migrate(engine)
        yield engine
        engine.dispose()


def log_records(raws: Iterator[bytes]) -> list[Record]:
    """The same as the agents would get from the log's first partitions."""
    ends: dict[str, int] = {}
    records = []
    for raw in raws:
        topic, _ = route(raw)
        offset = ends.get(topic, 0)
        ends[topic] = offset + 1
        records.append(Record(topic, 0, offset, raw, now_us()))
    return records


def ping(log: EventLog, records: list[NewRecord], clock: Callable[[], Moment]) -> dict[Place, Moment]:
    """Append one record every 10 ms; the time of each call of append, by where its record went."""
    called: dict[Place, Moment] = {}
    due = time.perf_counter()
    for record in records:
        due += PING_SECONDS
        time.sleep(max(0.0, due - time.perf_counter()))
        began = clock()
        (position,) = log.append([record])
        called[position.topic, position.partition, position.offset] = began
    return called


def resident_kib() -> int:
    """This process's memory now (not its peak), where the system reports it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return peak_kib()
    return pages * resource.getpagesize() // 1024


def peak_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def say(result: dict[str, object]) -> None:
    """A run's result, for the process that started it."""
    sys.stdout.write(json.dumps(result) + "\n")
