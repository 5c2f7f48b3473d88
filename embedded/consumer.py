"""The consuming half of the transport: one process per group reads, the others are on standby."""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from faust.transport import base
from faust.types import TP, ConsumerMessage
from mode import Service, get_logger

from config.clock import now_us
from embedded.lease import Lease
from embedded.log import Log, unpack_headers
from embedded.records import LogError, Record
from embedded.retention import expire
from embedded.strict import StrictCommit
from models.rules.times import DAY_US

STAND_BY_SECONDS = 0.5
"""Between two attempts of a standby process to take the lease."""
FETCH_RECORDS_MAX = 800
FETCH_BYTES_MAX = 8 * 1024 * 1024
RETENTION_SECONDS = 600.0


class Cluster:
    """The part of Kafka's cluster metadata that Faust's assignor uses."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._partitions.get(topic, 0)))


class Consumer(StrictCommit, base.Consumer):
    """Reads the log for one Faust app; at least once, in order within a partition."""

    logger = get_logger(__name__)
    _log: Log
    _lease: Lease

    def on_init(self) -> None:
        super().on_init()
        self._assigned: set[TP] = set()
        self._next: dict[TP, int] = {}
        """The next offset to hand over: it moves when a record is handed over, not when it is read."""
        self._topics: set[str] | None = None
        self._subscribed = asyncio.Event()
        # Faust pauses a partition when its buffer is four fifths full: a fetch under way must still fit
        self._fetch_max = min(FETCH_RECORDS_MAX, self.app.conf.stream_buffer_maxsize // 5)

    async def on_start(self) -> None:
        self._event_loop = asyncio.get_running_loop()
        self._log = await asyncio.to_thread(Log.open, self.transport.path)
        self._lease = Lease(self._log.path, self.app.conf.id)
        self._log.listen(self._appended)
        await super().on_start()

    async def on_stop(self) -> None:
        try:
            await super().on_stop()  # waits for the events being worked on, and commits them
        finally:
            self._lease.release()
            self._wake.set()

    async def on_shutdown(self) -> None:
        self._log.unlisten(self._appended)
        await asyncio.to_thread(self._log.close)

    def _appended(self) -> None:
        """Wake the loop after an append of this process; called in the appending thread."""
        with suppress(RuntimeError):  # the loop has just ended: nothing to wake
            self._event_loop.call_soon_threadsafe(self._wake.set)

    # membership: the process that holds the lease reads every partition

    async def subscribe(self, topics: Iterable[str]) -> None:
        self._topics = set(topics)
        self._subscribed.set()  # Faust's conductor waits for this call, so another task does the rebalance

    @Service.task
    async def _membership(self) -> None:
        while not self.should_stop:
            held = self._lease.acquire()
            await self.wait(self._subscribed, timeout=None if held else STAND_BY_SECONDS)
            if self.should_stop or self._topics is None:
                continue
            if self._subscribed.is_set() or (not held and self._lease.acquire()):
                self._subscribed.clear()
                await self._rebalance(self._topics)

    async def _rebalance(self, topics: set[str]) -> None:
        app = self.app
        known = self._log.partitions()
        missing = {topic: self._declared_partitions(topic) for topic in topics - known.keys()}
        await asyncio.to_thread(self._log.ensure_topics, missing)
        app.on_rebalance_start()
        await self.on_partitions_revoked(set(self._assigned))
        assigned: set[TP] = set()
        if self._lease.acquire():
            me = app.conf.broker_client_id
            cluster = Cluster(self._log.partitions())
            plan = app.assignor.assign(cluster, {me: app.assignor.metadata(topics)})
            app.assignor.on_assignment(plan[me])
            assigned = {TP(topic, number) for topic, numbers in plan[me].assignment for number in numbers}
            await asyncio.to_thread(self._log.join, app.conf.id, self._starts(assigned))
        else:
            self.log.warning("group %r is read by another process: standing by", app.conf.id)
        self._assigned = assigned
        self.owed.clear()
        self._to_committed()
        app.consumer_generation_id += 1  # Faust drops, unacknowledged, messages of an older generation
        await self.on_partitions_assigned(set(assigned), app.consumer_generation_id)

    def _declared_partitions(self, topic: str) -> int:
        for declared in self.app.topics:
            if topic in declared.topics and declared.partitions:
                return int(declared.partitions)
        return int(self.app.conf.topic_partitions)

    def _starts(self, assigned: set[TP]) -> dict[TP, int]:
        latest = self.app.conf.consumer_auto_offset_reset == "latest"
        starts = self._log.ends() if latest else self._log.earliest()
        return {tp: starts[tp] for tp in assigned}

    def _to_committed(self) -> dict[TP, int]:
        committed, first = self._log.committed(self.app.conf.id), self._log.earliest()
        self._next = {tp: max(committed.get(tp, 0), first[tp]) for tp in self._assigned}
        return dict(self._next)

    # fetching

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Record]]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.flow_active and not self.should_stop:
            self._wake.clear()
            self._log.refresh()
            found = self._read(self._assigned if active_partitions is None else active_partitions)
            left = deadline - loop.time()
            if found or left <= 0:
                return found
            timer = loop.call_later(min(left, self.transport.poll_seconds), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()
        return {}

    def _read(self, partitions: set[TP]) -> dict[TP, list[Record]]:
        ends = self._log.known_ends
        lag = {tp: ends[tp] - self._next[tp] for tp in partitions & self._assigned if self._next[tp] < ends[tp]}
        waiting, bytes_max = sum(lag.values()), FETCH_BYTES_MAX // max(1, len(lag))
        found: dict[TP, list[Record]] = {}
        for tp, behind in lag.items():
            # in proportion to what is pending: in a backlog a small topic must not run ahead of a large one
            limit = self._fetch_max * behind // waiting + 1
            records = self._log.read(tp, self._next[tp], limit, bytes_max)
            # retention may have deleted the next record, if this group joined at that moment
            self._next[tp] = records[0].offset if records else ends[tp]
            if records:
                found[tp] = records
        return found

    def _is_next(self, tp: TP, offset: int) -> bool:
        return self._next[tp] == offset

    async def _take_back(self) -> None:
        """Nothing to do: the position moves only when a record is handed over."""

    def _to_message(self, tp: TP, record: Record) -> ConsumerMessage:
        offset, appended_us, key, value, headers = record
        self._next[tp] = offset + 1
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            offset,
            appended_us / 1e6,
            1,  # Kafka's LogAppendTime
            list(unpack_headers(headers)) if headers else None,
            key,
            value,
            None,
            -1 if key is None else len(key),
            len(value),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    # offsets

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            await asyncio.to_thread(self._log.commit, self.app.conf.id, offsets)
        except LogError as fault:
            self.owed = dict(offsets)
            self.log.warning("offsets not committed, trying again: %s", fault)
            return False
        self.owed.clear()
        return True

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return self._to_committed()

    async def _seek(self, partition: TP, offset: int) -> None:
        self._next[partition] = offset
        self._wake.set()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def seek_to_beginning(self, *partitions: TP) -> None:
        await self.seek_wait(await self.earliest_offsets(*partitions))

    async def position(self, tp: TP) -> int | None:
        return self._next.get(tp)

    def assignment(self) -> set[TP]:
        return set(self._assigned)

    def highwater(self, tp: TP) -> int:
        return self._log.known_ends.get(tp, 0)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        ends = self._log.ends()
        return {tp: ends[tp] for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        first = self._log.earliest()
        return {tp: first[tp] for tp in partitions}

    # the rest of Faust's interface

    async def create_topic(self, topic: str, partitions: int, *_args: object, **_options: object) -> None:
        await self.app.producer.create_topic(topic, partitions)

    def topic_partitions(self, topic: str) -> int | None:
        return self._log.partitions().get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        return self._log.partition(topic, key) if partition is None else partition

    @Service.timer(RETENTION_SECONDS)
    async def _retention(self) -> None:
        if self._assigned:
            now = now_us()
            before_us = now - int(self.transport.keep_days * DAY_US)
            unread_before_us = now - int(self.transport.keep_unread_days * DAY_US)
            await asyncio.to_thread(expire, self._log, before_us, unread_before_us)
