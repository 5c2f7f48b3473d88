"""Delivery and commit without loss: mixed into the consumers of both transports.

Faust 0.15.3 loses events: its commit steps over one missing offset at the head of a partition, checks nothing
while nothing has been committed yet, and takes the first record after a gap in the offsets (compaction,
transaction markers) for acknowledged (issues #527 and #606 of faust-streaming/faust). Here the offsets that
were handed over are kept in order, and the commit goes up to the first that is not acknowledged; gaps between
them don't matter.

A fetch is handed over as a whole in one task, where Faust starts four tasks for every single message: that is
three quarters of its cost per event.

This is the one module that uses private names of Faust; read in faust-streaming 0.15.3. (The consumers implement the
abstract methods of Faust's, which begin with an underscore as well.)
- Replaced: `Consumer._drain_messages`, the fetch loop, and `_new_offset`, which a commit asks for each partition.
  Extended: `Consumer._filter_committable_offsets`, `AIOKafkaConsumerThread._create_worker_consumer`.
- Used: `Consumer._acked` and `_acked_index`, the acknowledged offsets above the committed one; `_unacked_messages`
  with `_wait_for_ack` and `_clean_unacked_messages`; `_read_offset`, the last offset handed over;
  `_buffered_partitions`, whose streams are full; `_get_active_partitions`, neither full nor paused;
  `AIOKafkaConsumerThread._ensure_consumer`, the consumer of aiokafka that the thread has started.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from faust.transport import base
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from embedded.aiokafka_internals import partition_state, set_fetch_wait

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.consumer.subscription_state import TopicPartitionState

FETCH_SECONDS_MAX = 1.0
"""A fetch waits no longer for a record, so that a stop is noticed."""
MESSAGES_PER_TURN = 100
"""Handed over before other tasks of the event loop have their turn."""
FETCH_WAIT_MILLISECONDS_MAX = 100
"""How long the broker may hold an empty fetch. Faust has 1500 and no setting for it: a partition that is
resumed meanwhile would wait that long for its first fetch."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""No fetch while this much is handed over and not committed: large records, or an agent that stands still."""
MESSAGE_BYTES = 1000
"""What a message takes in memory beside its value."""
STOP_SECONDS_MAX = 8.0
"""How long a stop or a rebalance waits for the events being worked on; after that they come again."""


class StrictCommit(base.Consumer):
    """Mixed in before a Faust consumer: its commits never pass an event that is not acknowledged."""

    def on_init(self) -> None:
        super().on_init()
        self._held: defaultdict[TP, deque[tuple[int, int]]] = defaultdict(deque)
        """Offset and size of what is handed over and not committed; not the message, which its agent frees."""
        self._held_bytes = 0
        self._done: defaultdict[TP, set[int]] = defaultdict(set)
        """Of those, the acknowledged ones."""
        self.owed: dict[TP, int] = {}
        """Offsets whose commit failed, as the transport notes; they go with the next one."""
        self._seeks = 0
        self._wake = asyncio.Event()

    async def perform_seek(self) -> None:
        """Go back to what is committed: all that was handed over since comes again."""
        self._forget()
        await super().perform_seek()
        self._forget()

    async def seek(self, partition: TP, offset: int) -> None:
        """Read on from an offset."""
        self._forget()
        await super().seek(partition, offset)

    def _forget(self) -> None:
        self._seeks += 1  # ends a hand-over that is under way
        self._held.clear()
        self._done.clear()
        self._held_bytes = 0

    def _new_offset(self, tp: TP) -> int | None:
        """The offset to commit: behind the last message before the first unacknowledged one."""
        held, done = self._held[tp], self._done[tp]
        done.update(self._acked[tp])
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        last: int | None = None
        while held and held[0][0] in done:
            last, size = held.popleft()
            done.remove(last)
            self._held_bytes -= size
        self._wake.set()
        return None if last is None else last + 1

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        offsets: dict[TP, int] = super()._filter_committable_offsets(tps)
        return self.owed | offsets

    async def wait_empty(self) -> None:
        """Wait for the events being worked on, but not for ever: an agent may have given up."""
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while not self.should_stop and self._unacked_messages and time.monotonic() < deadline:
            await self._wait_for_ack(timeout=1)
            self._clean_unacked_messages()
        if self._unacked_messages:
            self.log.warning("%d events are not acknowledged: they come again", len(self._unacked_messages))
        await self.commit_and_end_transactions()

    async def _drain_messages(self, fetcher: base.Fetcher) -> None:
        """Faust's fetch loop; it ends when the fetcher or the consumer is stopped.

        While the buffer of one stream is full, nothing is fetched for the others either: a small topic would run
        ahead of a large one through a backlog, and what belongs together would come far apart.
        """
        while not (self.should_stop or fetcher.should_stop):
            await asyncio.sleep(0)
            if not self.flow_active:
                await self.wait(self.can_resume_flow)
            seeks, active = self._seeks, self._get_active_partitions()
            if not active or self._buffered_partitions or self._held_bytes > HELD_BYTES_MAX:
                self._wake.clear()
                await self.wait(self._wake, timeout=FETCH_SECONDS_MAX)
                continue
            records = await self.fetch(active, FETCH_SECONDS_MAX)
            if not records or self.should_stop:
                continue
            task = asyncio.ensure_future(self._hand_over(records, active, seeks))
            await self.wait_first(task, self.suspend_flow.wait())  # cancels what is not done
            if not task.done() or task.cancelled() or not task.result():
                await self._take_back()

    async def fetch(self, active: set[TP], timeout: float) -> Mapping[TP, Sequence[Any]]:
        """Records of the active partitions; after `timeout` seconds none."""
        found: Mapping[TP, Sequence[Any]] = await self._getmany(active, timeout)
        return found

    async def _hand_over(self, records: Mapping[TP, Sequence[Any]], active: set[TP], seeks: int) -> bool:
        """Give the records to the streams of their topics, waiting while those are full; True if all went."""
        generation, strict = self.app.consumer_generation_id, self.app.topics.acking_topics
        buffered, callback, complete = self._buffered_partitions, self.callback, True
        for count, (tp, record) in enumerate(self._in_order(records), 1):
            if not self.flow_active or seeks != self._seeks or generation != self.app.consumer_generation_id:
                return False
            if tp not in active and tp not in buffered:
                complete = False  # paused meanwhile
            elif self._is_next(tp, record.offset):
                message = self._to_message(tp, record)
                if tp.topic in strict:
                    size = len(message.value or b"") + MESSAGE_BYTES
                    self._held[tp].append((record.offset, size))
                    self._held_bytes += size
                await callback(message)
            if count % MESSAGES_PER_TURN == 0:
                await asyncio.sleep(0)
        return complete

    def _in_order(self, records: Mapping[TP, Sequence[Any]]) -> Iterable[tuple[TP, Any]]:
        """The order of the hand-over: of each partition its own."""
        return self.scheduler.iterate(records)  # type: ignore[no-any-return]  # the library leaves it untyped

    def _is_next(self, tp: TP, offset: int) -> bool:
        """False for a record that was handed over before; gaps don't matter."""
        last = self._read_offset[tp]
        if last is not None and offset < last:
            return False
        self._read_offset[tp] = offset
        return True

    async def _take_back(self) -> None:
        """Records were fetched and not handed over: read them again."""
        await self.perform_seek()

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._wake.set()  # read on at once

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._wake.set()

    def stop_flow(self) -> None:
        super().stop_flow()
        self._wake.set()


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, which asks the broker more often."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to the committed offsets; to the first record kept where nothing, or 0, is committed.

        aiokafka leaves such a partition where it stands: what was fetched and not handed over would be lost.
        """
        committed: Mapping[TP, int] = await self.call_thread(self._go_back)
        return committed

    async def _go_back(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        fresh = [place for place, offset in committed.items() if not offset]
        for place, first in (await consumer.beginning_offsets(fresh)).items() if fresh else ():
            consumer.seek(place, first)
        return committed

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watchdog on slow partitions, which crashes on one that has no position yet: not that."""
        state = self.state_of(tp)
        if state and state.has_valid_position:
            super().verify_event_path(now, tp)

    def state_of(self, tp: TP) -> "TopicPartitionState | None":
        """What aiokafka knows of a partition; None of one that is not assigned."""
        return partition_state(self._ensure_consumer(), driver.ensure_aiokafka_TP(tp))

    def _create_worker_consumer(self, transport: driver.Transport) -> "AIOKafkaConsumer":
        consumer = super()._create_worker_consumer(transport)
        set_fetch_wait(consumer, FETCH_WAIT_MILLISECONDS_MAX)
        return consumer
