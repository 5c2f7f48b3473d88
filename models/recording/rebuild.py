"""Rebuilding: every table of state made anew from the recorded events, in one transaction."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select, text

from models.database.bulk import KEYS_PER_QUERY, chunks
from models.database.engine import writing
from models.database.evidence_tables import chains, events
from models.database.state_tables import STATE, specimens
from models.recording import stock_levels as shelves
from models.recording import supplies as stockroom
from models.recording.history_cache import Histories
from models.recording.specimens import Refold, write_orders
from models.recording.store import Store, is_accession
from models.rules.event_types import TYPES
from models.rules.events import Event, parse

Progress = Callable[[int, int], None]


def rebuild(store: Store, progress: Progress | None = None) -> int:
    """Fold all state again; returns how many events there are. Broken off, nothing has changed.

    `progress(done, total)` counts events through three passes. Alerts, acknowledgements, print jobs and the outbox
    are acts, not state: they stay, and nothing is sent or printed again.
    """
    with writing(store.engine, long=True) as connection:
        if store.engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE progress IN EXCLUSIVE MODE"))  # workers wait at their commit
        total = connection.scalar(text("SELECT count(*) FROM events")) or 0
        done = 0

        def step(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(min(done, 2 * total), 2 * total)

        for table in STATE:
            if table is not specimens:  # its rows also hold how many alerts are open
                connection.execute(table.delete())
        step(_project(connection, store))
        kept = _fold(connection, store, step)
        _drop_strays(connection, kept)
        return int(total)


def _batches(connection: Connection) -> Iterator[list[Event]]:
    last = 0
    while rows := connection.execute(
        select(events.c.seq, events.c.raw, events.c.appended_us)
        .where(events.c.seq > last)
        .order_by(events.c.seq)
        .limit(2000)
    ).all():
        last = rows[-1][0]
        yield [parse(bytes(raw), appended_us) for _, raw, appended_us in rows]


def _project(connection: Connection, store: Store) -> int:
    """What events do outside their own history: movements, lots, links, relations, orders; then all stock."""
    places: set[stockroom.Place] = set()
    orders: set[str] = set()
    parents: set[str] = set()
    count = 0
    for batch in _batches(connection):
        count += len(batch)
        changes = stockroom.project(connection, batch)
        places |= {(m.site, m.item) for m in changes.added}
        shelves.add_usage(connection, changes)
        orders |= {e.subject for e in batch if TYPES[e.type].subject == "order"}
        parents |= {e.subject for e in batch if e.type == "specimen.aliquoted"}
    for place in sorted(places):
        shelves.refold_place(connection, place, store.catalog)
    for chunk in chunks(sorted(orders)):
        write_orders(connection, Histories().load(connection, set(chunk), {}))
    refold = Refold(connection, store.catalog, store.policy)
    for chunk in chunks(sorted(parents)):
        refold.relate(Histories().load(connection, set(chunk), {}), set(chunk))
    return count


def _fold(connection: Connection, store: Store, step: Callable[[int], None]) -> set[str]:
    """Fold every specimen. Returns all accessions that have a row."""
    kept: set[str] = set()
    subjects = connection.execute(select(chains.c.subject).order_by(chains.c.subject)).scalars().all()
    for chunk in chunks((s for s in subjects if "/" not in s), KEYS_PER_QUERY):
        histories = Histories()
        refold = Refold(connection, store.catalog, store.policy)
        found = histories.load(connection, set(chunk), {})
        accessions, parents = refold.family(s for s in chunk if is_accession(s, found[s]))
        ancestors = {p for ps in parents.values() for p in ps}
        found |= histories.load(connection, (accessions | ancestors) - found.keys(), {})
        refold.write(refold.fold_all(accessions, parents, found), found)
        kept |= accessions
        step(sum(len(found[s]) for s in chunk))
    return kept


def _drop_strays(connection: Connection, kept: set[str]) -> None:
    rows = connection.execute(select(specimens.c.accession)).scalars().all()
    for chunk in chunks(a for a in rows if a not in kept):
        connection.execute(specimens.delete().where(specimens.c.accession.in_(chunk)))
