"""Labels to look at and to test with: a plain one of each kind, and those that are hard to print. Fictitious data."""

from datetime import date

from msgspec.structs import replace

from labels.drawing.contents import AliquotLabel, BadgeLabel, Content, SpecimenLabel, SupplyLabel, ToteLabel
from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, TOTE, make_identifier

_LONG_NAME = "WOLFESCHLEGELSTEINHAUSENBERGERDORFF-GARCÍA, María José de los Ángeles"
_BADGE = make_identifier(BADGE, 26, 17)
_FIRST = make_identifier(SPECIMEN, 26, 123)

PLAIN = SpecimenLabel(
    accession=_FIRST,
    serial=f"{_FIRST}-1",
    patient="P-77120",
    order="R-10042",
    name="DOE, Jane Q",
    birth_date=date(1984, 3, 12),
    mrn="00123456",
    container="EDTA4",
    colour="lavender",
    collected_at="2026-11-21 09:12",
    collector=_BADGE,
    priority="routine",
    tests=("CBCD", "A1C"),
    site="NORTH",
)
TOTE_LABEL = ToteLabel(
    tote=make_identifier(TOTE, 26, 1),
    manifest=make_identifier(MANIFEST, 26, 1),
    origin="North Clinic",
    destination="Core Laboratory",
    transport="refrigerated",
    tubes=12,
    seal="48812",
    packed_at="2026-11-21 10:05",
)
SUPPLY_LABEL = SupplyLabel(
    item="SUP-EDTA4",
    name="EDTA K2 tube, lavender",
    gtin="09521234000020",
    lot="L2291",
    expires=date(2027, 5, 31),
    site="NORTH",
)
BADGE_LABEL = BadgeLabel(badge=_BADGE, name="Nguyễn Thị Ánh", role="Medical assistant", site="North Clinic")


def another(accession: str, **changes: object) -> SpecimenLabel:
    """The plain specimen label with another accession, and any other changes."""
    return replace(PLAIN, accession=accession, serial=f"{accession}-2", **changes)


def _of(number: int, **changes: object) -> SpecimenLabel:
    return another(make_identifier(SPECIMEN, 26, number), **changes)


EXAMPLES: tuple[tuple[str, Content], ...] = (
    ("specimen", PLAIN),
    ("specimen", _of(991, name="Nguyễn Thị Ánh / 李小龙", priority="stat", tests=("CMP", "LIPID", "TSH", "FERR"))),
    ("specimen", _of(77, name=_LONG_NAME, container="BCPAIR", colour="blue+purple", site="HILL STREET")),
    ("specimen", _of(4, name=None)),
    ("specimen", another("REF26-0071X", name="محمد بن سلمان")),
    ("slide", _of(8, name="ŽIŽEK, Łukasz", priority="stat")),
    ("aliquot", AliquotLabel(specimen=_of(9, container="SST5"), parent=PLAIN.accession, volume_ml=1.5)),
    ("supply", SUPPLY_LABEL),
    ("tote", TOTE_LABEL),
    ("badge", BADGE_LABEL),
)
"""Layout and content: plain, STAT, other scripts, a name that is cut, no record, the narrower module …"""


def test_label(printer: str, printed_at: str) -> SpecimenLabel:
    """A label that shows that a printer works; its barcode is no specimen's and is refused by every scan."""
    return replace(
        another("TEST-LABEL"),
        name="TEST, Label",
        mrn="00000000",
        container="TEST",
        colour="no tube",
        collected_at=printed_at,
        collector="TEST",
        priority="stat",
        tests=("TEST",),
        site=printer,
    )
