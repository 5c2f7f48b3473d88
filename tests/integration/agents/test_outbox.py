"""The outbox: alerts reach the log once, if necessary later; no transaction waits for the log."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from agents import outbox
from agents.log.open import open_log
from agents.log.port import EventLog, NewRecord, Position
from config.errors import LabtrailError
from models.database.acts_tables import outbox as table
from models.database.engine import make_engine, reading, writing

NOW_US = 1_700_000_000_000_000
SECOND_US = 1_000_000


class Through:
    """A log that does something first, then appends to the one behind it."""

    def __init__(self, log: EventLog, first: Callable[[], object]) -> None:
        self.log, self.first = log, first

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        self.first()
        return self.log.append(records)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = open_log(f"sqlite:///{tmp_path}/log.db", {"lab.alerts": 1})
    yield opened
    opened.close()


@pytest.fixture
def home(engine: Engine) -> Engine:
    with writing(engine) as connection:
        connection.execute(
            table.insert(),
            [{"kind": "alert", "key": f"A{n}", "payload": b"{}", "created_us": NOW_US} for n in range(3)],
        )
    return engine


def nothing_to_print(*_: object) -> None:
    raise AssertionError("there is no label to print")


def send(engine: Engine, log: object, at_us: int = NOW_US) -> int:
    return outbox.send(engine, log, nothing_to_print, at_us, 100)  # type: ignore[arg-type]  # only append is used


def waiting(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def appended(log: EventLog) -> int:
    return sum(log.ends().values())


def test_alerts_go_out_once(home: Engine, log: EventLog) -> None:
    assert send(home, log) == 3
    assert send(home, log) == 0
    assert (appended(log), waiting(home)) == (3, 0)


def test_while_the_log_takes_its_time_others_write_and_no_other_worker_sends_the_same(
    home: Engine, log: EventLog
) -> None:
    other = make_engine(home.url.render_as_string(hide_password=False))
    seen: list[int] = []

    def meanwhile() -> None:
        seen.append(send(other, log))
        with writing(other) as connection:
            connection.execute(table.insert().values(kind="alert", key="B", payload=b"{}", created_us=NOW_US))

    assert send(home, Through(log, meanwhile)) == 3
    other.dispose()
    assert seen == [0]
    assert (appended(log), waiting(home)) == (3, 1)


def test_what_the_log_refuses_is_tried_again_later_each_time(home: Engine, log: EventLog) -> None:
    def refuse() -> None:
        raise LabtrailError("the broker is away")

    assert send(home, Through(log, refuse)) == 0
    assert send(home, log, NOW_US + SECOND_US // 4) == 0
    assert send(home, Through(log, refuse), NOW_US + SECOND_US) == 0
    assert send(home, log, NOW_US + SECOND_US + SECOND_US // 2) == 0
    assert send(home, log, NOW_US + 3 * SECOND_US) == 3
    assert (appended(log), waiting(home)) == (3, 0)


def test_alerts_of_a_worker_that_died_are_sent_by_another_when_their_time_is_up(home: Engine, log: EventLog) -> None:
    def die() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        send(home, Through(log, die))
    assert send(home, log, NOW_US + outbox.TAKEN_US - 1) == 0
    assert send(home, log, NOW_US + outbox.TAKEN_US) == 3
    assert (appended(log), waiting(home)) == (3, 0)
