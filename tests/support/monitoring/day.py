"""A simulated day as Prometheus would have scraped it: events into real tables, a scrape every five minutes."""

import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import generate_latest

from agents.metrics.definitions import WorkerMetrics
from agents.metrics.state import LagCollector, Refreshed, StateCollector
from config.catalog import DEFAULT_CATALOG, load_catalog
from config.policy import Policy
from labtrail.simulator.simulation import simulate
from models.alerts.sweep import sweep
from models.database.engine import reading
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import parse, route
from models.rules.times import microseconds
from models.views.gauges.snapshot import snapshot
from tests.support.homes import new_home, sqlite_url
from tests.support.monitoring.programs import PROMETHEUS_CONFIG, program
from tests.support.monitoring.servers import Prometheus, prometheus

START = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
STEP_S = 300
SEED = 11
LABELS = {"job": "labtrail", "instance": "station:8080"}
LATENCY_US = 40_000


class Day:
    """One lab whose clock is the simulation's."""

    def __init__(self, folder: Path) -> None:
        self.catalog, self.policy = load_catalog(DEFAULT_CATALOG), Policy()
        self.engine = new_home(sqlite_url(folder, "lab"))
        self.registry = CollectorRegistry()
        self.metrics = WorkerMetrics(self.registry, self.catalog)
        self.store = Store(
            self.engine, self.catalog, self.policy, observer=self.metrics, print_on_collection="zebra-north"
        )
        self.now_us, self.offset = microseconds(START), 0
        ProcessCollector(registry=self.registry)
        self.registry.register(StateCollector(Refreshed(self._state, wait_s=60, monotonic=self._seconds)))
        self.registry.register(LagCollector(Refreshed(self._lag, wait_s=60, monotonic=self._seconds)))

    def _seconds(self) -> float:
        return self.now_us / 1e6

    def _state(self) -> object:
        with reading(self.engine) as connection:
            return snapshot(connection, self.catalog, self.policy, self.now_us)

    def _lag(self) -> tuple[dict[tuple[str, int], int], float]:
        return {("lab.specimens", 0): 0, ("lab.supplies", 0): 0}, self._seconds()

    def record(self, raws: list[bytes]) -> None:
        """Commit these events at the current time, and sweep."""
        records = []
        for raw in raws:
            self.offset += 1
            records.append(Record(route(raw)[0], 0, self.offset, raw, self.now_us - LATENCY_US))
        if records:
            self.metrics.committed(self.store.commit(records, self.now_us), self.now_us)
        while sweep(self.engine, self.catalog, self.policy, self.now_us).more:
            pass

    def scrapes(self, hours: int) -> Iterator[tuple[float, list[Family]]]:
        """(seconds since 1970, families) every STEP_S seconds."""
        waiting: list[bytes] = [b"this is no event"]
        ends_us = self.now_us + hours * 3_600_000_000
        for raw in simulate(self.catalog, seed=SEED, start=START, days=(hours + 23) // 24):
            time_us = parse(raw).time_us
            while time_us >= self.now_us + STEP_S * 1_000_000:
                self.now_us += STEP_S * 1_000_000
                if self.now_us > ends_us:
                    return
                self.record(waiting)
                waiting = []
                yield self._seconds(), list(self.registry.collect())
            waiting.append(raw)


def write_openmetrics(folder: Path, hours: int) -> tuple[Path, float]:
    """The scrapes of a day in one OpenMetrics file, and the time of the last one."""
    families: dict[str, Family] = {}
    last = 0.0
    for last, scraped in Day(folder).scrapes(hours):
        up = Family("up", "Whether the scrape succeeded.", "gauge")
        up.add_sample("up", {}, 1.0)
        for family in [*scraped, up]:
            kept = families.setdefault(family.name, Family(family.name, family.documentation, family.type))
            for sample in family.samples:
                kept.add_sample(sample.name, {**sample.labels, **LABELS}, sample.value, last)

    class Kept:
        def collect(self) -> list[Family]:
            return list(families.values())

    path = folder / "day.om"
    registry = CollectorRegistry()
    registry.register(Kept())
    path.write_bytes(generate_latest(registry))
    return path, last


def _promtool(*arguments: str) -> None:
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-2000:]


def fill(folder: Path, hours: int) -> tuple[Path, float]:
    """A Prometheus data folder with a simulated day and everything that the recording rules make of it."""
    path, last = write_openmetrics(folder, hours)
    data = folder / "data"
    _promtool("tsdb", "create-blocks-from", "openmetrics", "--quiet", str(path), str(data))
    with prometheus(folder / "backfill", [], data=data) as server:
        _promtool(
            "tsdb",
            "create-blocks-from",
            "rules",
            f"--url={server.url}",
            f"--start={START.timestamp() + STEP_S:.0f}",
            f"--end={last:.0f}",
            f"--eval-interval={STEP_S}s",
            f"--output-dir={data}",
            str(PROMETHEUS_CONFIG / "rules" / "recording.yml"),
        )
    return data, last


__all__ = ["START", "STEP_S", "Day", "Prometheus", "fill"]
