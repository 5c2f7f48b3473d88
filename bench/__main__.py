"""`python -m bench` (or `make bench`): Labtrail's rates, latencies, growth and memory beside its peers.

Every run is a process of its own in a folder of its own; the peers take turns, so that a busy moment of the machine
hits them all; medians of the turns. Prints a table and writes everything measured to var/bench.json.
docs/benchmarks.md says what each figure means.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.home import save, write_events

EVENTS = 30_000
SLOW_EVENTS = 3000
"""For the peers that need a transaction for each event."""
REPEATS = 3
GROWTH = 1_000_000
SECONDS_MAX = 3600
OUT = Path("var/bench.json")

PEERS: tuple[tuple[str, str, bool], ...] = (
    ("service", "Labtrail", False),
    ("noop", "(a) no-op Faust agent", False),
    ("noop_faust", "(a') same, Faust's delivery", False),
    ("noop_batches", "no-op in batches", False),
    ("orm", "(b) ORM, event by event", True),
    ("eventsourcing", "(c) eventsourcing, each event", True),
    ("eventsourcing_batches", "(c') same, 1000 a save", False),
    ("store", "(d) Store.commit, no Faust", False),
)
"""Run, title, whether it is slow."""
TARGETS = (("noop", 0.5), ("orm", 5.0), ("eventsourcing", 2.5))
P50_MS, P99_MS, STEADY = 10.0, 40.0, 0.9


def run(peer: str, events: Path) -> dict[str, Any]:
    """One run in a fresh process and a fresh folder; its result. Raises SystemExit with its output if it fails."""
    with tempfile.TemporaryDirectory(prefix="labtrail-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "bench.runs", peer, folder, str(events)],
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"the run {peer!r} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


Found = dict[str, list[dict[str, Any]]]


def turns(folder: Path, events: int, slow_events: int, repeats: int, only: set[str]) -> Found:
    """Every peer `repeats` times, one after the other in each turn."""
    files = {False: folder / "events.jsonl", True: folder / "slow.jsonl"}
    for slow, count in ((False, events), (True, slow_events)):
        write_events(files[slow], count)
    found: Found = {}
    chosen = [peer for peer in PEERS if not only or peer[0] in only]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=len(chosen) * repeats)
        for _ in range(repeats):
            for peer, title, slow in chosen:
                bar.update(task, description=title)
                found.setdefault(peer, []).append(run(peer, files[slow]))
                bar.advance(task)
    return found


def machine() -> dict[str, Any]:
    """What it ran on."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return {
        "cpu": model or platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load": os.getloadavg()[0],
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def middle(results: list[dict[str, Any]], field: str) -> float:
    return float(median(result[field] for result in results))


def rates(found: Found) -> Table:
    table = Table("peer", "events/s", "CPU µs", "MiB", "Labtrail ÷", "by CPU", title="a backlog, committed")
    for column in table.columns[1:]:
        column.justify = "right"
    ours = middle(found["service"], "rate") if "service" in found else None
    targets = dict(TARGETS)
    for peer, title, _ in PEERS:
        if peer not in found:
            continue
        rate = middle(found[peer], "rate")
        ratio = ""
        if ours is not None and peer != "service":
            ratio = f"{ours / rate:.2f}"
            if peer in targets:
                ratio += f" {_mark(ours / rate >= targets[peer])} ({targets[peer]:g})"
        cpu, peak = middle(found[peer], "cpu_us"), middle(found[peer], "peak_mib")
        by_cpu = f"{cpu / middle(found['service'], 'cpu_us'):.2f}" if ratio else ""
        table.add_row(title, f"{rate:,.0f}", f"{cpu:.0f}", f"{peak:.0f}", ratio, by_cpu)
    return table


def latency_rows(results: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    p50, p99 = middle(results, "p50_ms"), middle(results, "p99_ms")
    yield "append to committed at 100 events/s, p50", f"{p50:.1f} ms {_mark(p50 <= P50_MS)} (target {P50_MS:g})"
    yield "the same, p99", f"{p99:.1f} ms {_mark(p99 <= P99_MS)} (target {P99_MS:g})"


def growth_rows(result: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Rates of the first and the last tenth, memory at both ends."""
    points = [(0, 0.0, 0, 0.0), *result["points"]]
    tenth = max(1, len(points) // 10)
    (n0, t0, _, c0), (n1, t1, kib1, c1) = points[0], points[tenth]
    (n2, t2, _, c2), (n3, t3, kib3, c3) = points[-1 - tenth], points[-1]
    first, last = (n1 - n0) / (t1 - t0), (n3 - n2) / (t3 - t2)
    yield f"rate of the first {n1:,} events", f"{first:,.0f} events/s"
    yield f"rate from {n2:,} on", f"{last:,.0f} events/s = {last / first:.2f} {_mark(last >= STEADY * first)}"
    yield "CPU an event, then", f"{1e6 * (c1 - c0) / (n1 - n0):.0f} µs, {1e6 * (c3 - c2) / (n3 - n2):.0f} µs"
    yield "memory, then", f"{kib1 / 1024:.0f} MiB, {kib3 / 1024:.0f} MiB; peak {result['peak_mib']:.0f} MiB"


def _mark(reached: bool) -> str:
    return "✓" if reached else "✗"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Labtrail beside its peers.")
    parser.add_argument("--events", type=int, default=EVENTS, help="backlog of the fast peers (%(default)s)")
    parser.add_argument("--slow-events", type=int, default=SLOW_EVENTS, help="of the slow ones (%(default)s)")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="turns; medians are shown (%(default)s)")
    parser.add_argument("--only", action="append", default=[], choices=[*(p[0] for p in PEERS), "latency"])
    parser.add_argument(
        "--growth",
        type=int,
        nargs="?",
        const=GROWTH,
        default=0,
        metavar="EVENTS",
        help="also a run from an empty database to so many events (1,000,000: minutes)",
    )
    parser.add_argument("--out", type=Path, default=OUT, help="JSON with everything measured (%(default)s)")
    asked = parser.parse_args()
    console, only = Console(), set(asked.only)
    report: dict[str, Any] = {"machine": machine(), "arguments": {k: str(v) for k, v in vars(asked).items()}}
    with tempfile.TemporaryDirectory(prefix="labtrail-bench-") as folder:
        found = turns(Path(folder), asked.events, asked.slow_events, asked.repeats, only)
        report["peers"] = found
        if found:
            console.print(rates(found))
        rest = Table("what", "measured")
        if not only or "latency" in only:
            events = Path(folder) / "slow.jsonl"
            report["latency"] = [run("latency", events) for _ in range(asked.repeats)]
            for row in latency_rows(report["latency"]):
                rest.add_row(*row)
        if asked.growth:
            events = Path(folder) / "growth.jsonl"
            write_events(events, asked.growth)
            report["growth"] = run("service", events)
            for row in growth_rows(report["growth"]):
                rest.add_row(*row)
        if rest.rows:
            console.print(rest)
    save(asked.out, report)
    others = ", ".join(f"bench.{name}" for name in ("embedded_log", "labels", "station", "network"))
    console.print(f"everything measured: {asked.out}; other tables: python -m {others}")


if __name__ == "__main__":
    main()
