"""Labels that the tests print."""

from datetime import date

import msgspec

from labels.drawing.contents import AliquotLabel, BadgeLabel, Content, SpecimenLabel, SupplyLabel, ToteLabel
from labels.drawing.render import render
from labels.printing.outcomes import Outcome, Printer

SPECIMEN = SpecimenLabel(
    accession="S2600012334",
    serial="S2600012334-1",
    patient="P-77120",
    order="R-10042",
    name="GARCÍA-LÓPEZ, María José",
    birth_date=date(1984, 3, 12),
    mrn="00123456",
    container="EDTA4",
    colour="lavender",
    collected_at="2026-11-21 09:12",
    collector="B2600001721",
    priority="stat",
    tests=("CBCD", "A1C"),
    site="NORTH",
)
ALIQUOT = AliquotLabel(specimen=SPECIMEN, parent="S2600012334", volume_ml=1.5)
TOTE = ToteLabel(
    tote="T2600000120",
    manifest="M2600000187",
    origin="North Clinic",
    destination="Core Laboratory",
    transport="refrigerated",
    tubes=12,
    seal="48812",
    packed_at="2026-11-21 10:05",
)
SUPPLY = SupplyLabel(
    item="SUP-EDTA4",
    name="EDTA K2 tube, lavender",
    gtin="09521234000020",
    lot="L2291",
    expires=date(2027, 5, 31),
    site="NORTH",
)
BADGE = BadgeLabel(badge="B2600001721", name="Nguyễn Thị Ánh", role="Medical assistant", site="North Clinic")
ALL: tuple[Content, ...] = (SPECIMEN, ALIQUOT, TOTE, SUPPLY, BADGE)
RESOLUTIONS = (203, 300, 600)


def specimen(**changes: object) -> SpecimenLabel:
    """The specimen label with other values."""
    return msgspec.structs.replace(SPECIMEN, **changes)


def sent_by(printer: Printer, copies: int = 1) -> tuple[Outcome, int]:
    """The outcome of printing the sample label, and how often `on_sent` was called."""
    calls: list[None] = []
    rendering = render(SPECIMEN, printer.format, printer.dpi)
    return printer.send(rendering, SPECIMEN.serial, copies, lambda: calls.append(None)), len(calls)
