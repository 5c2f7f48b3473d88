"""What is on each kind of label, as frozen values; `words()` gives the printed texts that layouts name."""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Literal, Protocol

from msgspec import Struct

from labels.drawing.fonts import clean
from labels.drawing.gs1 import Element, bracketed
from labels.errors import LabelError

NAME_NOT_ON_FILE = "NAME NOT ON FILE"


class Content(Protocol):
    """Anything that a layout can show."""

    layout: ClassVar[str]
    """The layout that is used when none is named."""

    def words(self) -> Mapping[str, str]:
        """Printed texts by the names that layouts use. Raises LabelError when a required one is missing."""
        ...


class SpecimenLabel(Struct, frozen=True, kw_only=True):
    """The label of one tube.

    `patient` is the opaque reference; name, birth date and MRN come from the patient's record. `collected_at`
    is local time as printed. `serial` is the serial of this print (`ACCESSION-1`, `-2` …), empty on
    a picture that is only looked at.
    """

    layout: ClassVar[str] = "specimen"

    accession: str
    serial: str
    patient: str
    container: str
    colour: str
    collected_at: str
    collector: str
    priority: Literal["routine", "stat"]
    tests: tuple[str, ...]
    site: str
    order: str = ""
    name: str | None = None
    """LAST, FIRST as in the record; None when there is no record."""
    birth_date: date | None = None
    mrn: str | None = None

    def words(self) -> Mapping[str, str]:
        known = identifiers(self)
        return {
            "accession": self.accession,
            "name": self.name if self.on_file and self.name else NAME_NOT_ON_FILE,
            "identity": "   ".join(known),
            "identity_1": known[0],
            "identity_2": known[1] if len(known) > 1 else "",
            "container": self.container,
            "colour": self.colour,
            "collected_at": self.collected_at,
            "collector": self.collector,
            "stat": "STAT" if self.priority == "stat" else "",
            "tests": " ".join(self.tests),
            "site": self.site,
            "print": f"label {self.serial.removeprefix(self.accession + '-')}" if self.serial else "",
        }

    @property
    def on_file(self) -> bool:
        """Whether there is a patient record with a name."""
        return bool(clean(self.name or ""))


def identifiers(label: SpecimenLabel) -> tuple[str, ...]:
    """The printed patient identifiers beside the name; with the name, at least two are on the label.

    NPSG.01.01.01 and CAP ask for two; without a record, the patient reference and the order number stand in
    (CAP GEN.40491 counts an assigned number and the requisition number). Raises LabelError for fewer.
    """
    if label.on_file:
        found = (
            *((f"DOB {label.birth_date.isoformat()}",) if label.birth_date else ()),
            *((f"MRN {label.mrn}",) if clean(label.mrn or "") else ()),
        )
        if not found:
            raise LabelError(
                f"{label.accession}: the record of {label.patient} has a name only, and a label needs two "
                "identifiers: add the birth date or the MRN to the record"
            )
        return found
    if not (clean(label.patient) and clean(label.order)):
        raise LabelError(
            f"{label.accession}: a label needs two patient identifiers: load the patient's record, or give the order"
        )
    return (label.patient, f"Order {label.order}")


class AliquotLabel(Struct, frozen=True, kw_only=True):
    """The label of a portion poured off a parent tube: its own accession, the parent's, and the patient."""

    layout: ClassVar[str] = "aliquot"

    specimen: SpecimenLabel
    parent: str
    volume_ml: float | None = None

    def words(self) -> Mapping[str, str]:
        volume = "" if self.volume_ml is None else f"{self.volume_ml:g} mL"
        return {**self.specimen.words(), "parent": f"from {self.parent}", "volume": volume}


class ToteLabel(Struct, frozen=True, kw_only=True):
    """The label of a courier's bag: where it goes, how warm it may be, and its manifest."""

    layout: ClassVar[str] = "tote"

    tote: str
    manifest: str
    origin: str
    destination: str
    transport: Literal["ambient", "refrigerated", "frozen"]
    tubes: int
    seal: str = ""
    packed_at: str = ""

    def words(self) -> Mapping[str, str]:
        return {
            "tote": self.tote,
            "manifest": self.manifest,
            "origin": self.origin,
            "destination": self.destination,
            "transport": self.transport.upper(),
            "tubes": f"{self.tubes} tube{'' if self.tubes == 1 else 's'}",
            "seal": f"Seal {self.seal}" if self.seal else "",
            "packed_at": self.packed_at,
        }


class SupplyLabel(Struct, frozen=True, kw_only=True):
    """The label of a box of supplies: GTIN, lot and expiry in one GS1 Data Matrix, one scan enters all."""

    layout: ClassVar[str] = "supply"

    item: str
    name: str
    gtin: str
    lot: str
    expires: date
    site: str = ""

    def words(self) -> Mapping[str, str]:
        expires = f"{self.expires:%y%m%d}"
        fields = (Element("01", self.gtin.zfill(14)), Element("17", expires), Element("10", self.lot))
        return {
            "item": self.item,
            "name": self.name,
            "gtin": f"GTIN {self.gtin}",
            "lot": f"LOT {self.lot}",
            "expires": f"EXP {self.expires.isoformat()}",
            "site": self.site,
            "element_string": bracketed(fields, self.expires),
        }


class BadgeLabel(Struct, frozen=True, kw_only=True):
    """A staff badge; its barcode is the opaque badge number, which alone signs nobody in."""

    layout: ClassVar[str] = "badge"

    badge: str
    name: str
    role: str
    site: str

    def words(self) -> Mapping[str, str]:
        return {"badge": self.badge, "name": self.name, "role": self.role, "site": self.site}
