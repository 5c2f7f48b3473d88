"""The checks that docs/ledger.md describes work exactly as written there."""

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from agents.ledger.checkpoints import take_checkpoint
from agents.ledger.signing import load_or_make_key
from config.catalog import DEFAULT_CATALOG, load_catalog
from config.policy import Policy
from labtrail.simulator.simulation import simulate
from models.database.engine import reading, writing
from models.ledger import tree
from models.ledger.verify import verify
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import route
from models.rules.times import microseconds
from models.views.exports import export_rows
from tests.support.homes import new_home, sqlite_url

DOCS = Path(__file__).parents[3] / "docs" / "ledger.md"
START = datetime.fromisoformat("2026-11-20T06:00:00-06:00")
NOW_US = microseconds(START) + 2 * 86_400_000_000


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """A home with a simulated day: its exported ledger, one checkpoint, the public key."""
    folder = tmp_path_factory.mktemp("home")
    catalog = load_catalog(DEFAULT_CATALOG)
    engine = new_home(sqlite_url(folder))
    store = Store(engine, catalog, Policy())
    raws = list(simulate(catalog, days=1, seed=1, start=START, orders=5))
    store.commit([Record(route(raw)[0], 0, n, raw, NOW_US) for n, raw in enumerate(raws)], NOW_US)
    with writing(engine) as connection:
        assert tree.extend(connection) == len(raws)
    checkpoint = take_checkpoint(engine, folder / "out", load_or_make_key(folder / "key"), NOW_US)
    with reading(engine) as connection:
        rows = list(export_rows(connection, "ledger", NOW_US, catalog=catalog, policy=Policy()))
        assert verify(connection).faults == 0
    engine.dispose()
    return rows, checkpoint, folder / "out" / "ledger.pub"


def check(tmp_path, rows, checkpoint, key):
    (script,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    program, exported = tmp_path / "check.py", tmp_path / "rows.jsonl"
    program.write_text(script)
    exported.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-W", "ignore", str(program), str(exported), str(checkpoint), str(key)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_ledger_of_a_simulated_day_checks_without_labtrail(carried, tmp_path):
    rows, checkpoint, key = carried
    done = check(tmp_path, rows, checkpoint, key)
    assert done.stdout == f"{len(rows)} events are as they were signed\n", done.stderr


def test_an_altered_hash_or_checkpoint_is_found_without_labtrail(carried, tmp_path):
    rows, checkpoint, key = carried
    altered = [rows[0] | {"hash": "00" * 32}, *rows[1:]]
    assert "not the one that was signed" in check(tmp_path, altered, checkpoint, key).stderr
    other = tmp_path / "checkpoint.txt"
    other.write_text(checkpoint.read_text().replace(f"\n{len(rows)}\n", f"\n{len(rows) - 1}\n"))
    assert "InvalidSignature" in check(tmp_path, rows, other, key).stderr
