"""`labtrail doctor` on whether anybody is told of what is late: the last sweep, and what it had to set aside."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from config.clock import now_us
from models.alerts.sweep import FAULTS_MAX, sweep
from models.database.engine import writing
from models.database.state_tables import specimens, stock_items
from models.rules.identifiers import make_identifier
from models.rules.times import MINUTE_US, utc_text
from tests.support.homes import commit, new_home, new_store, sqlite_url
from tests.support.running import labtrail
from tests.support.story import CATALOG, POLICY, TUBE, collected, supply


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Path, Engine]]:
    """A home with a tube and a shelf, and no sweep yet."""
    engine = new_home(sqlite_url(tmp_path, "labtrail"))
    commit(new_store(engine), [collected(0), supply("received", -10, lot="L1", quantity=300)])
    yield tmp_path, engine
    engine.dispose()


def alerts_lines(home: Path) -> tuple[int, list[str]]:
    """Doctor's exit code and what it says of alerts."""
    done = labtrail("doctor", "--data", str(home))
    return done.returncode, [line for line in done.stdout.decode().splitlines() if "  alerts: " in line]


def swept(engine: Engine, at_us: int) -> None:
    while sweep(engine, CATALOG, POLICY, at_us).more:
        pass


def test_it_says_that_nothing_was_ever_judged(home: tuple[Path, Engine]) -> None:
    said = "look  alerts: nothing was ever judged for lateness: is labtrail up or worker running?"
    assert alerts_lines(home[0]) == (0, [said])


def test_it_says_when_all_was_last_judged_and_whether_that_is_long_ago(home: tuple[Path, Engine]) -> None:
    folder, engine = home
    long_ago_us, lately_us = now_us() - 6 * MINUTE_US, now_us()
    swept(engine, long_ago_us)
    when = utc_text(long_ago_us)
    said = f"look  alerts: nothing was judged since {when}: is labtrail up or worker running?"
    assert alerts_lines(folder) == (0, [said])
    swept(engine, lately_us)
    assert alerts_lines(folder) == (0, [f"ok    alerts: judged at {utc_text(lately_us)}: everything"])


def test_it_names_the_cases_that_are_set_aside_and_fails(home: tuple[Path, Engine]) -> None:
    folder, engine = home
    with writing(engine) as connection:
        connection.execute(update(stock_items).values(state=b"no state"))
        connection.execute(update(specimens).values(deadlines="no deadlines", alert_check_us=0))
    lately_us = now_us()
    swept(engine, lately_us)
    code, lines = alerts_lines(folder)
    assert code == 1
    assert lines == [
        f"ok    alerts: judged at {utc_text(lately_us)}: everything but 2 cases",
        f"MEND  alerts: deadlines of {TUBE} can't be judged (DecodeError)",
        "MEND  alerts: restock of NORTH/SUP-EDTA4 can't be judged (DecodeError)",
    ]


def test_of_very_many_it_names_the_first_and_counts_the_rest(home: tuple[Path, Engine]) -> None:
    folder, engine = home
    tubes = [make_identifier("S", 2026, 5000 + n) for n in range(FAULTS_MAX + 5)]
    commit(new_store(engine), [collected(n, tube, supplies=[]) for n, tube in enumerate(tubes)], 10)
    with writing(engine) as connection:
        connection.execute(update(specimens).values(deadlines="no deadlines", alert_check_us=0))
    swept(engine, now_us())
    code, lines = alerts_lines(folder)
    assert code == 1
    assert len(lines) == 1 + FAULTS_MAX + 1
    assert lines[-1] == "MEND  alerts: 6 more cases can't be judged"
