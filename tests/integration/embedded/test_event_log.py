"""The embedded log behind the EventLog port."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.log.open import open_log
from agents.log.port import TOPICS, EventLog, NewRecord
from config.errors import LabtrailError
from tests.support.embedded.event_log_suite import EventLogSuite, topic

__all__ = ["topic"]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    yield log
    log.close()


class TestEmbeddedLog(EventLogSuite):
    """The shared suite on SQLite."""


def test_a_new_log_has_our_topics_and_a_folder_that_was_not_there(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/new/home/log.db")
    assert log.ends() == {(name, number): 0 for name, count in TOPICS.items() for number in range(count)}
    log.close()


def test_who_opens_the_log_again_shares_it_until_the_last_closes(tmp_path: Path) -> None:
    first = open_log(f"sqlite:///{tmp_path}/log.db")
    second = open_log(f"sqlite:///{tmp_path}/../{tmp_path.name}/log.db")
    assert first is second
    first.close()
    assert second.append([NewRecord("lab.alerts", b"k", b"{}")])
    second.close()
    third = open_log(f"sqlite:///{tmp_path}/log.db")
    assert third is not first
    assert sum(third.ends().values()) == 1
    third.close()


@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite:///:memory:", "sqlite://host/log.db", "amqp://x", "", "log.db"]
)
def test_a_broker_that_names_no_log_is_told_in_one_line(url: str) -> None:
    with pytest.raises(LabtrailError, match=r"write it like|set LABTRAIL_BROKER") as raised:
        open_log(url)
    assert "\n" not in str(raised.value)
