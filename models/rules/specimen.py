"""History: the events of one specimen, and the shape of what is folded from them.

Events are ordered by (time, lifecycle rank, id), never by arrival; voided ones are set aside.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from operator import attrgetter

from msgspec import Struct

from models.rules.events import Event

EXPECTED, COLLECTED, LABELED, DISPATCHED, IN_TRANSIT = (
    "expected",
    "collected",
    "labeled",
    "dispatched",
    "in-transit",
)
RECEIVED, RESULTED, STORED, REJECTED, MISSING = "received", "resulted", "stored", "rejected", "missing"
DISPOSED = "disposed"

# an event that shows the tube itself was in somebody's hands
SIGHTINGS = frozenset(
    f"specimen.{step}"
    for step in ("collected", "labeled", "relabeled", "dispatched", "picked-up", "received", "rejected",
                 "aliquoted", "stored", "found")
)  # fmt: skip
MOVES = ("specimen.dispatched", "specimen.picked-up", "specimen.received")
# an event after which its actor holds the tube; a dispatch only puts it on a manifest
HAND_OVERS = frozenset(
    f"specimen.{step}" for step in ("collected", "picked-up", "received", "rejected", "stored", "found")
)
COMPLETE = frozenset({"final", "corrected", "cancelled"})
CRITICAL_FLAGS = frozenset({"critical-low", "critical-high", "critical"})


class OrderFacts(Struct, frozen=True):
    """What the order's own events say; None where no such event is on record."""

    patient: str | None = None
    priority: str | None = None
    tests: tuple[str, ...] = ()
    placed_event: str | None = None


class LotFacts(Struct, frozen=True):
    expires: date | None = None
    notice: str | None = None
    """The recall notice, if the maker took the lot back."""
    notice_us: int | None = None


class Use(Struct, frozen=True):
    """A supply that was used for this specimen."""

    item: str
    lot: str
    event_id: str
    site: str
    time_us: int


class Discrepancy(Struct, frozen=True, order=True):
    code: str
    detail: str
    events: tuple[str, ...]


class Leg(Struct):
    """One transport under one manifest ("" where a tube arrived elsewhere with none). Events in history order."""

    manifest: str
    dispatched: list[Event]
    picked_up: list[Event]
    received: list[Event]

    @property
    def start(self) -> tuple[int, int, str]:
        return (self.dispatched or self.picked_up or self.received)[0].order

    @property
    def dispatch(self) -> Event | None:
        """The dispatch that holds: the last one."""
        return self.dispatched[-1] if self.dispatched else None

    @property
    def status(self) -> str:
        return RECEIVED if self.received else IN_TRANSIT if self.picked_up else DISPATCHED


class Result(Struct, frozen=True):
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


class History(Struct, frozen=True, kw_only=True):
    """All that a specimen's state rests on: every event with its accession, voided ones too, and related facts."""

    accession: str
    events: tuple[Event, ...]
    births: tuple[Event, ...] = ()
    """`specimen.aliquoted` events of a parent that name this accession, voided ones left out."""
    parent: "Specimen | None" = None
    orders: Mapping[str, OrderFacts] = {}
    lots: Mapping[tuple[str, str], LotFacts] = {}
    uses: tuple[Use, ...] = ()
    """Uses of supplies that `supply.used` events link to this specimen."""


class Specimen(Struct, kw_only=True):
    """The folded state. Times are microseconds since 1970 UTC; None where no evidence is on record."""

    accession: str
    events: list[Event]
    """Those that count, in history order."""
    steps: dict[str, list[Event]]
    """The same by event type."""
    legs: list[Leg]
    direct: list[Event]
    """Receipts that need no leg: at the site of collection, without a manifest."""
    birth: Event | None
    order: str | None
    patient: str | None
    site: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    parent: str | None
    voided: int = 0
    """How many events were voided: what stands again because of a void is a new case."""
    status: str = EXPECTED
    custodian: str | None = None
    location: str | None = None
    collected_us: int | None = None
    received_us: int | None = None
    lab_received: Event | None = None
    resulted_us: int | None = None
    results: list[Result] = []
    discrepancies: list[Discrepancy] = []

    def first(self, step: str) -> Event | None:
        """The first counting event of a type, e.g. `specimen.labeled`."""
        found = self.steps.get(step)
        return found[0] if found else None

    def first_us(self, step: str) -> int | None:
        found = self.steps.get(step)
        return found[0].time_us if found else None


_order = attrgetter("order")


def voided(events: Iterable[Event]) -> set[str]:
    """The ids of events that an `event.voided` takes out of the count.

    A void can itself be voided, by a later one only, so that two of them can't cancel each other without end.
    """
    voids = sorted((e for e in events if e.type == "event.voided"), key=_order, reverse=True)
    gone: set[str] = set()
    later: set[str] = set()
    by_id = {e.id for e in voids}
    for void in voids:
        if void.id in gone:
            continue
        target: str = void.data.voids  # type: ignore[union-attr]  # the type is event.voided
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
