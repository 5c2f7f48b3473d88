"""The event types: one frozen struct for the data of each, and the table of them.

Strict where the contract requires it; unknown fields stay in the recorded bytes.
"""

from datetime import date, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=2000)]
Narrative = Annotated[str, Meta(max_length=32 * 1024)]
Lot = Annotated[str, Meta(max_length=128)]
"""Of a supply whose lot is not known, the empty text: a line of its own, which is received, used and counted too."""
Moment = Annotated[datetime, Meta(tz=True)]
Quantity = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Celsius = Annotated[float, Meta(ge=-273.15, le=1000)]
Millilitres = Annotated[float, Meta(ge=0, le=100_000)]
Tests = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=200)]
Priority = Literal["routine", "stat"]
Transport = Literal["ambient", "refrigerated", "frozen"]
ResultStatus = Literal["preliminary", "final", "corrected", "cancelled"]
Flag = Literal["normal", "low", "high", "abnormal", "critical-low", "critical-high", "critical"]


class Answer(Struct, frozen=True, kw_only=True, gc=False):
    """What was asked at order entry, and answered."""

    code: Name
    name: Text | None = None
    value: Narrative | int | float | None = None
    unit: Text | None = None


class OrderPlaced(Struct, frozen=True, kw_only=True, gc=False):
    patient: Name
    priority: Priority
    tests: Tests
    ordered_by: Text | None = None
    site: Name | None = None
    wanted: Moment | None = None
    """When the collection is wanted: a time with its offset from UTC."""
    requisition: Text | None = None
    placer: Text | None = None
    filler: Text | None = None
    notes: Narrative | None = None
    answers: Annotated[tuple[Answer, ...], Meta(max_length=200)] = ()
    diagnoses: Annotated[tuple[Text, ...], Meta(max_length=200)] = ()


class OrderCancelled(Struct, frozen=True, kw_only=True, gc=False):
    reason: Text


class SupplyLine(Struct, frozen=True, kw_only=True, gc=False):
    item: Name
    quantity: Quantity
    lot: Lot | None = None


class Collected(Struct, frozen=True, kw_only=True, gc=False):
    order: Name
    patient: Name
    container: Name
    tests: Tests
    priority: Priority
    volume_ml: Millilitres | None = None
    fasting: bool | None = None
    body_site: Text | None = None
    supplies: Annotated[tuple[SupplyLine, ...], Meta(max_length=100)] = ()


class NotCollected(Struct, frozen=True, kw_only=True, gc=False):
    order: Name
    reason: Text
    container: Name | None = None


class Labeled(Struct, frozen=True, kw_only=True, gc=False):
    label: Name
    scanned: Text
    patient: Name | None = None


class Relabeled(Struct, frozen=True, kw_only=True, gc=False):
    label: Name
    voids: Name
    reason: Text


class Dispatched(Struct, frozen=True, kw_only=True, gc=False):
    manifest: Name
    destination: Name
    transport: Transport = "ambient"
    tote: Name | None = None
    seal: Name | None = None


class PickedUp(Struct, frozen=True, kw_only=True, gc=False):
    manifest: Name
    temperature_c: Celsius | None = None
    seal: Name | None = None
    released_by: Name | None = None


class Received(Struct, frozen=True, kw_only=True, gc=False):
    manifest: Name | None = None
    condition: Name | None = None
    temperature_c: Celsius | None = None


class Rejected(Struct, frozen=True, kw_only=True, gc=False):
    reason: Name
    note: Text | None = None
    recollect: bool | None = None


class Child(Struct, frozen=True, kw_only=True, gc=False):
    accession: Name
    container: Name
    volume_ml: Millilitres | None = None


class Aliquoted(Struct, frozen=True, kw_only=True, gc=False):
    children: Annotated[tuple[Child, ...], Meta(min_length=1, max_length=100)]


class TestAdded(Struct, frozen=True, kw_only=True, gc=False):
    """An add-on: further tests of a tube that is already drawn."""

    __test__ = False  # not a pytest class

    tests: Tests
    order: Name
    priority: Priority | None = None


class Stored(Struct, frozen=True, kw_only=True, gc=False):
    location: Text


class Disposed(Struct, frozen=True, kw_only=True, gc=False):
    method: Text | None = None


class Missing(Struct, frozen=True, kw_only=True, gc=False):
    manifest: Name | None = None
    note: Text | None = None


class Found(Struct, frozen=True, kw_only=True, gc=False):
    manifest: Name | None = None
    note: Text | None = None


class Component(Struct, frozen=True, kw_only=True, gc=False):
    """One analyte of a panel."""

    code: Name
    name: Text | None = None
    value: Narrative | int | float | None = None
    unit: Text | None = None
    flag: Flag | None = None
    range: Text | None = None


class ResultReported(Struct, frozen=True, kw_only=True, gc=False):
    test: Name
    status: ResultStatus
    value: Narrative | int | float | None = None
    unit: Text | None = None
    flag: Flag | None = None
    range: Text | None = None
    comment: Narrative | None = None
    performed_by: Text | None = None
    """The laboratory."""
    method: Text | None = None
    analysed: Moment | None = None
    """When it was measured: a time with its offset from UTC."""
    supplies: Annotated[tuple[SupplyLine, ...], Meta(max_length=100)] = ()
    components: Annotated[tuple[Component, ...], Meta(max_length=500)] = ()


class ResultAcknowledged(Struct, frozen=True, kw_only=True, gc=False):
    test: Name
    read_back: bool
    report: Name | None = None
    """The id of the `result.reported` that was read back."""
    to: Text | None = None
    """Who was told: a role or a reference, never a name."""
    note: Text | None = None


class SupplyReceived(Struct, frozen=True, kw_only=True, gc=False):
    quantity: Quantity
    lot: Lot | None = None
    expires: date | None = None
    order: Name | None = None
    sent: Name | None = None
    """The id of the `supply.sent` that this receipt answers."""


class SupplyUsed(Struct, frozen=True, kw_only=True, gc=False):
    quantity: Quantity
    lot: Lot | None = None
    specimen: Name | None = None
    reason: Text | None = None


class SupplyWasted(SupplyUsed, frozen=True, kw_only=True, gc=False):
    pass


class SupplyCounted(Struct, frozen=True, kw_only=True, gc=False):
    lot: Lot
    quantity: Quantity
    reason: Text | None = None


class SupplyTransferred(Struct, frozen=True, kw_only=True, gc=False):
    lot: Lot
    quantity: Quantity
    to: Name


class SupplySent(Struct, frozen=True, kw_only=True, gc=False):
    """Goods on their way to another site: on order there until a receipt names this event."""

    quantity: Quantity
    to: Name
    lot: Lot | None = None
    expected: date | None = None


class SupplyOrdered(Struct, frozen=True, kw_only=True, gc=False):
    quantity: Quantity
    expected: date | None = None
    order: Name | None = None


class SupplyOrderClosed(Struct, frozen=True, kw_only=True, gc=False):
    """What is still open of an order will not come."""

    order: Name
    reason: Text


class SupplyRecalled(Struct, frozen=True, kw_only=True, gc=False):
    lot: Name
    notice: Text


class Voided(Struct, frozen=True, kw_only=True, gc=False):
    voids: Name
    reason: Text


Data = (
    OrderPlaced
    | OrderCancelled
    | Collected
    | NotCollected
    | Labeled
    | Relabeled
    | Dispatched
    | PickedUp
    | Received
    | Rejected
    | Aliquoted
    | TestAdded
    | Stored
    | Disposed
    | Missing
    | Found
    | ResultReported
    | ResultAcknowledged
    | SupplyReceived
    | SupplyUsed
    | SupplyWasted
    | SupplyCounted
    | SupplyTransferred
    | SupplySent
    | SupplyOrdered
    | SupplyOrderClosed
    | SupplyRecalled
    | Voided
)

Subject = Literal["order", "specimen", "specimen-or-order", "stock", "any"]


class EventType(Struct, frozen=True):
    """One row of the table of event types."""

    data: type[Struct]
    subject: Subject
    rank: int
    """Lifecycle rank: which of two events at the same microsecond comes first."""


TYPES: dict[str, EventType] = {
    "order.placed": EventType(OrderPlaced, "order", 0),
    "order.cancelled": EventType(OrderCancelled, "order", 1),
    "specimen.collected": EventType(Collected, "specimen", 10),
    "specimen.not-collected": EventType(NotCollected, "specimen-or-order", 11),
    "specimen.labeled": EventType(Labeled, "specimen", 20),
    "specimen.relabeled": EventType(Relabeled, "specimen", 21),
    "specimen.dispatched": EventType(Dispatched, "specimen", 30),
    "specimen.picked-up": EventType(PickedUp, "specimen", 40),
    "specimen.received": EventType(Received, "specimen", 50),
    "specimen.rejected": EventType(Rejected, "specimen", 60),
    "specimen.aliquoted": EventType(Aliquoted, "specimen", 61),
    "specimen.test-added": EventType(TestAdded, "specimen", 62),
    "result.reported": EventType(ResultReported, "specimen", 70),
    "result.acknowledged": EventType(ResultAcknowledged, "specimen", 71),
    "specimen.missing": EventType(Missing, "specimen", 80),
    "specimen.found": EventType(Found, "specimen", 81),
    "specimen.stored": EventType(Stored, "specimen", 82),
    "specimen.disposed": EventType(Disposed, "specimen", 90),
    # stock: what comes in before what goes out; a count last, since it already includes what happened by then
    "supply.ordered": EventType(SupplyOrdered, "stock", 0),
    "supply.received": EventType(SupplyReceived, "stock", 10),
    "supply.order-closed": EventType(SupplyOrderClosed, "stock", 11),
    "supply.transferred": EventType(SupplyTransferred, "stock", 20),
    "supply.sent": EventType(SupplySent, "stock", 21),
    "supply.used": EventType(SupplyUsed, "stock", 30),
    "supply.wasted": EventType(SupplyWasted, "stock", 31),
    "supply.counted": EventType(SupplyCounted, "stock", 40),
    "supply.recalled": EventType(SupplyRecalled, "stock", 50),
    "event.voided": EventType(Voided, "any", 99),
}
NAMES: dict[type[Struct], str] = {row.data: name for name, row in TYPES.items()}
"""{data: the event type that has them}"""
ADDED_LATER: dict[str, frozenset[str]] = {
    "order.placed": frozenset({"wanted", "requisition", "placer", "filler", "notes", "answers", "diagnoses"}),
    "result.reported": frozenset(
        {"range", "comment", "performed_by", "method", "analysed", "supplies", "components"}
    ),
    "result.acknowledged": frozenset({"report", "to"}),
    "supply.received": frozenset({"sent"}),
}
"""Optional fields that an event type did not have at first: in a recorded event they may hold anything."""
