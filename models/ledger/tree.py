"""The Merkle tree over all recorded events, as stored in the tables: extending it, its head, proofs from it.

One leader gives recorded events their leaf numbers after they are committed. On PostgreSQL transactions commit out
of the order of their event numbers, so a missing number may appear later: each step looks again at the last `WINDOW`
numbers, and a slow cursor cycles over all older ones indefinitely, so that even the transaction of a worker that was
paused for hours is picked up. No event gets two leaves (the unique `event_seq`).
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, bindparam, exists, func, insert, select, update

from models.database import bulk
from models.database.acts_tables import meta
from models.database.evidence_tables import events, leaves, tree_nodes, tree_state
from models.ledger.merkle import Frontier, ReadSubtree, inclusion_proof, leaf_hash, node_hash, subtree_root

WINDOW = 1000
"""How many of the last event numbers are checked again in each step."""
SCRUB = 1000
"""How many older event numbers are checked again in each step that finds something new."""
KEPT_LEVELS = 8
"""Of the subtrees, those of 256, 65,536, … leaves are stored: a proof reads at most 255 hashes of each."""
_ROW = 1
_CURSOR = "tree.scrubbed_seq"

_unleafed = (
    select(events.c.seq, events.c.id, events.c.link_hash)
    .where(
        events.c.seq > bindparam("after"),
        events.c.seq <= bindparam("upto"),
        ~exists().where(leaves.c.event_seq == events.c.seq),
    )
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
_SEQ_MAX = 2**62


class Proof(Struct, frozen=True, kw_only=True):
    """That an event is a leaf of the tree of `size` leaves with this root (RFC 6962 section 2.1.1)."""

    leaf_index: int
    size: int
    link_hash: bytes
    path: tuple[bytes, ...]
    root: bytes


def has_new_events(connection: Connection) -> bool:
    """Whether `extend` would find anything to do. Reads only, so that an idle system writes nothing."""
    after = _newest(connection) - WINDOW
    return bool(connection.execute(_unleafed, {"after": after, "upto": _SEQ_MAX, "most": 1}).first())


def extend(connection: Connection, limit: int = 5000) -> int:
    """Give leaf numbers to at most `limit` new events and return how many; call again while that is `limit`.

    Must be the first statement of the caller's transaction: it locks the tree's row, so that a second leader
    waits and then continues from what the first one has written.
    """
    frontier = _locked_head(connection)
    newest = _newest(connection)
    recent = {"after": newest - WINDOW, "upto": _SEQ_MAX, "most": limit}
    rows = list(connection.execute(_unleafed, recent))
    if not rows:
        return 0
    rows += _scrubbed(connection, newest - WINDOW, limit - len(rows))
    columns = ("leaf_index", "event_seq", "event_id", "link_hash")
    bulk.insert(connection, leaves, columns, [(index, *row) for index, row in enumerate(rows, frontier.size)])
    nodes: list[tuple[int, int, bytes]] = []

    def keep(level: int, index: int, digest: bytes) -> None:
        if level % KEPT_LEVELS == 0:
            nodes.append((level, index, digest))

    grown = frontier.extended((leaf_hash(link_hash) for _, _, link_hash in rows), keep)
    bulk.insert(connection, tree_nodes, ("level", "node_index", "hash"), nodes)
    connection.execute(update(tree_state).values(size=grown.size, frontier=grown.to_bytes()))
    return len(rows)


def head(connection: Connection) -> Frontier:
    """The tree's current state."""
    stored = connection.execute(select(tree_state.c.frontier)).scalar()
    return Frontier() if stored is None else Frontier.from_bytes(stored)


def leaf_hashes(connection: Connection, start: int, end: int) -> Iterator[bytes]:
    """The hashes of leaves start <= i < end, in order, streamed."""
    query = select(leaves.c.link_hash).where(leaves.c.leaf_index >= start, leaves.c.leaf_index < end)
    query = query.order_by(leaves.c.leaf_index).execution_options(yield_per=1000)
    with connection.execute(query) as rows:
        for row in rows:
            yield leaf_hash(row.link_hash)


def prove(connection: Connection, event_id: str, size: int | None = None) -> Proof | None:
    """The proof that this event is in the tree of the first `size` leaves (by default: all of them).

    None when the event has no leaf among them yet.
    """
    if size is None:
        size = head(connection).size
    query = select(leaves.c.leaf_index, leaves.c.link_hash).join(events, events.c.seq == leaves.c.event_seq)
    row = connection.execute(query.where(events.c.id == event_id)).first()
    if row is None or row.leaf_index >= size:
        return None
    read = reader(connection)
    return Proof(
        leaf_index=row.leaf_index,
        size=size,
        link_hash=row.link_hash,
        path=tuple(inclusion_proof(read, row.leaf_index, size)),
        root=subtree_root(read, 0, size),
    )


def reader(connection: Connection) -> ReadSubtree:
    """`read(level, index)` for `models.ledger.merkle`'s proofs; each call is one query of at most 128 rows."""

    def read(level: int, index: int) -> bytes:
        base = level - level % KEPT_LEVELS
        first, many = index << (level - base), 1 << (level - base)
        if base:
            query = select(tree_nodes.c.hash).where(
                tree_nodes.c.level == base, tree_nodes.c.node_index.between(first, first + many - 1)
            )
            hashes: list[bytes] = [row.hash for row in connection.execute(query.order_by(tree_nodes.c.node_index))]
        else:
            hashes = list(leaf_hashes(connection, first, first + many))
        if len(hashes) != many:
            raise ValueError(f"the tree lacks leaves from {index << level} on: run labtrail verify")
        while len(hashes) > 1:
            hashes = [node_hash(a, b) for a, b in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    return read


def _newest(connection: Connection) -> int:
    return connection.execute(select(func.max(leaves.c.event_seq))).scalar() or 0


def _locked_head(connection: Connection) -> Frontier:
    """The tree's state, its row locked until the transaction ends."""
    if not connection.execute(update(tree_state).values(id=_ROW)).rowcount:
        # the first step ever; of two concurrent leaders the second fails on the key, and finds the row next time
        connection.execute(insert(tree_state).values(id=_ROW, size=0, frontier=Frontier().to_bytes()))
    return head(connection)


def _scrubbed(connection: Connection, before: int, most: int) -> list[Any]:
    """Older events without a leaf in the next range of numbers, at most `most`; advances the cursor."""
    if most <= 0:
        return []
    stored = connection.execute(select(meta.c.value).where(meta.c.name == _CURSOR)).scalar()
    after = int(stored or 0)
    upto = min(after + SCRUB, before)
    rows = list(connection.execute(_unleafed, {"after": after, "upto": upto, "most": most})) if after < upto else []
    cursor = rows[-1].seq if len(rows) == most else (upto if after < upto < before else 0)
    if stored is None:
        connection.execute(insert(meta).values(name=_CURSOR, value=str(cursor)))
    elif cursor != after:
        connection.execute(update(meta).where(meta.c.name == _CURSOR).values(value=str(cursor)))
    return rows
