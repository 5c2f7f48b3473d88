"""History: the events of one specimen, and the shape of what is folded from them.

Events are ordered by (time, lifecycle rank, id), never by arrival; voided ones are excluded.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import cast

from msgspec import Struct

from models.rules.event_types import NAMES, Aliquoted, Dispatched, PickedUp, Received, Voided
from models.rules.events import Event, K, of_kind


class Status(StrEnum):
    """A specimen's status, in the order of its lifecycle."""

    EXPECTED = "expected"
    COLLECTED = "collected"
    LABELED = "labeled"
    DISPATCHED = "dispatched"
    IN_TRANSIT = "in-transit"
    RECEIVED = "received"
    RESULTED = "resulted"
    STORED = "stored"
    REJECTED = "rejected"
    MISSING = "missing"
    DISPOSED = "disposed"


# events that show that somebody had the tube in their hands
SIGHTINGS = frozenset(
    f"specimen.{step}"
    for step in (
        "collected",
        "labeled",
        "relabeled",
        "dispatched",
        "picked-up",
        "received",
        "rejected",
        "aliquoted",
        "stored",
        "found",
    )
)
MOVES = ("specimen.dispatched", "specimen.picked-up", "specimen.received")
# events after which the actor holds the tube; a dispatch only puts it on a manifest
HAND_OVERS = frozenset(
    f"specimen.{step}" for step in ("collected", "picked-up", "received", "rejected", "stored", "found")
)
COMPLETE = frozenset({"final", "corrected", "cancelled"})
CRITICAL_FLAGS = frozenset({"critical-low", "critical-high", "critical"})


class OrderFacts(Struct, frozen=True, gc=False):
    """What the order's own events say; None where no such event is on record."""

    patient: str | None = None
    priority: str | None = None
    placed_event: str | None = None


class LotFacts(Struct, frozen=True, gc=False):
    expires: date | None = None
    notice: str | None = None
    """The recall notice, if the maker took the lot back."""
    notice_us: int | None = None


class Use(Struct, frozen=True, gc=False):
    """A supply that was used for this specimen."""

    item: str
    lot: str
    event_id: str
    site: str
    time_us: int


class DiscrepancyCode(StrEnum):
    """What contradicts the evidence, the rules or the catalog; models/rules/discrepancies.py has the rule of each."""

    MISSING_STEP = "missing-step"
    OUT_OF_ORDER = "out-of-order"
    REPEATED_STEP = "repeated-step"
    LABEL_MISMATCH = "label-mismatch"
    SUPERSEDED_LABEL = "superseded-label"
    IDENTITY_MISMATCH = "identity-mismatch"
    WRONG_DESTINATION = "wrong-destination"
    NOT_ON_MANIFEST = "not-on-manifest"
    MISSING_FROM_MANIFEST = "missing-from-manifest"
    TEMPERATURE_EXCURSION = "temperature-excursion"
    STABILITY_EXCEEDED = "stability-exceeded"
    SEAL_MISMATCH = "seal-mismatch"
    EXPIRED_SUPPLY = "expired-supply"
    RECALLED_SUPPLY = "recalled-supply"
    FUTURE_TIME = "future-time"
    AFTER_DISPOSAL = "after-disposal"


class Discrepancy(Struct, frozen=True, order=True, gc=False):
    code: DiscrepancyCode
    detail: str
    events: tuple[str, ...]


class Leg(Struct, gc=False):
    """One transport under one manifest ("" where a tube arrived elsewhere with none). Events in history order."""

    manifest: str
    dispatched: list[Event[Dispatched]]
    picked_up: list[Event[PickedUp]]
    received: list[Event[Received]]

    @property
    def start(self) -> tuple[int, int, str]:
        return (self.dispatched or self.picked_up or self.received)[0].order

    @property
    def dispatch(self) -> Event[Dispatched] | None:
        """The dispatch that counts: the last one."""
        return self.dispatched[-1] if self.dispatched else None

    @property
    def status(self) -> Status:
        if self.received:
            return Status.RECEIVED
        return Status.IN_TRANSIT if self.picked_up else Status.DISPATCHED


class Result(Struct, frozen=True, gc=False):
    test: str
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    critical: bool
    reported_us: int
    first_final_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    revisions: int


class History(Struct, frozen=True, kw_only=True, gc=False):
    """All that a specimen's state depends on: every event with its accession, voided ones too, and related facts."""

    accession: str
    events: tuple[Event, ...]
    births: tuple[Event[Aliquoted], ...] = ()
    """`specimen.aliquoted` events of a parent that name this accession, without voided ones."""
    parent: "Specimen | None" = None
    orders: Mapping[str, OrderFacts] = {}
    lots: Mapping[tuple[str, str], LotFacts] = {}
    uses: tuple[Use, ...] = ()
    """Uses of supplies that `supply.used` events link to this specimen."""


def every(steps: Mapping[str, list[Event]], kind: type[K]) -> list[Event[K]]:
    """Of events by type, those whose data are of this kind."""
    return cast("list[Event[K]]", steps.get(NAMES[kind], []))


class Scans(Struct, frozen=True, gc=False):
    """The events of one specimen that count, in history order and grouped."""

    accession: str
    events: list[Event]
    steps: dict[str, list[Event]]
    """The same by event type."""
    legs: list[Leg]
    direct: list[Event[Received]]
    """Receipts without a leg: at the site of collection, without a manifest."""
    birth: Event[Aliquoted] | None
    site: str | None

    def every(self, kind: type[K]) -> "list[Event[K]]":
        """The events whose data are of this kind."""
        return every(self.steps, kind)

    def first(self, step: str) -> Event | None:
        """The first counting event of a type, e.g. `specimen.labeled`."""
        found = self.steps.get(step)
        return found[0] if found else None

    def first_us(self, step: str) -> int | None:
        found = self.steps.get(step)
        return found[0].time_us if found else None


class Custody(Scans, frozen=True, gc=False):
    """What follows from the scans. Times are microseconds since 1970 UTC; None where no evidence is on record."""

    order: str | None
    patient: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    parent: str | None
    voided: int
    """How many events were voided: what is valid again because of a void is a new case."""
    status: Status
    custodian: str | None
    location: str | None
    collected_us: int | None
    received_us: int | None
    lab_received: Event[Received] | None
    resulted_us: int | None
    results: list[Result]


class Specimen(Custody, frozen=True, gc=False):
    """The folded state: custody, and what contradicts it."""

    discrepancies: list[Discrepancy]


_order = attrgetter("order")


def voided(events: Iterable[Event]) -> set[str]:
    """The ids of events that an `event.voided` invalidates.

    A void can itself be voided, but only by a later one, so that two can't void each other.
    """
    voids = sorted(of_kind(events, Voided), key=_order, reverse=True)
    gone: set[str] = set()
    later: set[str] = set()
    by_id = {e.id for e in voids}
    for void in voids:
        if void.id in gone:
            continue
        target = void.data.voids
        if target not in by_id or target not in later:
            gone.add(target)
        later.add(void.id)
    return gone - later


def effective(events: Iterable[Event]) -> list[Event]:
    """The events that count, in history order: by time, lifecycle rank, id."""
    every = sorted(events, key=_order)
    if "event.voided" in {e.type for e in every}:
        gone = voided(every)
        every = [e for e in every if e.id not in gone and e.type != "event.voided"]
    return every
