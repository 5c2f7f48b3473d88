"""Queries of the station's pages about orders, specimens and bags. Rows are frozen structs; times are `…_us`.

Every list has a limit: a page with more than a person can read helps nobody.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, case, func, or_, select

from models.database.bulk import select_in
from models.database.columns import strings
from models.database.state_tables import (
    discrepancies,
    legs,
    order_tubes,
    orders,
    relations,
    results,
    specimens,
    waiting_orders,
)
from models.rules.keys import key
from models.rules.results import COMPLETE
from models.rules.specimen import Status

ROWS_MAX = 500


SINCE: Mapping[str, str] = {
    Status.COLLECTED: "collected_us",
    Status.LABELED: "labeled_us",
    Status.DISPATCHED: "dispatched_us",
    Status.IN_TRANSIT: "picked_up_us",
    Status.RECEIVED: "received_us",
}
"""The statuses in which a specimen waits for the next step, each with the column of when it entered it."""


class SpecimenRow(Struct, frozen=True, kw_only=True):
    accession: str
    order_id: str | None
    patient: str | None
    site: str | None
    container: str | None
    tests: tuple[str, ...]
    priority: str | None
    status: str
    location: str | None
    manifest: str | None
    destination: str | None
    collected_us: int | None
    labeled_us: int | None
    dispatched_us: int | None
    picked_up_us: int | None
    received_us: int | None
    lab_received_us: int | None
    resulted_us: int | None
    discrepancies: tuple[str, ...]

    @property
    def since_us(self) -> int | None:
        """When it entered its current state, by its own times."""
        since: int | None = getattr(self, SINCE.get(self.status, "resulted_us"))
        return since


class OrderRow(Struct, frozen=True, kw_only=True):
    """An order; one that only its tubes name has the tests that wait."""

    order: str
    status: str
    patient: str | None
    priority: str
    tests: tuple[str, ...]
    site: str | None
    placed_us: int | None
    cancelled_us: int | None
    open_tests: tuple[str, ...]
    """Those that wait for a tube, sorted: without one, or to be drawn again."""
    due_us: int | None
    """By when the first of them is due."""


class WaitingOrder(Struct, frozen=True, kw_only=True):
    """An order that waits for a tube."""

    order: str
    patient: str | None
    priority: str
    open_tests: tuple[str, ...]
    again: tuple[str, ...]
    """Those of them that are to be drawn again: their tube was rejected."""
    site: str | None
    since_us: int
    due_us: int


class Tube(Struct, frozen=True, kw_only=True):
    """A tube on a manifest."""

    accession: str
    container: str | None
    priority: str | None
    status: str
    current: bool
    """Whether this is the tube's latest manifest."""
    seal: str | None
    """The seal with which the bag was closed on this tube; a straggler has a later one."""
    dispatched_us: int | None
    picked_up_us: int | None
    received_us: int | None


class Bag(Struct, frozen=True, kw_only=True):
    """A manifest with its tubes."""

    manifest: str
    origin: str | None
    destination: str | None
    transport: str | None
    tote: str | None
    seal: str | None
    courier: str | None
    tubes: tuple[Tube, ...]

    @property
    def picked_up(self) -> bool:
        return any(tube.picked_up_us for tube in self.tubes)


_COLUMNS = tuple(specimens.c[name] for name in SpecimenRow.__struct_fields__)


def _values(row: Any, kind: type[Struct]) -> dict[str, Any]:
    """The row's values for a struct; SQL's 0 and 1 as truth values."""
    values = {name: getattr(row, name) for name in kind.__struct_fields__}
    return values | {name: bool(values[name]) for name in ("current",) if name in values}


def _specimen(row: Any) -> SpecimenRow:
    values = dict(row._mapping)
    return SpecimenRow(**values | {"tests": strings(row.tests), "discrepancies": strings(row.discrepancies)})


def specimen(connection: Connection, accession: str) -> SpecimenRow | None:
    row = connection.execute(select(*_COLUMNS).where(specimens.c.accession == accession)).first()
    return _specimen(row) if row else None


def parent_of(connection: Connection, accession: str) -> str | None:
    """The tube that this one was poured from."""
    return connection.execute(select(specimens.c.parent).where(specimens.c.accession == accession)).scalar()


def specimens_of_order(connection: Connection, order: str) -> list[SpecimenRow]:
    query = (
        select(*_COLUMNS).where(specimens.c.order_key == key(order)).order_by(specimens.c.accession).limit(ROWS_MAX)
    )
    return [_specimen(row) for row in connection.execute(query)]


def waiting_for_dispatch(connection: Connection, sites: Collection[str]) -> list[SpecimenRow]:
    """Tubes at these sites that must travel on: STAT first, then the oldest."""
    s = specimens.c
    here = or_(
        and_(s.status.in_((Status.COLLECTED, Status.LABELED)), s.site.in_(sites)),
        and_(s.status == Status.RECEIVED, s.location.in_(sites), s.lab_received_us.is_(None)),
    )
    urgent = case((s.priority == "stat", 0), else_=1)
    query = select(*_COLUMNS).where(here).order_by(urgent, s.collected_us, s.accession).limit(ROWS_MAX)
    return [_specimen(row) for row in connection.execute(query)]


def waiting_for_results(connection: Connection, sites: Collection[str]) -> list[SpecimenRow]:
    """Tubes received at these labs whose tests are not all done: STAT first, then the oldest."""
    s = specimens.c
    urgent = case((s.priority == "stat", 0), else_=1)
    query = (
        select(*_COLUMNS)
        .where(s.status == Status.RECEIVED, s.lab_received_us.is_not(None), s.location.in_(sites))
        .order_by(urgent, s.lab_received_us, s.accession)
        .limit(ROWS_MAX)
    )
    return [_specimen(row) for row in connection.execute(query)]


def _waits_at(sites: Collection[str]) -> Any:
    w = waiting_orders.c
    return or_(w.site.in_(sites), w.site.is_(None))


def count_waiting(connection: Connection, sites: Collection[str]) -> int:
    """How many orders for these sites, or for none in particular, wait for a tube."""
    query = select(func.count()).select_from(waiting_orders).where(_waits_at(sites))
    return connection.execute(query).scalar() or 0


def waiting_list(connection: Connection, sites: Collection[str], *, first: int, many: int) -> list[WaitingOrder]:
    """Orders for these sites, or for none in particular, that wait for a tube: the most overdue first.

    `first`: how many to leave out from the beginning; `many`: how many to give.
    """
    w = waiting_orders.c
    query = select(waiting_orders).where(_waits_at(sites)).order_by(w.due_us, w.since_us, w.order_key)
    rows = connection.execute(query.offset(first).limit(min(many, ROWS_MAX))).all()
    again = _to_draw_again(connection, [row.order_key for row in rows])
    return [
        WaitingOrder(
            order=row.order_id,
            patient=row.patient,
            priority=row.priority,
            open_tests=strings(row.tests),
            again=tuple(sorted(again.get(row.order_key, set()) & set(strings(row.tests)))),
            site=row.site,
            since_us=row.since_us,
            due_us=row.due_us,
        )
        for row in rows
    ]


def _to_draw_again(connection: Connection, order_keys: Collection[str]) -> dict[str, set[str]]:
    """For each order, the tests of its tubes that were rejected with a recollection asked for."""
    found: dict[str, set[str]] = {}
    columns = ("order_key", "tests", "recollect_us")
    for order_key, tests, recollect_us in select_in(connection, order_tubes, columns, "order_key", order_keys):
        if recollect_us is not None:
            found.setdefault(order_key, set()).update(strings(tests))
    return found


def order(connection: Connection, order_id: str) -> OrderRow | None:
    """An order, in any spelling of its number; None where neither it nor a tube to draw again is on record."""
    found = key(order_id)
    row = connection.execute(select(orders).where(orders.c.order_key == found)).first()
    waits = connection.execute(select(waiting_orders).where(waiting_orders.c.order_key == found)).first()
    if row is None and waits is None:
        return None
    open_tests = strings(waits.tests) if waits else ()
    return OrderRow(
        order=row.order_id if row else waits.order_id,  # type: ignore[union-attr]
        status=row.status if row else "placed",
        patient=(row.patient if row else None) or (waits.patient if waits else None),
        priority=(waits.priority if waits else row.priority if row else None) or "routine",
        tests=strings(row.tests) if row else open_tests,
        site=(row.site if row else None) or (waits.site if waits else None),
        placed_us=row.placed_us if row else None,
        cancelled_us=row.cancelled_us if row else None,
        open_tests=open_tests,
        due_us=waits.due_us if waits else None,
    )


def bag(connection: Connection, manifest: str) -> Bag | None:
    """A manifest with every tube that was ever on it; None when none was."""
    found = bags(connection, legs.c.manifest == manifest)
    return found[0] if found else None


def bags(connection: Connection, which: Any) -> list[Bag]:
    """The bags that have a leg that meets `which`, with all their tubes, newest first."""
    named = (
        select(legs.c.manifest, func.max(legs.c.dispatched_us).label("at"))
        .where(which, legs.c.manifest != "")
        .group_by(legs.c.manifest)
        .order_by(func.max(legs.c.dispatched_us).desc())
        .limit(ROWS_MAX)
    )
    manifests = [row.manifest for row in connection.execute(named)]
    s = specimens.c
    query = (
        select(legs, s.container, s.priority, s.status, (s.manifest == legs.c.manifest).label("current"))
        .join(specimens, s.accession == legs.c.accession)
        .where(legs.c.manifest.in_(manifests))
        .order_by(legs.c.dispatched_us, legs.c.accession)
    )
    rows: dict[str, list[Any]] = {manifest: [] for manifest in manifests}
    for row in connection.execute(query):
        rows[row.manifest].append(row)
    return [_bag(manifest, tubes) for manifest, tubes in rows.items() if tubes]


def _bag(manifest: str, rows: Sequence[Any]) -> Bag:
    def said(name: str) -> str | None:
        return next((value for row in reversed(rows) if (value := getattr(row, name)) is not None), None)

    fields = {name: said(name) for name in ("origin", "destination", "transport", "tote", "seal", "courier")}
    tubes = tuple(Tube(**_values(row, Tube)) for row in rows)
    return Bag(manifest=manifest, tubes=tubes, **fields)


def open_bags(connection: Connection, sites: Collection[str]) -> list[Bag]:
    """Bags that wait at these sites for the courier."""
    l = legs.c  # noqa: E741  # short for the table, as everywhere
    waiting = and_(l.origin.in_(sites), l.dispatched_us.is_not(None), l.picked_up_us.is_(None))
    found = bags(connection, and_(waiting, l.received_us.is_(None)))
    return [one for one in found if any(tube.current and tube.status == Status.DISPATCHED for tube in one.tubes)]


def coming_bags(connection: Connection, sites: Collection[str]) -> list[Bag]:
    """Bags on their way to these sites with a tube that is not received yet."""
    l = legs.c  # noqa: E741
    found = bags(connection, and_(l.destination.in_(sites), l.received_us.is_(None)))
    moving = (Status.DISPATCHED, Status.IN_TRANSIT)
    return [one for one in found if any(tube.current and tube.status in moving for tube in one.tubes)]


def bag_of_tote(connection: Connection, tote: str) -> str | None:
    """The manifest that last went into this tote."""
    l = legs.c  # noqa: E741
    query = select(l.manifest).where(l.tote == tote).order_by(l.dispatched_us.desc(), l.manifest.desc()).limit(1)
    return connection.execute(query).scalar()


def received_of_bag(connection: Connection, manifest: str, sites: Collection[str]) -> set[str]:
    """The tubes on a manifest that were received at one of these sites."""
    here = (legs.c.manifest == manifest, legs.c.received_site.in_(sites))
    return set(connection.execute(select(legs.c.accession).where(*here)).scalars())


class Outstanding(Struct, frozen=True, kw_only=True):
    """A test of a tube with the report that stands, None where there is none."""

    test: str
    status: str | None = None
    value: str | None = None
    unit: str | None = None
    flag: str | None = None
    critical: str = "no"
    """`yes`, `no` or `unjudged`."""
    report: str = ""
    """The id of the report."""
    reported_us: int | None = None
    acknowledged_us: int | None = None
    acknowledged_by: str | None = None
    revisions: int = 0
    done_on: str | None = None
    """The aliquot on which the test is complete, where it is not on the tube itself."""


def results_of(connection: Connection, row: SpecimenRow) -> list[Outstanding]:
    """Every test of a tube, in order of its code."""
    query = select(results).where(results.c.accession == row.accession)
    found = {r.test: Outstanding(**_own(r)) for r in connection.execute(query)}
    closed = _closed_on_aliquots(connection, row.accession)
    return [
        found.get(test) or Outstanding(test=test, done_on=closed.get(test)) for test in sorted({*row.tests, *found})
    ]


def _own(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Outstanding.__struct_fields__ if name != "done_on"}


def _closed_on_aliquots(connection: Connection, accession: str) -> dict[str, str]:
    """{test: the aliquot on which it is complete} of all that was poured from a tube, at any depth."""
    poured: set[str] = set()
    newly = {accession}
    while newly:
        rows = select_in(connection, relations, ("child",), "parent", newly)
        newly = {child for (child,) in rows} - poured - {accession}
        poured |= newly
    columns = ("test", "accession", "status")
    found = [
        (t, a) for t, a, status in select_in(connection, results, columns, "accession", poured) if status in COMPLETE
    ]
    return dict(sorted(found, reverse=True))


def discrepancy_counts(connection: Connection, sites: Collection[str] | None) -> list[tuple[str, int]]:
    """(code, how many specimens), the most frequent first. `sites` None: everywhere."""
    d = discrepancies.c
    number = func.count(func.distinct(d.accession))
    query = select(d.code, number).group_by(d.code).order_by(number.desc(), d.code)
    if sites is not None:
        query = query.where(d.site.in_(sites))
    return [(code, int(n)) for code, n in connection.execute(query)]
