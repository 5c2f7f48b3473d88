"""Reading the custody record of one specimen (`models/record.py`) from the tables."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Row, select

from models import tree
from models.deadlines import Deadline
from models.events import Event, Refused, moment_of, parse, utc_text
from models.history import effective
from models.ledger import genesis, link
from models.meanings import MEANINGS
from models.record import Contradiction, CustodyRecord, Late, Ledger, Link, Outcome, Proof, Step, hand_overs
from models.tables import chains, discrepancies, events, orders, relations, results, specimens

if TYPE_CHECKING:
    from config.catalog import Catalog

EVENTS_MAX = 10_000
"""More than any specimen has; a report with more would be no report."""
_deadlines = msgspec.json.Decoder(list[Deadline])
_strings = msgspec.json.Decoder(list[str])


def custody_record(
    connection: Connection, accession: str, at_us: int, catalog: "Catalog"
) -> CustodyRecord | None:
    """All that is on record of one specimen; None when nothing is.

    `connection`: of one snapshot (`models.database.reading`). `at_us` decides what is late.
    """
    row = connection.execute(select(specimens).where(specimens.c.accession == accession)).first()
    if row is None:
        return None
    found = _contradictions(connection, accession)
    steps = _steps(connection, accession, _rows(connection, accession), found, catalog)
    ordered = select(orders.c.placed_us).where(orders.c.order_id == row.order_id)
    children = select(relations.c.child).where(relations.c.parent == accession).distinct()
    container = catalog.containers.get(row.container or "")
    return CustodyRecord(
        accession=accession, as_of=_text(at_us), order=row.order_id,
        ordered_at=utc_text(connection.execute(ordered).scalar()),
        patient=row.patient, site=row.site, container=row.container,
        container_name=container.name if container else None,
        tests=tuple(_strings.decode(row.tests)), priority=row.priority, status=row.status,
        custodian=row.custodian, location=row.location, manifest=row.manifest, destination=row.destination,
        parent=row.parent, children=tuple(sorted(connection.execute(children).scalars())),
        collected_at=utc_text(row.collected_us), received_at=utc_text(row.received_us),
        resulted_at=utc_text(row.resulted_us),
        hand_overs=tuple(hand_overs(step for step in steps if not step.voided)),
        discrepancies=found, late=_late(row.deadlines, at_us),
        results=_results(connection, accession, catalog), steps=tuple(steps),
        ledger=_ledger(connection, accession, [step.link for step in steps if step.subject == accession]),
    )  # fmt: skip


def _ledger(connection: Connection, accession: str, links: Sequence[Link]) -> Ledger:
    head = tree.head(connection)
    recorded = connection.execute(select(chains).where(chains.c.subject == accession)).first()
    length, last = (recorded.length, recorded.head.hex()) if recorded else (0, "")
    return Ledger(
        chain_length=length,
        chain_head=last,
        chain_holds=_holds(links, length, last),
        tree_size=head.size,
        tree_root=head.root().hex(),
    )


def _rows(connection: Connection, accession: str) -> Sequence[Row[Any]]:
    """The specimen's own events by their place in the chain, and the aliquoting that it came from."""
    own = events.c.subject == accession
    births = events.c.id.in_(select(relations.c.event_id).where(relations.c.child == accession))
    query = (
        select(events).where(own | births).order_by(events.c.subject, events.c.chain_seq).limit(EVENTS_MAX)
    )
    return connection.execute(query).all()


def _steps(
    connection: Connection,
    accession: str,
    rows: Sequence[Row[Any]],
    found: Sequence[Contradiction],
    catalog: "Catalog",
) -> list[Step]:
    """Every recorded event in history order: time, lifecycle rank, id."""
    before = _hashes_before(connection, rows)
    parsed = {row.id: event for row in rows if (event := _parsed(row)) is not None}
    counting = {event.id for event in effective(e for e in parsed.values() if e.subject == accession)}
    counting |= {event.id for event in parsed.values() if event.subject != accession}
    codes: dict[str, set[str]] = {}
    for one in found:
        for event_id in one.events:
            codes.setdefault(event_id, set()).add(one.code)
    rows = sorted(
        rows, key=lambda row: parsed[row.id].order if row.id in parsed else (row.time_us, 0, row.id)
    )
    return [
        _step(
            connection,
            row,
            before[row.seq],
            catalog,
            row.id not in counting,
            tuple(sorted(codes.get(row.id, ()))),
        )
        for row in rows
    ]


def _parsed(row: Row[Any]) -> Event | None:
    """The event again; None where the recorded bytes were altered so that they are none any more."""
    try:
        return parse(row.raw, row.appended_us)
    except Refused:
        return None


def _hashes_before(connection: Connection, rows: Sequence[Row[Any]]) -> dict[int, bytes]:
    """For each event (by `seq`), the hash of the link before it."""
    by_place = {(row.subject, row.chain_seq): row.link_hash for row in rows}
    hashes = {}
    for row in rows:
        place = (row.subject, row.chain_seq - 1)
        if row.chain_seq == 1:
            hashes[row.seq] = genesis(row.subject)
        elif place in by_place:
            hashes[row.seq] = by_place[place]
        else:
            query = select(events.c.link_hash).where(
                events.c.subject == row.subject, events.c.chain_seq == row.chain_seq - 1
            )
            hashes[row.seq] = connection.execute(query).scalar() or b""
    return hashes


def _step(
    connection: Connection,
    row: Row[Any],
    before: bytes,
    catalog: "Catalog",
    set_aside: bool,
    codes: tuple[str, ...],
) -> Step:
    site = catalog.sites.get(row.site)
    zone = site.timezone if site else "UTC"
    local = moment_of(row.time_us).astimezone(ZoneInfo(zone) if site else UTC)
    proof = tree.prove(connection, row.id)
    return Step(
        event_id=row.id, type=row.type, subject=row.subject, time=_text(row.time_us),
        local_time=local.isoformat(timespec="seconds"), timezone=zone, site=row.site,
        site_name=site.name if site else None, actor=row.actor, data=_data(row.raw),
        voided=set_aside and row.type != "event.voided", discrepancies=codes,
        appended_at=_text(row.appended_us), recorded_at=_text(row.recorded_us),
        link=Link(
            sequence=row.chain_seq, previous_hash=before.hex(), hash=row.link_hash.hex(),
            holds=link(before, row.chain_seq, row.raw) == row.link_hash,
            exact=row.raw.decode(errors="backslashreplace"),
        ),
        proof=Proof(leaf_index=proof.leaf_index, path=tuple(h.hex() for h in proof.path)) if proof else None,
    )  # fmt: skip


def _data(raw: bytes) -> Mapping[str, Any]:
    try:
        data = msgspec.json.decode(raw).get("data")
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError):
        return {}
    return data if isinstance(data, dict) else {}


def _holds(links: Sequence[Link], length: int, head: str) -> bool:
    chain = sorted(links, key=lambda one: one.sequence)
    return (
        [one.sequence for one in chain] == list(range(1, length + 1))
        and all(one.holds for one in chain)
        and bool(chain)
        and chain[-1].hash == head
    )


def _contradictions(connection: Connection, accession: str) -> tuple[Contradiction, ...]:
    query = select(discrepancies).where(discrepancies.c.accession == accession)
    rows = connection.execute(query.order_by(discrepancies.c.code, discrepancies.c.detail))
    return tuple(
        Contradiction(
            code=row.code, detail=row.detail, events=tuple(_strings.decode(row.events)),
            means=MEANINGS[row.code].means, do=MEANINGS[row.code].do,
        )
        for row in rows
    )  # fmt: skip


def _late(stored: str | None, at_us: int) -> tuple[Late, ...]:
    cases = _deadlines.decode(stored) if stored else []
    return tuple(
        Late(kind=one.kind, subject=one.subject, detail=one.detail, since=_text(one.due_us))
        for one in sorted(cases, key=lambda one: (one.due_us, one.kind, one.subject))
        if one.due_us <= at_us
    )


def _results(connection: Connection, accession: str, catalog: "Catalog") -> tuple[Outcome, ...]:
    rows = connection.execute(
        select(results).where(results.c.accession == accession).order_by(results.c.test)
    )
    return tuple(
        Outcome(
            test=row.test, test_name=catalog.tests[row.test].name if row.test in catalog.tests else None,
            status=row.status, value=row.value, unit=row.unit, flag=row.flag, critical=bool(row.critical),
            reported_at=_text(row.reported_us), acknowledged_at=utc_text(row.acknowledged_us),
            acknowledged_by=row.acknowledged_by, revisions=row.revisions,
        )
        for row in rows
    )  # fmt: skip


def _text(time_us: int) -> str:
    return utc_text(time_us) or ""
