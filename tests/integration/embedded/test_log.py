"""The log alone: records, offsets, several processes, disk faults."""

import functools
import itertools
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2 as kafka_murmur2

from embedded import writer as log_writer
from embedded.log import Log, unpack_headers
from embedded.records import APPEND_RECORDS_MAX, KEY_BYTES_MAX, LogError, NewRecord, Position, murmur2
from tests.support.processes import wait_until

SEED = 20261121


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log.open(tmp_path / "log.db")
    log.ensure_topics({"things": 3})
    yield log
    log.close()


def values(log: Log, partition: int) -> list[bytes]:
    return [record.value for record in log.read(("things", partition), 0, 100_000)]


def test_the_hash_of_keys_is_that_of_kafkas_clients() -> None:
    source = random.Random(SEED)
    for size in range(70):
        key = source.randbytes(size)
        assert murmur2(key) == kafka_murmur2(key), f"seed {SEED}: {key!r}"


def test_records_are_read_from_an_offset_on_up_to_a_number_or_a_size(log: Log) -> None:
    log.append([NewRecord("things", None, b"%d" % n * 10) for n in range(100)])
    assert [r.offset for r in log.read(("things", 0), 40, 5)] == [40, 41, 42, 43, 44]
    assert [r.offset for r in log.read(("things", 0), 98, 50)] == [98, 99]
    assert [r.offset for r in log.read(("things", 0), 0, 50, bytes_max=25)] == [0, 1, 2]
    assert log.read(("things", 0), 100, 50) == []
    assert log.read(("things", 1), 0, 50) == []


def test_headers_and_the_time_of_the_append_are_kept(log: Log) -> None:
    log.append([NewRecord("things", b"k", b"v", (("trace", b"\x00\xff"), ("trace", b"2")), partition=2)])
    log.append([NewRecord("things", b"k", b"w", partition=2)])
    first, second = log.read(("things", 2), 0, 10)
    assert first.headers is not None
    assert unpack_headers(first.headers) == (("trace", b"\x00\xff"), ("trace", b"2"))
    assert second.headers is None
    assert 1_700_000_000_000_000 < first.appended_us <= second.appended_us


def test_everything_is_there_again_after_closing_and_opening(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "log.db")
    log.ensure_topics({"things": 3})
    log.append([NewRecord("things", None, b"kept")])
    log.join("group", {("things", 0): 0})
    log.commit("group", {("things", 0): 1})
    log.close()
    log = Log.open(tmp_path / "log.db")
    assert (values(log, 0), log.committed("group")) == ([b"kept"], {("things", 0): 1})
    log.close()


def test_a_bad_record_fails_its_own_append_and_leaves_no_hole(log: Log) -> None:
    bad = [
        NewRecord("things", b"k", "text"),  # type: ignore[arg-type]
        NewRecord("things", "text", b"v"),  # type: ignore[arg-type]
        NewRecord("things", bytes(KEY_BYTES_MAX + 1), b"v"),
        NewRecord("things", b"k", b"v", (("h", bytes(20_000)),)),
        NewRecord("things", b"k", b"v", partition=3),
        NewRecord("other", b"k", b"v"),
    ]
    for record in bad:
        with pytest.raises(LogError):
            log.append([NewRecord("things", None, b"good"), record])
    assert log.append([NewRecord("things", None, b"first")]) == [Position("things", 0, 0)]


def test_too_much_at_once_is_refused_before_anything_is_written(log: Log) -> None:
    with pytest.raises(LogError, match="at a time"):
        log.append([NewRecord("things", None, b"")] * (APPEND_RECORDS_MAX + 1))
    with pytest.raises(LogError, match="at a time"):
        log.append([NewRecord("things", None, bytes(1_000_000))] * 68)
    assert sum(log.ends().values()) == 0


def test_lag_is_what_a_group_has_yet_to_consume_where_it_joined(log: Log) -> None:
    log.append([NewRecord("things", None, b"v", partition=n % 2) for n in range(10)])
    assert log.lag("group") == {}
    log.join("group", {("things", 0): 0, ("things", 1): 3})
    assert log.lag("group") == {("things", 0): 5, ("things", 1): 2}
    log.commit("group", {("things", 0): 4})
    log.join("group", {("things", 0): 0, ("things", 1): 0})
    assert log.lag("group") == {("things", 0): 1, ("things", 1): 2}, "joining again changes nothing"


def test_a_commit_never_goes_back(log: Log) -> None:
    log.join("group", {("things", 0): 0})
    log.commit("group", {("things", 0): 7})
    log.commit("group", {("things", 0): 3})
    assert log.committed("group") == {("things", 0): 7}


def test_who_listens_hears_of_every_append_until_he_stops_listening(log: Log) -> None:
    notified: list[str] = []
    log.listen(lambda: notified.append("always"))

    def once() -> None:
        notified.append("once")

    log.listen(once)
    log.append([NewRecord("things", None, b"1")])
    log.unlisten(once)
    log.append([NewRecord("things", None, b"2")])
    log.join("group", {("things", 0): 0})
    assert notified == ["always", "once", "always"]


def test_a_full_disk_is_told_leaves_nothing_half_written_and_can_be_mended(tmp_path: Path) -> None:
    log = Log.open(tmp_path / "log.db")
    log.ensure_topics({"things": 3})
    log.append([NewRecord("things", None, b"before")])
    log.transact(lambda db: db.execute("PRAGMA max_page_count=40").fetchone())
    with pytest.raises(LogError, match="free some space; nothing was recorded"):
        log.append([NewRecord("things", None, bytes(10_000), partition=n % 3) for n in range(60)])
    assert log.append([NewRecord("things", None, b"small")]) == [Position("things", 0, 1)]
    log.transact(lambda db: db.execute("PRAGMA max_page_count=1000000").fetchone())
    log.append([NewRecord("things", None, bytes(10_000), partition=n % 3) for n in range(60)])
    assert log.ends() == {("things", 0): 22, ("things", 1): 20, ("things", 2): 20}
    log.close()


def test_a_file_that_is_no_log_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database, but long enough to be taken for one by its size " * 10)
    before = text.read_bytes()
    with pytest.raises(LogError, match="no log file"):
        Log.open(text)
    assert text.read_bytes() == before

    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE mine(x)")
    db.commit()
    db.close()
    before = other.read_bytes()
    with pytest.raises(LogError, match="belongs to another program"):
        Log.open(other)
    assert other.read_bytes() == before


def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    Log.open(tmp_path / "log.db").close()
    db = sqlite3.connect(tmp_path / "log.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(LogError, match="format 99"):
        Log.open(tmp_path / "log.db")


@pytest.mark.parametrize("before", range(5))  # the last one takes the lock
def test_another_process_may_create_the_file_before_any_statement_of_an_opening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    path, statements = tmp_path / "log.db", itertools.count()
    connect = sqlite3.connect

    class Overtaken(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if next(statements) == before:
                monkeypatch.setattr(sqlite3, "connect", connect)
                other = log_writer.connect(path)
                log_writer.prepare(other, path)
                other.close()
            return super().execute(statement, *values)

    monkeypatch.setattr(sqlite3, "connect", functools.partial(connect, factory=Overtaken))
    log = Log.open(path)
    log.ensure_topics({"things": 1})
    assert log.append([NewRecord("things", None, b"here")]) == [Position("things", 0, 0)]
    assert next(statements) > before
    log.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="can't be made"):
        Log.open(tmp_path / "file" / "log.db")


def test_writers_that_wait_share_one_transaction(log: Log) -> None:
    started, go_on = threading.Event(), threading.Event()

    def hold(_db: sqlite3.Connection) -> None:
        started.set()
        assert go_on.wait(30)

    holder = threading.Thread(target=log.transact, args=(hold,))
    holder.start()
    assert started.wait(30)
    commits: list[None] = []
    log.listen(lambda: commits.append(None))
    writers = [threading.Thread(target=log.append, args=([NewRecord("things", None, b"%d" % n)],)) for n in range(8)]
    for writer in writers:
        writer.start()
    wait_until(lambda: log.waiting == 8, 30, "eight writers wait")
    go_on.set()
    for thread in (holder, *writers):
        thread.join(30)
    assert len(commits) == 1
    assert sorted(values(log, 0)) == [b"%d" % n for n in range(8)]
