"""How long `POST /api/v1/events` takes at a steady rate, on the embedded default: one process, full sync.

`python -m bench.station [RATE] [SECONDS]` starts `labtrail up` on a free port in a folder of its own, posts single
events at RATE per second whether or not earlier ones were answered (so that waiting counts), and prints JSON:
milliseconds from the moment an event was due until its answer, which comes after the commit; and CPU milliseconds of
the whole service (web, log, agents) for each event.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, make_identifier

RATE, SECONDS, SEED = 100, 30, 20261121
WARM_UP_SECONDS = 3
CONNECTIONS_MAX = 200
START_SECONDS_MAX = 60
ANSWER_SECONDS_MAX = 30
P99_MS = 60.0


def event(number: int, chosen: random.Random) -> bytes:
    """One step after the other of one specimen after the other, as a scanner would send it."""
    specimen, step = divmod(number, len(STEPS))
    kind, site, data = STEPS[step]
    numbers = {"manifest": make_identifier(MANIFEST, 2026, specimen // 20), "order": f"R-{specimen}"}
    accession = make_identifier(SPECIMEN, 2026, specimen)
    known = {"accession": accession, "patient": f"P-{specimen}", "label": f"{accession}-1", **numbers}
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid.UUID(int=chosen.getrandbits(128), version=4)),
            "source": f"/sites/{site}/stations/1",
            "type": kind,
            "subject": accession,
            "time": datetime.now(UTC).isoformat(),
            "site": site,
            "actor": make_identifier(BADGE, 2026, chosen.randrange(1, 50)),
            "data": {name: known.get(value, value) if type(value) is str else value for name, value in data.items()},
        }
    ).encode()


STEPS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "specimen.collected",
        "NORTH",
        {
            "order": "order",
            "patient": "patient",
            "container": "EDTA4",
            "tests": ["CBCD"],
            "priority": "routine",
            "supplies": [{"item": "SUP-EDTA4", "lot": "L1", "quantity": 1}],
        },
    ),
    ("specimen.labeled", "NORTH", {"label": "label", "scanned": "accession"}),
    ("specimen.dispatched", "NORTH", {"manifest": "manifest", "destination": "CORE"}),
    ("specimen.picked-up", "NORTH", {"manifest": "manifest", "temperature_c": 20.0}),
    ("specimen.received", "CORE", {"manifest": "manifest", "temperature_c": 20.0}),
    ("result.reported", "CORE", {"test": "CBCD", "status": "final", "value": 7.1, "flag": "normal"}),
)
"""A specimen's day: what is scanned of it, where, and with what; values name what differs from one to the next."""


class Connections:
    """Plain HTTP/1.1 over keep-alive connections: a client library would cost more than the station."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._limit = asyncio.Semaphore(CONNECTIONS_MAX)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        head = (
            f"POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        async with self._limit:
            while True:
                kept = bool(self._free)
                made = self._free.pop() if kept else await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    header, content = await self._exchange(*made, head + body)
                    break
                except (asyncio.IncompleteReadError, ConnectionError):
                    if not kept:  # a kept connection may have been closed when idle: take the next
                        raise
            self._free.append(made)
        return int(header.split()[1]), content

    @staticmethod
    async def _exchange(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> tuple[bytes, bytes]:
        writer.write(request)
        header = await reader.readuntil(b"\r\n\r\n")
        length = int(header.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return header, await reader.readexactly(length)

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def measure(port: int, rate: int, seconds: float) -> dict[str, Any]:
    """Milliseconds by quantile, and the number of answers of each outcome."""
    connections, chosen = Connections(port), random.Random(SEED)
    spent: list[float] = []
    outcomes: dict[str, int] = {}

    async def one(number: int, due: float) -> None:
        status, content = await asyncio.wait_for(connections.post(event(number, chosen)), ANSWER_SECONDS_MAX)
        if number >= WARM_UP_SECONDS * rate:
            spent.append((time.perf_counter() - due) * 1000)
        outcome = f"{status} {json.loads(content).get('outcome', '')}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * (seconds + WARM_UP_SECONDS))):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(number, due))
    connections.close()
    spent.sort()
    quantiles = {
        f"p{q * 100:g}_ms": round(spent[min(len(spent) - 1, int(q * len(spent)))], 2) for q in (0.5, 0.9, 0.99)
    }
    return {"rate": rate, "posted": len(spent), **quantiles, "max_ms": round(spent[-1], 2), "outcomes": outcomes}


def main(arguments: list[str]) -> int:
    """Print the figures; 1 when the 99th percentile is above its limit."""
    rate = int(arguments[0]) if arguments else RATE
    seconds = float(arguments[1]) if len(arguments) > 1 else SECONDS
    with tempfile.TemporaryDirectory(prefix="labtrail-station-") as folder:
        command = [sys.executable, "-m", "labtrail", "up", "--data", str(Path(folder) / "home"), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
            try:
                port, before = _port(up), _cpu_seconds(up.pid)
                result = asyncio.run(measure(port, rate, seconds))
                posted = sum(result["outcomes"].values())
                result["cpu_ms"] = round((_cpu_seconds(up.pid) - before) / posted * 1000, 2)
            finally:
                up.terminate()
                up.wait(START_SECONDS_MAX)
    print(json.dumps(result))
    return int(result["p99_ms"] > P99_MS)


def _cpu_seconds(pid: int) -> float:
    """What a process has used of a core so far, its threads' work together."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _port(up: "subprocess.Popen[str]") -> int:
    assert up.stdout is not None
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and (line := up.stdout.readline()):
        if line.startswith("Labtrail is up at"):
            return int(line.strip().rpartition(":")[2])
    raise SystemExit("the station did not start")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
