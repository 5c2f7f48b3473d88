"""The manifest page's content, read from the tables: the tubes that are on the manifest, where it goes and how."""

from typing import TYPE_CHECKING, Literal, cast

from sqlalchemy import Connection

from config.messages import Message
from labels.drawing.manifest import Manifest, ManifestTube
from labels.errors import LabelError
from labels.of_specimen import local_time
from models.printing.label_facts import TubeFacts, facts_of_tubes, packer_of
from models.views.pages import Tube, bag

if TYPE_CHECKING:
    from config.catalog import Catalog


def manifest_of(connection: Connection, manifest: str, catalog: "Catalog", now_us: int) -> Manifest:
    """The manifest as it is now: tubes added later are on it, those that went on with another one are not.

    Tubes are in the order of their accession, times on the clock of the origin. Raises LabelError when no tube is
    on it.
    """
    found = bag(connection, manifest)
    if found is None:
        raise LabelError(
            Message(
                "no tube has been dispatched on the manifest {number}: scan the tubes into it first", number=manifest
            )
        )
    tubes = sorted((tube for tube in found.tubes if tube.current), key=lambda tube: tube.accession)
    if not tubes:
        raise LabelError(
            Message(
                "every tube of the manifest {number} has gone on with another one: print that one", number=manifest
            )
        )
    packed = min(tubes, key=lambda tube: (tube.dispatched_us is None, tube.dispatched_us, tube.accession))
    origin, destination = (catalog.sites.get(site or "") for site in (found.origin, found.destination))
    facts = facts_of_tubes(connection, [tube.accession for tube in tubes])
    here = found.origin or ""
    return Manifest(
        manifest=manifest,
        origin=origin.name if origin else here,
        destination=destination.name if destination else found.destination or "",
        transport=cast(Literal["ambient", "refrigerated", "frozen"], found.transport or "ambient"),
        tubes=tuple(_tube(tube, facts[tube.accession], here, catalog) for tube in tubes),
        tote=found.tote or "",
        seal=found.seal or "",
        courier=found.courier or "",
        packed_by=packer_of(connection, packed.accession, packed.dispatched_us),
        packed_at=local_time(packed.dispatched_us, here, catalog),
        printed_at=local_time(now_us, here, catalog),
    )


def _tube(tube: Tube, facts: TubeFacts, site: str, catalog: "Catalog") -> ManifestTube:
    container = catalog.containers.get(tube.container or "")
    return ManifestTube(
        accession=tube.accession,
        container=tube.container or "",
        colour=container.cap_colour if container else "",
        tests=facts.tests,
        priority="stat" if tube.priority == "stat" else "routine",
        collected_at=local_time(facts.collected_us, site, catalog),
    )
