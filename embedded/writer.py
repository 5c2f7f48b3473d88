"""The writing half of the log: one connection, one transaction for all pending jobs (group commit)."""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from config.clock import now_us
from config.messages import Message
from embedded.records import APPEND_BYTES_MAX, APPEND_RECORDS_MAX, LogError

OFFSET_BITS = 40
"""A record's rowid is its partition's id and its offset in one integer, so a partition is contiguous."""
BUSY_SECONDS = 30.0
WAL_BYTES_KEPT = 64 * 1024 * 1024
OPEN_TRIES = 50
APPLICATION_ID = 0x4C54_4C47
VERSION = 1
SCHEMA = """
CREATE TABLE partition(
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, number INTEGER NOT NULL,
    next INTEGER NOT NULL DEFAULT 0, UNIQUE(topic, number));
CREATE TABLE record(
    position INTEGER PRIMARY KEY, appended_us INTEGER NOT NULL, key BLOB, value BLOB NOT NULL, headers BLOB);
CREATE TABLE committed(
    reader TEXT NOT NULL, partition INTEGER NOT NULL REFERENCES partition(id), next INTEGER NOT NULL,
    PRIMARY KEY(reader, partition)) WITHOUT ROWID;
"""

Row = tuple[int, bytes | None, bytes, bytes | None]
"""Partition id, key, value, packed headers."""


def fault_error(path: Path, fault: sqlite3.Error) -> LogError:
    """The error to show for an error of SQLite: one line that says what to do."""
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return LogError(
            Message("the disk that holds {path} is full: free some space; nothing was recorded", path=str(path))
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LogError(
            Message(
                "{path} was locked by another process for {n:.0f} s: stop that process, then retry",
                path=str(path),
                n=BUSY_SECONDS,
            )
        )
    if code == sqlite3.SQLITE_NOTADB:
        return LogError(Message("{path} is no log file: point LABTRAIL_BROKER at another file", path=str(path)))
    if code == sqlite3.SQLITE_CORRUPT:
        return LogError(
            Message("{path} is damaged: put back a copy of it, or move it away and publish again", path=str(path))
        )
    return LogError(
        Message(
            "{path} can't be used ({why}): check the disk and the rights on the folder; nothing was recorded",
            path=str(path),
            why=str(fault),
        )
    )


def connect(path: Path) -> sqlite3.Connection:
    """A connection in WAL mode that makes every commit durable before it returns. Raises sqlite3.Error, LogError."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_SECONDS)
    try:
        _check_format(db, path)
        for left in reversed(range(OPEN_TRIES)):
            try:
                db.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as fault:
                # SQLite's busy timeout does not cover two processes that set a new file's mode at the same time
                if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY or not left:
                    raise
                time.sleep(0.02)
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT:d}")
    except BaseException:
        db.close()
        raise
    return db


def _check_format(db: sqlite3.Connection, path: Path) -> bool:
    """False for a file that is still empty. Raises LogError for one that is not our log.

    One statement, so one snapshot: between two reads another process may create the tables.
    """
    application, version, tables = db.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
        " FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if not tables and not application:
        return False
    if application != APPLICATION_ID:
        raise LogError(
            Message("{path} belongs to another program: point LABTRAIL_BROKER at another file", path=str(path))
        )
    if version != VERSION:
        raise LogError(
            Message(
                "{path} has the log format {version}, not {known}: use the version that wrote it",
                path=str(path),
                version=version,
                known=VERSION,
            )
        )
    return True


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Create the tables in an empty file. Raises sqlite3.Error, LogError."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if not _check_format(db, path):
            for statement in SCHEMA.split(";")[:-1]:
                db.execute(statement)
            db.execute(f"PRAGMA application_id={APPLICATION_ID:d}")
            db.execute(f"PRAGMA user_version={VERSION:d}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _open(path: Path) -> sqlite3.Connection:
    """A connection to a log file, with tables created if needed. Raises LogError."""
    try:
        db = connect(path)
        try:
            prepare(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as fault:
        raise fault_error(path, fault) from fault
    return db


class Job:
    """One caller's request: rows to append, offsets to commit, or a function to run, in a shared transaction."""

    __slots__ = ("call", "committed", "done", "fault", "offsets", "rows", "size")

    def __init__(
        self,
        rows: Sequence[Row] = (),
        committed: tuple[str, Mapping[int, int]] | None = None,
        call: Callable[[sqlite3.Connection], None] | None = None,
    ) -> None:
        self.rows = rows
        self.committed = committed
        self.call = call
        self.size = sum(len(row[2]) for row in rows)
        self.offsets: list[int] = []
        self.done = False
        self.fault: BaseException | None = None


class Writer:
    """Runs jobs from any thread: one caller leads and writes all pending jobs, the others wait for theirs.

    Jobs that arrive during one fsync are written with the next, so the rate grows with the number of callers.
    A caller has at most one job pending: the queue is no longer than the number of threads.
    """

    def __init__(self, path: Path, after: Callable[[], None]) -> None:
        self._path = path
        self._after = after
        self._turn = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._leading = False
        self._db = _open(path)

    @property
    def waiting(self) -> int:
        """Number of jobs queued behind the write under way."""
        return len(self._waiting)

    def close(self) -> None:
        with self._turn:
            while self._leading:
                self._turn.wait()
            self._db.close()

    def run(self, job: Job) -> Job:
        """Durable when it returns. When it raises LogError, nothing of the job is in the log."""
        with self._turn:
            self._waiting.append(job)
        while self._must_lead(job):
            self._lead()
        if isinstance(job.fault, sqlite3.Error):
            raise fault_error(self._path, job.fault) from job.fault
        if job.fault is not None:
            raise LogError(Message("writing to the log was interrupted: do it again")) from job.fault
        return job

    def _must_lead(self, job: Job) -> bool:
        """Wait until the job is done (False) or nobody writes (True: the caller now leads)."""
        with self._turn:
            while not job.done and self._leading:
                self._turn.wait()
            if job.done:
                return False
            self._leading = True
            return True

    def _lead(self) -> None:
        """Write one batch of pending jobs, wake their callers, give up the lead."""
        batch = self._take()
        fault: BaseException | None = None
        try:
            self._write(batch)
        except sqlite3.Error as raised:
            fault = raised
        except BaseException as raised:
            fault = raised
            raise  # the leader is interrupted; the others get it as their fault
        finally:
            with self._turn:
                for job in batch:
                    job.done, job.fault = True, fault
                self._leading = False
                self._turn.notify_all()
        if fault is None and any(job.rows for job in batch):
            self._after()

    def _take(self) -> list[Job]:
        batch = [self._waiting.popleft()]
        rows, size = len(batch[0].rows), batch[0].size
        while self._waiting:
            rows += len(self._waiting[0].rows)
            size += self._waiting[0].size
            if rows > APPEND_RECORDS_MAX or size > APPEND_BYTES_MAX:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _write(self, batch: list[Job]) -> None:
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            for job in batch:
                if job.call is not None:
                    job.call(db)
            _append(db, [job for job in batch if job.rows])
            for job in batch:
                if job.committed is not None:
                    _commit(db, *job.committed)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # on a full disk SQLite has rolled back on its own
                db.execute("ROLLBACK")
            raise


def _append(db: sqlite3.Connection, jobs: list[Job]) -> None:
    counts: dict[int, int] = {}
    for job in jobs:
        for row in job.rows:
            counts[row[0]] = counts.get(row[0], 0) + 1
    free: dict[int, int] = {}
    for part, count in counts.items():
        sql = "UPDATE partition SET next = next + ? WHERE id = ? RETURNING next"
        ((end,),) = db.execute(sql, (count, part)).fetchall()
        free[part] = end - count
    appended_us = now_us()
    records: list[tuple[int, int, bytes | None, bytes, bytes | None]] = []
    for job in jobs:
        job.offsets = []
        for part, key, value, headers in job.rows:
            offset = free[part]
            free[part] = offset + 1
            job.offsets.append(offset)
            records.append((part << OFFSET_BITS | offset, appended_us, key, value, headers))
    db.executemany("INSERT INTO record VALUES(?, ?, ?, ?, ?)", records)


def _commit(db: sqlite3.Connection, reader: str, offsets: Mapping[int, int]) -> None:
    db.executemany(
        "INSERT INTO committed VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)",
        [(reader, part, offset) for part, offset in offsets.items()],
    )
