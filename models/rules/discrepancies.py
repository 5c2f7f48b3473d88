"""Discrepancies: where the evidence about a specimen contradicts itself, the rules or the catalog.

Each rule is a small function over the folded state; `TABLE` says which rule finds each code, what it means and what
to do about it. A discrepancy names the events it is based on, and resolves automatically when the missing evidence
arrives or the wrong event is voided.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from config.messages import N_, Message
from models.rules.event_types import TYPES, Collected, Labeled, Missing, Relabeled, ResultReported, TestAdded
from models.rules.events import Event
from models.rules.keys import key, same
from models.rules.results import by_test
from models.rules.specimen import SIGHTINGS, Custody, Discrepancy, DiscrepancyCode, History, Leg, mistaken_for
from models.rules.times import MINUTE_US
from models.rules.transport_conditions import Case, Found, found, seals, stability, step, supplies, temperatures

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy


def _shipped(leg: Leg, following: Leg | None) -> bool:
    """Whether the tube left under this manifest. A tube moved to another manifest before pick-up did not."""
    return bool(leg.picked_up or leg.received) or following is None or _site(leg) != _site(following)


def _site(leg: Leg) -> str | None:
    return leg.dispatched[0].site if leg.dispatched else None


def missing_steps(case: Case) -> Found:
    """A later step is on record, but an earlier one that it needs is not."""
    s, steps = case.s, case.s.steps
    physical = [e for e in s.events if e.type in _PHYSICAL]
    if physical and not s.birth and "specimen.collected" not in steps:
        yield found(DiscrepancyCode.MISSING_STEP, Message("collected"), physical[0])
    labeled = "specimen.labeled" in steps or "specimen.relabeled" in steps
    if not labeled and not s.birth:
        travelled = next((e for e in physical if e.type in _NEEDS_LABEL), None)
        if travelled is not None:
            yield found(DiscrepancyCode.MISSING_STEP, Message("labeled"), travelled)
    for leg, following in case.hops:
        if leg.scans and not leg.dispatched and not mistaken_for(leg, s.legs):
            yield found(DiscrepancyCode.MISSING_STEP, Message("dispatched"), leg.scans[0])
        if leg.received and not leg.picked_up:
            yield found(DiscrepancyCode.MISSING_STEP, Message("picked-up"), leg.received[0])
        if following and not leg.received and _shipped(leg, following):
            yield found(
                DiscrepancyCode.MISSING_STEP, Message("received"), *following.dispatched[:1], *leg.dispatched[:1]
            )
    arrived = s.legs[-1].received if s.legs else s.birth
    if not arrived and not s.direct:
        needs_receipt = next((e for e in physical if _needs_receipt(e, s)), None)
        if needs_receipt is not None:
            yield found(DiscrepancyCode.MISSING_STEP, Message("received"), needs_receipt)


_PHYSICAL = SIGHTINGS | {"result.reported", "result.acknowledged"}
_NEEDS_LABEL = frozenset(
    {
        "specimen.dispatched",
        "specimen.picked-up",
        "specimen.received",
        "specimen.aliquoted",
        "specimen.stored",
        "result.reported",
    }
)
_AT_A_LAB = frozenset({"specimen.rejected", "specimen.aliquoted", "specimen.stored"})


def _needs_receipt(event: Event, s: Custody) -> bool:
    """A result, or work on the tube away from where it was collected, shows that it was received."""
    if event.type == "result.reported":
        return True
    away = event.site != s.site and not any(leg.dispatched and _site(leg) == event.site for leg in s.legs)
    return event.type in _AT_A_LAB and away


def not_on_manifest(case: Case) -> Found:
    for leg in case.s.legs:
        if mistaken_for(leg, case.s.legs):
            yield found(DiscrepancyCode.NOT_ON_MANIFEST, leg.manifest, *leg.scans)
    for leg in case.s.strays:
        yield found(DiscrepancyCode.NOT_ON_MANIFEST, leg.manifest, *leg.scans)


def missing_from_manifest(case: Case) -> Found:
    """Reported missing while on a manifest, and not scanned since."""
    s = case.s
    lost = s.every(Missing)
    if not lost or any(e.type in SIGHTINGS and e.order > lost[-1].order for e in s.events):
        return
    manifest = lost[-1].data.manifest or (s.legs[-1].manifest if s.legs and not s.legs[-1].received else None)
    if manifest:
        yield found(DiscrepancyCode.MISSING_FROM_MANIFEST, manifest, lost[-1])


def out_of_order(case: Case) -> Found:
    """Two steps whose times contradict each other by more than two devices' clocks may differ."""
    s = case.s
    chain = [s.first("specimen.collected"), s.first("specimen.labeled")]
    for leg, following in case.hops:
        if _shipped(leg, following):
            chain += [slot[0] if slot else None for slot in (leg.dispatched, leg.picked_up, leg.received)]
    steps = [e for e in chain if e is not None]
    pairs = list(pairwise(steps))
    receipts = [e for leg in s.legs + s.strays for e in leg.received] + s.direct
    if receipts:
        first = min(receipts, key=lambda e: e.order)
        pairs += [(first, e) for e in (s.first("result.reported"), s.first("specimen.rejected")) if e]
    elif steps:
        pairs += [(steps[0], e) for e in (s.first("result.reported"), s.first("specimen.rejected")) if e]
    for earlier, later in pairs:
        if earlier.time_us > later.time_us + case.skew_us:
            yield found(
                DiscrepancyCode.OUT_OF_ORDER,
                Message("{later} before {earlier}", later=step(later), earlier=step(earlier)),
                later,
                earlier,
            )
    yield from _corrected_before_final(case)


def _corrected_before_final(case: Case) -> Found:
    """The correction holds all the same (models/rules/results.py)."""
    for test, reports in by_test(case.s.every(ResultReported)).items():
        final = next((e for e in reversed(reports) if e.data.status == "final"), None)
        for event in reports if final else ():
            late = final is not None and final.time_us > event.time_us + case.skew_us
            if final and late and event.data.status == "corrected":
                detail = Message("{test}: corrected before final", test=test)
                yield found(DiscrepancyCode.OUT_OF_ORDER, detail, event, final)


def repeated_steps(case: Case) -> Found:
    s, steps = case.s, case.s.steps
    if len(steps) == len(s.events) and len(s.legs) < 2:
        return  # every step occurs once
    for name in ("collected", "rejected", "disposed"):
        if len(events := steps.get(f"specimen.{name}", [])) > 1:
            yield found(DiscrepancyCode.REPEATED_STEP, Message(name), *events)
    labeled = steps.get("specimen.labeled", [])
    if len(labeled) > 1 + len(steps.get("specimen.relabeled", [])):
        yield found(DiscrepancyCode.REPEATED_STEP, Message("labeled"), *labeled)
    for leg, following in case.hops:
        if len(leg.dispatched) > 1:
            yield found(DiscrepancyCode.REPEATED_STEP, Message("dispatched"), *leg.dispatched)
        elif following and following.dispatched and leg.dispatched and not _shipped(leg, following):
            yield found(
                DiscrepancyCode.REPEATED_STEP, Message("dispatched"), leg.dispatched[0], following.dispatched[0]
            )
        if len(leg.picked_up) > 1:
            yield found(DiscrepancyCode.REPEATED_STEP, Message("picked-up"), *leg.picked_up)
        yield from _same_site(leg.received)
    yield from _same_site(s.direct)


def _same_site(receipts: Sequence[Event]) -> Found:
    for site in {e.site for e in receipts}:
        here = [e for e in receipts if e.site == site]
        if len(here) > 1:
            yield found(DiscrepancyCode.REPEATED_STEP, Message("received"), *here)


def labels(case: Case) -> Found:
    """The read-back differs from the accession, or a label that was voided is still on the tube."""
    voids: dict[str, Event[Relabeled]] = {}
    for relabeled in case.s.every(Relabeled):
        voids.setdefault(key(relabeled.data.voids), relabeled)
    for event in case.s.every(Labeled):
        data = event.data
        old = voids.get(key(data.label)) or voids.get(key(data.scanned))
        if old is not None and event.time_us > old.time_us:
            yield found(DiscrepancyCode.SUPERSEDED_LABEL, old.data.voids, event, old)
        elif not same(data.scanned, case.s.accession) and key(data.scanned) not in voids:
            yield found(
                DiscrepancyCode.LABEL_MISMATCH, Message("scanned {code!r}", code=data.scanned.strip()[:64]), event
            )


def identity(case: Case) -> Found:
    """Two events, or tubes that were poured together, disagree on whose specimen this is."""
    births = [e.id for e in case.history.births]
    for field, types in _NAMING:
        own: dict[str, str] = {}
        for event in case.s.events:
            if event.type in types and (value := getattr(event.data, field)) is not None:
                own.setdefault(key(value), event.id)
        named = dict(own)
        for tube in case.history.ancestors:
            value, event_id = getattr(tube, field), getattr(tube, f"{field}_event")
            if value is not None and event_id is not None:
                named.setdefault(key(value), event_id)
        if len(named) > 1:
            poured = births if named.keys() - own.keys() else []
            yield Discrepancy(DiscrepancyCode.IDENTITY_MISMATCH, Message(field), (*named.values(), *poured))
        elif field == "patient" and named:
            yield from _against_orders(case, *next(iter(named.items())))


def _against_orders(case: Case, patient: str, event_id: str) -> Found:
    """The tube's patient is not that of its order, or of an order for which a test was added to it.

    An order that was placed for two patients is nobody's for certain.
    """
    orders = [case.s.order, *(e.data.order for e in case.s.every(TestAdded))]
    for order in dict.fromkeys(key(one) for one in orders if one is not None):
        facts = case.history.orders.get(order)
        if facts is None or facts.patient is None or facts.placed_event is None:
            continue
        placing = facts.placed_event if key(facts.patient) != patient else facts.other_placing
        if placing is not None:
            yield Discrepancy(DiscrepancyCode.IDENTITY_MISMATCH, Message("patient"), (event_id, placing))


_NAMING = [
    (
        field,
        frozenset(
            name
            for name, row in TYPES.items()
            if field in row.data.__struct_fields__ and name != "specimen.test-added"  # its order may be another one
        ),
    )
    for field in (N_("patient"), N_("order"))
]
"""Each field that says whose specimen it is, and the types of event that have it."""


def result_on_rejected(case: Case) -> Found:
    """A result reported after the rejection. Cancelling the test is what a lab does with a rejected tube."""
    rejected = case.s.first("specimen.rejected")
    for event in case.s.every(ResultReported) if rejected else ():
        if rejected and event.data.status in ("final", "corrected") and event.order > rejected.order:
            yield found(DiscrepancyCode.RESULT_ON_REJECTED, event.data.test, event, rejected)


def cancelled_order(case: Case) -> Found:
    """Drawn after its order was cancelled."""
    cancelled_us = case.s.cancelled_us
    facts = case.history.orders.get(key(case.s.order)) if case.s.order is not None else None
    if cancelled_us is None or facts is None or facts.cancelled_event is None:
        return
    for event in case.s.every(Collected):
        if event.time_us > cancelled_us:
            yield Discrepancy(DiscrepancyCode.CANCELLED_ORDER, case.s.order or "", (event.id, facts.cancelled_event))


def wrong_destination(case: Case) -> Found:
    for leg in case.s.legs:
        if leg.dispatch is None:
            continue
        meant = leg.dispatch.data.destination
        for event in leg.received:
            if event.site != meant:
                detail = Message("at {site}, sent to {meant}", site=event.site, meant=meant)
                yield found(DiscrepancyCode.WRONG_DESTINATION, detail, event, leg.dispatch)


def after_disposal(case: Case) -> Found:
    disposed = case.s.first("specimen.disposed")
    if disposed is None:
        return
    for event in case.s.events:
        if event.type in SIGHTINGS and event.time_us > disposed.time_us + case.skew_us:
            yield found(DiscrepancyCode.AFTER_DISPOSAL, step(event), event, disposed)


def future_time(case: Case) -> Found:
    """Scanned, by the device's clock, after the log received it: that clock is wrong."""
    for event in case.s.events:
        if event.appended_us and event.time_us > event.appended_us + case.skew_us:
            yield found(DiscrepancyCode.FUTURE_TIME, step(event), event)


_ANY: frozenset[str] = frozenset()
_RECEIVED = frozenset({"specimen.received"})
_SCANNED = frozenset({"specimen.picked-up", "specimen.received"})


class Finding(NamedTuple):
    """A code, and what a lab manager needs to know about it."""

    code: DiscrepancyCode
    rule: Callable[[Case], Found]
    needs: frozenset[str]
    """The rule is run only if there is an event of one of these types; empty: always."""
    means: str
    do: str


TABLE: tuple[Finding, ...] = (
    Finding(
        DiscrepancyCode.MISSING_STEP,
        missing_steps,
        _ANY,
        "A later step is on record, but the step named here is not.",
        "Ask who did that step to scan it late; if it was not done, write down why.",
    ),
    Finding(
        DiscrepancyCode.NOT_ON_MANIFEST,
        not_on_manifest,
        _SCANNED,
        "The tube travelled with a manifest that it was not listed on.",
        "Tell the sender; check the other tubes of that bag, one by one.",
    ),
    Finding(
        DiscrepancyCode.MISSING_FROM_MANIFEST,
        missing_from_manifest,
        frozenset({"specimen.missing"}),
        "The tube was listed on the manifest but was not in the bag.",
        "Search the sender's bench, the courier's car and the bag; scan it as found, or collect again.",
    ),
    Finding(
        DiscrepancyCode.OUT_OF_ORDER,
        out_of_order,
        _ANY,
        "Two steps have times that contradict each other by more than the clocks of two devices may differ.",
        "Compare the clocks of the two devices; void the event with the wrong time and record it again.",
    ),
    Finding(
        DiscrepancyCode.REPEATED_STEP,
        repeated_steps,
        _ANY,
        "A step that happens once was recorded more than once.",
        "Ask both people; void the event that did not happen.",
    ),
    Finding(
        DiscrepancyCode.LABEL_MISMATCH,
        labels,
        frozenset({"specimen.labeled"}),
        "What the scanner read back from the tube is not this specimen's number.",
        "Stop work on the tube, find out whose it is, label it again or collect again.",
    ),
    Finding(
        DiscrepancyCode.SUPERSEDED_LABEL,
        labels,
        frozenset({"specimen.labeled"}),
        "A label that had been replaced was scanned: the old one is still on a tube.",
        "Find the tube with the old label, remove that label, check that only one tube has this number.",
    ),
    Finding(
        DiscrepancyCode.IDENTITY_MISMATCH,
        identity,
        _ANY,
        "Two records disagree about the patient or the order.",
        "Stop work; check patient and order at the source, then void the wrong event or collect again.",
    ),
    Finding(
        DiscrepancyCode.WRONG_DESTINATION,
        wrong_destination,
        _RECEIVED,
        "The tube was received at another site than the one that it was sent to.",
        "Send it on, or change the destination with the sender; mind its stability.",
    ),
    Finding(
        DiscrepancyCode.TEMPERATURE_EXCURSION,
        temperatures,
        _SCANNED,
        "A measured temperature was outside what this tube or this kind of transport allows.",
        "Ask the lab whether each test is still valid; reject the tube if not.",
    ),
    Finding(
        DiscrepancyCode.STABILITY_EXCEEDED,
        stability,
        _RECEIVED,
        "It took longer from collection to the lab than the shortest limit among the tests.",
        "Ask the lab which tests are still valid; collect again for the others.",
    ),
    Finding(
        DiscrepancyCode.SEAL_MISMATCH,
        seals,
        frozenset({"specimen.picked-up"}),
        "The number of the seal at pick-up is not the one with which the bag was closed.",
        "Treat the bag as opened: count and check every tube, and ask who opened it.",
    ),
    Finding(
        DiscrepancyCode.EXPIRED_SUPPLY,
        supplies,
        _ANY,
        "A tube or other supply was used after its expiry date.",
        "Ask the lab whether the results hold; take the expired lot off the shelf.",
    ),
    Finding(
        DiscrepancyCode.RECALLED_SUPPLY,
        supplies,
        _ANY,
        "The maker has taken back the lot of a supply that was used.",
        "Read the recall notice; decide about results and a new collection; take the lot off the shelf.",
    ),
    Finding(
        DiscrepancyCode.AFTER_DISPOSAL,
        after_disposal,
        frozenset({"specimen.disposed"}),
        "The tube was scanned after it had been disposed of.",
        "Find out which of the two happened; void the event that did not.",
    ),
    Finding(
        DiscrepancyCode.FUTURE_TIME,
        future_time,
        _ANY,
        "The event's time lies after the moment at which the system got it: that device's clock is wrong.",
        "Set the clock of the device; void the event and record it with the right time.",
    ),
    Finding(
        DiscrepancyCode.RESULT_ON_REJECTED,
        result_on_rejected,
        frozenset({"specimen.rejected"}),
        "A result was reported for a tube that had been rejected.",
        "Ask the lab whether the result holds: cancel it and collect again, or void the rejection.",
    ),
    Finding(
        DiscrepancyCode.CANCELLED_ORDER,
        cancelled_order,
        frozenset({"specimen.collected"}),
        "The tube was drawn after its order had been cancelled.",
        "Ask who ordered it: place the order again or void the cancellation; else report its tests as cancelled.",
    ),
)
MEANINGS: Mapping[str, Finding] = {row.code: row for row in TABLE}
_RULES = tuple({row.rule: row.needs for row in TABLE}.items())


def find(s: Custody, history: History, catalog: "Catalog", policy: "Policy") -> list[Discrepancy]:
    """All discrepancies, sorted; those with the same code and detail are merged, with all their events."""
    hops = list(zip_longest(s.legs, s.legs[1:]))
    case = Case(s, history, catalog, policy, round(policy.clock_skew_minutes * MINUTE_US), hops)
    merged: dict[tuple[DiscrepancyCode, str], set[str]] = {}
    steps = s.steps
    for rule, needs in _RULES:
        if not needs or not needs.isdisjoint(steps):
            for one in rule(case):
                merged.setdefault((one.code, one.detail), set()).update(one.events)
    if not merged:
        return []
    return sorted(Discrepancy(code, detail, tuple(sorted(ids))) for (code, detail), ids in merged.items())
