"""Refolding: load the histories that a batch touches, fold them, write what has changed.

Part of the store's one transaction (models/store.py). A specimen's state rests on its own events, its parent's (an
aliquot), its order's, and what is known of the lots used for it; `Refold` gathers just those.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection

from models.bulk import delete, insert, select_in, upsert
from models.custody import fold
from models.deadlines import deadlines
from models.events import Event, parse
from models.history import History, OrderFacts, Specimen, Use, effective
from models.stockroom import known_lots
from models.tables_evidence import chains, events
from models.tables_state import discrepancies, legs, linked_uses, orders, relations, results, specimens

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

GENERATIONS_MAX = 8
CACHE_MAX = 20_000
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
_OF_AN_ORDER = frozenset({"specimen.collected", "specimen.not-collected"})
Rows = dict[tuple[Any, ...], tuple[Any, ...]]


def text(value: Any) -> str:
    return _json.encode(value).decode()


class Histories:
    """Parsed events by subject, kept between transactions; an entry holds while its chain has not grown."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, tuple[Event, ...]]] = OrderedDict()

    def load(self, connection: Connection, subjects: set[str], grown: dict[str, tuple[int, list[Event]]]) -> (
        dict[str, tuple[Event, ...]]
    ):  # fmt: skip
        """Every event of these subjects. `grown`: chain length before, and the new events, of this transaction."""
        lengths = {subject: before for subject, (before, _) in grown.items() if subject in subjects}
        others = [s for s in subjects if s not in lengths]
        lengths |= dict(tuple(r) for r in select_in(connection, chains, ("subject", "length"), "subject", others))
        found: dict[str, tuple[Event, ...]] = {}
        absent: dict[str, list[Event]] = {}
        for subject in subjects:
            length = lengths.get(subject, 0)
            kept = self._kept.get(subject)
            if length == 0:
                found[subject] = ()
            elif kept is not None and kept[0] == length:
                found[subject] = kept[1]
            else:
                absent[subject] = []
        columns = ("subject", "raw", "appended_us", "chain_seq")
        for subject, raw, appended_us, chain_seq in select_in(connection, events, columns, "subject", absent):
            if chain_seq <= lengths[subject]:
                absent[subject].append(parse(bytes(raw), appended_us))
        for subject, loaded in absent.items():
            found[subject] = tuple(loaded)
        for subject in subjects:
            if subject in grown:
                found[subject] += tuple(grown[subject][1])
            self._keep(subject, found[subject])
        return found

    def _keep(self, subject: str, history: tuple[Event, ...]) -> None:
        self._kept[subject] = (len(history), history)
        self._kept.move_to_end(subject)
        while len(self._kept) > CACHE_MAX:
            self._kept.popitem(last=False)

    def forget(self) -> None:
        """After a transaction that failed: what was kept may never have been written."""
        self._kept.clear()


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

    def __init__(self, connection: Connection, catalog: "Catalog", policy: "Policy", histories: Histories) -> None:
        self.connection, self.catalog, self.policy, self.histories = connection, catalog, policy, histories

    def family(self, accessions: Iterable[str]) -> tuple[set[str], dict[str, set[str]]]:
        """The accessions with all their aliquots, and each one's parents (theirs too)."""
        every, new = set(accessions), set(accessions)
        for _ in range(GENERATIONS_MAX):
            rows = select_in(self.connection, relations, ("child",), "parent", new)
            new = {child for (child,) in rows} - every
            if not new:
                break
            every |= new
        parents: dict[str, set[str]] = {}
        new = every
        for _ in range(GENERATIONS_MAX):
            rows = select_in(self.connection, relations, ("child", "parent"), "child", new)
            new = {parent for _, parent in rows} - parents.keys() - every
            for child, parent in rows:
                parents.setdefault(child, set()).add(parent)
            if not new:
                break
        return every, parents

    def histories_of(self, accessions: set[str], parents: dict[str, set[str]],
                     found: dict[str, tuple[Event, ...]]) -> dict[str, History]:  # fmt: skip
        """Everything that the state of these specimens rests on, parents' state left out."""
        order_ids = {e.data.order for s in found.values() for e in s if e.type in _OF_AN_ORDER}  # type: ignore[union-attr]
        facts = {
            row[0]: OrderFacts(row[1], row[2], (), row[3])
            for row in select_in(
                self.connection,
                orders,
                ("order_id", "patient", "priority", "placed_event"),
                "order_id",
                order_ids,
            )
        }
        linked: dict[str, list[Use]] = {}
        columns = ("accession", "item", "lot", "event_id", "site", "time_us")
        for accession, *use in select_in(self.connection, linked_uses, columns, "accession", accessions):
            linked.setdefault(accession, []).append(Use(*use))
        lots = known_lots(self.connection, _lots_of(found) | {(u.item, u.lot) for us in linked.values() for u in us})
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
        for table, columns, keys, of in (
            (results, RESULT_COLUMNS, 2, _result_rows),
            (legs, LEG_COLUMNS, 2, _leg_rows),
            (discrepancies, DISCREPANCY_COLUMNS, 3, _discrepancy_rows),
        ):
            want: Rows = {row[:keys]: row for s in known.values() for row in of(s)}
            have: Rows = {
                tuple(row[:keys]): tuple(row)
                for row in select_in(self.connection, table, columns, "accession", folded)
            }
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
        columns = ("child", "parent", "event_id")
        have = {tuple(r) for r in select_in(self.connection, relations, columns, "parent", touched)}
        insert(self.connection, relations, columns, sorted(want - have))
        delete(self.connection, relations, ("child", "event_id"), sorted((c, e) for c, _, e in have - want))
        return {child for child, _, _ in want ^ have}


def _lots_of(found: dict[str, tuple[Event, ...]]) -> set[tuple[str, str]]:
    return {
        (line.item, line.lot)
        for history in found.values()
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
