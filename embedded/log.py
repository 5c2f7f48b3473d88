"""The log: topics with partitions, records and committed offsets in one SQLite file. No Faust in here.

Several processes may append to and read one file. Within one process there is one `Log` per file, shared by all
who open it: its appends are written together, and an append wakes readers in the same process at once.
"""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from embedded.records import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    PARTITIONS_MAX,
    Headers,
    LogError,
    NewRecord,
    Position,
    Record,
    TopicPartition,
    check_bytes,
    partition_of,
)
from embedded.writer import OFFSET_BITS, Job, Row, Writer, connect, fault_error
from models.rules.times import microseconds

NAME_CHARACTERS_MAX = 200
REPLAY_RECORDS = 1000

_pack = msgspec.msgpack.Encoder().encode
unpack_headers = msgspec.msgpack.Decoder(Headers).decode


class Log:
    """An open log file. Every method may be called from any thread; create it with `Log.open`."""

    _opened: ClassVar[dict[Path, "Log"]] = {}
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._users = 0
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._lock = threading.Lock()
        self._version = -1
        self._ids: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._partitions: dict[str, int] = {}
        self._writer = Writer(path, self._appended)
        try:
            self._db = connect(path)
        except sqlite3.Error as fault:
            self._writer.close()
            raise fault_error(path, fault) from fault
        self.refresh()

    @classmethod
    def open(cls, path: Path) -> Self:
        """The log in this file, created if needed. Every `open` needs its `close`. Raises LogError."""
        try:
            path = path.absolute()
            path.parent.mkdir(parents=True, exist_ok=True)
            path = path.resolve()
        except OSError as fault:
            raise LogError(f"the folder of {path} can't be made ({fault}): make it, or choose another") from fault
        with cls._opening:
            log = cls._opened.get(path) or cls(path)
            cls._opened[path] = log
            log._users += 1
            assert isinstance(log, cls)
            return log

    def close(self) -> None:
        """The last of its openers closes the file."""
        with self._opening:
            self._users -= 1
            if self._users > 0:
                return
            self._opened.pop(self.path, None)
            self._writer.close()
            with self._lock:
                self._db.close()

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` after every append of this process, in the appending thread; it must not block."""
        with self._lock:
            self._listeners = (*self._listeners, wake)

    def unlisten(self, wake: Callable[[], None]) -> None:
        with self._lock:
            self._listeners = tuple(each for each in self._listeners if each != wake)

    def _appended(self) -> None:
        for wake in self._listeners:
            wake()

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """Create the topics that don't exist: {name: partitions}. One that exists keeps its partitions."""
        self.refresh()
        new = {name: count for name, count in topics.items() if name not in self._partitions}
        for name, count in new.items():
            if not 1 <= count <= PARTITIONS_MAX or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
                raise LogError(f"topic {name!r}: give it 1 to {PARTITIONS_MAX} partitions and a shorter name")
        if not new:
            return

        def create(db: sqlite3.Connection) -> None:
            for name, count in new.items():
                found = db.execute("SELECT 1 FROM partition WHERE topic = ?", (name,)).fetchone()
                if found is None:  # another process may have made it first
                    rows = [(name, number) for number in range(count)]
                    db.executemany("INSERT INTO partition(topic, number) VALUES(?, ?)", rows)

        self.transact(create)
        self.refresh()

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append records atomically: all are durable when it returns, none is written when it raises LogError.

        At most APPEND_RECORDS_MAX records and APPEND_BYTES_MAX bytes at a time. Positions in the given order.
        """
        if not records:
            return []
        rows, places = self._rows(records)
        job = self._writer.run(Job(rows=rows))
        return [Position(*place, offset) for place, offset in zip(places, job.offsets, strict=True)]

    def check(self, record: NewRecord) -> tuple[Row, TopicPartition]:
        """The row and partition of a record. Raises LogError for one that `append` would refuse."""
        topic, key, value, headers, partition = record
        packed = _pack(headers) if headers else None
        check_bytes(topic, key, value, packed)
        place = (topic, self.partition(topic, key) if partition is None else partition)
        if place not in self._ids:
            raise LogError(f"topic {topic!r} has no partition {partition}: take one that it has")
        return (self._ids[place], key, value, packed), place

    def _rows(self, records: Sequence[NewRecord]) -> tuple[list[Row], list[TopicPartition]]:
        """The rows, checked before they join other callers' records: a bad one fails its own append only."""
        if len(records) > APPEND_RECORDS_MAX:
            raise LogError(f"{len(records)} records at once: append at most {APPEND_RECORDS_MAX} at a time")
        checked = [self.check(record) for record in records]
        size = sum(len(row[2]) for row, _ in checked)
        if size > APPEND_BYTES_MAX:
            raise LogError(f"{size} bytes at once: append at most {APPEND_BYTES_MAX} at a time")
        return [row for row, _ in checked], [place for _, place in checked]

    def join(self, reader: str, starts: Mapping[TopicPartition, int]) -> None:
        """Register a group as a reader of these partitions; where it is new, from these offsets on.

        From then on retention keeps what the group has not consumed.
        """
        rows = [(reader, self._ids[place], start) for place, start in starts.items()]

        def insert(db: sqlite3.Connection) -> None:
            db.executemany("INSERT INTO committed VALUES(?, ?, ?) ON CONFLICT DO NOTHING", rows)

        self.transact(insert)

    def commit(self, reader: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Record durably that the group has consumed everything below these offsets. Offsets never move back."""
        self._writer.run(Job(committed=(reader, {self._ids[place]: offset for place, offset in offsets.items()})))

    @property
    def waiting(self) -> int:
        """Number of callers whose records are queued behind the write under way."""
        return self._writer.waiting

    def transact(self, call: Callable[[sqlite3.Connection], None]) -> None:
        """Run a function in a write transaction, shared with the pending appends. Raises LogError."""
        self._writer.run(Job(call=call))

    def refresh(self) -> bool:
        """Whether this or another process has written since the last refresh."""
        with self._lock:
            try:
                (version,) = self._db.execute("PRAGMA data_version").fetchone()
                if version == self._version:
                    return False
                rows = self._db.execute("SELECT id, topic, number, next FROM partition").fetchall()
            except sqlite3.Error as fault:
                raise fault_error(self.path, fault) from fault
            self._version = version
            # replaced, never mutated: other threads may be reading it
            self._ends = {(topic, number): end for _, topic, number, end in rows}
            if len(rows) != len(self._ids):
                self._ids = {(topic, number): part for part, topic, number, _ in rows}
                self._partitions = dict(Counter(topic for _, topic, _, _ in rows))
            return True

    def _query(self, sql: str, parameters: Iterable[object]) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, tuple(parameters)).fetchall()
            except sqlite3.Error as fault:
                raise fault_error(self.path, fault) from fault

    def partition(self, topic: str, key: bytes | None) -> int:
        """The partition in which a record with this key goes. Raises LogError for an unknown topic."""
        count = self._partitions.get(topic)
        if count is None:
            self.refresh()
            if (count := self._partitions.get(topic)) is None:
                raise LogError(f"there is no topic {topic!r} in {self.path}: create it first (labtrail topics)")
        return partition_of(key, count)

    def partitions(self) -> dict[str, int]:
        """{topic: number of partitions} of all topics."""
        self.refresh()
        return dict(self._partitions)

    @property
    def known_ends(self) -> Mapping[TopicPartition, int]:
        """The ends at the last `refresh`, without reading the file."""
        return self._ends

    def ends(self) -> dict[TopicPartition, int]:
        """The offset of the next record in every partition."""
        self.refresh()
        return dict(self._ends)

    def earliest(self) -> dict[TopicPartition, int]:
        """The offset of the first record that retention left in every partition; its end if none is left."""
        ends = self.ends()
        sql = "SELECT min(position) FROM record WHERE position >= ? AND position < ?"
        first: dict[TopicPartition, int] = {}
        for place, end in ends.items():
            part = self._ids[place]
            ((position,),) = self._query(sql, (part << OFFSET_BITS, (part + 1) << OFFSET_BITS))
            first[place] = end if position is None else position - (part << OFFSET_BITS)
        return first

    def committed(self, reader: str) -> dict[TopicPartition, int]:
        """The offset up to which a group has consumed each partition that it has joined."""
        self.refresh()
        done: dict[int, int] = dict(self._query("SELECT partition, next FROM committed WHERE reader = ?", (reader,)))
        return {place: done[part] for place, part in self._ids.items() if part in done}

    def lag(self, reader: str) -> dict[TopicPartition, int]:
        """How many records a group has yet to consume, in every partition it has joined."""
        committed = self.committed(reader)
        ends = self.ends()
        return {place: ends[place] - offset for place, offset in committed.items()}

    def read(self, place: TopicPartition, offset: int, limit: int, bytes_max: int = APPEND_BYTES_MAX) -> list[Record]:
        """Up to `limit` records of a partition from an offset on; it stops once they reach `bytes_max`."""
        base = self._ids[place] << OFFSET_BITS
        sql = (
            "SELECT position - ?, appended_us, key, value, headers FROM record"
            " WHERE position >= ? AND position < ? ORDER BY position LIMIT ?"
        )
        records: list[Record] = []
        size = 0
        with self._lock:
            try:
                cursor = self._db.execute(sql, (base, base + offset, base + (1 << OFFSET_BITS), limit))
                for row in cursor:
                    records.append(Record._make(row))
                    size += len(row[3])
                    if size >= bytes_max:
                        break
                cursor.close()
            except sqlite3.Error as fault:
                raise fault_error(self.path, fault) from fault
        return records

    def replay(self, since: datetime | None = None) -> Iterator[tuple[Position, Record]]:
        """Every record appended at or after `since` (None: all kept), up to the ends of now.

        In order within a partition, one partition after the other. Raises LogError.
        """
        since_us = 0 if since is None else microseconds(since)
        starts, ends = self.earliest(), self.ends()
        for place, end in ends.items():
            offset = starts[place]
            while offset < end and (records := self.read(place, offset, REPLAY_RECORDS)):
                offset = records[-1].offset + 1
                for record in records:
                    if record.appended_us >= since_us and record.offset < end:
                        yield Position(*place, record.offset), record
