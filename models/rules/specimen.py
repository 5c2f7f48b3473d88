"""History: the events of one specimen, and the shape of what is folded from them.

Events are ordered by (time, lifecycle rank, id), never by arrival; voided ones are excluded.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import Any, cast

from msgspec import Struct

from models.rules.event_types import (
    NAMES,
    Aliquoted,
    Collected,
    Dispatched,
    NotCollected,
    PickedUp,
    Received,
    ResultReported,
    Voided,
)
from models.rules.events import Event, K, of_kind
from models.rules.keys import key
from models.rules.results import Result


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


class OrderFacts(Struct, frozen=True, gc=False):
    """What the order's own events say; None where no such event is on record."""

    patient: str | None = None
    priority: str | None = None
    placed_event: str | None = None
    other_placing: str | None = None
    """The event by which it was placed for another patient as well."""
    cancelled_us: int | None = None
    cancelled_event: str | None = None


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
    RESULT_ON_REJECTED = "result-on-rejected"
    CANCELLED_ORDER = "cancelled-order"


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
        """The place in the history of its first scan, whichever step that is: clocks may differ."""
        return min(some[0].order for some in (self.dispatched, self.picked_up, self.received) if some)

    @property
    def scans(self) -> list[Event[Any]]:
        """Those on the way and at its end."""
        return [*self.picked_up, *self.received]

    @property
    def dispatch(self) -> Event[Dispatched] | None:
        """The dispatch that counts: the last one."""
        return self.dispatched[-1] if self.dispatched else None

    @property
    def status(self) -> Status:
        if self.received:
            return Status.RECEIVED
        return Status.IN_TRANSIT if self.picked_up else Status.DISPATCHED


def mistaken_for(leg: Leg, legs: Iterable[Leg]) -> Leg | None:
    """The leg that the tube was on when it was first scanned under a manifest that it was not put on.

    A manifest that it was put on only after that scan is the next leg, and does not explain this one.
    """
    if leg.dispatched or not leg.manifest:
        return None
    for other in legs:
        over = bool(other.received) and other.received[0].order < leg.start
        put_on = bool(other.dispatched) and other.dispatched[0].order < leg.start
        if other.manifest != leg.manifest and put_on and not over:
            return other
    return None


class Origin(Struct, frozen=True, kw_only=True, gc=False):
    """What a tube's own events, and the order that they name, say of where it comes from. None: they don't say."""

    accession: str
    order: str | None = None
    order_event: str | None = None
    """The event that names the order."""
    patient: str | None = None
    patient_event: str | None = None
    priority: str | None = None
    site: str | None = None
    collected_us: int | None = None


class History(Struct, frozen=True, kw_only=True, gc=False):
    """All that a specimen's state depends on: every event with its accession, voided ones too, and related facts."""

    accession: str
    events: tuple[Event, ...]
    births: tuple[Event[Aliquoted], ...] = ()
    """`specimen.aliquoted` events of other tubes that name this accession, without voided ones."""
    lineage: tuple[Origin, ...] = ()
    """The tube that it was first poured from, the one that this was first poured from, and so on."""
    ancestors: tuple[Origin, ...] = ()
    """Every tube of which anything was poured into it, at any depth, sorted by accession."""
    poured: tuple[Event[ResultReported], ...] = ()
    """Reports on tubes that were poured from it, at any depth, without voided ones."""
    orders: Mapping[str, OrderFacts] = {}
    """By the key of the order."""
    lots: Mapping[tuple[str, str], LotFacts] = {}
    """By item and the key of the lot."""
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
    strays: list[Leg]
    """Scans under a manifest that it was not put on, which the right scan follows: no legs of its way."""
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


class AddedTest(Struct, frozen=True, gc=False):
    """One add-on of a test: when, and its priority if it has one."""

    added_us: int
    priority: str | None
    cancelled: bool = False
    """Whether the order that it was added for was cancelled: it may be another one than the tube's."""


class Custody(Scans, frozen=True, gc=False):
    """What follows from the scans. Times are microseconds since 1970 UTC; None where no evidence is on record."""

    order: str | None
    patient: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    parent: str | None
    cancelled_us: int | None
    """When its order was cancelled."""
    drawn: frozenset[str]
    """The tests that it was drawn for; of a tube without a collection on record, those that were reported."""
    added: Mapping[str, tuple[AddedTest, ...]]
    """Add-ons by test, in history order."""
    closed: Mapping[str, int]
    """When a test was first complete, on this tube or on one that was poured from it."""
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


def origin(accession: str, counting: Iterable[Event], orders: Mapping[str, OrderFacts], *, poured: bool) -> Origin:
    """Where a tube comes from, by its own events. `counting`: those that count; `poured`: from another tube."""
    events = list(counting)
    collected = of_kind(events, Collected)
    named: Sequence[Event[Collected] | Event[NotCollected]] = collected or of_kind(events, NotCollected)
    first = next(iter(named), None)
    order = first.data.order if first else None
    facts = orders.get(key(order), OrderFacts()) if order is not None else OrderFacts()
    patient, patient_event = facts.patient, facts.placed_event
    for event in collected or events:
        if (stated := getattr(event.data, "patient", None)) is not None:
            patient, patient_event = stated, event.id
            break
    if collected:
        site: str | None = collected[0].site
    else:
        site = None if poured else next((e.site for e in events if e.type in SIGHTINGS), None)
    priorities = {e.data.priority for e in collected}
    return Origin(
        accession=accession,
        order=order,
        order_event=first.id if first else None,
        patient=patient,
        patient_event=patient_event,
        priority=("stat" if "stat" in priorities else "routine") if priorities else facts.priority,
        site=site,
        collected_us=collected[0].time_us if collected else None,
    )
