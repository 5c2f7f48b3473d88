"""What is on a label, read from the tables: the specimen, who collected it, and the patient's record."""

from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from config.messages import Message
from labels.drawing.contents import AliquotLabel, BadgeLabel, Content, SpecimenLabel, SupplyLabel, ToteLabel
from labels.drawing.layouts import Layout, layout_named
from labels.errors import LabelError
from models.people.patients import Keys, find_patient
from models.printing.jobs import Job
from models.printing.label_facts import TubeFacts, aliquot_volume_ml, collector_of, tube_facts
from models.rules.times import moment_of

if TYPE_CHECKING:
    from config.catalog import Catalog

Detailed = ToteLabel | SupplyLabel | BadgeLabel
DETAILED: dict[str, type[Detailed]] = {
    "ToteLabel": ToteLabel,
    "SupplyLabel": SupplyLabel,
    "BadgeLabel": BadgeLabel,
}
"""Labels whose content a print job carries itself, because it holds no patient's data."""


def details_of(content: Detailed) -> str:
    """The content as a print job carries it."""
    return msgspec.json.encode(content).decode()


def content_of(connection: Connection, job: Job, catalog: "Catalog", keys: Keys | None) -> Content:
    """What a print job's label shows, as the tables are now. Raises LabelError, PatientError."""
    layout = layout_named(job.layout)
    kind = DETAILED.get(layout.holds)
    if kind is None:
        return shown_on(label_of(connection, job.subject, catalog, serial=job.serial, keys=keys), layout)
    try:
        return msgspec.json.decode(job.details or "", type=kind)
    except msgspec.DecodeError as fault:
        raise LabelError(f"print job {job.id} can't be drawn ({fault}): ask for the label again") from None


def shown_on(content: SpecimenLabel | AliquotLabel, layout: Layout) -> SpecimenLabel | AliquotLabel:
    """An aliquot as the plain specimen that it also is, where the layout shows specimens."""
    return content.specimen if isinstance(content, AliquotLabel) and layout.holds == "SpecimenLabel" else content


def label_of(
    connection: Connection, accession: str, catalog: "Catalog", *, serial: str = "", keys: Keys | None = None
) -> SpecimenLabel | AliquotLabel:
    """The label of a tube, or of an aliquot where the specimen has a parent.

    `keys`: without them, or without a record, the label shows the opaque reference and says so. Raises LabelError
    when the specimen is not on record, PatientError when its patient's record can't be opened.
    """
    row = tube_of(connection, accession)
    source = tube_of(connection, row.parent) if row.parent else row
    patient = row.patient or source.patient or ""
    record = find_patient(connection, patient, keys) if keys is not None and patient else None
    container = catalog.containers.get(row.container or "")
    collected_us, site = source.collected_us, source.site or row.site or ""
    label = SpecimenLabel(
        accession=accession,
        serial=serial,
        patient=patient,
        order=row.order_id or source.order_id or "",
        name=None if record is None else record.printed,
        birth_date=None if record is None else record.birth_date,
        mrn=None if record is None else record.mrn,
        container=row.container or "",
        colour=container.cap_colour if container else "",
        collected_at=local_time(collected_us, site, catalog),
        collector=collector_of(connection, source.accession, collected_us),
        priority="stat" if "stat" in (row.priority, source.priority) else "routine",
        tests=row.tests,
        site=site,
    )
    if not row.parent:
        return label
    return AliquotLabel(
        specimen=label, parent=row.parent, volume_ml=aliquot_volume_ml(connection, row.parent, accession)
    )


def tube_of(connection: Connection, accession: str) -> TubeFacts:
    """A specimen's facts. Raises LabelError when it is not on record."""
    facts = tube_facts(connection, accession)
    if facts is None:
        raise LabelError(Message("no specimen {number} is on record: scan its collection first", number=accession))
    return facts


def local_time(time_us: int | None, site: str, catalog: "Catalog") -> str:
    """Date and time to the minute at the site; empty when not known."""
    if time_us is None:
        return ""
    known = catalog.sites.get(site)
    return f"{moment_of(time_us).astimezone(ZoneInfo(known.timezone) if known else UTC):%Y-%m-%d %H:%M}"
