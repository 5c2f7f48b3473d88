"""Delivery and commit without loss: a mixin for the consumers of both transports.

Faust 0.15.3 loses events: its commit skips one missing offset at the head of a partition, checks nothing until the
first commit, and treats the first record after a gap in the offsets (compaction, transaction markers) as acknowledged
(issues #527 and #606 of faust-streaming/faust). Here the delivered offsets are kept in order, and the commit stops
before the first unacknowledged one; gaps between them don't matter.

A whole fetch is delivered in one task. Faust starts four tasks per message, three quarters of its cost per event.

This is the one module that uses private names of Faust; read in faust-streaming 0.15.3. (The consumers also implement
the abstract methods of Faust's, which begin with an underscore too.)
- Replaced: `Consumer._drain_messages`, the fetch loop, and `_new_offset`, which a commit calls for each partition.
  Extended: `Consumer._filter_committable_offsets`, `AIOKafkaConsumerThread._create_worker_consumer`.
- Used: `Consumer._acked` and `_acked_index`, the acknowledged offsets above the committed one; `_unacked_messages`
  with `_wait_for_ack` and `_clean_unacked_messages`; `_read_offset`, the last offset delivered;
  `_buffered_partitions`, whose streams are full; `_get_active_partitions`, neither full nor paused;
  `AIOKafkaConsumerThread._ensure_consumer`, the aiokafka consumer that the thread has started.
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
"""The longest wait of a fetch for a record, so that a stop is noticed."""
MESSAGES_PER_TURN = 100
"""Delivered before other tasks of the event loop run."""
FETCH_WAIT_MILLISECONDS_MAX = 100
"""How long the broker may hold an empty fetch. Faust has 1500 and no setting for it: a partition that is
resumed in the meantime would wait that long for its first fetch."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""No fetch while this much is delivered and not committed: the records are large, or an agent hangs."""
MESSAGE_BYTES = 1000
"""Memory that a message takes beside its value."""
STOP_SECONDS_MAX = 8.0
"""How long a stop or a rebalance waits for the events being worked on; after that they are redelivered."""


class StrictCommit(base.Consumer):
    """A mixin, placed before a Faust consumer: its commits never pass an unacknowledged event."""

    def on_init(self) -> None:
        super().on_init()
        self._held: defaultdict[TP, deque[tuple[int, int]]] = defaultdict(deque)
        """Offset and size of what is delivered and not committed; not the message, which its agent frees."""
        self._held_bytes = 0
        self._done: defaultdict[TP, set[int]] = defaultdict(set)
        """The acknowledged ones among them."""
        self.owed: dict[TP, int] = {}
        """Offsets whose commit failed, set by the transport; the next commit includes them."""
        self._seeks = 0
        self._wake = asyncio.Event()

    async def perform_seek(self) -> None:
        """Go back to the committed offsets: everything delivered since is redelivered."""
        self._forget()
        await super().perform_seek()
        self._forget()

    async def seek(self, partition: TP, offset: int) -> None:
        """Read on from an offset."""
        self._forget()
        await super().seek(partition, offset)

    def _forget(self) -> None:
        self._seeks += 1  # ends a delivery under way
        self._held.clear()
        self._done.clear()
        self._held_bytes = 0

    def _new_offset(self, tp: TP) -> int | None:
        """The offset to commit: that after the last message before the first unacknowledged one."""
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
        """Wait for the events being worked on, with a timeout: an agent may have failed."""
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while not self.should_stop and self._unacked_messages and time.monotonic() < deadline:
            await self._wait_for_ack(timeout=1)
            self._clean_unacked_messages()
        if self._unacked_messages:
            self.log.warning("%d events are not acknowledged: they come again", len(self._unacked_messages))
        await self.commit_and_end_transactions()

    async def _drain_messages(self, fetcher: base.Fetcher) -> None:
        """Faust's fetch loop; it ends when the fetcher or the consumer is stopped.

        While the buffer of one stream is full, nothing is fetched for the others either: in a backlog a small topic
        would run ahead of a large one, and related events would arrive far apart.
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
        """Records of the active partitions; none if none arrive within `timeout` seconds."""
        found: Mapping[TP, Sequence[Any]] = await self._getmany(active, timeout)
        return found

    async def _hand_over(self, records: Mapping[TP, Sequence[Any]], active: set[TP], seeks: int) -> bool:
        """Deliver the records to their topics' streams, waiting while those are full; True if all were delivered."""
        generation, strict = self.app.consumer_generation_id, self.app.topics.acking_topics
        buffered, callback, complete = self._buffered_partitions, self.callback, True
        for count, (tp, record) in enumerate(self._in_order(records), 1):
            if not self.flow_active or seeks != self._seeks or generation != self.app.consumer_generation_id:
                return False
            if tp not in active and tp not in buffered:
                complete = False  # paused in the meantime
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
        """The order of delivery: within a partition, that of the log."""
        return self.scheduler.iterate(records)  # type: ignore[no-any-return]  # untyped in the library

    def _is_next(self, tp: TP, offset: int) -> bool:
        """False for a record that was delivered before; gaps don't matter."""
        last = self._read_offset[tp]
        if last is not None and offset < last:
            return False
        self._read_offset[tp] = offset
        return True

    async def _take_back(self) -> None:
        """Read again the records that were fetched and not delivered."""
        await self.perform_seek()

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._wake.set()  # fetch again at once

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        super().resume_partitions(tps)
        self._wake.set()

    def stop_flow(self) -> None:
        super().stop_flow()
        self._wake.set()


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with more frequent fetches."""

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to the committed offsets; where nothing or 0 is committed, to the first record kept.

        aiokafka does not move such a partition: what was fetched and not delivered would be lost.
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
        """Faust's watchdog on slow partitions, but not on one without a position, where it would crash."""
        state = self.state_of(tp)
        if state and state.has_valid_position:
            super().verify_event_path(now, tp)

    def state_of(self, tp: TP) -> "TopicPartitionState | None":
        """aiokafka's state of a partition; None if it is not assigned."""
        return partition_state(self._ensure_consumer(), driver.ensure_aiokafka_TP(tp))

    def _create_worker_consumer(self, transport: driver.Transport) -> "AIOKafkaConsumer":
        consumer = super()._create_worker_consumer(transport)
        set_fetch_wait(consumer, FETCH_WAIT_MILLISECONDS_MAX)
        return consumer
