"""The manifest page's content, read from the tables: every tube on the manifest, where it goes and how."""

from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from sqlalchemy import Connection, Row, select

from labels.drawing.manifest import TUBES_MAX, Manifest, ManifestTube
from labels.errors import LabelError
from labels.of_specimen import local_time
from models.database.evidence_tables import events
from models.database.state_tables import legs, specimens

if TYPE_CHECKING:
    from config.catalog import Catalog


def manifest_of(connection: Connection, manifest: str, catalog: "Catalog") -> Manifest:
    """The manifest as it is now: a tube that was added later is on it. Tubes are in the order of their accession.

    Raises LabelError when no tube is on it, or too many.
    """
    rows = connection.execute(
        select(legs, specimens.c.container, specimens.c.tests, specimens.c.priority, specimens.c.collected_us)
        .select_from(legs.outerjoin(specimens, specimens.c.accession == legs.c.accession))
        .where(legs.c.manifest == manifest, legs.c.dispatched_us.is_not(None))
        .limit(TUBES_MAX + 1)
    ).all()
    if not rows:
        raise LabelError(f"no tube has been dispatched on the manifest {manifest}: scan the tubes into it first")
    rows = sorted(rows, key=lambda row: row.accession)
    head = min(rows, key=lambda row: (row.dispatched_us, row.accession))
    origin, destination = (catalog.sites.get(site or "") for site in (head.origin, head.destination))
    return Manifest(
        manifest=manifest,
        origin=origin.name if origin else head.origin or "",
        destination=destination.name if destination else head.destination or "",
        transport=cast(Literal["ambient", "refrigerated", "frozen"], head.transport or "ambient"),
        tubes=tuple(_tube(row, head.origin or "", catalog) for row in rows),
        tote=next((row.tote for row in rows if row.tote), ""),
        seal=next((row.seal for row in rows if row.seal), ""),
        courier=next((row.courier for row in rows if row.courier), ""),
        packed_by=_packed_by(connection, head.accession, head.dispatched_us),
        packed_at=local_time(head.dispatched_us, head.origin or "", catalog),
    )


def _tube(row: Row[Any], site: str, catalog: "Catalog") -> ManifestTube:
    container = catalog.containers.get(row.container or "")
    return ManifestTube(
        accession=row.accession,
        container=row.container or "",
        colour=container.cap_colour if container else "",
        tests=tuple(msgspec.json.decode(row.tests or "[]", type=list[str])),
        priority="stat" if row.priority == "stat" else "routine",
        collected_at=local_time(row.collected_us, site, catalog),
    )


def _packed_by(connection: Connection, accession: str, dispatched_us: int) -> str:
    found = select(events.c.actor).where(
        events.c.subject == accession, events.c.type == "specimen.dispatched", events.c.time_us == dispatched_us
    )
    return connection.execute(found.order_by(events.c.id).limit(1)).scalar() or ""
