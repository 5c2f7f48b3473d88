"""Orders, tubes and supplies as the tests need them, made through the API."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from models.rules.identifiers import make_identifier
from tests.servers.browser.house import House, Person

_serial = iter(range(700_000, 990_000))


def event(
    kind: str, subject: str, data: dict[str, Any], *, site: str = "NORTH", minutes_ago: float = 0
) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/tests",
        "type": kind,
        "subject": subject,
        "time": at.isoformat(timespec="milliseconds"),
        "site": site,
        "data": data,
    }


def number(kind: str = "S") -> str:
    return make_identifier(kind, 2026, next(_serial))  # type: ignore[arg-type]


def place_order(by: Person, tests: list[str], *, patient: str, priority: str = "routine") -> str:
    order = f"R-{uuid.uuid4().hex[:8]}"
    by.post(
        [event("order.placed", order, {"patient": patient, "priority": priority, "tests": tests, "site": "NORTH"})]
    )
    by.house.until(
        lambda: bool(by.house.query("SELECT 1 FROM orders WHERE order_id = :o", o=order)), f"order {order}"
    )
    return order


def stock(by: Person, item: str, lot: str, *, quantity: int = 50, days: int = 300, site: str = "NORTH") -> None:
    expires = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    data = {"lot": lot, "expires": expires, "quantity": quantity}
    by.post([event("supply.received", f"{site}/{item}", data, site=site, minutes_ago=60)])
    there = "SELECT 1 FROM stock WHERE site = :s AND item = :i AND lot = :l"
    by.house.until(lambda: bool(by.house.query(there, s=site, i=item, l=lot)), f"{item} {lot} on the shelf")


def labeled_tubes(by: Person, many: int, *, minutes_ago: float = 30) -> list[str]:
    """Tubes that were collected and labeled at NORTH."""
    tubes = [number() for _ in range(many)]
    batch = []
    for tube in tubes:
        data = {
            "order": f"R-{tube}",
            "patient": f"P-{tube[-6:]}",
            "container": "EDTA4",
            "tests": ["CBCD"],
            "priority": "routine",
        }
        batch.append(event("specimen.collected", tube, data, minutes_ago=minutes_ago))
        label = {"label": f"{tube}-1", "scanned": tube}
        batch.append(event("specimen.labeled", tube, label, minutes_ago=minutes_ago - 1))
    by.post(batch)
    wait_for(by.house, tubes, "labeled")
    return tubes


def sent_bag(by: Person, many: int, *, seal: str = "SEAL-1") -> tuple[str, str, list[str]]:
    """A bag of that many tubes, ready for the courier: (manifest, tote, tubes)."""
    tubes, manifest, tote = labeled_tubes(by, many), number("M"), number("T")
    data = {"manifest": manifest, "destination": "CORE", "tote": tote, "seal": seal}
    by.post([event("specimen.dispatched", tube, data, minutes_ago=10) for tube in tubes])
    wait_for(by.house, tubes, "dispatched")
    return manifest, tote, tubes


def wait_for(house: House, tubes: list[str], status: str) -> None:
    places = ", ".join(f"'{tube}'" for tube in tubes)
    count = f"SELECT count(*) FROM specimens WHERE status = :s AND accession IN ({places})"
    house.until(lambda: house.count(count, s=status) == len(tubes), f"{len(tubes)} tubes {status}")
