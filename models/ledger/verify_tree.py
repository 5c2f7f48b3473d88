"""The check of the Merkle tree: every leaf against its event, every signed root against the leaves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, RowMapping, Select, func, select

from models.database.evidence_tables import events, leaves, tree_nodes, tree_state
from models.ledger import tree
from models.ledger.chain import Checkpoint, Fault, FaultKind, sentence
from models.ledger.merkle import Frontier, leaf_hash
from models.rules.times import utc_text

_BATCH_ROWS = 1000

Tick = Callable[[int], None]


def streamed(connection: Connection, query: Select[Any], tick: Tick | None) -> Iterator[Row[Any]]:
    """The rows of a query, at most 1,000 of them in memory; `tick` is called with the size of each such part."""
    with connection.execute(query.execution_options(yield_per=_BATCH_ROWS)) as rows:
        for part in rows.partitions():
            yield from part
            if tick is not None:
                tick(len(part))


def check_tree(
    connection: Connection,
    checkpoints: Sequence[Checkpoint],
    witness: Iterator[bytes] | None,
    tick: Tick | None,
) -> "TreeCheck":
    """Check the tree; the findings are in the returned object's fields."""
    counts = select(tree_state.c.size, tree_state.c.frontier, select(func.max(leaves.c.leaf_index)).scalar_subquery())
    recorded = connection.execute(counts).first()  # in one statement, as the tree may grow in between
    size, stored, last = recorded if recorded is not None else (0, Frontier().to_bytes(), None)
    check = TreeCheck(connection, checkpoints, witness)
    check.leaves_until(size, tick)
    check.end(size, stored, 0 if last is None else last + 1)
    return check


class TreeCheck:
    """One pass over the leaves. `first` is the fault with the lowest leaf number, with that number."""

    def __init__(
        self, connection: Connection, checkpoints: Sequence[Checkpoint], witness: Iterator[bytes] | None
    ) -> None:
        self.frontier = Frontier()
        self.matched = 0
        self.faults = 0
        self.first: tuple[int, Fault] | None = None
        self._connection = connection
        self._checkpoints = sorted(checkpoints, key=lambda checkpoint: checkpoint.size)
        self._witness = witness
        self._differs: tuple[int, Row[Any], bytes, bytes | None] | None = None
        self._lost: tuple[int, Row[Any]] | None = None
        self._kept_after_lost = False
        self._good = 0

    def _found(self, place: int, fault: Fault) -> None:
        self.faults += 1
        if self.first is None or place < self.first[0]:
            self.first = (place, fault)

    def leaves_until(self, size: int, tick: Tick | None) -> None:
        """Read leaves 0 <= i < size beside their events."""
        query = (
            select(
                leaves.c.leaf_index,
                leaves.c.event_seq,
                leaves.c.event_id,
                leaves.c.link_hash,
                events.c.id,
                events.c.subject,
                events.c.chain_seq,
                events.c.link_hash.label("event_hash"),
            )
            .join_from(leaves, events, events.c.seq == leaves.c.event_seq, isouter=True)
            .where(leaves.c.leaf_index < size)
            .order_by(leaves.c.leaf_index)
        )
        ends = {checkpoint.size for checkpoint in self._checkpoints}
        batch: list[bytes] = []
        gap = False
        if 0 in ends:
            self._roots()
        for place, row in enumerate(streamed(self._connection, query, tick)):
            if row.leaf_index != place and not gap:
                gap = True
                words = f"leaf {place} of the tree is gone; the next one left is that of event {row.event_id}"
                self._found(place, Fault(kind=FaultKind.DELETED, event_seq=row.event_seq, sentence=words))
            leaf = leaf_hash(row.link_hash)
            self._event(place, row)
            self._compare(place, row, leaf)
            batch.append(leaf)
            if len(batch) == _BATCH_ROWS or place + 1 in ends:
                self.frontier, batch = self.frontier.extended(batch), []
                self._roots()
        self.frontier = self.frontier.extended(batch)

    def _event(self, place: int, row: Row[Any]) -> None:
        """Check a leaf against its event."""
        if row.id is None:
            self._lost = self._lost or (place, row)
            return
        self.matched += 1
        self._kept_after_lost = self._lost is not None
        if row.link_hash == row.event_hash and row.id == row.event_id:
            return
        if self.first is not None:
            self.faults += 1
            return
        kind = FaultKind.ALTERED
        if row.id != row.event_id:
            moved = select(events.c.seq).where(events.c.id == row.event_id)
            kind = FaultKind.SWAPPED if self._connection.execute(moved).first() else FaultKind.ALTERED
        else:
            before = self._unleafed_before(row)
            if before is not None:
                self._found(
                    place, _named(FaultKind.INSERTED, row.subject, before["chain_seq"], before["id"], before["seq"])
                )
                return
        self._found(place, _named(kind, row.subject, row.chain_seq, row.id, row.event_seq))

    def _unleafed_before(self, row: Row[Any]) -> RowMapping | None:
        """The previous event of the same chain, if it has no leaf although its successor has one."""
        query = (
            select(events.c.seq, events.c.id, events.c.chain_seq)
            .where(events.c.subject == row.subject, events.c.chain_seq == row.chain_seq - 1)
            .where(~select(leaves.c.leaf_index).where(leaves.c.event_seq == events.c.seq).exists())
        )
        return self._connection.execute(query).mappings().first()

    def _compare(self, place: int, row: Row[Any], leaf: bytes) -> None:
        """Compare a leaf with the copied one; where they differ, the following ones show what was done."""
        if self._differs is not None and self._witness is not None:
            self._witness = None
            at, there, carried, carried_next = self._differs
            gone, come = leaf_hash(there.link_hash) == carried_next, leaf == carried
            kind = (
                FaultKind.SWAPPED
                if gone and come
                else FaultKind.DELETED
                if gone
                else FaultKind.INSERTED
                if come
                else FaultKind.REWRITTEN
            )
            self._found(at, _unlike(kind, at, there))
        if self._witness is None:
            return
        carried_leaf = next(self._witness, None)
        if carried_leaf is None:
            self._witness = None
        elif carried_leaf != leaf:
            self._differs = (place, row, carried_leaf, next(self._witness, None))

    def _roots(self) -> None:
        """Check the root so far against the checkpoints of exactly this size."""
        for checkpoint in self._checkpoints:
            if checkpoint.size != self.frontier.size:
                continue
            if checkpoint.root == self.frontier.root():
                self._good = checkpoint.size
            elif self._differs is None and not (self.first is not None and self.first[0] < checkpoint.size):
                self._found(self._good, self._rewritten(self._good, checkpoint.size, checkpoint))
            else:
                self.faults += 1
        # a checkpoint larger than the tree is reported at the end

    def _rewritten(self, start: int, end: int, checkpoint: Checkpoint | None) -> Fault:
        """Leaves start <= i < end do not give the signed or recorded root: report the first event of them."""
        start, end = self._narrowed(start, end)
        query = (
            select(events.c.subject, events.c.chain_seq, events.c.id, events.c.seq)
            .join(leaves, leaves.c.event_seq == events.c.seq)
            .where(leaves.c.leaf_index >= start)
        )
        row = self._connection.execute(query.order_by(leaves.c.leaf_index).limit(1)).first()
        against = f"signed at {utc_text(checkpoint.time_us)}" if checkpoint else "recorded for the tree"
        first = f"; the first of them is event {row.chain_seq} of {row.subject} (id {row.id})" if row else ""
        words = f"an event was rewritten: leaves {start} to {end - 1} do not give the root {against}{first}"
        if row is None:
            return Fault(kind=FaultKind.REWRITTEN, sentence=words)
        return Fault(
            kind=FaultKind.REWRITTEN,
            subject=row.subject,
            sequence=row.chain_seq,
            event_id=row.id,
            event_seq=row.seq,
            sentence=words,
        )

    def _narrowed(self, start: int, end: int) -> tuple[int, int]:
        """The first block of 256 leaves whose stored hash is not that of its leaves, if there is one."""
        width = 1 << tree.KEPT_LEVELS
        query = select(tree_nodes.c.node_index, tree_nodes.c.hash).where(
            tree_nodes.c.level == tree.KEPT_LEVELS, tree_nodes.c.node_index >= start // width
        )
        for row in streamed(self._connection, query.order_by(tree_nodes.c.node_index), None):
            first = row.node_index * width
            if first >= end:
                break
            block = Frontier().extended(tree.leaf_hashes(self._connection, first, first + width))
            if block.root() != row.hash:
                return max(start, first), min(end, first + width)
        return start, end

    def end(self, size: int, stored: bytes, count: int) -> None:
        """Checks after the last leaf: lost events, the recorded head, larger checkpoints."""
        if self._differs is not None and self._witness is not None:
            at, there, _, _ = self._differs
            self._found(at, _unlike(FaultKind.REWRITTEN, at, there))
        if self._lost is not None:
            place, row = self._lost
            kind = FaultKind.DELETED if self._kept_after_lost else FaultKind.TRUNCATED
            words = f"{sentence(kind, None, None, row.event_id)} (leaf {place} of the tree)"
            fault = Fault(kind=kind, event_id=row.event_id, event_seq=row.event_seq, sentence=words)
            self._found(place, fault)
        if count < size:
            words = f"the tree has {count} leaves, but {size} are recorded for it: the last ones are gone"
            self._found(count, Fault(kind=FaultKind.TRUNCATED, sentence=words))
        elif count > size:
            words = f"the tree has {count} leaves, but only {size} are recorded for it: its record was set back"
            self._found(size, Fault(kind=FaultKind.ALTERED, sentence=words))
        elif stored != self.frontier.to_bytes() and self.first is None:
            self._found(self._good, self._rewritten(self._good, size, None))
        for checkpoint in self._checkpoints:
            if checkpoint.size > self.frontier.size:
                self._found(self.frontier.size, self._too_short(checkpoint))

    def _too_short(self, checkpoint: Checkpoint) -> Fault:
        have = self.frontier.size
        words = (
            f"the ledger was truncated: {checkpoint.size} events were signed at "
            f"{utc_text(checkpoint.time_us)}, only {have} are left; the first one gone had leaf number {have}"
        )
        return Fault(kind=FaultKind.TRUNCATED, sentence=words)


def _named(kind: FaultKind, subject: str, sequence: int, event_id: str, event_seq: int) -> Fault:
    words = sentence(kind, subject, sequence, event_id)
    return Fault(
        kind=kind, subject=subject, sequence=sequence, event_id=event_id, event_seq=event_seq, sentence=words
    )


_UNLIKE: dict[FaultKind, str] = {
    FaultKind.SWAPPED: "was swapped with the next leaf",
    FaultKind.DELETED: "stands where another event was signed, which was deleted",
    FaultKind.INSERTED: "was inserted: it was not there when the tree was signed",
    FaultKind.REWRITTEN: "was rewritten: it is not what was signed",
}


def _unlike(kind: FaultKind, place: int, row: Row[Any]) -> Fault:
    """The fault of a leaf that differs from the one copied with the checkpoints."""
    known = f"event {row.chain_seq} of {row.subject} (id {row.id})"
    which = known if row.id is not None else f"the event {row.event_id}"
    return Fault(
        kind=kind,
        subject=row.subject,
        sequence=row.chain_seq,
        event_id=row.event_id,
        event_seq=row.event_seq,
        sentence=f"{which}, leaf {place} of the tree, {_UNLIKE[kind]}",
    )
