"""What the HTTP API answers: one event, specimen, manifest, the stock, the open alerts. Times are UTC text.

Fields that an export has too have the same name and meaning here.
"""

from typing import Any, Literal

from msgspec import Raw, Struct
from sqlalchemy import Connection, select

from models.database.columns import strings
from models.database.evidence_tables import events, leaves
from models.database.state_tables import discrepancies, legs, relations, results, specimens
from models.rules.discrepancies import MEANINGS
from models.rules.results import JudgedComponent
from models.rules.times import utc_text
from models.views.result_reports import result_fields

ROWS_MAX = 5000


class EventView(Struct, frozen=True, kw_only=True):
    """A recorded event: `event` is exactly what was received; `hash` is its link in its subject's chain."""

    id: str
    outcome: str = "recorded"
    type: str
    subject: str
    time: str
    site: str | None
    actor: str
    appended_at: str
    recorded_at: str
    sequence: int
    hash: str
    leaf_index: int | None
    event: Raw


class ContradictionView(Struct, frozen=True, kw_only=True):
    code: str
    detail: str
    events: tuple[str, ...]
    means: str
    do: str


class LegView(Struct, frozen=True, kw_only=True):
    """One transport, from one site to the next."""

    number: int
    manifest: str
    origin: str | None
    destination: str | None
    transport: str | None
    tote: str | None
    seal: str | None
    courier: str | None
    dispatched_at: str | None
    picked_up_at: str | None
    received_at: str | None
    received_site: str | None


class ResultView(Struct, frozen=True, kw_only=True):
    test: str
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    range: str | None
    comment: str | None
    components: tuple[JudgedComponent, ...]
    critical: Literal["yes", "no", "unjudged"]
    report: str
    """The id of the event that reported it; a read-back names it."""
    reported_at: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    revisions: int


class SpecimenView(Struct, frozen=True, kw_only=True):
    """A specimen's state: the row of `labtrail export specimens`, and what belongs to it."""

    accession: str
    order: str | None
    patient: str | None
    site: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    status: str
    custodian: str | None
    location: str | None
    manifest: str | None
    destination: str | None
    collected_at: str | None
    labeled_at: str | None
    dispatched_at: str | None
    picked_up_at: str | None
    received_at: str | None
    resulted_at: str | None
    parent: str | None
    children: tuple[str, ...]
    discrepancies: tuple[str, ...]
    contradictions: tuple[ContradictionView, ...]
    legs: tuple[LegView, ...]
    results: tuple[ResultView, ...]


class TubeView(Struct, frozen=True, kw_only=True):
    accession: str
    status: str | None
    dispatched_at: str | None
    picked_up_at: str | None
    received_at: str | None
    received_site: str | None


class ManifestView(Struct, frozen=True, kw_only=True):
    """A manifest with its tubes, by accession. `dispatched`, `picked_up`, `received`: how many of them were."""

    manifest: str
    origin: str | None
    destination: str | None
    transport: str | None
    tote: str | None
    seal: str | None
    courier: str | None
    dispatched: int
    picked_up: int
    received: int
    specimens: tuple[TubeView, ...]


def event_view(connection: Connection, event_id: str) -> EventView | None:
    e = events.c
    columns = (
        e.id,
        e.type,
        e.subject,
        e.time_us,
        e.site,
        e.actor,
        e.appended_us,
        e.recorded_us,
        e.chain_seq,
        e.link_hash,
        e.raw,
        leaves.c.leaf_index,
    )
    join = events.join(leaves, leaves.c.event_seq == e.seq, isouter=True)
    row = connection.execute(select(*columns).select_from(join).where(e.id == event_id)).first()
    if row is None:
        return None
    return EventView(
        id=row.id,
        type=row.type,
        subject=row.subject,
        time=_text(row.time_us),
        site=row.site or None,
        actor=row.actor,
        appended_at=_text(row.appended_us),
        recorded_at=_text(row.recorded_us),
        sequence=row.chain_seq,
        hash=bytes(row.link_hash).hex(),
        leaf_index=row.leaf_index,
        event=Raw(bytes(row.raw)),
    )


def specimen_view(connection: Connection, accession: str) -> SpecimenView | None:
    row = connection.execute(select(specimens).where(specimens.c.accession == accession)).first()
    if row is None:
        return None
    children = select(relations.c.child).where(relations.c.parent == accession).distinct()
    return SpecimenView(
        accession=accession,
        order=row.order_id,
        patient=row.patient,
        site=row.site,
        container=row.container,
        tests=strings(row.tests),
        priority=row.priority,
        status=row.status,
        custodian=row.custodian,
        location=row.location,
        manifest=row.manifest,
        destination=row.destination,
        collected_at=utc_text(row.collected_us),
        labeled_at=utc_text(row.labeled_us),
        dispatched_at=utc_text(row.dispatched_us),
        picked_up_at=utc_text(row.picked_up_us),
        received_at=utc_text(row.received_us),
        resulted_at=utc_text(row.resulted_us),
        parent=row.parent,
        children=tuple(sorted(connection.execute(children).scalars())),
        discrepancies=strings(row.discrepancies),
        contradictions=_contradictions(connection, accession),
        legs=_legs(connection, accession),
        results=_results(connection, accession),
    )


def _contradictions(connection: Connection, accession: str) -> tuple[ContradictionView, ...]:
    d = discrepancies.c
    rows = connection.execute(select(discrepancies).where(d.accession == accession).order_by(d.code, d.detail))
    return tuple(
        ContradictionView(
            code=row.code,
            detail=row.detail,
            events=strings(row.events),
            means=MEANINGS[row.code].means,
            do=MEANINGS[row.code].do,
        )
        for row in rows
    )


def _legs(connection: Connection, accession: str) -> tuple[LegView, ...]:
    rows = connection.execute(select(legs).where(legs.c.accession == accession).order_by(legs.c.number))
    return tuple(
        LegView(
            number=row.number,
            manifest=row.manifest,
            origin=row.origin,
            destination=row.destination,
            transport=row.transport,
            tote=row.tote,
            seal=row.seal,
            courier=row.courier,
            dispatched_at=utc_text(row.dispatched_us),
            picked_up_at=utc_text(row.picked_up_us),
            received_at=utc_text(row.received_us),
            received_site=row.received_site,
        )
        for row in rows
    )


def _results(connection: Connection, accession: str) -> tuple[ResultView, ...]:
    rows = connection.execute(select(results).where(results.c.accession == accession).order_by(results.c.test))
    return tuple(ResultView(**result_fields(row)) for row in rows)


def manifest_view(connection: Connection, manifest: str) -> ManifestView | None:
    """None when no tube is on it."""
    join = legs.join(specimens, specimens.c.accession == legs.c.accession, isouter=True)
    query = select(legs, specimens.c.status).select_from(join).where(legs.c.manifest == manifest)
    rows = connection.execute(query.order_by(legs.c.accession).limit(ROWS_MAX)).all()
    if not rows:
        return None

    def first(name: str) -> Any:
        return next((value for row in rows if (value := getattr(row, name)) is not None), None)

    names = ("origin", "destination", "transport", "tote", "seal", "courier")
    return ManifestView(
        manifest=manifest,
        **{name: first(name) for name in names},
        dispatched=sum(row.dispatched_us is not None for row in rows),
        picked_up=sum(row.picked_up_us is not None for row in rows),
        received=sum(row.received_us is not None for row in rows),
        specimens=tuple(
            TubeView(
                accession=row.accession,
                status=row.status,
                dispatched_at=utc_text(row.dispatched_us),
                picked_up_at=utc_text(row.picked_up_us),
                received_at=utc_text(row.received_us),
                received_site=row.received_site,
            )
            for row in rows
        ),
    )


def _text(time_us: int) -> str:
    return utc_text(time_us) or ""
