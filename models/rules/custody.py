"""Custody: the state of one specimen as a pure function of its history.

`fold` derives status, custodian, legs, times, results and discrepancies. Nothing is refused: a contradiction becomes
a discrepancy (models/rules/discrepancies.py), which heals by itself when the missing evidence arrives.
"""

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from models.rules.discrepancies import find
from models.rules.event_types import Child
from models.rules.events import Event
from models.rules.specimen import (
    COLLECTED,
    COMPLETE,
    CRITICAL_FLAGS,
    DISPOSED,
    EXPECTED,
    HAND_OVERS,
    IN_TRANSIT,
    LABELED,
    MISSING,
    MOVES,
    RECEIVED,
    REJECTED,
    RESULTED,
    SIGHTINGS,
    STORED,
    History,
    Leg,
    OrderFacts,
    Result,
    Specimen,
    effective,
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


def _legs(steps: dict[str, list[Event]], home: str | None) -> tuple[list[Leg], list[Event]]:
    """Group the moves by manifest; place receipts that name none. Legs in order of their start."""
    legs: dict[str, Leg] = {}
    loose: list[Event] = []
    for step, slot in zip(MOVES, ("dispatched", "picked_up", "received"), strict=True):
        for event in steps.get(step, ()):
            manifest: str | None = event.data.manifest  # type: ignore[union-attr]  # all three have it
            if manifest is None:
                loose.append(event)
                continue
            leg = legs.get(manifest) or legs.setdefault(manifest, Leg(manifest, [], [], []))
            getattr(leg, slot).append(event)
    direct: list[Event] = []
    for event in loose:
        unreceived = [leg for leg in legs.values() if not leg.received and leg.start <= event.order]
        if event.site == home and not any(leg.picked_up for leg in unreceived):
            direct.append(event)
        elif unreceived:
            max(unreceived, key=lambda leg: leg.start).received.append(event)
        else:
            legs.setdefault("", Leg("", [], [], [])).received.append(event)
    return sorted(legs.values(), key=lambda leg: leg.start), direct


def _results(steps: dict[str, list[Event]], catalog: "Catalog", skew_us: int) -> list[Result]:
    """One row per test. A later report replaces an earlier one, but a preliminary never a final one."""
    reports: dict[str, list[Event]] = {}
    for event in steps.get("result.reported", ()):
        reports.setdefault(event.data.test, []).append(event)  # type: ignore[union-attr]
    rows = []
    for test, events in sorted(reports.items()):
        done = [e for e in events if e.data.status in COMPLETE]  # type: ignore[union-attr]
        last = (done or events)[-1]
        data: Any = last.data
        ack = next(
            (a for a in steps.get("result.acknowledged", ())
             if a.data.test == test and a.data.read_back  # type: ignore[union-attr]
             and a.time_us >= last.time_us - skew_us), None
        )  # fmt: skip
        value = None if data.value is None else str(data.value)
        rows.append(
            Result(
                test, data.status, value, data.unit, data.flag,
                data.status != "cancelled" and is_critical(test, data.value, data.unit, data.flag, catalog),
                last.time_us, done[0].time_us if done else None,
                ack.time_us if ack else None, ack.actor if ack else None, len(events) - 1,
            )
        )  # fmt: skip
    return rows


def is_critical(test: str, value: str | float | None, unit: str | None, flag: str | None, catalog: "Catalog") -> bool:
    """By the lab's flag, or by our own table where the value is a number in the table's unit."""
    if flag in CRITICAL_FLAGS:
        return True
    limit = catalog.critical_values.get(test)
    if limit is None or value is None or unit != limit.unit:
        return False
    try:
        number = float(value)
    except ValueError:
        return False
    return (limit.low_below is not None and number < limit.low_below) or (
        limit.high_above is not None and number > limit.high_above
    )


def _first(events: Iterable[Event], field: str) -> Any:
    for event in events:
        if (value := getattr(event.data, field, None)) is not None:
            return value
    return None


def _start(history: History) -> Specimen:
    events = effective(history.events)
    steps = _by_type(events)
    collected = steps.get("specimen.collected", [])
    birth = min(history.births, key=_order, default=None)
    parent = history.parent
    order = _first(collected or events, "order")
    facts = history.orders.get(order or "", OrderFacts())
    named = {t for e in collected for t in e.data.tests}  # type: ignore[union-attr]
    named = named or {e.data.test for e in steps.get("result.reported", ())}  # type: ignore[union-attr]
    if collected or parent:
        site = collected[0].site if collected else parent.site if parent else None
    else:
        site = next((e.site for e in events if e.type in SIGHTINGS), None)
    priorities = {e.data.priority for e in collected}  # type: ignore[union-attr]
    legs, direct = _legs(steps, site)
    return Specimen(
        accession=history.accession, events=events, steps=steps, legs=legs, direct=direct, birth=birth,
        order=order or (parent.order if parent else None),
        patient=_first(collected or events, "patient") or facts.patient or (parent.patient if parent else None),
        site=site,
        container=_first(collected, "container") or _born_in(history.accession, birth) or _first(events, "container"),
        tests=tuple(sorted(named)),
        priority=("stat" if "stat" in priorities else "routine" if priorities else facts.priority)
        or (parent.priority if parent else None),
        parent=birth.subject if birth else None,
        collected_us=collected[0].time_us if collected else parent.collected_us if parent else None,
        voided=0 if len(events) == len(history.events) else sum(e.type == "event.voided" for e in history.events),
    )  # fmt: skip


def _born_in(accession: str, birth: Event | None) -> str | None:
    children: tuple[Child, ...] = getattr(birth.data, "children", ()) if birth else ()
    return next((c.container for c in children if c.accession == accession), None)


def _receipts(s: Specimen, catalog: "Catalog") -> None:
    receipts = [e for leg in s.legs for e in leg.received] + s.direct
    receipts.sort(key=_order)
    s.received_us = receipts[0].time_us if receipts else None
    for event in receipts:
        site = catalog.sites.get(event.site)
        if site is not None and site.kind == "lab":
            s.lab_received = event
            break
    if s.received_us is None and s.birth is not None:
        s.received_us = s.birth.time_us


def _status(s: Specimen, skew_us: int) -> str:
    """The first of these that holds; each rests on the order of the history, never on arrival."""
    steps = s.steps
    if "specimen.disposed" in steps:
        return DISPOSED
    lost = steps.get("specimen.missing")
    if lost and not any(e.type in SIGHTINGS and e.order >= lost[-1].order for e in s.events):
        return MISSING
    if "specimen.rejected" in steps:  # a rejection stands until it is voided
        return REJECTED
    stored = steps.get("specimen.stored")
    if stored and not any(e.order >= stored[-1].order for step in MOVES for e in steps.get(step, ())):
        return STORED
    leg = s.legs[-1] if s.legs else None
    if s.resulted_us is not None and (leg is None or leg.received or leg.start[0] <= s.resulted_us + skew_us):
        return RESULTED
    if leg is not None:
        back = s.direct and s.direct[-1].order > leg.start
        return RECEIVED if back else leg.status
    if s.direct or s.birth is not None:
        return RECEIVED
    if "specimen.labeled" in steps or "specimen.relabeled" in steps:
        return LABELED
    return COLLECTED if "specimen.collected" in steps else EXPECTED


def _place(s: Specimen) -> None:
    """Who holds it, and where: a site, a storage place, or None while it travels, is lost or is gone."""
    holder = next((e for e in reversed(s.events) if e.type in HAND_OVERS), None) or s.birth
    s.custodian = holder.actor if holder and s.status != DISPOSED else None
    if s.status in (DISPOSED, MISSING, IN_TRANSIT, EXPECTED):
        s.location = None
        return
    stored = s.steps.get("specimen.stored")
    seen = next((e for e in reversed(s.events) if e.type in SIGHTINGS), None)
    if stored and seen is stored[-1]:
        s.location = stored[-1].data.location  # type: ignore[union-attr]
    else:
        s.location = seen.site if seen else s.birth.site if s.birth else None


def fold(history: History, catalog: "Catalog", policy: "Policy") -> Specimen:
    """The state of one specimen, discrepancies included. The same for every order of `history.events`."""
    skew_us = round(policy.clock_skew_minutes * MINUTE_US)
    s = _start(history)
    _receipts(s, catalog)
    s.results = _results(s.steps, catalog, skew_us)
    done = {r.test: r.first_final_us for r in s.results if r.first_final_us is not None}
    if s.tests and all(test in done for test in s.tests):
        s.resulted_us = max(done[test] for test in s.tests)
    s.status = _status(s, skew_us)
    _place(s)
    s.discrepancies = find(s, history, catalog, policy)
    return s
