"""Stories as events: small helpers that make valid records, with times as minutes of one day."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from config.catalog import DEFAULT_CATALOG, Catalog, load_catalog
from config.policy import Policy
from models.rules.custody import fold
from models.rules.events import Event, parse
from models.rules.identifiers import make_identifier
from models.rules.specimen import History, LotFacts, OrderFacts, Specimen
from models.rules.times import microseconds

DAWN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
CATALOG: Catalog = load_catalog(DEFAULT_CATALOG)
POLICY = Policy()
TUBE = make_identifier("S", 2026, 1)
OTHER_TUBE = make_identifier("S", 2026, 2)
M1, M2 = make_identifier("M", 2026, 1), make_identifier("M", 2026, 2)
MA, COURIER, LAB = (make_identifier("B", 2026, n) for n in (1, 2, 3))


def at(minute: float) -> datetime:
    return DAWN + timedelta(minutes=minute)


def us(minute: float) -> int:
    return microseconds(at(minute))


def raw(
    kind: str,
    subject: str,
    minute: float,
    data: dict[str, Any],
    *,
    id: str | None = None,
    site: str = "NORTH",
    actor: str = MA,
) -> bytes:
    """One record; the id is derived from the content, so that the same event has the same id."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": id or f"{kind}@{minute:g} {subject} {site}",
            "source": f"/sites/{site}",
            "type": kind,
            "subject": subject,
            "time": at(minute).isoformat(),
            "site": site,
            "actor": actor,
            "data": data,
        }
    ).encode()


def collected(minute: float, tube: str = TUBE, **over: Any) -> bytes:
    data = {
        "order": "R-1",
        "patient": "P-1",
        "container": "EDTA4",
        "tests": ["CBCD"],
        "priority": "routine",
        "supplies": [{"item": "SUP-EDTA4", "lot": "L1", "quantity": 1}],
    }
    envelope = {key: over.pop(key) for key in ("id", "site", "actor") if key in over}
    return raw("specimen.collected", tube, minute, data | over, **envelope)


def step(name: str, minute: float, tube: str = TUBE, **over: Any) -> bytes:
    """`specimen.NAME` with sensible data; keyword arguments replace or add fields (None removes one)."""
    data: dict[str, Any] = {
        "labeled": {"label": f"{tube}-1", "scanned": tube},
        "dispatched": {"manifest": M1, "destination": "CORE"},
        "picked-up": {"manifest": M1},
        "received": {"manifest": M1},
        "rejected": {"reason": "RH"},
        "stored": {"location": "RACK 1"},
    }.get(name, {})
    sites = {"received": "CORE", "rejected": "CORE", "stored": "CORE", "disposed": "CORE", "missing": "CORE"}
    people = {"picked-up": COURIER, "received": LAB, "rejected": LAB, "stored": LAB}
    envelope = {"site": sites.get(name, "NORTH"), "actor": people.get(name, MA)}
    envelope |= {key: over.pop(key) for key in ("id", "site", "actor") if key in over}
    data = {key: value for key, value in (data | over).items() if value is not None}
    return raw(f"specimen.{name}", tube, minute, data, **envelope)


def result(minute: float, test: str = "CBCD", status: str = "final", tube: str = TUBE, **over: Any) -> bytes:
    envelope = {key: over.pop(key) for key in ("id",) if key in over}
    data = {"test": test, "status": status, "value": "5.1"} | over
    return raw("result.reported", tube, minute, data, site="CORE", actor=LAB, **envelope)


def void(minute: float, of: bytes, **over: Any) -> bytes:
    event = json.loads(of)
    return raw(
        "event.voided", event["subject"], minute, {"voids": event["id"], "reason": "scanned by mistake"}, **over
    )


def supply(kind: str, minute: float, item: str = "SUP-EDTA4", site: str = "NORTH", **data: Any) -> bytes:
    over = {"id": data.pop("id")} if "id" in data else {}
    subject = f"*/{item}" if kind == "recalled" else f"{site}/{item}"
    return raw(f"supply.{kind}", subject, minute, data, site=site, **over)


def whole_day(start: float = 0, tube: str = TUBE) -> list[bytes]:
    """One tube's ordinary day: collected, labeled, dispatched, picked up, received, resulted."""
    return [
        collected(start, tube),
        step("labeled", start + 2, tube),
        step("dispatched", start + 30, tube),
        step("picked-up", start + 60, tube),
        step("received", start + 90, tube),
        result(start + 180, tube=tube),
    ]


def events(*records: bytes) -> tuple[Event, ...]:
    return tuple(parse(record, us(10_000)) for record in records)


def specimen(
    *records: bytes,
    tube: str = TUBE,
    orders: dict[str, OrderFacts] | None = None,
    lots: dict[tuple[str, str], LotFacts] | None = None,
    **more: Any,
) -> Specimen:
    """The folded state of a tube after these records; `more`: what other tubes' events say, as in `History`."""
    history = History(accession=tube, events=events(*records), orders=orders or {}, lots=lots or {}, **more)
    return fold(history, CATALOG, POLICY)


def codes(*records: bytes, **facts: Any) -> set[str]:
    """The discrepancies of TUBE as `code:detail`."""
    return {f"{d.code}:{d.detail}" for d in specimen(*records, **facts).discrepancies}
