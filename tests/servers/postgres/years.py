"""Databases with events of several years, and what must stay the same whatever is done with those years."""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine, make_url, text

from models.database.engine import reading, writing
from models.ledger.tree import extend
from models.ledger.verify import verify
from models.recording.evidence import Outcome, Record
from models.recording.store import Store
from models.rules.identifiers import make_identifier
from models.views.custody_record import custody_json
from models.views.custody_record_query import custody_record
from models.views.exports import export_rows
from tests.support.homes import export
from tests.support.postgres.server import Postgres
from tests.support.story import CATALOG, POLICY, supply, us, void, whole_day

YEARS = (2026, 2027, 2028)
TUBES = {year: [make_identifier("S", year, 100 + n) for n in range(3)] for year in YEARS}


def appended(year: int) -> int:
    """A moment of that year, in microseconds since 1970."""
    return int(datetime(year, 12, 1, tzinfo=UTC).timestamp()) * 1_000_000


def events_of(year: int) -> list[bytes]:
    """Three tubes' days, one of them voided, and what they used up: a shelf's chain goes on over the years."""
    minute = (year - YEARS[0]) * 10
    days = [whole_day(minute + n, tube) for n, tube in enumerate(TUBES[year])]
    received = supply("received", minute, lot="L1", quantity=50, expires="2029-01-01")
    return [received, *(event for day in days for event in day), void(900 + minute, days[2][1])]


def commit_in(store: Store, year: int, raws: Sequence[bytes]) -> list[Outcome]:
    at_us = appended(year)
    return store.commit([Record("lab.specimens", 0, at_us + n, raw, at_us) for n, raw in enumerate(raws)], at_us)


def grow_tree(engine: Engine) -> None:
    with writing(engine) as connection:
        extend(connection)


def everything(engine: Engine) -> dict[str, str]:
    """Every export, every custody report, and the verdict on the ledger, as text."""
    told = export(engine)
    with reading(engine) as connection:
        told["ledger"] = "\n".join(
            json.dumps(row) for row in export_rows(connection, "ledger", us(5000), catalog=CATALOG, policy=POLICY)
        )
        for tubes in TUBES.values():
            for tube in tubes:
                record = custody_record(connection, tube, us(5000), CATALOG)
                told[tube] = custody_json(record).decode() if record else "nothing is on record"
        told["verdict"] = str(verify(connection))
    return told


def counts(engine: Engine) -> dict[str, int]:
    """Rows in each partition that has any."""
    query = "SELECT tableoid::regclass::text, count(*) FROM events GROUP BY 1"
    with reading(engine) as connection:
        return {str(name): int(count) for name, count in connection.execute(text(query))}


def tool(server: Postgres, program: str, url: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs on a database, as its owner."""
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", server.owner, "-d", str(make_url(url).database)]
    done = subprocess.run(
        [str(server.programs / "bin" / program), *where, *arguments],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": server.password},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
