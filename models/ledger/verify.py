"""The check of the whole ledger: every chain, every leaf, every signed checkpoint; names the first fault.

Two streamed passes in constant memory. The first, over the chains, finds changes to a recorded event whose chain was
not recomputed. The second, over the leaves (`models/ledger/verify_tree.py`), finds changes to whole chains by the
hashes in the tree, and changes to the tree itself by the signed checkpoints that were copied off the machine.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, func, select

from models.database.evidence_tables import chains, events, leaves
from models.ledger.chain import Checkpoint, Fault, FaultKind, LinkRow, check_chain, sentence
from models.ledger.verify_tree import Tick, check_tree, streamed
from models.rules.events import Refused, parse


class Verdict(Struct, frozen=True, kw_only=True):
    """What a check of the ledger found. `pending`: recorded events that have no leaf in the tree yet."""

    events: int
    subjects: int
    leaves: int
    pending: int
    checkpoints: int
    root: bytes
    faults: int
    first: Fault | None


class _Chains(Struct):
    events: int = 0
    subjects: int = 0
    faults: int = 0
    first: Fault | None = None


def rows_to_check(connection: Connection) -> int:
    """How many rows `verify` will read: the events and the leaves."""
    counts = (select(func.count()).select_from(table) for table in (events, leaves))
    return sum(connection.scalar(count) or 0 for count in counts)


def verify(
    connection: Connection,
    checkpoints: Sequence[Checkpoint] = (),
    witness: Iterator[bytes] | None = None,
    tick: Tick | None = None,
) -> Verdict:
    """Check everything that is recorded.

    `checkpoints`: signed ones, their signatures already checked. `witness`: leaf hashes from leaf 0 on that
    were copied with them and give their roots, so that a forged ledger is compared leaf by leaf.
    `tick` is called with the number of rows read since the last call.
    """
    of_chains = _check_chains(connection, tick)
    of_tree = check_tree(connection, checkpoints, witness, tick)
    return Verdict(
        events=of_chains.events,
        subjects=of_chains.subjects,
        leaves=of_tree.frontier.size,
        pending=max(0, of_chains.events - of_tree.matched),
        checkpoints=len(checkpoints),
        root=of_tree.frontier.root(),
        faults=of_chains.faults + of_tree.faults,
        first=_first(of_chains, of_tree.first[1] if of_tree.first else None),
    )


def _first(of_chains: _Chains, tree: Fault | None) -> Fault | None:
    """Which of the two passes' first faults to report; details of a lost event from one complete the other's."""
    chain = of_chains.first
    if chain is None or tree is None:
        return chain or tree
    if tree.subject and tree.event_seq is not None and tree.event_seq < (chain.event_seq or 0):
        return tree  # a row whose own hash was recomputed breaks the chain only at the next row
    lost = (FaultKind.DELETED, FaultKind.TRUNCATED)
    if of_chains.faults == 1 and chain.kind in lost and tree.kind in lost and chain.event_id is None:
        words = sentence(chain.kind, chain.subject, chain.sequence, tree.event_id)
        return replace(chain, event_id=tree.event_id, event_seq=tree.event_seq, sentence=words)
    return chain


def _check_chains(connection: Connection, tick: Tick | None) -> _Chains:
    state = _Chains()
    query = (
        select(
            events.c.seq,
            events.c.id,
            events.c.subject,
            events.c.chain_seq,
            events.c.link_hash,
            events.c.type,
            events.c.time_us,
            events.c.site,
            events.c.actor,
            events.c.raw,
            chains.c.length,
            chains.c.head,
        )
        .join_from(events, chains, events.c.subject == chains.c.subject, isouter=True)
        .order_by(events.c.subject, events.c.chain_seq, events.c.seq)
    )
    for subject, rows in groupby(streamed(connection, query, tick), key=lambda row: row.subject):
        fault = _check_subject(subject, rows, state)
        state.subjects += 1
        if fault is not None:
            _note(state, fault)
    gone = select(chains.c.subject, chains.c.length).where(
        ~select(events.c.seq).where(events.c.subject == chains.c.subject).exists()
    )
    for row in streamed(connection, gone.order_by(chains.c.subject), tick):
        words = f"all {row.length} events of {row.subject} are gone: its chain was truncated to nothing"
        _note(state, Fault(kind=FaultKind.TRUNCATED, subject=row.subject, sequence=1, sentence=words))
    return state


def _note(state: _Chains, fault: Fault) -> None:
    state.faults += 1
    if state.first is None or (fault.event_seq or 0) < (state.first.event_seq or 0):
        state.first = fault


def _check_subject(subject: str, rows: Iterator[Row[Any]], state: _Chains) -> Fault | None:
    """The earlier of the chain's fault and of a column that differs from the event's bytes."""
    of_columns: list[Fault] = []
    recorded: list[tuple[int, bytes]] = []

    def links() -> Iterator[LinkRow]:
        for row in rows:
            state.events += 1
            recorded[:] = recorded or [(row.length or 0, row.head or b"")]
            if not of_columns and (fault := _column_fault(row)) is not None:
                of_columns.append(fault)
            yield LinkRow(row.chain_seq, row.seq, row.id, row.raw, row.link_hash)

    stream = links()
    ahead = next(stream)

    def from_the_first() -> Iterator[LinkRow]:
        yield ahead
        yield from stream

    length, head = recorded[0]
    of_chain = check_chain(subject, from_the_first(), length, head)
    for _ in stream:
        pass  # count and compare the rest of a broken chain
    found = [fault for fault in (of_chain, *of_columns) if fault is not None]
    return min(found, key=lambda fault: fault.event_seq or 0, default=None)


def _column_fault(row: Row[Any]) -> Fault | None:
    try:
        event = parse(row.raw, recorded=True)
    except Refused:
        said: tuple[object, ...] = ()
    else:
        said = (event.id, event.type, event.subject, event.time_us, event.site, event.actor)
    if said == (row.id, row.type, row.subject, row.time_us, row.site, row.actor):
        return None
    which = f"event {row.chain_seq} of {row.subject} (id {row.id})"
    words = f"{which} was altered: the columns beside it do not say what its bytes say"
    return Fault(
        kind=FaultKind.ALTERED,
        subject=row.subject,
        sequence=row.chain_seq,
        event_id=row.id,
        event_seq=row.seq,
        sentence=words,
    )
