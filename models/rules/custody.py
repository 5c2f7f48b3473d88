"""Custody: the state of one specimen as a pure function of its history.

`fold` derives status, custodian, legs, times, results and discrepancies. Nothing is refused: a contradiction becomes
a discrepancy (models/rules/discrepancies.py), which resolves automatically when the missing evidence arrives.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from models.rules.discrepancies import find
from models.rules.event_types import (
    Aliquoted,
    Collected,
    Dispatched,
    PickedUp,
    Received,
    ResultAcknowledged,
    ResultReported,
    Stored,
    TestAdded,
)
from models.rules.events import Event
from models.rules.keys import key
from models.rules.results import COMPLETE, results
from models.rules.specimen import (
    HAND_OVERS,
    MOVES,
    SIGHTINGS,
    AddedTest,
    Custody,
    History,
    Leg,
    OrderFacts,
    Scans,
    Specimen,
    Status,
    effective,
    every,
    origin,
)
from models.rules.times import MINUTE_US

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy


_order = attrgetter("order")


def _by_type(events: list[Event]) -> dict[str, list[Event]]:
    steps: dict[str, list[Event]] = {}
    for event in events:
        steps.setdefault(event.type, []).append(event)
    return steps


def _legs(steps: dict[str, list[Event]], home: str | None) -> tuple[list[Leg], list[Event[Received]]]:
    """Group the moves by manifest; assign receipts that name none. Legs in order of their start."""
    legs: dict[str, Leg] = {}
    loose: list[Event[Received]] = []

    def leg_of(manifest: str) -> Leg:
        return legs.get(manifest) or legs.setdefault(manifest, Leg(manifest, [], [], []))

    for sent in every(steps, Dispatched):
        leg_of(sent.data.manifest).dispatched.append(sent)
    for taken in every(steps, PickedUp):
        leg_of(taken.data.manifest).picked_up.append(taken)
    for arrived in every(steps, Received):
        if arrived.data.manifest is None:
            loose.append(arrived)
        else:
            leg_of(arrived.data.manifest).received.append(arrived)
    direct: list[Event[Received]] = []
    for event in loose:
        unreceived = [leg for leg in legs.values() if not leg.received and leg.start <= event.order]
        if event.site == home and not any(leg.picked_up for leg in unreceived):
            direct.append(event)
        elif unreceived:
            max(unreceived, key=lambda leg: leg.start).received.append(event)
        else:
            leg_of("").received.append(event)
    return sorted(legs.values(), key=lambda leg: leg.start), direct


def _first(events: Iterable[Event], field: str) -> Any:
    for event in events:
        if (value := getattr(event.data, field, None)) is not None:
            return value
    return None


def _inherited(history: History, field: str) -> Any:
    """What the nearest tube that it was poured from says; None if none does."""
    return next((value for one in history.lineage if (value := getattr(one, field)) is not None), None)


def _scans(history: History) -> Scans:
    """The valid events, grouped."""
    events = effective(history.events)
    steps = _by_type(events)
    collected = steps.get("specimen.collected")
    if collected:
        site: str | None = collected[0].site
    else:
        site = _inherited(history, "site") or next((e.site for e in events if e.type in SIGHTINGS), None)
    legs, direct = _legs(steps, site)
    birth = min(history.births, key=_order, default=None)
    return Scans(history.accession, events, steps, legs, direct, birth, site)


def _born_in(accession: str, birth: Event[Aliquoted] | None) -> str | None:
    children = birth.data.children if birth else ()
    return next((c.container for c in children if c.accession == accession), None)


def _receipts(scans: Scans) -> list[Event[Received]]:
    return sorted([e for leg in scans.legs for e in leg.received] + scans.direct, key=_order)


def _at_lab(receipts: list[Event[Received]], catalog: "Catalog") -> Event[Received] | None:
    """The first receipt at a site of kind `lab`."""
    for event in receipts:
        site = catalog.sites.get(event.site)
        if site is not None and site.kind == "lab":
            return event
    return None


def _status(scans: Scans, resulted_us: int | None, skew_us: int) -> Status:
    """The first of these that holds; each depends on the order of the history, never of arrival."""
    steps = scans.steps
    if "specimen.disposed" in steps:
        return Status.DISPOSED
    lost = steps.get("specimen.missing")
    if lost and not any(e.type in SIGHTINGS and e.order >= lost[-1].order for e in scans.events):
        return Status.MISSING
    if "specimen.rejected" in steps:  # a rejection is valid until it is voided
        return Status.REJECTED
    stored = steps.get("specimen.stored")
    if stored and not any(e.order >= stored[-1].order for step in MOVES for e in steps.get(step, ())):
        return Status.STORED
    leg = scans.legs[-1] if scans.legs else None
    if resulted_us is not None and (leg is None or leg.received or leg.start[0] <= resulted_us + skew_us):
        return Status.RESULTED
    if leg is not None:
        back = scans.direct and scans.direct[-1].order > leg.start
        return Status.RECEIVED if back else leg.status
    if scans.direct or scans.birth is not None:
        return Status.RECEIVED
    if "specimen.labeled" in steps or "specimen.relabeled" in steps:
        return Status.LABELED
    return Status.COLLECTED if "specimen.collected" in steps else Status.EXPECTED


_NOWHERE = frozenset({Status.DISPOSED, Status.MISSING, Status.IN_TRANSIT, Status.EXPECTED})


def _custodian(scans: Scans, status: Status) -> str | None:
    """Who holds it."""
    holder = next((e for e in reversed(scans.events) if e.type in HAND_OVERS), None) or scans.birth
    return holder.actor if holder and status != Status.DISPOSED else None


def _location(scans: Scans, status: Status) -> str | None:
    """Where it is: a site, a storage place, or None while it travels, is lost or disposed of."""
    if status in _NOWHERE:
        return None
    stored = scans.every(Stored)
    seen = next((e for e in reversed(scans.events) if e.type in SIGHTINGS), None)
    if stored and seen is stored[-1]:
        return stored[-1].data.location
    return seen.site if seen else scans.birth.site if scans.birth else None


def fold(history: History, catalog: "Catalog", policy: "Policy") -> Specimen:
    """The state of one specimen, discrepancies included. The same for every order of `history.events`."""
    skew_us = round(policy.clock_skew_minutes * MINUTE_US)
    scans = _scans(history)
    events, birth, collected = scans.events, scans.birth, scans.every(Collected)
    own = origin(scans.accession, events, history.orders, poured=bool(history.births))
    order = own.order or _inherited(history, "order")
    facts = history.orders.get(key(order), OrderFacts()) if order is not None else OrderFacts()
    reports = scans.every(ResultReported)
    added = _added(scans.every(TestAdded), history.orders)
    drawn = {t for e in collected for t in e.data.tests} or {e.data.test for e in reports}
    tests = drawn | added.keys()
    closed = _closed([*reports, *history.poured])
    resulted_us = max(closed[test] for test in tests) if tests and tests <= closed.keys() else None
    receipts = _receipts(scans)
    status = _status(scans, resulted_us, skew_us)
    custody = Custody(
        **asdict(scans),
        order=order,
        patient=own.patient or _inherited(history, "patient"),
        container=_first(collected, "container") or _born_in(scans.accession, birth) or _first(events, "container"),
        tests=tuple(sorted(tests)),
        priority=own.priority or _inherited(history, "priority"),
        parent=birth.subject if birth else None,
        cancelled_us=facts.cancelled_us,
        added={test: one for test, one in added.items() if test not in drawn},
        closed=closed,
        status=status,
        custodian=_custodian(scans, status),
        location=_location(scans, status),
        collected_us=own.collected_us if collected else _inherited(history, "collected_us"),
        received_us=receipts[0].time_us if receipts else birth.time_us if birth else None,
        lab_received=_at_lab(receipts, catalog),
        resulted_us=resulted_us,
        results=results(reports, scans.every(ResultAcknowledged), catalog, skew_us),
    )
    return Specimen(**asdict(custody), discrepancies=find(custody, history, catalog, policy))


def _added(events: Iterable[Event[TestAdded]], orders: Mapping[str, OrderFacts]) -> dict[str, AddedTest]:
    """The first add-on of each test; STAT if any says so, cancelled if the orders of all are."""
    found: dict[str, AddedTest] = {}
    for event in events:
        cancelled_us = orders.get(key(event.data.order), OrderFacts()).cancelled_us
        for test in event.data.tests:
            first = found.get(test)
            if first is None:
                found[test] = AddedTest(event.time_us, event.data.priority, cancelled_us)
                continue
            priority = "stat" if event.data.priority == "stat" else first.priority
            both = None if cancelled_us is None else first.cancelled_us
            found[test] = AddedTest(first.added_us, priority, both)
    return found


def _closed(reports: Iterable[Event[ResultReported]]) -> dict[str, int]:
    """When each test was first complete."""
    found: dict[str, int] = {}
    for report in reports:
        if report.data.status in COMPLETE:
            found[report.data.test] = min(found.get(report.data.test, report.time_us), report.time_us)
    return found
