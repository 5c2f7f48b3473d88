"""The ledger: each subject's hash chain and its check, and the text of a checkpoint.

A chain starts from `genesis(subject)`; event number `sequence` (1, 2, …) of the subject has the hash
`link(hash before, sequence, bytes as received)`. A link hash is also the data of one leaf of the Merkle tree
(`models/ledger/merkle.py`) over the whole system, whose root is signed at checkpoints.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from itertools import islice

from msgspec import Struct

from models.ledger.merkle import HASH_BYTES, SIZE_MAX
from models.rules.times import microseconds, utc_text

_GENESIS = b"labtrail/v1/chain\x00"
_LOOKAHEAD_ROWS = 1000
"""How many rows are searched for a fault's cause; a longer move is still found, but reported as an alteration."""
_DELETED_RUN_MAX = 100


class FaultKind(StrEnum):
    """What was done to a recorded event."""

    ALTERED = "altered"
    DELETED = "deleted"
    INSERTED = "inserted"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"


class LinkRow(Struct, frozen=True, gc=False):
    """One recorded event as the ledger sees it. `event_seq` is its place in the order of recording."""

    sequence: int
    event_seq: int
    event_id: str
    raw: bytes
    link_hash: bytes


class Fault(Struct, frozen=True, kw_only=True):
    """The first place where the ledger is inconsistent. `sequence` counts from 1 within the subject's chain."""

    kind: FaultKind
    sentence: str
    subject: str | None = None
    sequence: int | None = None
    event_id: str | None = None
    event_seq: int | None = None


def genesis(subject: str) -> bytes:
    """The hash before the first event of a subject."""
    return sha256(_GENESIS + subject.encode()).digest()


def link(previous: bytes, sequence: int, raw: bytes) -> bytes:
    """SHA-256 over the previous hash, the sequence (8 bytes, big endian) and the event's exact bytes."""
    return sha256(previous + sequence.to_bytes(8, "big") + raw).digest()


def check_chain(subject: str, rows: Iterator[LinkRow], length: int, head: bytes) -> Fault | None:
    """The first fault of a chain, or None.

    `rows`: the subject's recorded events by sequence; `length`, `head`: what the chain is recorded to be.
    Memory is constant while the chain is intact; at a fault at most 1,000 more rows are read to classify it.
    """
    before, previous, last = b"", genesis(subject), None
    count = 0
    for row in rows:
        if row.sequence > count + 1:
            return _fault(FaultKind.DELETED, subject, count + 1, None, row.event_seq)
        if row.sequence <= count:
            return _fault(FaultKind.INSERTED, subject, row.sequence, row, row.event_seq)
        own = link(previous, row.sequence, row.raw)
        if own != row.link_hash:
            if last is not None and link(before, count, row.raw) == row.link_hash:
                return _fault(FaultKind.INSERTED, subject, count, last, last.event_seq)
            return _cause(subject, previous, [row, *islice(rows, _LOOKAHEAD_ROWS)], length)
        if count == length:
            return _fault(FaultKind.INSERTED, subject, row.sequence, row, row.event_seq)
        before, previous, last, count = previous, own, row, count + 1
    if count < length:
        return _fault(FaultKind.TRUNCATED, subject, count + 1, None, last.event_seq if last else None)
    if previous != head:
        return _fault(FaultKind.ALTERED, subject, count, last, last.event_seq if last else None)
    return None


def _cause(subject: str, previous: bytes, rows: Sequence[LinkRow], length: int) -> Fault:
    """What was done to the row that does not match: found by trying where its and the next rows' bytes match."""
    row = rows[0]
    at = row.sequence
    for offset, other in enumerate(rows[1:], 1):
        here = link(previous, at, other.raw)
        if here in (row.link_hash, other.link_hash):
            upto = here if offset == 1 else rows[offset - 1].link_hash
            there = link(upto, at + offset, row.raw)
            kind = FaultKind.SWAPPED if there in (row.link_hash, other.link_hash) else FaultKind.INSERTED
            return _fault(kind, subject, at, row, row.event_seq)
    if len(rows) == 1 and length > at:
        return _fault(FaultKind.DELETED, subject, at, None, row.event_seq)
    for lost in range(1, _DELETED_RUN_MAX + 1 if len(rows) > 1 else 0):
        if link(row.link_hash, at + 1 + lost, rows[1].raw) == rows[1].link_hash:
            return _fault(FaultKind.DELETED, subject, at, None, row.event_seq)
    return _fault(FaultKind.INSERTED if at > length else FaultKind.ALTERED, subject, at, row, row.event_seq)


_SAYS: dict[FaultKind, str] = {
    FaultKind.ALTERED: "was altered: its bytes and its recorded hash no longer belong together",
    FaultKind.DELETED: "was deleted: the chain has a gap there",
    FaultKind.INSERTED: "was inserted: it was not recorded there",
    FaultKind.SWAPPED: "was swapped with another one: its bytes belong to a different place in the chain",
    FaultKind.TRUNCATED: "is gone with all that follow it: the chain was truncated",
    FaultKind.REWRITTEN: "was rewritten: chain and tree were made anew, but not as they were signed",
}


def sentence(kind: FaultKind, subject: str | None, sequence: int | None, event_id: str | None) -> str:
    """A fault as a sentence."""
    which = f"event {sequence} of {subject}" if subject is not None else "an event"
    return f"{which}{f' (id {event_id})' if event_id else ''} {_SAYS[kind]}"


def _fault(kind: FaultKind, subject: str, sequence: int, row: LinkRow | None, event_seq: int | None) -> Fault:
    event_id = row.event_id if row is not None else None
    return Fault(
        kind=kind,
        subject=subject,
        sequence=sequence,
        event_id=event_id,
        event_seq=event_seq,
        sentence=sentence(kind, subject, sequence, event_id),
    )


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The tree at one moment, as it is signed. `origin` names the installation whose tree it is."""

    origin: str
    size: int
    root: bytes
    time_us: int

    def body(self) -> str:
        """The signed text as in C2SP tlog-checkpoint: origin, size, root, and the time as an extension."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\ntime {utc_text(self.time_us)}\n"


def parse_checkpoint(body: str) -> Checkpoint:
    """The checkpoint of a text. Raises ValueError, which says what is wrong with it."""
    lines = body.split("\n")
    if len(lines) < 5 or lines[-1] != "" or not lines[0]:
        raise ValueError("a checkpoint has an origin, a size, a root and a time, each on its line")
    origin, size, root, extra = lines[0], lines[1], lines[2], lines[3]
    if not (
        size.isascii() and size.isdigit() and len(size) <= 19 and str(int(size)) == size and int(size) <= SIZE_MAX
    ):
        raise ValueError("the second line is not a tree size")
    try:
        root_hash = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError):
        root_hash = b""
    if len(root_hash) != HASH_BYTES:
        raise ValueError("the third line is not the base64 of a SHA-256 hash")
    word, _, moment = extra.partition(" ")
    if word != "time":
        raise ValueError("the fourth line does not say the time")
    return Checkpoint(
        origin=origin, size=int(size), root=root_hash, time_us=microseconds(datetime.fromisoformat(moment))
    )
