"""The label of a specimen, from what the tables know of it."""

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, select

from labels.contents import SpecimenLabel
from labels.errors import LabelError
from models.events import moment_of
from models.tables import specimens

if TYPE_CHECKING:
    from config.catalog import Catalog


def label_of(connection: Connection, accession: str, catalog: "Catalog", serial: int = 1) -> SpecimenLabel:
    """The content of the label of one specimen. Raises LabelError when it isn't on record or not collected."""
    row = connection.execute(select(specimens).where(specimens.c.accession == accession)).first()
    if row is None:
        raise LabelError(f"{accession} is not on record: scan it again, or collect it first")
    if row.collected_us is None or row.container is None or row.patient is None:
        raise LabelError(f"{accession} has no collection on record: a label needs the tube and whose it is")
    tube = catalog.containers.get(row.container)
    site = catalog.sites.get(row.site or "")
    local = moment_of(row.collected_us).astimezone(ZoneInfo(site.timezone) if site else None)
    return SpecimenLabel(
        accession=accession, serial=f"{accession}-{serial}", patient=row.patient, container=row.container,
        colour=tube.cap_colour if tube else "", collected_at=f"{local:%Y-%m-%d %H:%M}",
        collector=row.custodian or "", priority=row.priority or "routine",
        tests=tuple(msgspec.json.decode(row.tests)), site=row.site or "", order=row.order_id or "",
    )  # fmt: skip
