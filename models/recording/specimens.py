"""Refolding: gather what the specimens of a batch rest on, fold them, write what has changed.

Part of the store's one transaction (models/recording/store.py). A specimen's state rests on its own events, its
parent's (an aliquot), its order's, and what is known of the lots used for it; `Refold` gathers just those.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table

from models.database.bulk import Known, delete, insert, upsert
from models.database.lots import LOT_COLUMNS, lots_of
from models.database.state_tables import (
    discrepancies,
    legs,
    linked_uses,
    lot_facts,
    orders,
    relations,
    results,
    specimens,
)
from models.rules.custody import fold
from models.rules.deadlines import deadlines
from models.rules.events import Event
from models.rules.specimen import MOVES, History, OrderFacts, Specimen, Use, effective

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

GENERATIONS_MAX = 8
_json = msgspec.json.Encoder()

SPECIMEN_COLUMNS = (
    "accession", "order_id", "patient", "site", "container", "tests", "priority", "status", "custodian", "location",
    "manifest", "destination", "collected_us", "labeled_us", "dispatched_us", "picked_up_us", "received_us",
    "resulted_us", "lab_received_us", "parent", "discrepancies", "deadlines", "alert_check_us",
)  # fmt: skip
SPECIMEN_UPDATE = (
    *SPECIMEN_COLUMNS[1:-1],
    # with an alert open the sweep must look at once: the change may have resolved it
    ("alert_check_us", "CASE WHEN specimens.alerts_open > 0 THEN 0 ELSE excluded.alert_check_us END"),
)
RESULT_COLUMNS = (
    "accession", "test", "status", "value", "unit", "flag", "critical", "reported_us", "first_final_us",
    "acknowledged_us", "acknowledged_by", "revisions",
)  # fmt: skip
LEG_COLUMNS = (
    "accession", "manifest", "number", "origin", "destination", "transport", "tote", "seal", "dispatched_us",
    "picked_up_us", "received_us", "received_site", "courier",
)  # fmt: skip
DISCREPANCY_COLUMNS = ("accession", "code", "detail", "events", "site")
RELATION_COLUMNS = ("child", "parent", "event_id")
USE_COLUMNS = ("accession", "item", "lot", "event_id", "site", "time_us")
_OF_AN_ORDER = frozenset({"specimen.collected", "specimen.not-collected"})
Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def text(value: Any) -> str:
    return _json.encode(value).decode()


def write_orders(connection: Connection, histories: dict[str, tuple[Event, ...]]) -> None:
    """Fold the orders' own events. The first placing that counts stands."""
    rows, gone = [], []
    for order_id, history in histories.items():
        counting = effective(history)
        placed = next((e for e in counting if e.type == "order.placed"), None)
        cancelled = next((e for e in counting if e.type == "order.cancelled"), None)
        if placed is None and cancelled is None:
            gone.append((order_id,))
            continue
        data: Any = placed.data if placed else None
        rows.append(
            (order_id, "cancelled" if cancelled else "placed", data.patient if data else None,
             data.priority if data else None, text(sorted(data.tests) if data else []),
             ((data.site if data else None) or (placed.site if placed else None) or None),
             placed.time_us if placed else None, cancelled.time_us if cancelled else None,
             placed.id if placed else None)
        )  # fmt: skip
    columns = ("order_id", "status", "patient", "priority", "tests", "site", "placed_us", "cancelled_us",
               "placed_event")  # fmt: skip
    upsert(connection, orders, columns, rows)
    delete(connection, orders, ("order_id",), gone)


class Refold:
    """One transaction's refolding of specimens."""

    def __init__(self, connection: Connection, catalog: "Catalog", policy: "Policy") -> None:
        self.connection, self.catalog, self.policy = connection, catalog, policy
        columns = ("order_id", "patient", "priority", "placed_event")
        self._orders = Known(connection, orders, columns, "order_id")
        self._uses = Known(connection, linked_uses, USE_COLUMNS, "accession")
        self._lots = Known(connection, lot_facts, LOT_COLUMNS, ("item", "lot"))
        self._have = {d.table: Known(connection, d.table, d.columns, "accession") for d in _DERIVED}
        self._related()

    def _related(self) -> None:
        """Forget what is known of relations: it is asked for again."""
        self._children = Known(self.connection, relations, RELATION_COLUMNS, "parent")
        self._parents = Known(self.connection, relations, RELATION_COLUMNS, "child")

    def foresee(self, accessions: set[str], found: dict[str, tuple[Event, ...]]) -> None:
        """Ask together for all that these specimens rest on, as far as their own events tell it."""
        for known in (self._children, self._parents, self._uses):
            known.ask(accessions)
        for derived in _DERIVED:
            self._have[derived.table].ask(derived.that_may_have_any(accessions, found))
        own = [found[a] for a in accessions]
        self._orders.ask(_orders_of(own))
        self._lots.ask(_lots_of(own))

    def family(self, accessions: Iterable[str]) -> tuple[set[str], dict[str, set[str]]]:
        """The accessions with all their aliquots, and each one's parents (theirs too)."""
        every, new = set(accessions), set(accessions)
        for _ in range(GENERATIONS_MAX):
            new = {child for child, *_ in self._children.of(new)} - every
            if not new:
                break
            every |= new
        parents: dict[str, set[str]] = {}
        new = every
        for _ in range(GENERATIONS_MAX):
            rows = self._parents.of(new)
            new = {parent for _, parent, _ in rows} - parents.keys() - every
            for child, parent, _ in rows:
                parents.setdefault(child, set()).add(parent)
            if not new:
                break
        return every, parents

    def histories_of(self, accessions: set[str], parents: dict[str, set[str]],
                     found: dict[str, tuple[Event, ...]]) -> dict[str, History]:  # fmt: skip
        """Everything that the state of these specimens rests on, parents' state left out."""
        order_ids, named = _orders_of(found.values()), _lots_of(found.values())
        for known, keys in ((self._orders, order_ids), (self._uses, accessions), (self._lots, named)):
            known.ask(keys)
        facts = {row[0]: OrderFacts(row[1], row[2], (), row[3]) for row in self._orders.of(order_ids)}
        linked: dict[str, list[Use]] = {}
        for accession, *use in self._uses.of(accessions):
            linked.setdefault(accession, []).append(Use(*use))
        lots = lots_of(self._lots.of(named | {(u.item, u.lot) for us in linked.values() for u in us}))
        return {
            a: History(
                accession=a, events=found.get(a, ()), orders=facts, lots=lots,
                births=tuple(e for p in parents.get(a, ()) for e in effective(found.get(p, ()))
                             if e.type == "specimen.aliquoted" and any(c.accession == a for c in e.data.children)),  # type: ignore[union-attr]
                uses=tuple(sorted(linked.get(a, ()), key=lambda u: u.event_id)),
            )
            for a in accessions
        }  # fmt: skip

    def fold_all(self, accessions: set[str], parents: dict[str, set[str]],
                 found: dict[str, tuple[Event, ...]]) -> dict[str, Specimen]:  # fmt: skip
        """Fold these specimens, parents before their aliquots."""
        ancestors = {p for ps in parents.values() for p in ps}
        histories = self.histories_of(accessions | ancestors, parents, found)
        folded: dict[str, Specimen] = {}

        def one(accession: str, depth: int) -> Specimen:
            if accession not in folded:
                history = histories[accession]
                birth = min(history.births, key=lambda e: e.order, default=None)
                if birth is not None and depth < GENERATIONS_MAX and birth.subject != accession:
                    parent = one(birth.subject, depth + 1)
                    history = msgspec.structs.replace(history, parent=parent)
                folded[accession] = fold(history, self.catalog, self.policy)
            return folded[accession]

        return {a: one(a, 0) for a in accessions}

    def write(self, folded: dict[str, Specimen], found: dict[str, tuple[Event, ...]]) -> None:
        """Write the state of these specimens; of their result, leg and discrepancy rows only what differs."""
        known = {a: s for a, s in folded.items() if found.get(a) or s.birth is not None}
        rows = [_specimen_row(s, self.catalog, self.policy) for s in known.values()]
        upsert(self.connection, specimens, SPECIMEN_COLUMNS, rows, SPECIMEN_UPDATE)
        delete(self.connection, specimens, ("accession",), [(a,) for a in folded.keys() - known.keys()])
        concerned = {d.table: d.that_may_have_any(folded, found) for d in _DERIVED}
        for table, accessions in concerned.items():
            self._have[table].ask(accessions)
        for table, columns, keys, of, _ in _DERIVED:
            want: Rows = {row[:keys]: row for s in known.values() for row in of(s)}
            have: Rows = {tuple(row[:keys]): tuple(row) for row in self._have[table].of(concerned[table])}
            upsert(self.connection, table, columns, [row for key, row in want.items() if have.get(key) != row])
            delete(self.connection, table, columns[:keys], [key for key in have if key not in want])

    def relate(self, found: dict[str, tuple[Event, ...]], touched: set[str]) -> set[str]:
        """Bring `relations` up to date with the touched parents' events. Returns the children concerned."""
        want = {
            (child.accession, parent, e.id)
            for parent in touched
            if any(e.type == "specimen.aliquoted" for e in found.get(parent, ()))
            for e in effective(found[parent])
            if e.type == "specimen.aliquoted"
            for child in e.data.children  # type: ignore[union-attr]  # the type is specimen.aliquoted
            if child.accession != parent
        }
        have = {tuple(r) for r in self._children.of(touched)}
        if want != have:
            insert(self.connection, relations, RELATION_COLUMNS, sorted(want - have))
            delete(self.connection, relations, ("child", "event_id"), sorted((c, e) for c, _, e in have - want))
            self._related()
        return {child for child, _, _ in want ^ have}


def _orders_of(histories: Iterable[tuple[Event, ...]]) -> set[str]:
    return {e.data.order for history in histories for e in history if e.type in _OF_AN_ORDER}  # type: ignore[union-attr,misc]


def _lots_of(histories: Iterable[tuple[Event, ...]]) -> set[tuple[str, str]]:
    return {
        (line.item, line.lot)
        for history in histories
        for event in history
        if event.type == "specimen.collected"
        for line in event.data.supplies  # type: ignore[union-attr]  # the type is specimen.collected
        if line.lot is not None
    }


def _specimen_row(s: Specimen, catalog: "Catalog", policy: "Policy") -> tuple[Any, ...]:
    cases = deadlines(s, catalog, policy)
    leg = s.legs[-1] if s.legs else None
    codes = sorted({d.code for d in s.discrepancies})
    destination = leg.dispatch.data.destination if leg and leg.dispatch else None  # type: ignore[union-attr]
    return (
        s.accession, s.order, s.patient, s.site, s.container, text(s.tests), s.priority, s.status, s.custodian,
        s.location, (leg.manifest or None) if leg else None, destination,
        s.collected_us, s.first_us("specimen.labeled"), s.first_us("specimen.dispatched"),
        s.first_us("specimen.picked-up"), s.received_us, s.resulted_us,
        s.lab_received.time_us if s.lab_received else None, s.parent, text(codes),
        text(cases) if cases else None, min((c.due_us for c in cases), default=None),
    )  # fmt: skip


def _result_rows(s: Specimen) -> list[tuple[Any, ...]]:
    return [
        (s.accession, r.test, r.status, r.value, r.unit, r.flag, int(r.critical), r.reported_us, r.first_final_us,
         r.acknowledged_us, r.acknowledged_by, r.revisions)
        for r in s.results
    ]  # fmt: skip


def _discrepancy_rows(s: Specimen) -> list[tuple[Any, ...]]:
    return [(s.accession, d.code, d.detail, text(d.events), s.site) for d in s.discrepancies]


def _leg_rows(s: Specimen) -> list[tuple[Any, ...]]:
    rows = []
    for number, leg in enumerate(s.legs, 1):
        sent: Any = leg.dispatch.data if leg.dispatch else None
        rows.append(
            (s.accession, leg.manifest, number, leg.dispatched[0].site if leg.dispatched else None,
             sent.destination if sent else None, sent.transport if sent else None, sent.tote if sent else None,
             sent.seal if sent else None, leg.dispatched[0].time_us if leg.dispatched else None,
             leg.picked_up[0].time_us if leg.picked_up else None,
             leg.received[0].time_us if leg.received else None, leg.received[0].site if leg.received else None,
             leg.picked_up[0].actor if leg.picked_up else None)
        )  # fmt: skip
    return rows


class _Derived(NamedTuple):
    """A table of what a specimen has many of."""

    table: Table
    columns: tuple[str, ...]
    keys: int
    """How many of the columns, from the first on, are the key."""
    of: Callable[[Specimen], list[tuple[Any, ...]]]
    types: frozenset[str] | None
    """The specimen's own events without which it has no row; None: it may have one without any."""

    def that_may_have_any(self, accessions: Iterable[str], found: dict[str, tuple[Event, ...]]) -> set[str]:
        """Those that may have rows, now or before this transaction: evidence is only added."""
        types = self.types
        return {a for a in accessions if types is None or any(e.type in types for e in found.get(a, ()))}


_DERIVED = (
    _Derived(results, RESULT_COLUMNS, 2, _result_rows, frozenset({"result.reported", "result.acknowledged"})),
    _Derived(legs, LEG_COLUMNS, 2, _leg_rows,
             frozenset(MOVES)),
    _Derived(discrepancies, DISCREPANCY_COLUMNS, 3, _discrepancy_rows, None),
)  # fmt: skip
