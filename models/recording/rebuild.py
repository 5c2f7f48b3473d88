"""Rebuilding: every table of state computed again from the recorded events, in one transaction.

It uses the same functions as a commit, in the same order: movements and lots, specimens, stock.
"""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, case, func, select, text, update

from models.database.acts_tables import alerts
from models.database.bulk import KEYS_PER_QUERY, chunks
from models.database.engine import writing
from models.database.evidence_tables import chains, events
from models.database.migrate import note_folded
from models.database.state_tables import STATE, specimens, waiting_orders
from models.recording import stock_levels, supplies
from models.recording.evidence import Recorded
from models.recording.history_cache import HistoryCache
from models.recording.specimens import refold_subjects
from models.recording.store import Store
from models.recording.supplies import NO_CHANGES, Place
from models.rules.deadlines import AlertKind
from models.rules.events import Event, parse

Progress = Callable[[int, int], None]


def rebuild(store: Store, progress: Progress | None = None) -> int:
    """Fold all state again; returns how many events there are. When interrupted, nothing has changed.

    `progress(done, total)` counts events through two passes. Alerts, acknowledgements, print jobs and the outbox
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
            connection.execute(table.delete())
        places: set[Place] = set()
        for batch in _batches(connection):
            changes = supplies.project(connection, Recorded(batch, {}), store.catalog, store.policy, afresh=True)
            places |= {(m.site, m.item) for m in changes.added}
            step(len(batch))
        subjects = connection.execute(select(chains.c.subject).order_by(chains.c.subject)).scalars().all()
        for chunk in chunks((s for s in subjects if "/" not in s), KEYS_PER_QUERY):
            cache = HistoryCache()
            histories = cache.load(connection, chunk)
            step(sum(len(history) for history in histories.values()))
            refold_subjects(connection, histories, NO_CHANGES, cache, store.catalog, store.policy)
        for some in chunks(sorted(places)):
            stock_levels.refold_from_start(connection, some, store.catalog)
        _count_alerts(connection)
        note_folded(connection)
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
        yield [parse(bytes(raw), appended_us, recorded=True) for _, raw, appended_us in rows]


def _count_alerts(connection: Connection) -> None:
    """Set on each specimen and order how many alerts are open about it: the next sweep checks those."""
    a = alerts.c
    of_order = case((a.kind == AlertKind.UNCOLLECTED_ORDER, a.subject))
    for table, name, alert in ((specimens, "accession", a.accession), (waiting_orders, "order_id", of_order)):
        is_open = a.resolved_us.is_(None)
        count = select(func.count()).where(alert == table.c[name], is_open).scalar_subquery()
        with_alerts = select(alert).where(is_open, alert.is_not(None))
        connection.execute(
            update(table).where(table.c[name].in_(with_alerts)).values(alerts_open=count, alert_check_us=0)
        )
