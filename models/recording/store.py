"""The store: the only writer. `Store.commit` records one batch of the log in one transaction.

Evidence, ledger links, state, stock, quarantine, progress and outbox are written together or not at all, so a batch
that comes again after a crash finds either everything or nothing of itself on record.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec
from sqlalchemy import Connection, Engine, update

from config.catalog import Catalog
from config.policy import Policy
from models.database import locks
from models.database.acts_tables import outbox
from models.database.bulk import ask_in, ask_pairs, insert
from models.database.engine import writing
from models.database.evidence_tables import quarantine
from models.database.state_tables import movements, specimens
from models.recording import evidence, lock_needs
from models.recording import stock_levels as shelves
from models.recording import supplies as stockroom
from models.recording.evidence import Item, Outcome, Record
from models.recording.history_cache import Histories
from models.recording.specimens import Refold, write_orders
from models.rules.deadlines import turnaround_hours
from models.rules.event_types import TYPES
from models.rules.events import Event
from models.rules.identifiers import SPECIMEN, looks_like
from models.rules.specimen import COLLECTED, Specimen

WIDENED_MAX = 3
"""How often a transaction begins again with more locks before it takes them all."""


class Observer(Protocol):
    """Who is told of receipts and results when they are recorded (the metrics of a worker)."""

    def received(self, site: str, priority: str, transit_s: float) -> None: ...

    def resulted(self, test: str, priority: str, turnaround_s: float, limit_s: float) -> None: ...


class Store:
    """Writes the tables of one database. One instance per thread that commits."""

    def __init__(
        self,
        engine: Engine,
        catalog: Catalog,
        policy: Policy,
        *,
        outside: re.Pattern[str] | None = None,
        print_on_collection: str = "",
        observer: Observer | None = None,
    ) -> None:
        self.engine, self.catalog, self.policy, self.outside = engine, catalog, policy, outside
        self.print_on_collection, self.observer = print_on_collection, observer
        self._histories = Histories()

    def commit(self, records: Sequence[Record], now_us: int) -> list[Outcome]:
        """Record a batch; the outcome of each record in its order. Durable when it returns.

        Raises the database's own exceptions when it can't be written: nothing of the batch is then on record, and
        the same batch may be given again.
        """
        items = evidence.read(records, self.catalog, self.outside)
        extra: set[str] = set()
        widened = 0
        while True:
            try:
                with writing(self.engine, pipelined=True) as connection:
                    new, folded = self._commit(connection, items, extra, widened >= WIDENED_MAX, now_us)
                self._histories.confirm()
                if self.observer is not None:
                    self._observe(self.observer, new, folded)
                return [item.outcome() for item in items]
            except locks.Widen as wider:
                self._histories.forget()
                widened += 1
                extra |= wider.exclusive
                items = evidence.read(records, self.catalog, self.outside)
            except BaseException:
                self._histories.forget()
                raise

    def _commit(
        self, connection: Connection, items: list[Item], extra: set[str], alone: bool, now_us: int
    ) -> tuple[list[Event], dict[str, Specimen]]:
        valid = [i.event for i in items if i.event is not None and i.verdict == "recorded"]
        held: set[str] | None = None  # everything
        if locks.needed(connection):
            if not alone:
                held = lock_needs.written(valid) | lock_needs.foreseen(connection, valid) | extra
            if held is None or len(held) > locks.HELD_MAX:
                held = None
                locks.hold_all(connection)
            else:
                locks.hold(connection, held, lock_needs.read(valid))
        fresh, heads = evidence.sift(connection, items)
        before = evidence.record(connection, fresh, heads, now_us)
        new = [i.event for i in fresh if i.event is not None]
        changes = stockroom.project(connection, new, before)
        folded = self._specimens(connection, new, before, changes, held)
        self._ask_for_labels(connection, new, folded, now_us)
        places = stockroom.places_of(connection, changes)
        locks.hold_stock(connection, places)
        shelves.settle(connection, changes, places, self.catalog)
        evidence.set_aside(connection, items)
        evidence.advance(connection, items)
        return new, folded

    def _observe(self, observer: Observer, new: list[Event], folded: dict[str, Specimen]) -> None:
        """Report the receipts at a lab, and the first final results that stand with their receipt only now."""
        ids = {event.id for event in new}
        for s in {event.subject: folded.get(event.subject) for event in new}.values():
            if s is None or s.lab_received is None:
                continue
            priority, arrived = s.priority or "routine", s.lab_received.id in ids
            if arrived and s.site is not None and s.collected_us is not None:
                observer.received(s.site, priority, (s.lab_received.time_us - s.collected_us) / 1e6)
            reported = {(e.data.test, e.time_us) for e in s.steps.get("result.reported", ()) if e.id in ids}  # type: ignore[union-attr]
            for result in s.results:
                first = result.first_final_us
                hours = turnaround_hours(result.test, s.priority, self.catalog)
                if first is not None and hours is not None and (arrived or (result.test, first) in reported):
                    observer.resulted(result.test, priority, (first - s.lab_received.time_us) / 1e6, hours * 3600)

    def refuse(self, record: Record, detail: str) -> Outcome:
        """Put one record into quarantine that can't be recorded for a reason that parsing does not see."""
        item = Item(record, None)
        item.refuse("invalid-data", detail)
        with writing(self.engine) as connection:
            evidence.set_aside(connection, [item])
            evidence.advance(connection, [item])
        return item.outcome()

    def _specimens(
        self,
        connection: Connection,
        new: list[Event],
        before: dict[str, int],
        changes: stockroom.Changes,
        held: set[str] | None,
    ) -> dict[str, Specimen]:
        """Refold every specimen and order that the new events concern."""
        grown: dict[str, tuple[int, list[Event]]] = {}
        for event in new:
            grown.setdefault(event.subject, (before[event.subject], []))[1].append(event)
        refold = Refold(connection, self.catalog, self.policy)
        subjects = {s for s in grown if "/" not in s}
        found = self._histories.load(connection, subjects, grown)
        own_orders = {s for s in subjects if any(e.type.startswith("order.") for e in found[s])}
        write_orders(connection, {s: found[s] for s in own_orders})
        touched = {s for s in subjects if is_accession(s, found[s])}
        # all that is asked for here goes together
        refold.foresee(touched, found)
        ordered = ask_in(connection, specimens, ("accession",), "order_id", own_orders)
        users = ask_pairs(connection, movements, ("accession",), ("item", "lot"), changes.lots)
        touched |= refold.relate(found, touched)
        touched |= changes.linked
        touched |= {a for (a,) in [*ordered(), *users()] if a}  # whoever used a lot whose facts changed
        accessions, parents = refold.family(touched)
        ancestors = {p for ps in parents.values() for p in ps}
        if held is not None:
            _require(held, accessions | ancestors)
        found |= self._histories.load(connection, (accessions | ancestors) - found.keys(), {})
        folded = refold.fold_all(accessions, parents, found)
        refold.write(folded, found)
        return folded

    def _ask_for_labels(
        self, connection: Connection, new: list[Event], folded: dict[str, Specimen], now_us: int
    ) -> None:
        """A label for each tube that was just collected and has none. An event is recorded once: so is this."""
        if not self.print_on_collection:
            return
        accessions = {
            e.subject
            for e in new
            if e.type == "specimen.collected" and e.subject in folded and folded[e.subject].status == COLLECTED
        }
        rows = [
            ("print", a, msgspec.json.encode({"accession": a, "printer": self.print_on_collection}), now_us)
            for a in sorted(accessions)
        ]
        insert(connection, outbox, ("kind", "key", "payload", "created_us"), rows)

    def decide_quarantine(self, ids: Sequence[int], state: Literal["requeued", "discarded"], now_us: int) -> int:
        """Close open quarantine entries; how many were open."""
        with writing(self.engine) as connection:
            changed = connection.execute(
                update(quarantine)
                .where(quarantine.c.id.in_(ids), quarantine.c.state == "open")
                .values(state=state, decided_us=now_us)
            )
            return int(changed.rowcount)


def is_accession(subject: str, history: Iterable[Event]) -> bool:
    """Whether a subject is a specimen. A `not-collected` may name an order instead: it has no specimen yet."""
    return any(
        TYPES[e.type].subject == "specimen" or (e.type == "specimen.not-collected" and looks_like(subject, SPECIMEN))
        for e in history
    )


def _require(held: set[str], accessions: set[str]) -> None:
    lacking = {f"specimen {a}" for a in accessions} - held
    if lacking:
        raise locks.Widen(lacking)
