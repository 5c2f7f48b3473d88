"""A tube's transport conditions: temperature, time to the lab, seals, and the supplies used for it.

Rules of models/rules/discrepancies.py, whose table names them.
"""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from config.messages import Message
from models.rules.calendars import day_at, zone_of
from models.rules.event_types import Collected, PickedUp, Received, ResultReported
from models.rules.events import Event
from models.rules.keys import key, same
from models.rules.specimen import Custody, Discrepancy, DiscrepancyCode, History, Leg, LotFacts, Use
from models.rules.stock import expired
from models.rules.times import DAY_US, EPOCH_DAY, HOUR_US

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy


class Case(NamedTuple):
    """The input of a rule."""

    s: Custody
    history: History
    catalog: "Catalog"
    policy: "Policy"
    skew_us: int
    hops: list[tuple[Leg, Leg | None]]
    """Each leg with the one that follows it."""


Found = Iterator[Discrepancy]


def found(code: DiscrepancyCode, detail: str, *events: Event) -> Discrepancy:
    return Discrepancy(code, detail, tuple(e.id for e in events))


def step(event: Event) -> Message:
    return Message(event.type.partition(".")[2])


def temperatures(case: Case) -> Found:
    for leg in case.s.legs + case.s.strays:
        transport = leg.dispatch.data.transport if leg.dispatch else "ambient"
        scans: list[Event[PickedUp] | Event[Received]] = [*leg.picked_up, *leg.received]
        for event in scans:
            if event.data.temperature_c is not None:
                yield from _excursion(event, event.data.temperature_c, _band(case, transport))
    for event in case.s.direct:
        if event.data.temperature_c is not None:
            yield from _excursion(event, event.data.temperature_c, _band(case, "ambient"))


def _excursion(event: Event, measured: float, allowed: tuple[float, float]) -> Found:
    low, high = allowed
    if not low <= measured <= high:
        if low > -273:
            band = Message("{low:g} to {high:g} °C", low=low, high=high)
        else:
            band = Message("at most {high:g} °C", high=high)
        detail = Message(
            "{measured:g} °C when {step}, allowed {band}", measured=measured, step=step(event), band=band
        )
        yield found(DiscrepancyCode.TEMPERATURE_EXCURSION, detail, event)


def _band(case: Case, transport: str) -> tuple[float, float]:
    if transport == "frozen":
        return -273.15, case.policy.frozen_max_c
    tube = case.catalog.containers.get(case.s.container or "")
    low, high = (tube.temperature_min_c, tube.temperature_max_c) if tube else (-273.15, 1000.0)
    if transport == "refrigerated":
        return max(low, case.policy.refrigerated_min_c), min(high, case.policy.refrigerated_max_c)
    return low, high


def stability_hours(s: Custody, catalog: "Catalog") -> float | None:
    """The shortest limit among the tests, for the temperature of the first leg; None if none is known."""
    first = s.legs[0].dispatch if s.legs else None
    cold = first is not None and first.data.transport == "refrigerated"
    shortest: float | None = None
    for name in s.tests:
        test = catalog.tests.get(name)
        if test is not None:
            hours = test.stability_refrigerated_hours if cold else test.stability_room_hours
            if hours is not None and (shortest is None or hours < shortest):
                shortest = hours
    return shortest


def stability(case: Case) -> Found:
    s = case.s
    hours = stability_hours(s, case.catalog)
    if hours is None or s.collected_us is None or s.lab_received is None:
        return
    if s.lab_received.time_us - s.collected_us > hours * HOUR_US:
        taken = (s.lab_received.time_us - s.collected_us) / HOUR_US
        start = s.steps.get("specimen.collected", [])[:1]
        detail = Message("{hours:.1f} h to the lab, stable for {limit:g} h", hours=taken, limit=hours)
        yield found(DiscrepancyCode.STABILITY_EXCEEDED, detail, *start, s.lab_received)


def seals(case: Case) -> Found:
    for leg in case.s.legs:
        closed = next((e for e in reversed(leg.dispatched) if e.data.seal), None)
        for event in leg.picked_up if closed else ():
            seal = event.data.seal
            if closed and seal is not None and not same(seal, closed.data.seal):
                detail = Message("seal {seal}, closed with {meant}", seal=seal, meant=closed.data.seal or "")
                yield found(DiscrepancyCode.SEAL_MISMATCH, detail, closed, event)


def uses(s: Custody, history: History) -> list[Use]:
    """Every supply with a known lot that was used for this specimen."""
    using: list[Event[Collected] | Event[ResultReported]] = [*s.every(Collected), *s.every(ResultReported)]
    own = [Use(line.item, line.lot, e.id, e.site, e.time_us) for e in using for line in e.data.supplies if line.lot]
    return own + list(history.uses)


def supplies(case: Case) -> Found:
    for use in uses(case.s, case.history):
        facts = case.history.lots.get((use.item, key(use.lot)), LotFacts())
        what = Message("{item} lot {lot}", item=use.item, lot=use.lot)
        if facts.expires is not None and was_expired(use, facts.expires, case.catalog):
            detail = Message("{what} expired {date}", what=what, date=facts.expires.isoformat())
            yield Discrepancy(DiscrepancyCode.EXPIRED_SUPPLY, detail, (use.event_id,))
        if facts.notice is not None:
            yield Discrepancy(DiscrepancyCode.RECALLED_SUPPLY, what, (use.event_id,))


def was_expired(use: Use, expires: date, catalog: "Catalog") -> bool:
    """Whether the last day of the lot was over at the site of use."""
    latest = EPOCH_DAY + use.time_us // DAY_US + 1  # no local time is a day ahead of UTC
    return latest > expires.toordinal() and expired(expires, local_day(use, catalog))


def local_day(use: Use, catalog: "Catalog") -> date:
    """The calendar day at the site of use: a lot is good to the end of its last day there."""
    return day_at(use.time_us, zone_of(use.site, catalog))
