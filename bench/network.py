"""`python -m bench.network`: Labtrail on a real Apache Kafka and a real PostgreSQL beside its peers.

Starts both servers as the tests do (with the settings of docker-compose.yml), or uses `KAFKA_BOOTSTRAP` and
`LABTRAIL_DATABASE`. Every run is a process of its own with fresh topics and a fresh database; the peers take turns;
medians of the turns. Everything measured goes to var/bench-network.json after every run, so that an interrupted
benchmark still gives its figures. docs/benchmarks.md says what each figure means. Needs Linux (/proc).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.__main__ import EVENTS, GROWTH, REPEATS, SLOW_EVENTS, Found, machine, middle
from bench.home import PINGS_MAX, WARM_UP, count_lines, save, write_events
from bench.network_job import Job
from bench.network_servers import Servers, servers

OUT = Path("var/bench-network.json")
GROWTH_EVENTS = 5 * GROWTH
RUN_SECONDS_MAX = 8 * 3600


class Peer(NamedTuple):
    """One line of the table. `run`: the function in bench/network_runs.py."""

    key: str
    run: str
    title: str
    workers: int = 1
    slow: bool = False
    """Fewer events: it needs a transaction for each."""
    tables: bool = True
    """Whether its database has Labtrail's tables."""
    full: bool = True
    """Whether its topics are full before it starts."""


PEERS = (
    Peer("worker_1", "backlog", "Labtrail, 1 worker"),
    Peer("worker_2", "backlog", "Labtrail, 2 workers", workers=2),
    Peer("limit", "limit", "(limit) plain loop"),
    Peer("naive", "naive", "(naive) ORM agent", slow=True, tables=False),
    Peer("noop", "noop", "no-op Faust agent"),
    Peer("noop_batches", "noop_batches", "no-op in batches"),
    Peer("latency_1", "latency", "latency, 1 worker", full=False),
    Peer("latency_2", "latency", "latency, 2 workers", workers=2, full=False),
)
CAPTURE = Peer("capture", "capture", "capture", full=False)
GROWTH_RUN = Peer("growth", "growth", "growth", workers=2)


class Bench:
    """The servers, the files of events, and everything found so far."""

    def __init__(self, own: Servers, folder: Path, out: Path, arguments: dict[str, Any]) -> None:
        self.servers, self.folder, self.out = own, folder, out
        self.found: Found = {}
        self.report: dict[str, Any] = {
            "machine": machine(),
            "servers": own.describe(),
            "arguments": arguments,
            "runs": self.found,
        }

    def measure(self, peer: Peer, events: Path, count: int, *, points: str = "", loud: bool = False) -> None:
        """One run: fresh topics and database, the topics filled where it reads a backlog, its result kept."""
        self.servers.fresh_topics()
        with (
            self.servers.fresh_database(tables=peer.tables) as database,
            tempfile.TemporaryDirectory(dir=self.folder) as folder,
        ):
            job = Job(
                kafka=self.servers.kafka,
                database=database,
                folder=folder,
                events=str(events),
                count=count,
                workers=peer.workers,
                capture=str(self.folder / "capture"),
                points=points,
                kafka_pid=self.servers.kafka_pid,
                postgres_pid=self.servers.postgres_pid,
            )
            if peer.full:
                self._keep("append", run("fill", job, loud=loud))
            self._keep(peer.key, run(peer.run, job, loud=loud))

    def _keep(self, key: str, result: dict[str, Any]) -> None:
        self.found.setdefault(key, []).append(result)
        self.save()

    def save(self) -> None:
        """Write the report atomically."""
        save(self.out, self.report)


def run(name: str, job: Job, *, loud: bool = False) -> dict[str, Any]:
    """One run in a fresh process; its result. `loud`: its output is shown. SystemExit if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.network_runs", name, msgspec.json.encode(job).decode()],
        stdout=subprocess.PIPE,
        stderr=None if loud else subprocess.PIPE,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the run {name!r} failed:\n{(done.stderr or '')[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def turns(bench: Bench, events: int, slow_events: int, repeats: int, only: set[str]) -> None:
    """Every peer `repeats` times, one after the other in each turn."""
    files = {False: bench.folder / "events.jsonl", True: bench.folder / "slow.jsonl"}
    counts = {False: events, True: slow_events}
    for slow, file in files.items():
        write_events(file, counts[slow])
    chosen = [peer for peer in PEERS if not only or peer.key in only]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=len(chosen) * repeats)
        if "limit" in {peer.key for peer in chosen}:
            bench.measure(CAPTURE, files[False], events)
        for _ in range(repeats):
            for peer in chosen:
                bar.update(task, description=peer.title)
                count = counts[peer.slow] if peer.full else min(counts[peer.slow], PINGS_MAX + 2 * WARM_UP)
                bench.measure(peer, files[peer.slow], count)
                bar.advance(task)


def grow(bench: Bench, events: Path, count: int, console: Console) -> None:
    """The long run. Its points are printed as they come, and kept in a file in case it is interrupted."""
    points = bench.out.with_name(bench.out.stem + "-growth.jsonl")
    if not events.exists():
        console.print(f"writing {count:,} events to {events}")
        write_events(events, count)
    elif (there := count_lines(events)) < count:
        raise SystemExit(f"{events} has {there:,} events, fewer than {count:,}: take it away to have it made anew")
    points.unlink(missing_ok=True)
    try:
        bench.measure(GROWTH_RUN, events, count, points=str(points), loud=True)
    finally:
        if points.exists() and "growth" not in bench.found:
            bench.report["growth_cut_short"] = [json.loads(line) for line in points.read_text().splitlines()]
            bench.save()


def rates(found: Found) -> Table:
    """Committed events a second, and processor time for each event."""
    table = Table("peer", "events/s", "CPU µs", "Kafka", "Postgres", "MiB", "1 worker ÷")
    table.title = "Kafka and PostgreSQL: a backlog, committed"
    for column in table.columns[1:]:
        column.justify = "right"
    ours = middle(found["worker_1"], "rate") if "worker_1" in found else None
    for key, title in (("append", "append (producer)"), *((p.key, p.title) for p in PEERS if p.full)):
        if key not in found:
            continue
        rate = middle(found[key], "rate")
        cells = [
            f"{middle(found[key], field):,.0f}" if field in found[key][0] else ""
            for field in ("cpu_us", "kafka_cpu_us", "postgres_cpu_us", "peak_mib")
        ]
        ratio = f"{ours / rate:.2f}" if ours and not key.startswith(("worker", "append")) else ""
        table.add_row(title, f"{rate:,.0f}", *cells, ratio)
    return table


def other_rows(found: Found) -> Iterator[tuple[str, str]]:
    """Latency and growth."""
    for peer in PEERS:
        if peer.run == "latency" and peer.key in found:
            p50, p99, mean = (middle(found[peer.key], f) for f in ("p50_ms", "p99_ms", "histogram_mean_ms"))
            yield (
                f"append to commit, 100/s, {peer.title.partition(', ')[2]}",
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms (histogram's mean {mean:.1f})",
            )
    for result in found.get("growth", ()):
        points = result["points"]
        tenth = max(1, len(points) // 10)
        first, last = points[0], points[-1]
        early, late = _rate(points[:tenth]), _rate(points[-tenth:])
        yield f"first tenth of {last['done']:,} events", f"{early:,.0f} events/s"
        yield "last tenth", f"{late:,.0f} events/s = {late / early:.2f}"
        yield "workers' memory, then", " → ".join(f"{max(p['memory_mib']):.0f} MiB" for p in (first, last))
        yield "database for each event", f"{result['database_bytes_an_event']:,.0f} bytes"


def _rate(points: list[dict[str, Any]]) -> float:
    """Events a second over some pieces of a long backlog."""
    return float(sum(p["rate"] * p["seconds"] for p in points) / sum(p["seconds"] for p in points))


@contextmanager
def scratch(out: Path) -> Iterator[Path]:
    """A folder for a benchmark's files, beside its report and not in the system's memory disk."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=out.parent) as folder:
        yield Path(folder).absolute()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.network", description="Measure on Kafka and PostgreSQL.")
    parser.add_argument("--events", type=int, default=EVENTS, help="backlog of the fast peers (%(default)s)")
    parser.add_argument("--slow-events", type=int, default=SLOW_EVENTS, help="of the naive agent (%(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="turns; medians are shown (%(default)s)")
    parser.add_argument("--only", action="append", default=[], choices=[*(peer.key for peer in PEERS), "growth"])
    parser.add_argument(
        "--growth",
        type=int,
        nargs="?",
        const=GROWTH_EVENTS,
        default=0,
        metavar="EVENTS",
        help="also one long backlog with 2 workers (5,000,000: hours, 20 GB of disk)",
    )
    parser.add_argument("--events-file", type=Path, help="events of --growth: made where it is not there, and kept")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON with everything measured (%(default)s)")
    return parser.parse_args()


def main() -> None:
    asked, console = arguments(), Console()
    settings = {name: str(value) for name, value in vars(asked).items()}
    only = set(asked.only) - {"growth"}
    with scratch(asked.out) as folder, servers() as own:
        bench = Bench(own, folder, asked.out, settings)
        try:
            if only or "growth" not in asked.only:
                turns(bench, asked.events, asked.slow_events, asked.repeats, only)
            if asked.growth or "growth" in asked.only:
                count = asked.growth or GROWTH_EVENTS
                grow(bench, asked.events_file or folder / "growth.jsonl", count, console)
        except KeyboardInterrupt:
            console.print("cut short")
    if any(peer.full and peer.key in bench.found for peer in PEERS):
        console.print(rates(bench.found))
    rest = Table("what", "measured")
    for row in other_rows(bench.found):
        rest.add_row(*row)
    if rest.rows:
        console.print(rest)
    console.print(f"everything measured: {asked.out}")


if __name__ == "__main__":
    main()
