"""The rows that hold a specimen's state: its own, and those of its results, legs and discrepancies."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from sqlalchemy import Table

from config.messages import dumped
from models.database.columns import json_text
from models.database.state_tables import discrepancies, legs, order_tubes, results
from models.rules.deadlines import Turnaround, deadlines, turnaround_of
from models.rules.event_types import NAMES, Collected, Rejected, TestAdded, Transport
from models.rules.events import Event
from models.rules.keys import key
from models.rules.results import Result
from models.rules.specimen import MOVES, Leg, Specimen

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy


class SpecimenRow(Struct, frozen=True, kw_only=True, gc=False):
    """A row of `specimens`; lists are JSON arrays."""

    accession: str
    order_id: str | None
    order_key: str | None
    patient: str | None
    site: str | None
    container: str | None
    tests: str
    priority: str | None
    status: str
    custodian: str | None
    location: str | None
    manifest: str | None
    destination: str | None
    collected_us: int | None
    labeled_us: int | None
    dispatched_us: int | None
    picked_up_us: int | None
    received_us: int | None
    resulted_us: int | None
    lab_received_us: int | None
    parent: str | None
    discrepancies: str
    deadlines: str | None
    faulty: int
    alert_check_us: int | None


def specimen_row(s: Specimen, catalog: "Catalog", policy: "Policy") -> SpecimenRow:
    """The row of a specimen's state, with what becomes late and when."""
    cases = deadlines(s, catalog, policy)
    leg = s.legs[-1] if s.legs else None
    return SpecimenRow(
        accession=s.accession,
        order_id=s.order,
        order_key=None if s.order is None else key(s.order),
        patient=s.patient,
        site=s.site,
        container=s.container,
        tests=json_text(s.tests),
        priority=s.priority,
        status=s.status,
        custodian=s.custodian,
        location=s.location,
        manifest=(leg.manifest or None) if leg else None,
        destination=leg.dispatch.data.destination if leg and leg.dispatch else None,
        collected_us=s.collected_us,
        labeled_us=s.first_us("specimen.labeled"),
        dispatched_us=s.first_us("specimen.dispatched"),
        picked_up_us=s.first_us("specimen.picked-up"),
        received_us=s.received_us,
        resulted_us=s.resulted_us,
        lab_received_us=s.lab_received.time_us if s.lab_received else None,
        parent=s.parent,
        discrepancies=json_text(sorted({d.code for d in s.discrepancies})),
        deadlines=json_text(cases) if cases else None,
        faulty=int(any(c.fault is not None for c in cases)),
        alert_check_us=min((c.due_us for c in cases if c.fault is None), default=None),
    )


class ResultRow(Struct, frozen=True, gc=False):
    """A row of `results`: the report that stands for one test."""

    accession: str
    test: str
    status: str
    value: str | None
    unit: str | None
    flag: str | None
    critical: str
    undecided: str
    """JSON array."""
    range: str | None
    comment: str | None
    components: str
    """JSON array."""
    report: str
    reported_us: int
    counts_us: int
    first_final_us: int | None
    since_us: int | None
    due_us: int | None
    acknowledged_us: int | None
    acknowledged_by: str | None
    revisions: int


def _result_rows(s: Specimen, catalog: "Catalog") -> list[Struct]:
    return [_result_row(s, r, turnaround_of(s, r.test, catalog)) for r in s.results]


def _result_row(s: Specimen, r: Result, turnaround: Turnaround | None) -> Struct:
    return ResultRow(
        accession=s.accession,
        test=r.test,
        status=r.status,
        value=r.value,
        unit=r.unit,
        flag=r.flag,
        critical=r.critical,
        undecided=json_text(r.undecided),
        range=r.range,
        comment=r.comment,
        components=json_text(r.components),
        report=r.report,
        reported_us=r.reported_us,
        counts_us=r.counts_us,
        first_final_us=r.first_final_us,
        since_us=turnaround.since_us if turnaround else None,
        due_us=turnaround.due_us if turnaround else None,
        acknowledged_us=r.acknowledged_us,
        acknowledged_by=r.acknowledged_by,
        revisions=r.revisions,
    )


class TubeRow(Struct, frozen=True, gc=False):
    """A row of `order_tubes`."""

    order_key: str
    accession: str
    order_id: str
    tests: str
    """JSON array, sorted."""
    site: str | None
    patient: str | None
    priority: str | None
    collected_us: int
    recollect_us: int | None
    again_key: str | None


def _tube_rows(s: Specimen, _: "Catalog") -> list[Struct]:
    """The orders whose tests this tube was collected for, or had added."""
    tests: dict[str, tuple[str, set[str]]] = {}
    collected = s.every(Collected)
    naming: list[Event[Collected] | Event[TestAdded]] = [*collected, *s.every(TestAdded)]
    for event in naming:
        order_id = event.data.order
        tests.setdefault(key(order_id), (order_id, set()))[1].update(event.data.tests)
    if not naming:
        return []
    again = [e for e in s.every(Rejected) if e.data.recollect]
    return [
        TubeRow(
            order_key=order_key,
            accession=s.accession,
            order_id=order_id,
            tests=json_text(sorted(some)),
            site=s.site,
            patient=s.patient,
            priority=s.priority,
            collected_us=naming[0].time_us,
            recollect_us=again[0].time_us if again else None,
            again_key=key(f"RC-{s.accession}") if again else None,
        )
        for order_key, (order_id, some) in sorted(tests.items())
    ]


class LegRow(Struct, frozen=True, gc=False):
    """A row of `legs`: one transport under one manifest, numbered in order of their start."""

    accession: str
    manifest: str
    number: int
    origin: str | None
    destination: str | None
    transport: Transport | None
    tote: str | None
    seal: str | None
    dispatched_us: int | None
    picked_up_us: int | None
    received_us: int | None
    received_site: str | None
    courier: str | None


def _leg_row(accession: str, number: int, leg: Leg) -> LegRow:
    sent = leg.dispatch.data if leg.dispatch else None
    dispatched, picked_up, received = (
        steps[0] if steps else None for steps in (leg.dispatched, leg.picked_up, leg.received)
    )
    return LegRow(
        accession=accession,
        manifest=leg.manifest,
        number=number,
        origin=dispatched.site if dispatched else None,
        destination=sent.destination if sent else None,
        transport=sent.transport if sent else None,
        tote=sent.tote if sent else None,
        seal=sent.seal if sent else None,
        dispatched_us=dispatched.time_us if dispatched else None,
        picked_up_us=picked_up.time_us if picked_up else None,
        received_us=received.time_us if received else None,
        received_site=received.site if received else None,
        courier=picked_up.actor if picked_up else None,
    )


def _leg_rows(s: Specimen, _: "Catalog") -> list[Struct]:
    return [_leg_row(s.accession, number, leg) for number, leg in enumerate(s.legs, 1)]


class DiscrepancyRow(Struct, frozen=True, gc=False):
    """A row of `discrepancies`; `events` is a JSON array."""

    accession: str
    code: str
    detail: str
    message: str | None
    events: str
    site: str | None


def _discrepancy_rows(s: Specimen, _: "Catalog") -> list[Struct]:
    return [
        DiscrepancyRow(
            accession=s.accession,
            code=d.code,
            detail=d.detail,
            message=dumped(d.detail),
            events=json_text(d.events),
            site=s.site,
        )
        for d in s.discrepancies
    ]


class Derived(NamedTuple):
    """A table with several rows per specimen."""

    table: Table
    kind: type[Struct]
    keys: tuple[str, ...]
    rows_of: Callable[[Specimen, "Catalog"], list[Struct]]
    types: frozenset[str] | None
    """The specimen's own events without which it has no row; None: it may have one without any."""

    def key_of(self, row: Struct) -> tuple[Any, ...]:
        return tuple(getattr(row, key) for key in self.keys)

    def that_may_have_any(self, accessions: Iterable[str], histories: Mapping[str, tuple[Event, ...]]) -> set[str]:
        """Those that may have rows, now or before this transaction: evidence is append-only."""
        types = self.types
        return {a for a in accessions if types is None or any(e.type in types for e in histories.get(a, ()))}


DERIVED = (
    Derived(
        results,
        ResultRow,
        ("accession", "test"),
        _result_rows,
        frozenset({"result.reported", "result.acknowledged"}),
    ),
    Derived(
        order_tubes,
        TubeRow,
        ("accession", "order_key"),
        _tube_rows,
        frozenset({NAMES[Collected], NAMES[TestAdded]}),
    ),
    Derived(legs, LegRow, ("accession", "manifest"), _leg_rows, frozenset(MOVES)),
    Derived(discrepancies, DiscrepancyRow, ("accession", "code", "detail"), _discrepancy_rows, None),
)
