"""A short day of one clinic, small enough to know by heart: four specimens, some supplies, and some bad lines."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from models.rules.identifiers import make_identifier

START = datetime(2026, 11, 20, 14, 0, tzinfo=UTC)
COURIER, COLLECTOR, RECEIVER = (make_identifier("B", 2026, n) for n in (21, 17, 33))
CLEAN, LATE, ODD, CRITICAL = (make_identifier("S", 2026, n) for n in (101, 102, 103, 104))
MANIFEST = make_identifier("M", 2026, 11)
LOT = "L2291"
BAD_LINES = [
    b"{oops",
    b'{"hello": "world"}',
    b"\xff\xfe not even UTF-8",
    b'{"specversion":"1.0","id":"bad-4","source":"/x","type":"specimen.stored","subject":"S2600012335",'
    b'"time":"2026-11-20T15:00:00Z","site":"CORE","actor":"B2600001721","data":{"location":"x"}}',
]


def event(number: int | str, kind: str, subject: str, minute: float, actor: str, site: str, **data: Any) -> bytes:
    moment = START + timedelta(minutes=minute)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": f"story-{number:0>3}",
            "source": "/tests/cli",
            "type": kind,
            "subject": subject,
            "time": moment.isoformat(),
            "site": site,
            "actor": actor,
            "data": data,
        }
    )


def _journey(first: int, accession: str, start: float, **collected: Any) -> list[bytes]:
    """Collected, labeled, dispatched, picked up and received, with nothing amiss."""
    data = {
        "order": f"R-{first}",
        "patient": f"P-{first}",
        "container": "EDTA4",
        "tests": ["CBCD"],
        "priority": "routine",
    }
    return [
        event(
            first,
            "order.placed",
            f"R-{first}",
            start - 5,
            COLLECTOR,
            "NORTH",
            patient=f"P-{first}",
            priority="routine",
            tests=["CBCD"],
        ),
        event(first + 1, "specimen.collected", accession, start, COLLECTOR, "NORTH", **data | collected),
        event(
            first + 2,
            "specimen.labeled",
            accession,
            start + 2,
            COLLECTOR,
            "NORTH",
            label=f"{accession}-1",
            scanned=accession,
        ),
        event(
            first + 3,
            "specimen.dispatched",
            accession,
            start + 30,
            COLLECTOR,
            "NORTH",
            manifest=MANIFEST,
            destination="CORE",
            seal="0042",
        ),
        event(
            first + 4,
            "specimen.picked-up",
            accession,
            start + 60,
            COURIER,
            "NORTH",
            manifest=MANIFEST,
            temperature_c=20.5,
            seal="0042",
            released_by=COLLECTOR,
        ),
        event(first + 5, "specimen.received", accession, start + 90, RECEIVER, "CORE", manifest=MANIFEST),
    ]


def _result(number: int, accession: str, minute: float, **data: Any) -> bytes:
    return event(number, "result.reported", accession, minute, RECEIVER, "CORE", test="CBCD", status="final", **data)


def good_lines() -> list[bytes]:
    """In order. CLEAN is resulted, LATE waits for its result, ODD lacks its pick-up, CRITICAL is critical."""
    supplies = [{"item": "SUP-EDTA4", "lot": LOT, "quantity": 1}]
    odd = _journey(30, ODD, 12)
    return [
        event(
            1,
            "supply.received",
            "NORTH/SUP-EDTA4",
            -600,
            COLLECTOR,
            "NORTH",
            lot=LOT,
            expires="2027-03-31",
            quantity=50,
        ),
        *_journey(10, CLEAN, 0, supplies=supplies),
        _result(16, CLEAN, 120, value=5.1, unit="10*3/uL", flag="normal"),
        *_journey(20, LATE, 5, supplies=supplies),
        *[line for line in odd if b"picked-up" not in line],
        event(37, "specimen.stored", ODD, 200, RECEIVER, "CORE", location='=HYPERLINK("http://x")'),
        *_journey(40, CRITICAL, 15),
        _result(46, CRITICAL, 130, value="1.1", unit="10*3/uL", flag="critical-low"),
        _result(47, CRITICAL, 140, value="1.2", unit="10*3/uL", flag="critical-low"),
        event(48, "supply.used", "NORTH/SUP-SST5", 150, COLLECTOR, "NORTH", lot="NEVER-SEEN", quantity=1),
    ]


def lines() -> list[bytes]:
    """The story with its bad lines in between."""
    good = good_lines()
    return [*good[:5], *BAD_LINES[:2], *good[5:], *BAD_LINES[2:]]
