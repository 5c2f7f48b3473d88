"""Retention deletes only what every group has consumed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedded.log import Log
from embedded.records import NewRecord
from embedded.retention import EXPIRE_RECORDS_MAX, expire
from tests.support.examples import examples

FAR_FUTURE_US = 10**18


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log.open(tmp_path / "log.db")
    log.ensure_topics({"things": 2})
    yield log
    log.close()


def fill(log: Log, count: int) -> None:
    log.append([NewRecord("things", None, b"%d" % n, partition=0) for n in range(count)])


def test_what_one_of_two_groups_has_not_consumed_stays(log: Log) -> None:
    fill(log, 10)
    log.join("fast", {("things", 0): 0})
    log.join("slow", {("things", 0): 0})
    log.commit("fast", {("things", 0): 10})
    assert expire(log, FAR_FUTURE_US) == 0
    log.commit("slow", {("things", 0): 4})
    assert expire(log, FAR_FUTURE_US) == 4
    assert log.earliest() == {("things", 0): 4, ("things", 1): 0}
    assert [record.offset for record in log.read(("things", 0), 0, 100)] == [4, 5, 6, 7, 8, 9]


def test_what_is_young_stays_though_it_is_consumed(log: Log) -> None:
    fill(log, 5)
    log.join("group", {("things", 0): 0})
    log.commit("group", {("things", 0): 5})
    middle = log.read(("things", 0), 0, 1)[0].appended_us
    assert expire(log, middle) == 0
    assert expire(log, middle + 1) == 5


def test_a_partition_nobody_reads_is_kept_unless_a_time_is_given_for_it(log: Log) -> None:
    fill(log, 5)
    assert expire(log, FAR_FUTURE_US) == 0
    assert expire(log, 0, unread_before_us=FAR_FUTURE_US) == 5


def test_offsets_go_on_after_everything_was_deleted(log: Log) -> None:
    fill(log, 5)
    log.join("group", {("things", 0): 0})
    log.commit("group", {("things", 0): 5})
    assert expire(log, FAR_FUTURE_US) == 5
    assert log.earliest()["things", 0] == log.ends()["things", 0] == 5
    fill(log, 1)
    assert [record.offset for record in log.read(("things", 0), 0, 10)] == [5]


def test_more_than_one_transaction_full_is_deleted_in_one_go(log: Log) -> None:
    fill(log, EXPIRE_RECORDS_MAX)
    fill(log, EXPIRE_RECORDS_MAX + 7)
    log.join("group", {("things", 0): 0})
    log.commit("group", {("things", 0): 2 * EXPIRE_RECORDS_MAX + 5})
    assert expire(log, FAR_FUTURE_US) == 2 * EXPIRE_RECORDS_MAX + 5
    assert [record.value for record in log.read(("things", 0), 0, 10)] == [b"5005", b"5006"]


step = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.just("join"), st.integers(0, 1), st.integers(0, 2)),
    st.tuples(st.just("commit"), st.integers(0, 1), st.integers(0, 2)),
    st.tuples(st.just("expire"), st.just(0), st.just(0)),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(step, max_size=25))
def test_no_group_ever_misses_a_record_whatever_happens_in_which_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    log = Log.open(tmp_path_factory.mktemp("log") / "log.db")
    log.ensure_topics({"things": 2})
    ends, done = [0, 0], dict[tuple[str, int], int]()
    for what, partition, number in steps:
        place, group = ("things", partition), f"group {number}"
        if what == "append":
            log.append([NewRecord("things", None, b"v", partition=partition)] * number)
            ends[partition] += number
        elif what == "join" and (group, partition) not in done:
            done[group, partition] = log.earliest()[place]
            log.join(group, {place: done[group, partition]})
        elif what == "commit" and (group, partition) in done:
            done[group, partition] = (done[group, partition] + ends[partition] + 1) // 2
            log.commit(group, {place: done[group, partition]})
        else:
            expire(log, FAR_FUTURE_US)
        for (reader, part), offset in done.items():
            assert log.committed(reader)["things", part] == offset
            assert [r.offset for r in log.read(("things", part), offset, 1000)] == list(range(offset, ends[part]))
    log.close()
