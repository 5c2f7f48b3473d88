"""Refolding specimens: gather what they depend on, fold them, write what has changed.

Part of the store's one transaction (models/recording/store.py). A specimen's state depends on its own events, its
parent's (for an aliquot), its order's, and what is known of the lots used for it; `Refold` gathers exactly those.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from models.database import locks
from models.database.bulk import Known, Update, ask_in, ask_pairs, delete, insert_structs, upsert_structs
from models.database.lots import LotRow, lots_of
from models.database.state_tables import linked_uses, lot_facts, movements, orders, relations, specimens
from models.recording import orders as order_rows
from models.recording.evidence import Recorded
from models.recording.history_cache import HistoryCache
from models.recording.specimen_rows import DERIVED, SpecimenRow, specimen_row
from models.recording.supplies import Changes, UseRow
from models.rules.custody import fold
from models.rules.event_types import NAMES, TYPES, Aliquoted, Collected, NotCollected
from models.rules.events import Event, of_kind
from models.rules.identifiers import SPECIMEN, looks_like
from models.rules.specimen import History, OrderFacts, Specimen, Use, effective

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

GENERATIONS_MAX = 8
Histories = dict[str, tuple[Event, ...]]
"""{subject: every event on record with it}"""
SPECIMEN_UPDATE: Update = (
    *(column for column in SpecimenRow.__struct_fields__ if column not in ("accession", "alert_check_us")),
    # with an alert open the sweep must check at once: the change may have resolved it
    ("alert_check_us", "CASE WHEN specimens.alerts_open > 0 THEN 0 ELSE excluded.alert_check_us END"),
)
_OF_AN_ORDER = frozenset({NAMES[Collected], NAMES[NotCollected]})


class RelationRow(Struct, frozen=True, order=True, gc=False):
    """A row of `relations`: the event by which a child was poured from its parent."""

    child: str
    parent: str
    event_id: str


def refold(
    connection: Connection,
    new: Recorded,
    changes: Changes,
    cache: HistoryCache,
    catalog: "Catalog",
    policy: "Policy",
    held: locks.Held,
) -> dict[str, Specimen]:
    """Refold every order and specimen that the new events affect. Raises Widen for one that is not locked."""
    grown = {subject: growth for subject, growth in new.by_subject.items() if "/" not in subject}
    histories = cache.load(connection, grown, grown)
    return refold_subjects(connection, histories, changes, cache, catalog, policy, held)


def refold_subjects(
    connection: Connection,
    histories: Histories,
    changes: Changes,
    cache: HistoryCache,
    catalog: "Catalog",
    policy: "Policy",
    held: locks.Held = None,
) -> dict[str, Specimen]:
    """Refold these subjects, whose histories have grown, and every specimen that depends on them."""
    own_orders = {s for s, history in histories.items() if any(e.type.startswith("order.") for e in history)}
    order_rows.refold(connection, {s: histories[s] for s in own_orders})
    touched = {s for s, history in histories.items() if is_accession(s, history)}
    work = Refold(connection, catalog, policy)
    # all that is asked for here is sent together
    work.ask_ahead(touched, histories)
    ordered = ask_in(connection, specimens, ("accession",), "order_id", own_orders)
    users = ask_pairs(connection, movements, ("accession",), ("item", "lot"), changes.lots)
    touched |= work.relate(histories, touched)
    touched |= changes.linked
    touched |= {a for (a,) in [*ordered(), *users()] if a}  # specimens of these orders, and users of these lots
    accessions, parents = work.family(touched)
    whole = accessions.union(*parents.values())
    locks.require(held, (f"specimen {a}" for a in whole))
    histories |= cache.load(connection, whole - histories.keys())
    folded = work.fold_all(accessions, parents, histories)
    work.write(folded, histories)
    return folded


def is_accession(subject: str, history: Iterable[Event]) -> bool:
    """Whether a subject is a specimen. A `not-collected` may name an order instead: it has no specimen yet."""
    return any(
        TYPES[e.type].subject == "specimen" or (e.type == "specimen.not-collected" and looks_like(subject, SPECIMEN))
        for e in history
    )


class Refold:
    """One transaction's refolding of specimens."""

    def __init__(self, connection: Connection, catalog: "Catalog", policy: "Policy") -> None:
        self.connection, self.catalog, self.policy = connection, catalog, policy
        self._orders = Known(connection, orders, ("order_id", *OrderFacts.__struct_fields__), "order_id")
        self._uses = Known(connection, linked_uses, UseRow.__struct_fields__, "accession")
        self._lots = Known(connection, lot_facts, LotRow.__struct_fields__, ("item", "lot"))
        self._have = {d.table: Known(connection, d.table, d.kind.__struct_fields__, "accession") for d in DERIVED}
        self._related()

    def _related(self) -> None:
        """Drop the known relations, so that they are read again."""
        columns = RelationRow.__struct_fields__
        self._children = Known(self.connection, relations, columns, "parent")
        self._parents = Known(self.connection, relations, columns, "child")

    def ask_ahead(self, accessions: set[str], histories: Histories) -> None:
        """Ask together for all that these specimens depend on, as far as their own events name it."""
        for known in (self._children, self._parents, self._uses):
            known.ask(accessions)
        for derived in DERIVED:
            self._have[derived.table].ask(derived.that_may_have_any(accessions, histories))
        own = [histories[a] for a in accessions]
        self._orders.ask(_orders_of(own))
        self._lots.ask(_lots_of(own))

    def relate(self, histories: Histories, touched: set[str]) -> set[str]:
        """Bring `relations` up to date with the touched parents' events. Returns the children concerned."""
        want = {
            RelationRow(child.accession, parent, e.id)
            for parent in touched
            if any(e.type == "specimen.aliquoted" for e in histories.get(parent, ()))
            for e in of_kind(effective(histories[parent]), Aliquoted)
            for child in e.data.children
            if child.accession != parent
        }
        have = {RelationRow(*row) for row in self._children.of(touched)}
        if want != have:
            insert_structs(self.connection, relations, RelationRow, sorted(want - have))
            gone = sorted((row.child, row.event_id) for row in have - want)
            delete(self.connection, relations, ("child", "event_id"), gone)
            self._related()
        return {row.child for row in want ^ have}

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

    def fold_all(
        self, accessions: set[str], parents: dict[str, set[str]], histories: Histories
    ) -> dict[str, Specimen]:
        """Fold these specimens, parents before their aliquots."""
        rest = self._histories_of(accessions.union(*parents.values()), parents, histories)
        folded: dict[str, Specimen] = {}

        def one(accession: str, depth: int) -> Specimen:
            if accession not in folded:
                history = rest[accession]
                birth = min(history.births, key=lambda e: e.order, default=None)
                if birth is not None and depth < GENERATIONS_MAX and birth.subject != accession:
                    history = replace(history, parent=one(birth.subject, depth + 1))
                folded[accession] = fold(history, self.catalog, self.policy)
            return folded[accession]

        return {a: one(a, 0) for a in accessions}

    def _histories_of(
        self, accessions: set[str], parents: dict[str, set[str]], found: Histories
    ) -> dict[str, History]:
        """Everything that the state of these specimens depends on, except the parents' state."""
        order_ids, named = _orders_of(found.values()), _lots_of(found.values())
        for known, keys in ((self._orders, order_ids), (self._uses, accessions), (self._lots, named)):
            known.ask(keys)
        facts = {order_id: OrderFacts(*row) for order_id, *row in self._orders.of(order_ids)}
        linked: dict[str, list[Use]] = {}
        for *use, accession in self._uses.of(accessions):
            linked.setdefault(accession, []).append(Use(*use))
        used = named | {(u.item, u.lot) for us in linked.values() for u in us}
        lots = lots_of(LotRow(*row) for row in self._lots.of(used))
        return {
            a: History(
                accession=a,
                events=found.get(a, ()),
                orders=facts,
                lots=lots,
                births=tuple(
                    e
                    for p in parents.get(a, ())
                    for e in of_kind(effective(found.get(p, ())), Aliquoted)
                    if any(c.accession == a for c in e.data.children)
                ),
                uses=tuple(sorted(linked.get(a, ()), key=lambda u: u.event_id)),
            )
            for a in accessions
        }

    def write(self, folded: dict[str, Specimen], histories: Histories) -> None:
        """Write the state of these specimens; in the tables with several rows each, only rows that differ."""
        known = {a: s for a, s in folded.items() if histories.get(a) or s.birth is not None}
        rows = [specimen_row(s, self.catalog, self.policy) for s in known.values()]
        upsert_structs(self.connection, specimens, SpecimenRow, rows, SPECIMEN_UPDATE)
        delete(self.connection, specimens, ("accession",), [(a,) for a in folded.keys() - known.keys()])
        concerned = {d.table: d.that_may_have_any(folded, histories) for d in DERIVED}
        for table, accessions in concerned.items():
            self._have[table].ask(accessions)
        for d in DERIVED:
            want = {d.key_of(row): row for s in known.values() for row in d.rows_of(s)}
            there = [d.kind(*row) for row in self._have[d.table].of(concerned[d.table])]
            have = {d.key_of(row): row for row in there}
            changed = [row for key, row in want.items() if have.get(key) != row]
            upsert_structs(self.connection, d.table, d.kind, changed)
            delete(self.connection, d.table, d.keys, [key for key in have if key not in want])


def _orders_of(histories: Iterable[tuple[Event, ...]]) -> set[str]:
    return {
        cast("Collected | NotCollected", e.data).order
        for history in histories
        for e in history
        if e.type in _OF_AN_ORDER
    }


def _lots_of(histories: Iterable[tuple[Event, ...]]) -> set[tuple[str, str]]:
    return {
        (line.item, line.lot)
        for history in histories
        for event in of_kind(history, Collected)
        for line in event.data.supplies
        if line.lot is not None
    }
