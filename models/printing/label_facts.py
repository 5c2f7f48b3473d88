"""Facts about tubes that labels and manifests show, and which labels were read back from a tube."""

from collections.abc import Collection

from msgspec import Struct
from sqlalchemy import Connection, select

from models.database.bulk import select_in
from models.database.columns import strings
from models.database.evidence_tables import events
from models.database.state_tables import specimens
from models.rules.event_types import Aliquoted, Labeled
from models.rules.events import parse


class TubeFacts(Struct, frozen=True, kw_only=True):
    """A specimen as its label needs it. `parent`: of an aliquot. `collected_us`: microseconds since 1970."""

    accession: str
    parent: str | None
    patient: str | None
    order_id: str | None
    site: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    collected_us: int | None


def tube_facts(connection: Connection, accession: str) -> TubeFacts | None:
    """None when no such specimen is on record."""
    return facts_of_tubes(connection, (accession,)).get(accession)


def facts_of_tubes(connection: Connection, accessions: Collection[str]) -> dict[str, TubeFacts]:
    """Those of these specimens that are on record, by accession."""
    rows = select_in(connection, specimens, TubeFacts.__struct_fields__, "accession", accessions)
    made = (dict(zip(TubeFacts.__struct_fields__, row, strict=True)) for row in rows)
    return {one["accession"]: TubeFacts(**one | {"tests": strings(one["tests"])}) for one in made}


def collector_of(connection: Connection, accession: str, collected_us: int | None) -> str:
    """The badge in the valid collection; empty when there is none."""
    return _actor_of(connection, accession, "specimen.collected", collected_us)


def packer_of(connection: Connection, accession: str, dispatched_us: int | None) -> str:
    """The badge in the dispatch of that time; empty when there is none."""
    return _actor_of(connection, accession, "specimen.dispatched", dispatched_us)


def _actor_of(connection: Connection, subject: str, kind: str, time_us: int | None) -> str:
    c = events.c
    found = select(c.actor).where(c.subject == subject, c.type == kind, c.time_us == time_us).order_by(c.id)
    return connection.execute(found.limit(1)).scalar() or ""


def aliquot_volume_ml(connection: Connection, parent: str, child: str) -> float | None:
    """How much was poured off, by the latest event that states it."""
    found = select(events.c.raw).where(events.c.subject == parent, events.c.type == "specimen.aliquoted")
    volume = None
    for raw in connection.execute(found.order_by(events.c.time_us, events.c.id)).scalars():
        data = parse(bytes(raw), recorded=True).data
        if isinstance(data, Aliquoted):
            volume = next((c.volume_ml for c in data.children if c.accession == child and c.volume_ml), volume)
    return volume


def serials_read_back(connection: Connection, accession: str) -> set[str]:
    """The serials of the labels that were read back from the tube."""
    c = events.c
    raws = connection.execute(select(c.raw).where(c.subject == accession, c.type == "specimen.labeled")).scalars()
    return {data.label for raw in raws if isinstance(data := parse(bytes(raw), recorded=True).data, Labeled)}
