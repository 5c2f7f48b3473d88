"""A day goes wrong, and exactly the right people are notified, once each: real service, Prometheus and Alertmanager.

Labtrail runs as two workers on one embedded home. What goes wrong is planted with the times that it would have had;
the rules and routes are the shipped ones with their durations divided by SPEED.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from models.rules.identifiers import make_identifier
from tests.support.monitoring.planted import YEAR, Planter, quiet_day
from tests.support.monitoring.servers import Sink, alertmanager, prometheus, sink, until
from tests.support.processes import Server, free_port

SPEED = 15
PATIENCE_S = 120.0
COMMAND = (sys.executable, "-m", "labtrail")
LATE_STAT, STUCK, LATE_AFTER_THE_KILL, UNDRAWN, ODD = 1, (2, 3, 4), 5, 6, 7
Key = tuple[str, str, str]
PLANTED: set[Key] = {
    ("lab-supervisor", "StatResultOverdue", "NORTH"),
    ("lab-supervisor", "ReceiptOverdue", "CORE"),
    ("supply-manager", "StockOut", "EAST"),
    ("supply-manager", "RecalledStockOnHand", "WEST"),
    ("clinic-lead", "StatOrderUncollected", "EAST"),
    ("lab-supervisor", "ResultUnjudged", "SOUTH"),
    ("supply-manager", "StockOut", "SOUTH"),
    ("supply-manager", "RecalledStockOnHand", "SOUTH"),
    ("supply-manager", "DeliveryOverdue", "WEST"),
}
AFTER_THE_KILL: set[Key] = {("on-call", "WorkerAbsent", ""), ("lab-supervisor", "StatResultOverdue", "WEST")}


class Lab:
    """Two workers on one home, and the command line beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.ports = [free_port(), free_port()]
        self.workers = [
            Server(
                f"worker {number}",
                [*COMMAND, "worker", "--data", str(self.home), "--port", str(port)],
                folder / f"worker-{number}.log",
            )
            for number, port in enumerate(self.ports)
        ]

    def start(self, number: int) -> None:
        def ready() -> bool:
            try:  # the first scrape, which opens the database, is not left to Prometheus
                answer = httpx.get(f"http://127.0.0.1:{self.ports[number]}/metrics", timeout=5)
            except httpx.HTTPError:
                return False
            return answer.status_code == 200

        self.workers[number].start(ready, 60)

    def run(self, *arguments: str, lines: list[str] | None = None) -> str:
        """One command of labtrail on this home; its output."""
        done = subprocess.run(
            [*COMMAND, *arguments, "--data", str(self.home)],
            input="\n".join(lines or []) + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def publish(self, lines: list[str]) -> None:
        self.run("publish", "-", lines=lines)
        self.run("drain", "--timeout", "60")


@contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    made = Lab(folder)
    made.run("migrate")
    try:
        for number in range(2):
            made.start(number)
        yield made
    finally:
        for worker in made.workers:
            worker.kill()


def notified(kept: Sink, status: str) -> Counter[Key]:
    """How often each receiver was notified of each alert and site."""
    return Counter(n.key for n in kept.notifications() if n.status == status)


def wait_for(kept: Sink, status: str, keys: set[Key]) -> None:
    def all_notified() -> bool:
        return keys <= set(notified(kept, status))

    try:
        until(f"{status}: {sorted(keys)}", all_notified, PATIENCE_S)
    except Exception as fault:
        raise AssertionError(f"{fault}; notified were {sorted(notified(kept, status))}") from fault


def what_goes_wrong(plant: Planter) -> list[str]:
    north = plant.tube(LATE_STAT, "NORTH", test="CBCD", priority="stat", collected=130, picked_up=100, received=62)
    south = [
        line
        for number in STUCK
        for line in plant.tube(number, "SOUTH", test="A1C", priority="routine", collected=300, picked_up=200)
    ]
    odd = plant.tube(ODD, "SOUTH", test="GLU", priority="routine", collected=130, picked_up=100, received=62)
    last_month = (plant.now - timedelta(days=30)).date().isoformat()
    shelves = [
        plant.supply("received", "EAST", "SUP-EDTA4", 500, lot="L1", expires="2029-01-31", quantity=100),
        plant.supply("used", "EAST", "SUP-EDTA4", 5, lot="L1", quantity=100),
        plant.supply("received", "WEST", "SUP-CIT27", 500, lot="L2", expires="2029-01-31", quantity=100),
        plant.supply("received", "WEST", "SUP-CIT27", 500, lot="L3", expires="2029-01-31", quantity=30),
        plant.supply("ordered", "WEST", "SUP-CIT27", 490, quantity=50, order="PO-7", expected=last_month),
        plant.supply("received", "SOUTH", "SUP-SST5", 500, lot="L5", expires="2029-01-31", quantity=100),
        plant.supply("recalled", "*", "SUP-CIT27", 4, lot="L3", notice="stoppers leak"),
        plant.supply("recalled", "*", "SUP-SST5", 4, lot="L5", notice="gel does not set"),
    ]
    undrawn = plant.order(UNDRAWN, "EAST", 65, test="TSH", priority="stat")
    return [*north, *south, undrawn, *odd, plant.result(ODD, "GLU", 5, value=">400", unit="mg/dL"), *shelves]


def what_mends_it(plant: Planter, recalls: dict[str, str]) -> list[str]:
    """`recalls`: the item that each recall is of, by the event's id."""
    odd = make_identifier("S", YEAR, ODD)
    return [
        plant.event("order.cancelled", f"R-{UNDRAWN}", 0, {"reason": "patient left"}, site="EAST"),
        plant.event("result.acknowledged", odd, 0, {"test": "GLU", "read_back": True}, site="CORE"),
        plant.supply("order-closed", "WEST", "SUP-CIT27", 0, order="PO-7", reason="out of stock"),
        plant.result(LATE_STAT, "CBCD", 0),
        plant.result(LATE_AFTER_THE_KILL, "CBCD", 0),
        *(plant.received(number, 0) for number in STUCK),
        plant.supply("received", "EAST", "SUP-EDTA4", 0, lot="L4", expires="2029-01-31", quantity=300),
        *(
            plant.event("event.voided", f"*/{item}", 0, {"voids": recall, "reason": "notice withdrawn"}, site="CORE")
            for recall, item in recalls.items()
        ),
    ]


@pytest.mark.prometheus
@pytest.mark.slow
def test_each_planted_case_is_told_once_to_the_right_person_and_resolves_with_a_worker_killed(tmp_path: Path) -> None:
    with ExitStack() as stack:
        kept, hook = stack.enter_context(sink())
        made = stack.enter_context(lab(tmp_path))
        address, targets = f"127.0.0.1:{free_port()}", [f"127.0.0.1:{port}" for port in made.ports]
        server = stack.enter_context(prometheus(tmp_path, targets, speed=SPEED, alertmanager=address))
        # Prometheus takes five seconds to learn its targets, whatever the speed: until then all count as down
        until("both workers are scraped", lambda: [s for s in server.query("lab:up:count") if s["value"][1] == "2"])
        until("nothing fires", lambda: not server.firing())
        stack.enter_context(alertmanager(tmp_path, hook, address=address, speed=SPEED))

        plant = Planter(datetime.now(UTC))
        made.publish(quiet_day(plant, ("NORTH", "SOUTH", "EAST", "WEST"), 40))
        wrong = what_goes_wrong(plant)
        made.publish(wrong)
        events = map(json.loads, wrong)
        recalls = {e["id"]: e["subject"].partition("/")[2] for e in events if e["type"] == "supply.recalled"}
        wait_for(kept, "firing", PLANTED)

        made.workers[0].kill()
        made.publish(
            plant.tube(
                LATE_AFTER_THE_KILL, "WEST", test="CBCD", priority="stat", collected=130, picked_up=100, received=62
            )
        )
        wait_for(kept, "firing", PLANTED | AFTER_THE_KILL)
        assert not notified(kept, "resolved"), "nothing has been fixed yet"

        made.start(0)
        plant.now = datetime.now(UTC)
        made.publish(what_mends_it(plant, recalls))
        wait_for(kept, "resolved", PLANTED | AFTER_THE_KILL)

        until("nothing fires", lambda: not server.firing(), PATIENCE_S)
        once = dict.fromkeys(PLANTED | AFTER_THE_KILL, 1)
        assert dict(notified(kept, "firing")) == once
        assert dict(notified(kept, "resolved")) == once
        assert any(message["receiver"] == "heartbeat" for message in kept.messages)
        assert made.run("export", "alerts") == "", "and Labtrail's own alerts are all resolved too"
