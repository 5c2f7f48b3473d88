"""What may be done with an old year, as docs/operations.md describes it: on cheaper disks, dumped once, detached."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import chown
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from models.database.engine import make_engine, reading, writing
from models.database.migrate import migrate
from models.ledger.chain import Checkpoint
from models.ledger.merkle import subtree_root
from models.ledger.tree import reader
from models.ledger.verify import Verdict, verify
from models.recording.rebuild import rebuild
from tests.servers.postgres.years import TUBES, YEARS, commit_in, counts, events_of, everything, grow_tree, tool
from tests.support.homes import export, new_home, new_store, sqlite_url
from tests.support.postgres.server import UNPRIVILEGED, Postgres, create_database, drop_database, run_as_owner
from tests.support.story import TUBE, supply, whole_day

pytestmark = pytest.mark.postgres
GUIDE = (Path(__file__).parents[3] / "docs/operations.md").read_text()


def guide_sql(first_words: str) -> str:
    """The SQL of the guide that begins with these words, for the year 2026."""
    every = re.findall(r"```sql\n\s*(.*?)```", GUIDE, re.DOTALL)
    blocks = [block for block in every if block.startswith(first_words)]
    assert len(blocks) == 1, f"docs/operations.md tells the way that the tests try: {first_words}"
    return blocks[0].replace("2024", "2026").replace("2025", "2027")


class Old(NamedTuple):
    """Three years on record, on a server of our own: its programs and its folder are needed."""

    server: Postgres
    url: str
    engine: Engine
    folder: Path


@pytest.fixture
def old(postgres_server: Postgres, tmp_path: Path) -> Iterator[Old]:
    url = create_database(postgres_server.url())
    engine = make_engine(url)
    migrate(engine, YEARS[0])
    for year in YEARS:
        commit_in(new_store(engine), year, events_of(year))
        grow_tree(engine)
    yield Old(postgres_server, url, engine, tmp_path)
    engine.dispose()
    drop_database(postgres_server.url(), url)


def run_sql(old: Old, block: str) -> None:
    """As an administrator does it, in psql."""
    file = old.folder / "statements.sql"
    file.write_text(block)
    tool(old.server, "psql", old.url, "--set=ON_ERROR_STOP=1", "--file", str(file))


def labtrail(old: Old, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {
        "LABTRAIL_DATABASE": old.url,
        "LABTRAIL_DATA": str(old.folder),
        "LABTRAIL_BROKER": "kafka://none:9092",
    }
    command = [sys.executable, "-m", "labtrail", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def checked(engine: Engine) -> Verdict:
    """The whole ledger against a checkpoint over everything that was recorded while no year was missing."""
    with reading(engine) as connection:
        size = sum(len(events_of(year)) for year in YEARS)
        root = subtree_root(reader(connection), 0, size)
        return verify(connection, [Checkpoint(origin="test", size=size, root=root, time_us=0)])


@pytest.fixture
def cold(old: Old) -> Iterator[None]:
    """A tablespace of that name, in a folder that the server's user can write."""
    with TemporaryDirectory(dir=old.server.folder) as folder:
        if os.geteuid() == 0:
            chown(folder, UNPRIVILEGED)
        run_as_owner(old.url, f"CREATE TABLESPACE cold LOCATION '{folder}'")
        yield
        run_sql(old, guide_sql("ALTER TABLE events_2024 SET TABLESPACE").replace("cold", "pg_default"))
        run_as_owner(old.url, "DROP TABLESPACE cold")


@pytest.mark.usefixtures("cold")
def test_a_year_on_a_cheaper_disk_changes_nothing(old: Old) -> None:
    before = everything(old.engine)
    run_sql(old, guide_sql("ALTER TABLE events_2024 SET TABLESPACE"))
    where = (
        "SELECT array_agg(DISTINCT coalesce(spcname, 'hot')) FROM pg_class c LEFT JOIN pg_tablespace t"
        " ON t.oid = reltablespace WHERE relname LIKE '{}%' AND relkind IN ('r', 'i')"
    )
    with reading(old.engine) as connection:
        assert connection.scalar(text(where.format("events_2026"))) == ["cold"]
        assert connection.scalar(text(where.format("events_2027"))) == ["hot"]
    assert everything(old.engine) == before
    assert rebuild(new_store(old.engine)) == sum(len(events_of(year)) for year in YEARS)
    assert everything(old.engine) == before
    assert {o.verdict for o in commit_in(new_store(old.engine), 2028, events_of(2026))} == {"duplicate"}
    assert checked(old.engine).first is None


def test_a_year_that_is_over_is_dumped_once(old: Old) -> None:
    before = everything(old.engine)
    year, nightly = str(old.folder / "year.dump"), str(old.folder / "nightly.dump")
    tool(old.server, "pg_dump", old.url, "-Fc", "-t", "events_2026", "-f", year)
    commit_in(new_store(old.engine), 2028, whole_day(70, TUBE))
    tool(old.server, "pg_dump", old.url, "-Fc", "--exclude-table-data=events_2026", "-f", nightly)
    grown = everything(old.engine)
    assert grown != before
    url = create_database(old.server.url())
    tool(old.server, "pg_restore", url, "--exit-on-error", nightly)
    tool(old.server, "pg_restore", url, "--exit-on-error", "--data-only", "-t", "events_2026", year)
    restored = make_engine(url)
    assert everything(restored) == grown
    assert {o.verdict for o in commit_in(new_store(restored), 2028, events_of(2026))} == {"duplicate"}
    commit_in(new_store(restored), 2028, [supply("used", 800, quantity=1)])
    with pytest.raises(IntegrityError, match="event_keys"), writing(restored) as connection:
        connection.execute(text(COPIED))
    restored.dispose()
    drop_database(old.server.url(), url)


COPIED = (
    "INSERT INTO events SELECT seq, id, subject, chain_seq, link_hash, type, time_us, site, actor, raw, topic,"
    ' partition, "offset", appended_us + 31622400000000, recorded_us FROM events_2026'
)


def test_a_year_that_a_law_takes_out_is_missed_and_can_come_back(old: Old, tmp_path: Path) -> None:
    before, whole = everything(old.engine), checked(old.engine)
    assert (whole.first, whole.checkpoints) == (None, 1)
    year = str(old.folder / "year.dump")
    tool(old.server, "pg_dump", old.url, "-Fc", "-t", "events_2026", "-f", year)
    run_sql(old, guide_sql("ALTER TABLE events DETACH"))

    missed = checked(old.engine)
    gone = len(TUBES[2026])
    assert missed.faults == gone + 2, "each chain, the shelf's that goes on, and the leaves without their events"
    assert missed.root == whole.root, "the tree and its signatures still hold: the hashes are kept"
    said = labtrail(old, "verify")
    assert said.returncode == 1
    assert re.search(
        r"does not hold: all \d events of S\w+ are gone: its chain was truncated to nothing", said.stderr
    )
    assert "are gone: its chain was truncated to nothing" in " ".join(GUIDE.split())
    assert f"({gone + 2} faults in all)" in said.stderr
    with pytest.raises(IntegrityError, match="event_keys"):
        commit_in(new_store(old.engine), 2028, events_of(2026))  # a second delivery does not bring it back

    assert labtrail(old, "rebuild").returncode == 0
    rest = new_home(sqlite_url(tmp_path))
    for later in YEARS[1:]:
        commit_in(new_store(rest), later, events_of(later))
    assert export(old.engine) == export(rest), "state is that of the years that are left"
    rest.dispose()
    assert migrate(old.engine, YEARS[-1]) == []
    assert "events_2026" not in counts(old.engine)

    run_sql(old, guide_sql("CREATE TABLE events_2024"))
    tool(old.server, "pg_restore", old.url, "--exit-on-error", "--data-only", "-t", "events_2026", year)
    run_sql(old, guide_sql("ALTER TABLE events ATTACH"))
    assert checked(old.engine).first is None
    assert labtrail(old, "verify").returncode == 0
    rebuild(new_store(old.engine))
    assert everything(old.engine) == before
