"""The store: the only writer of evidence and state. `Store.commit` records one batch of the log in one transaction.

Evidence, ledger links, state, stock, quarantine, progress and outbox are written together or not at all, so a batch
that is redelivered after a crash finds either all or none of itself on record.
"""

import re
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import Connection, Engine, update

from config.catalog import Catalog
from config.policy import Policy
from models.database import locks
from models.database.engine import writing
from models.database.evidence_tables import quarantine
from models.recording import effects, evidence, lock_needs, specimens, stock_levels, supplies
from models.recording.evidence import Item, Outcome, Record
from models.recording.history_cache import HistoryCache
from models.recording.observer import Observer, report
from models.rules.events import Event, Reason
from models.rules.specimen import Specimen

WIDENED_MAX = 3
"""How often a transaction restarts with more locks before it takes them all."""


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
        self._histories = HistoryCache()

    def commit(self, records: Sequence[Record], now_us: int) -> list[Outcome]:
        """Record a batch; the outcome of each record in its order. Durable when it returns.

        Raises the database's own exceptions when it can't be written: nothing of the batch is then on record, and
        the same batch may be committed again.
        """
        wider: set[str] = set()
        widened = 0
        while True:
            items = evidence.read(records, self.catalog, self.outside)
            try:
                with self._histories.kept_if_committed(), writing(self.engine, pipelined=True) as connection:
                    held = lock_needs.hold(connection, items, wider, alone=widened >= WIDENED_MAX)
                    new, folded = self._write(connection, items, held, now_us)
            except locks.Widen as more:
                wider |= more.exclusive
                widened += 1
                continue
            if self.observer is not None:
                report(self.observer, new, folded, self.catalog)
            return [item.outcome() for item in items]

    def _write(
        self, connection: Connection, items: list[Item], held: locks.Held, now_us: int
    ) -> tuple[list[Event], dict[str, Specimen]]:
        """Write all that one batch changes, in an order in which each step depends only on those before it."""
        new = evidence.record(connection, items, now_us)
        changes = supplies.project(connection, new, self.catalog, self.policy)
        folded = specimens.refold(connection, new, changes, self._histories, self.catalog, self.policy, held)
        stock_levels.refold(connection, changes, self.catalog)
        effects.request_labels(connection, new, folded, self.print_on_collection, now_us)
        return new.events, folded

    def refuse(self, record: Record, detail: str) -> Outcome:
        """Quarantine one record that can't be recorded for a reason that parsing does not detect."""
        item = Item(record, None)
        item.refuse(Reason.INVALID_DATA, detail)
        with writing(self.engine) as connection:
            evidence.record(connection, [item], record.appended_us)
        return item.outcome()

    def decide_quarantine(self, ids: Sequence[int], state: Literal["requeued", "discarded"], now_us: int) -> int:
        """Close open quarantine entries; returns how many were open."""
        with writing(self.engine) as connection:
            changed = connection.execute(
                update(quarantine)
                .where(quarantine.c.id.in_(ids), quarantine.c.state == "open")
                .values(state=state, decided_us=now_us)
            )
            return int(changed.rowcount)
