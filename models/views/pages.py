"""Queries of the station's pages about orders, specimens and bags. Rows are frozen structs; times are `…_us`.

Every list has a limit: a page with more than a person can read helps nobody.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, and_, case, exists, func, or_, select

from models.database.columns import strings
from models.database.state_tables import discrepancies, legs, orders, results, specimens
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
    order: str
    status: str
    patient: str | None
    priority: str
    tests: tuple[str, ...]
    site: str | None
    placed_us: int | None
    done: tuple[str, ...]
    """Tests for which a tube that was not rejected or lost is on record."""

    @property
    def open_tests(self) -> tuple[str, ...]:
        return tuple(test for test in self.tests if test not in self.done)


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
    return values | {name: bool(values[name]) for name in ("current", "critical") if name in values}


def _specimen(row: Any) -> SpecimenRow:
    values = dict(row._mapping)
    return SpecimenRow(**values | {"tests": strings(row.tests), "discrepancies": strings(row.discrepancies)})


def specimen(connection: Connection, accession: str) -> SpecimenRow | None:
    row = connection.execute(select(*_COLUMNS).where(specimens.c.accession == accession)).first()
    return _specimen(row) if row else None


def specimens_of_order(connection: Connection, order: str) -> list[SpecimenRow]:
    query = select(*_COLUMNS).where(specimens.c.order_id == order).order_by(specimens.c.accession).limit(ROWS_MAX)
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


def open_orders(connection: Connection, sites: Collection[str]) -> list[OrderRow]:
    """Orders placed for these sites (or for none in particular) with a test that no tube covers yet."""
    o = orders.c
    here = or_(o.site.in_(sites), o.site.is_(None))
    covered = exists(select(specimens.c.accession).where(specimens.c.order_id == o.order_id))
    query = (
        select(orders, covered.label("covered"))
        .where(o.status == "placed", here, o.placed_us.is_not(None))
        .order_by(case((o.priority == "stat", 0), else_=1), o.placed_us.desc())
        .limit(ROWS_MAX)
    )
    rows = connection.execute(query).all()
    done = _done(connection, [row.order_id for row in rows if row.covered])
    found = [_order(row, done.get(row.order_id, ())) for row in rows]
    return [order for order in found if order.open_tests]


def order(connection: Connection, order_id: str) -> OrderRow | None:
    row = connection.execute(select(orders).where(orders.c.order_id == order_id)).first()
    return _order(row, _done(connection, [order_id]).get(order_id, ())) if row else None


def _order(row: Any, done: Sequence[str]) -> OrderRow:
    return OrderRow(
        order=row.order_id,
        status=row.status,
        patient=row.patient,
        priority=row.priority or "routine",
        tests=strings(row.tests),
        site=row.site,
        placed_us=row.placed_us,
        done=tuple(done),
    )


def _done(connection: Connection, order_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each order, the tests for which there is a usable tube."""
    done: dict[str, set[str]] = {}
    s = specimens.c
    for start in range(0, len(order_ids), ROWS_MAX):
        some = order_ids[start : start + ROWS_MAX]
        lost = s.status.in_((Status.REJECTED, Status.MISSING))
        for order_id, tests in connection.execute(select(s.order_id, s.tests).where(s.order_id.in_(some), ~lost)):
            done.setdefault(order_id, set()).update(strings(tests))
    return {order_id: tuple(sorted(tests)) for order_id, tests in done.items()}


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
    """A test of a tube with its newest report, None where there is none."""

    test: str
    status: str | None = None
    value: str | None = None
    unit: str | None = None
    flag: str | None = None
    critical: bool = False
    reported_us: int | None = None
    acknowledged_us: int | None = None
    revisions: int = 0


def results_of(connection: Connection, row: SpecimenRow) -> list[Outstanding]:
    """Every test of a tube, in order of its code."""
    query = select(results).where(results.c.accession == row.accession)
    found = {r.test: Outstanding(**_values(r, Outstanding)) for r in connection.execute(query)}
    return [found.get(test) or Outstanding(test=test) for test in sorted({*row.tests, *found})]


def discrepancy_counts(connection: Connection, sites: Collection[str] | None) -> list[tuple[str, int]]:
    """(code, how many specimens), the most frequent first. `sites` None: everywhere."""
    d = discrepancies.c
    number = func.count(func.distinct(d.accession))
    query = select(d.code, number).group_by(d.code).order_by(number.desc(), d.code)
    if sites is not None:
        query = query.where(d.site.in_(sites))
    return [(code, int(n)) for code, n in connection.execute(query)]
