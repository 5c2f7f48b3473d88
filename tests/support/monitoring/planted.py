"""What is planted in the end-to-end proof: tubes, couriers and shelves, with times counted back from now."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from models.rules.identifiers import make_identifier

YEAR = 2026
STAFF, COURIER, BENCH = (make_identifier("B", YEAR, n) for n in (1, 2, 3))


class Planter:
    """Makes events that happened so many minutes before `now`; each has its own id."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.made = 0

    def event(
        self, kind: str, subject: str, ago: float, data: dict[str, Any], *, site: str, actor: str = STAFF
    ) -> str:
        """One line of JSON; its id is `planted-N`, N counting from 1."""
        self.made += 1
        return json.dumps(
            {
                "specversion": "1.0",
                "id": f"planted-{self.made}",
                "source": f"/sites/{site}",
                "type": kind,
                "subject": subject,
                "time": (self.now - timedelta(minutes=ago)).isoformat(),
                "site": site,
                "actor": actor,
                "data": data,
            }
        )

    def tube(
        self,
        number: int,
        site: str,
        *,
        test: str,
        priority: str,
        collected: float,
        picked_up: float,
        received: float | None = None,
    ) -> list[str]:
        """A tube's steps so far: received at the core lab, or still with the courier."""
        tube, manifest = make_identifier("S", YEAR, number), make_identifier("M", YEAR, number)
        order: dict[str, Any] = {"order": f"R-{number}", "patient": f"P-{number}", "container": "EDTA4"}
        order |= {"tests": [test], "priority": priority}
        way = [
            self.event("specimen.collected", tube, collected, order, site=site),
            self.event("specimen.labeled", tube, collected - 2, {"label": f"{tube}-1", "scanned": tube}, site=site),
            self.event(
                "specimen.dispatched", tube, picked_up + 10, {"manifest": manifest, "destination": "CORE"}, site=site
            ),
            self.event("specimen.picked-up", tube, picked_up, {"manifest": manifest}, site=site, actor=COURIER),
        ]
        return way if received is None else [*way, self.received(number, received)]

    def received(self, number: int, ago: float) -> str:
        manifest = {"manifest": make_identifier("M", YEAR, number)}
        return self.event(
            "specimen.received", make_identifier("S", YEAR, number), ago, manifest, site="CORE", actor=BENCH
        )

    def order(self, number: int, site: str, ago: float, *, test: str, priority: str) -> str:
        """An order that nobody has drawn yet."""
        data = {"patient": f"P-{number}", "priority": priority, "tests": [test]}
        return self.event("order.placed", f"R-{number}", ago, data, site=site)

    def result(self, number: int, test: str, ago: float, **said: str) -> str:
        """A final result that says what is given, else a normal one."""
        data = {"test": test, "status": "final"} | (said or {"value": "5.1", "flag": "normal"})
        return self.event("result.reported", make_identifier("S", YEAR, number), ago, data, site="CORE", actor=BENCH)

    def supply(self, kind: str, site: str, item: str, ago: float, **data: Any) -> str:
        return self.event(f"supply.{kind}", f"{site}/{item}", ago, data, site="CORE" if site == "*" else site)


def quiet_day(plant: Planter, sites: Iterable[str], tubes: int) -> list[str]:
    """Tubes of every clinic that are on time."""
    lines: list[str] = []
    for number, site in zip(range(9000, 9000 + tubes), list(sites) * tubes, strict=False):
        ago = 200 + number % 60
        lines += plant.tube(
            number, site, test="CBCD", priority="routine", collected=ago, picked_up=ago - 60, received=ago - 90
        )
        lines.append(plant.result(number, "CBCD", ago - 150))
    return lines
