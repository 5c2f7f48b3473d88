"""`python -m bench.fold 5000000`: simulated events committed live, then folded again by rebuild: is all equal?

Prints the rate of each tenth, what is open after a sweep against what the tables name, how long the rebuild took, and
a digest of every export before and after it. Exit 1 where they differ. No log and no agents: the store alone.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import Engine, make_url, select

from bench.home import read_events, write_events
from config.catalog import Catalog, load_catalog
from config.clock import now_us
from config.settings import load_settings
from models.alerts.cases import cases
from models.alerts.sweep import sweep
from models.database.acts_tables import alerts
from models.database.engine import make_engine, reading
from models.database.migrate import migrate
from models.recording.evidence import Record
from models.recording.rebuild import rebuild
from models.recording.store import Store
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC, route
from models.views.exports import EXPORTS, export_rows

BATCH = 500
PURE = tuple(table for table in EXPORTS if table not in ("ledger", "quarantine"))
"""The exports that are a function of the set of events."""


def batches(file: Path) -> Iterator[list[Record]]:
    """The events of a file, as the two topics would deliver them."""
    offsets = {SPECIMENS_TOPIC: 0, SUPPLIES_TOPIC: 0}
    raws = read_events(file)
    while some := list(islice(raws, BATCH)):
        found = []
        for raw in some:
            topic, _ = route(raw)
            found.append(Record(topic, 0, offsets[topic], raw, now_us()))
            offsets[topic] += 1
        yield found


def digests(engine: Engine, catalog: Catalog, at_us: int) -> dict[str, tuple[int, str]]:
    """{table: (rows, SHA-256 over its exported lines)} of every pure export."""
    policy = load_settings({}).policy
    found = {}
    for table in PURE:
        digest, count = hashlib.sha256(), 0
        with reading(engine) as connection:
            for row in export_rows(connection, table, at_us, catalog=catalog, policy=policy):
                digest.update(json.dumps(row).encode() + b"\n")
                count += 1
        found[table] = (count, digest.hexdigest())
    return found


def commit_all(store: Store, file: Path, count: int) -> None:
    """Commit everything; prints the rate of each tenth."""
    done, since, started = 0, 0, time.monotonic()
    for some in batches(file):
        store.commit(some, now_us())
        done += len(some)
        if done - since >= count / 10 or done >= count:
            seconds = time.monotonic() - started
            print(f"{done:>9,} events, {(done - since) / seconds:7,.0f}/s", flush=True)
            since, started = done, time.monotonic()


def open_alerts_are_the_cases(store: Store, at_us: int) -> bool:
    """Whether what is open after a sweep is what the tables name."""
    while sweep(store.engine, store.catalog, store.policy, at_us).more:
        pass
    with reading(store.engine) as connection:
        due = cases(connection, store.catalog, store.policy, at_us)
        rows = connection.execute(select(alerts.c.kind, alerts.c.subject).where(alerts.c.resolved_us.is_(None)))
        opened = {(kind, subject) for kind, subject in rows}
    named = {(str(case.kind), case.subject) for case in due.due}
    print(f"{len(opened):,} alerts open, {len(named):,} named by the tables, {len(due.faults)} set aside", flush=True)
    return opened == named


def main() -> int:
    """Run it; 0 where everything is equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--database", help="an empty database; without it a file of SQLite in a temporary folder")
    asked = parser.parse_args()
    catalog, policy = load_catalog(load_settings({}).catalog), load_settings({}).policy
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        write_events(file, asked.count)
        engine = make_engine(make_url(asked.database or f"sqlite:///{folder}/home.db").render_as_string(False))
        migrate(engine)
        store = Store(engine, catalog, policy)
        commit_all(store, file, asked.count)
        at_us = now_us()
        agreed = open_alerts_are_the_cases(store, at_us)
        live = digests(engine, catalog, at_us)
        started = time.monotonic()
        rebuild(Store(engine, catalog, policy))
        print(f"rebuilt in {time.monotonic() - started:,.0f} s", flush=True)
        again = digests(engine, catalog, at_us)
        engine.dispose()
    for table, (rows, digest) in live.items():
        print(f"{table:<20} {rows:>9,} rows  {digest[:16]}  {'equal' if again[table] == live[table] else 'DIFFERS'}")
    return 0 if agreed and live == again else 1


if __name__ == "__main__":
    sys.exit(main())
