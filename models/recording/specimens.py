"""Refolding specimens: gather what they depend on, fold them, write what has changed.

Part of the store's one transaction (models/recording/store.py). A specimen's state depends on its own events, its
parent's (for an aliquot), its order's, and what is known of the lots used for it; `Refold` gathers exactly those.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from sqlalchemy import Connection

from models.database import locks
from models.database.bulk import Known, Update, ask_in, ask_pairs, delete, insert_structs, upsert_structs
from models.database.lots import LotRow, lots_of
from models.database.state_tables import linked_uses, lot_facts, movements, order_tubes, orders, relations, specimens
from models.recording import orders as order_rows
from models.recording.evidence import Recorded
from models.recording.history_cache import HistoryCache
from models.recording.specimen_rows import DERIVED, SpecimenRow, TubeRow, specimen_row
from models.recording.supplies import Changes, UseRow
from models.rules.custody import fold
from models.rules.event_types import NAMES, TYPES, Aliquoted, Collected, NotCollected, ResultReported, TestAdded
from models.rules.events import Event, of_kind
from models.rules.identifiers import SPECIMEN, looks_like
from models.rules.keys import key
from models.rules.specimen import History, OrderFacts, Origin, Specimen, Use, effective, origin

if TYPE_CHECKING:
    from config.catalog import Catalog
    from config.policy import Policy

Histories = dict[str, tuple[Event, ...]]
"""{subject: every event on record with it}"""
SPECIMEN_UPDATE: Update = (
    *(column for column in SpecimenRow.__struct_fields__ if column not in ("accession", "alert_check_us")),
    # with an alert open the sweep must check at once: the change may have resolved it
    ("alert_check_us", "CASE WHEN specimens.alerts_open > 0 THEN 0 ELSE excluded.alert_check_us END"),
)
_OF_AN_ORDER = frozenset({NAMES[Collected], NAMES[NotCollected], NAMES[TestAdded]})


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
    order_keys = order_rows.refold(connection, {s: histories[s] for s in own_orders}, cache, policy)
    touched = {s for s, history in histories.items() if is_accession(s, history)}
    work = Refold(connection, catalog, policy)
    # all that is asked for here is sent together
    work.ask_ahead(touched, histories)
    ordered = [
        ask_in(connection, table, ("accession",), "order_key", order_keys) for table in (specimens, order_tubes)
    ]
    users = ask_pairs(connection, movements, ("accession",), ("item", "lot"), changes.lots)
    touched |= work.relate(histories, touched)
    touched |= changes.linked
    # specimens of these orders, and users of these lots
    touched |= {a for rows in (*ordered, users) for (a,) in rows() if a}
    family = work.family(touched)
    locks.require(held, (f"specimen {a}" for a in family.all))
    histories |= cache.load(connection, family.all - histories.keys())
    folded = work.fold_all(family, histories)
    order_keys |= work.write(folded, histories)
    locks.require(held, (f"order {order}" for order in order_keys))
    order_rows.refold_waiting(connection, order_keys, policy)
    return folded


def is_accession(subject: str, history: Iterable[Event]) -> bool:
    """Whether a subject is a specimen. A `not-collected` may name an order instead: it has no specimen yet."""
    return any(
        TYPES[e.type].subject == "specimen" or (e.type == "specimen.not-collected" and looks_like(subject, SPECIMEN))
        for e in history
    )


class Family(Struct, frozen=True):
    """Tubes that were poured into one another."""

    folded: set[str]
    """Those whose state is folded again."""
    all: set[str]
    """Those with all that their state depends on."""
    parents: dict[str, set[str]]
    """{child: tubes that were poured into it}"""


class Kin:
    """What the tubes of a family have from one another."""

    def __init__(self, family: Family, histories: Histories, orders: Mapping[str, OrderFacts]) -> None:
        self._parents = family.parents
        self._children: dict[str, set[str]] = {}
        for child, parents in family.parents.items():
            for parent in parents:
                self._children.setdefault(parent, set()).add(child)
        related = self._parents.keys() | self._children.keys()
        self._counting = {a: effective(histories.get(a, ())) for a in related}
        self._births = {a: self._born(a) for a in related}
        self._origins = {
            a: origin(a, events, orders, poured=bool(self._births[a])) for a, events in self._counting.items()
        }

    def _born(self, accession: str) -> tuple[Event[Aliquoted], ...]:
        poured = [
            e
            for parent in self._parents.get(accession, ())
            for e in of_kind(self._counting[parent], Aliquoted)
            if any(c.accession == accession for c in e.data.children)
        ]
        return tuple(sorted(poured, key=lambda e: e.order))

    def births(self, accession: str) -> tuple[Event[Aliquoted], ...]:
        """The events by which other tubes were poured into it, in history order."""
        return self._births.get(accession, ())

    def lineage(self, accession: str) -> tuple[Origin, ...]:
        """From the tube that it was first poured from upward, each once."""
        found: list[Origin] = []
        seen = {accession}
        while births := self.births(accession):
            accession = births[0].subject
            if accession in seen:
                break
            seen.add(accession)
            found.append(self._origins[accession])
        return tuple(found)

    def ancestors(self, accession: str) -> tuple[Origin, ...]:
        """Every other tube of which anything is in it."""
        return tuple(self._origins[a] for a in sorted(_closure(accession, self._parents)))

    def poured(self, accession: str) -> tuple[Event[ResultReported], ...]:
        """The reports on every other tube that has anything of it."""
        tubes = sorted(_closure(accession, self._children))
        return tuple(e for a in tubes for e in of_kind(self._counting[a], ResultReported))


def _closure(start: str, near: Mapping[str, set[str]]) -> set[str]:
    """All that can be reached from one, without itself."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = near.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found - {start}


class Refold:
    """One transaction's refolding of specimens."""

    def __init__(self, connection: Connection, catalog: "Catalog", policy: "Policy") -> None:
        self.connection, self.catalog, self.policy = connection, catalog, policy
        self._orders = Known(connection, orders, ("order_key", *OrderFacts.__struct_fields__), "order_key")
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

    def family(self, accessions: Iterable[str]) -> Family:
        """These tubes, all whose state theirs may change, and all that those states depend on.

        A tube takes its identity from every tube that was poured into it, and its tests are done by results on every
        tube that was poured from it, at any depth. Tubes may be poured in a circle.
        """
        touched = set(accessions)
        folded = self._reach(touched, up=False) | self._reach(touched, up=True)
        every = self._reach(folded, up=False) | self._reach(folded, up=True)
        parents: dict[str, set[str]] = {}
        for child, parent, _ in self._parents.of(every):
            parents.setdefault(child, set()).add(parent)
        return Family(folded, every | {p for ps in parents.values() for p in ps}, parents)

    def _reach(self, accessions: set[str], *, up: bool) -> set[str]:
        """These, with all that were poured from them, or (`up`) into them, at any depth."""
        every, new = set(accessions), set(accessions)
        while new:
            rows = (self._parents if up else self._children).of(new)
            new = {parent if up else child for child, parent, _ in rows} - every
            every |= new
        return every

    def fold_all(self, family: Family, histories: Histories) -> dict[str, Specimen]:
        """Fold these specimens, each from evidence alone: the order in which they come plays no part."""
        gathered = self._gather(family, histories)
        return {a: fold(gathered[a], self.catalog, self.policy) for a in family.folded}

    def _gather(self, family: Family, found: Histories) -> dict[str, History]:
        """Everything that the state of these specimens depends on."""
        order_keys, named = _orders_of(found.values()), _lots_of(found.values())
        for known, keys in ((self._orders, order_keys), (self._uses, family.folded), (self._lots, named)):
            known.ask(keys)
        facts = {order_key: OrderFacts(*row) for order_key, *row in self._orders.of(order_keys)}
        linked: dict[str, list[Use]] = {}
        for *use, accession in self._uses.of(family.folded):
            linked.setdefault(accession, []).append(Use(*use))
        used = named | {(u.item, key(u.lot)) for us in linked.values() for u in us}
        lots = lots_of(LotRow(*row) for row in self._lots.of(used))
        kin = Kin(family, found, facts)
        return {
            a: History(
                accession=a,
                events=found.get(a, ()),
                orders=facts,
                lots=lots,
                births=kin.births(a),
                lineage=kin.lineage(a),
                ancestors=kin.ancestors(a),
                poured=kin.poured(a),
                uses=tuple(sorted(linked.get(a, ()), key=lambda u: u.event_id)),
            )
            for a in family.folded
        }

    def write(self, folded: dict[str, Specimen], histories: Histories) -> set[str]:
        """Write the state of these specimens; in the tables with several rows each, only rows that differ.

        Returns the keys of the orders whose tubes have changed.
        """
        known = {a: s for a, s in folded.items() if histories.get(a) or s.birth is not None}
        rows = [specimen_row(s, self.catalog, self.policy) for s in known.values()]
        upsert_structs(self.connection, specimens, SpecimenRow, rows, SPECIMEN_UPDATE)
        delete(self.connection, specimens, ("accession",), [(a,) for a in folded.keys() - known.keys()])
        concerned = {d.table: d.that_may_have_any(folded, histories) for d in DERIVED}
        for table, accessions in concerned.items():
            self._have[table].ask(accessions)
        orders_changed: set[str] = set()
        for d in DERIVED:
            want = {d.key_of(row): row for s in known.values() for row in d.rows_of(s, self.catalog)}
            there = [d.kind(*row) for row in self._have[d.table].of(concerned[d.table])]
            have = {d.key_of(row): row for row in there}
            changed = [row for of, row in want.items() if have.get(of) != row]
            gone = [row for of, row in have.items() if of not in want]
            upsert_structs(self.connection, d.table, d.kind, changed)
            delete(self.connection, d.table, d.keys, [d.key_of(row) for row in gone])
            if d.table is order_tubes:
                orders_changed = {cast(TubeRow, row).order_key for row in [*changed, *gone]}
        return orders_changed


def _orders_of(histories: Iterable[tuple[Event, ...]]) -> set[str]:
    return {
        key(cast("Collected | NotCollected | TestAdded", e.data).order)
        for history in histories
        for e in history
        if e.type in _OF_AN_ORDER
    }


def _lots_of(histories: Iterable[tuple[Event, ...]]) -> set[tuple[str, str]]:
    return {
        (line.item, key(line.lot))
        for history in histories
        for event in history
        if isinstance(event.data, (Collected, ResultReported))
        for line in event.data.supplies
        if line.lot
    }
