"""Reading the custody record of one specimen (`models/views/custody_record.py`) from the tables."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Row, select, union_all

from config.messages import loaded
from models.alerts.cases import decode
from models.database.columns import strings
from models.database.evidence_tables import chains, events
from models.database.state_tables import discrepancies, orders, relations, results, specimens
from models.ledger import tree
from models.ledger.chain import Checkpoint, genesis, link
from models.ledger.merkle import subtree_root
from models.rules.discrepancies import MEANINGS
from models.rules.events import Event, Refused, parse
from models.rules.specimen import effective
from models.rules.times import moment_of, utc_text
from models.views.custody_record import (
    Case,
    Contradiction,
    CustodyRecord,
    Ledger,
    Link,
    Outcome,
    Proof,
    Signed,
    Step,
    hand_overs,
)
from models.views.result_reports import result_fields

if TYPE_CHECKING:
    from config.catalog import Catalog

EVENTS_MAX = 10_000
"""More than any specimen has; a report with more would be unreadable."""


def custody_record(
    connection: Connection,
    accession: str,
    at_us: int,
    catalog: "Catalog",
    checkpoint: Checkpoint | None = None,
) -> CustodyRecord | None:
    """All that is on record about one specimen; None when nothing is.

    `connection`: of one snapshot (`models.database.engine.reading`). `at_us` decides what is late. `checkpoint`: the
    newest signed one; events that it covers are proved against it, later ones against the current tree.
    """
    row = connection.execute(select(specimens).where(specimens.c.accession == accession)).first()
    if row is None:
        return None
    found = _contradictions(connection, accession)
    steps = _steps(connection, accession, found, catalog, checkpoint)
    ordered = select(orders.c.placed_us).where(orders.c.order_key == row.order_key)
    children = select(relations.c.child).where(relations.c.parent == accession).distinct()
    container = catalog.containers.get(row.container or "")
    return CustodyRecord(
        accession=accession,
        as_of=_text(at_us),
        order=row.order_id,
        ordered_at=utc_text(connection.execute(ordered).scalar()),
        patient=row.patient,
        site=row.site,
        container=row.container,
        container_name=container.name if container else None,
        tests=strings(row.tests),
        priority=row.priority,
        status=row.status,
        custodian=row.custodian,
        location=row.location,
        manifest=row.manifest,
        destination=row.destination,
        parent=row.parent,
        children=tuple(sorted(connection.execute(children).scalars())),
        collected_at=utc_text(row.collected_us),
        received_at=utc_text(row.received_us),
        resulted_at=utc_text(row.resulted_us),
        hand_overs=tuple(hand_overs(step for step in steps if not step.voided)),
        discrepancies=found,
        alerts=_cases(row.deadlines, at_us),
        results=_results(connection, accession, catalog),
        steps=tuple(steps),
        ledger=_ledger(connection, accession, steps, checkpoint),
    )


def _ledger(connection: Connection, accession: str, steps: Sequence[Step], checkpoint: Checkpoint | None) -> Ledger:
    links = [step.link for step in steps if step.subject == accession]
    head = tree.head(connection)
    recorded = connection.execute(select(chains).where(chains.c.subject == accession)).first()
    length, last = (recorded.length, recorded.head.hex()) if recorded else (0, "")
    return Ledger(
        chain_length=length,
        chain_head=last,
        chain_holds=_holds(links, length, last),
        tree_size=head.size,
        tree_root=head.root().hex(),
        checkpoint=_signed(connection, checkpoint, head.size) if checkpoint else None,
    )


def _signed(connection: Connection, checkpoint: Checkpoint, size: int) -> Signed:
    whole = checkpoint.size <= size
    return Signed(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=checkpoint.root.hex(),
        time=_text(checkpoint.time_us),
        holds=whole and subtree_root(tree.reader(connection), 0, checkpoint.size) == checkpoint.root,
    )


def _rows(connection: Connection, accession: str) -> Sequence[Row[Any]]:
    """The specimen's own events in the order of its chain, and the aliquoting that it came from."""
    own = select(events).where(events.c.subject == accession)
    births = (
        select(events)
        .join(relations, relations.c.event_id == events.c.id)
        .where(relations.c.child == accession, events.c.subject != accession)
    )
    query = union_all(own, births)  # an OR of the two would read every event
    return connection.execute(query.order_by("subject", "chain_seq").limit(EVENTS_MAX)).all()


def _steps(
    connection: Connection,
    accession: str,
    found: Sequence[Contradiction],
    catalog: "Catalog",
    checkpoint: Checkpoint | None,
) -> list[Step]:
    """Every recorded event in history order: time, lifecycle rank, id."""
    rows = _rows(connection, accession)
    before = _hashes_before(connection, rows)
    parsed = {row.id: event for row in rows if (event := _parsed(row)) is not None}
    own = [event for event in parsed.values() if event.subject == accession]
    voided = {event.id for event in own if event.type != "event.voided"} - {event.id for event in effective(own)}
    codes: dict[str, set[str]] = {}
    for one in found:
        for event_id in one.events:
            codes.setdefault(event_id, set()).add(one.code)
    return [
        Step(
            voided=row.id in voided,
            discrepancies=tuple(sorted(codes.get(row.id, ()))),
            link=_link(row, before[row.seq]),
            proof=_proof(connection, row.id, checkpoint),
            **_facts(row, catalog),
        )
        for row in sorted(rows, key=lambda row: (row.time_us, _rank(parsed.get(row.id)), row.id))
    ]


def _rank(event: Event | None) -> int:
    return event.rank if event else 0


def _parsed(row: Row[Any]) -> Event | None:
    """The parsed event; None if the recorded bytes were altered so that they no longer parse."""
    try:
        return parse(row.raw, row.appended_us, recorded=True)
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


def _facts(row: Row[Any], catalog: "Catalog") -> dict[str, Any]:
    """What the event itself says, and when it arrived."""
    site = catalog.sites.get(row.site)
    zone = site.timezone if site else "UTC"
    local = moment_of(row.time_us).astimezone(ZoneInfo(zone) if site else UTC)
    return {
        "event_id": row.id,
        "type": row.type,
        "subject": row.subject,
        "time": _text(row.time_us),
        "local_time": local.isoformat(timespec="seconds"),
        "timezone": zone,
        "site": row.site,
        "site_name": site.name if site else None,
        "actor": row.actor,
        "data": _data(row.raw),
        "appended_at": _text(row.appended_us),
        "recorded_at": _text(row.recorded_us),
    }


def _link(row: Row[Any], before: bytes) -> Link:
    return Link(
        sequence=row.chain_seq,
        previous_hash=before.hex(),
        hash=row.link_hash.hex(),
        holds=link(before, row.chain_seq, row.raw) == row.link_hash,
        exact=row.raw.decode(errors="backslashreplace"),
    )


def _proof(connection: Connection, event_id: str, checkpoint: Checkpoint | None) -> Proof | None:
    found = tree.prove(connection, event_id, checkpoint.size) if checkpoint else None
    signed = found is not None and checkpoint is not None and found.root == checkpoint.root
    found = found or tree.prove(connection, event_id)
    if found is None:
        return None
    return Proof(
        leaf_index=found.leaf_index,
        tree_size=found.size,
        root=found.root.hex(),
        signed=signed,
        path=tuple(digest.hex() for digest in found.path),
    )


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
            code=row.code,
            detail=loaded(row.detail, row.message),
            events=strings(row.events),
            means=MEANINGS[row.code].means,
            do=MEANINGS[row.code].do,
        )
        for row in rows
    )


def _cases(stored: str | None, at_us: int) -> tuple[Case, ...]:
    return tuple(
        Case(kind=one.kind, subject=one.subject, detail=one.words, since=_text(one.due_us))
        for one in sorted(decode(stored), key=lambda one: (one.due_us, one.kind, one.subject))
        if one.due_us <= at_us
    )


def _results(connection: Connection, accession: str, catalog: "Catalog") -> tuple[Outcome, ...]:
    rows = connection.execute(select(results).where(results.c.accession == accession).order_by(results.c.test))
    tests = catalog.tests
    return tuple(
        Outcome(test_name=tests[row.test].name if row.test in tests else None, **result_fields(row)) for row in rows
    )


def _text(time_us: int) -> str:
    return utc_text(time_us) or ""
