"""Locks on what a transaction folds, so that no worker folds from evidence that another is still adding to.

SQLite has one writer at a time: nothing to do. On PostgreSQL each specimen, order, lot, and site-and-item is an
advisory lock that ends with the transaction. Deadlock is impossible because every transaction takes them in the
same order: first all of class 1 (specimens, orders, lots) in ascending order of their numbers, and only after that
all of class 2 (site and item). When a key of class 1 turns out to be needed later, the transaction restarts with the
larger set (`Widen`). Stock comes last because all workers share its few keys: they are held only for the last part of
the transaction. Facts that are only read (an order's patient, a lot's expiry) take a shared lock.

Other workers commit between two attempts, so the set may grow each time (a lot that is recalled while tubes of it are
used). Every transaction therefore first takes one global lock, shared; one that restarted too often, or needs very
many locks, takes it exclusively, and then needs no other of class 1.
"""

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection

from models.database.postgres.arrays import Numbers
from models.database.postgres.pipeline import run

_EXCLUSIVE = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) WITH ORDINALITY AS t(k, n)"
_MIXED = (
    "SELECT CASE WHEN shared THEN pg_advisory_xact_lock_shared(k) ELSE pg_advisory_xact_lock(k) END"
    " FROM unnest(%s::bigint[], %s::boolean[]) AS t(k, shared)"
)

_ALL = "everything"
HELD_MAX = 3000
"""A transaction that needs more locks takes all at once: PostgreSQL's lock table has a few thousand entries for
all connections together (max_connections × max_locks_per_transaction)."""


Held = set[str] | None
"""The keys of class 1 that a transaction holds exclusively; None: all there are."""


class Widen(Exception):
    """More must be locked: roll back and restart with `exclusive` added."""

    def __init__(self, exclusive: set[str]) -> None:
        super().__init__("the transaction touches more than it has locked")
        self.exclusive = exclusive


def _number(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def require(held: Held, keys: Iterable[str]) -> None:
    """Raise Widen unless all of these are held."""
    if held is not None and (lacking := set(keys) - held):
        raise Widen(lacking)


def needed(connection: Connection) -> bool:
    """Whether other workers may be folding at the same time."""
    return connection.dialect.name == "postgresql"


def hold(connection: Connection, exclusive: Iterable[str], shared: Iterable[str] = ()) -> None:
    """Take the locks of class 1, lowest number first. Keys such as `specimen S26…`, `order R-1`, `lot ITEM/LOT`."""
    modes = {_number(key): True for key in shared}
    modes.update({_number(key): False for key in exclusive})
    numbers = sorted(modes)
    keys, are_shared = [_number(_ALL), *numbers], [True, *(modes[n] for n in numbers)]
    run(connection, _MIXED, (Numbers(keys), are_shared))


def hold_all(connection: Connection) -> None:
    """Take all of class 1 at once: every other folding transaction waits until this one has ended."""
    run(connection, _EXCLUSIVE, (Numbers([_number(_ALL)]),))


def hold_stock(connection: Connection, places: Iterable[tuple[str, str]]) -> None:
    """Take the locks of class 2."""
    if not needed(connection):
        return
    numbers = sorted(_number(f"stock {site}/{item}") for site, item in places)
    if numbers:
        run(connection, _EXCLUSIVE, (Numbers(numbers),))
