"""Delivery and commit without loss: mixed into the consumers of both transports.

Faust 0.15.3 loses events: its commit steps over one missing offset at the head of a partition, checks nothing
while nothing has been committed yet, and takes the first record after a gap in the offsets (compaction,
transaction markers) for acknowledged (issues #527 and #606 of faust-streaming/faust). Here the offsets that
were handed over are kept in order, and the commit goes up to the first that is not acknowledged; gaps between
them don't matter.

A fetch is handed over as a whole in one task, where Faust starts four tasks for every single message: that is
three quarters of its cost per event.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from faust.types import TP

if TYPE_CHECKING:
    from faust.transport.consumer import Consumer as _Consumer
    from faust.transport.consumer import Fetcher
else:
    _Consumer = object

FETCH_SECONDS_MAX = 1.0
"""A fetch waits no longer for a record, so that a stop is noticed."""
MESSAGES_PER_TURN = 100
"""Handed over before other tasks of the event loop have their turn."""
HELD_BYTES_MAX = 64 * 1024 * 1024
"""No fetch while this much is handed over and not committed: large records, or an agent that stands still."""
MESSAGE_BYTES = 1000
"""What a message takes in memory beside its value."""
STOP_SECONDS_MAX = 8.0
"""How long a stop or a rebalance waits for the events being worked on; after that they come again."""


class StrictCommit(_Consumer):
    """Mixed in before a Faust consumer: its commits never pass an event that is not acknowledged."""

    def on_init(self) -> None:
        super().on_init()
        self._held: defaultdict[TP, deque[tuple[int, int]]] = defaultdict(deque)
        """Offset and size of what is handed over and not committed; not the message, which its agent frees."""
        self._held_bytes = 0
        self._done: defaultdict[TP, set[int]] = defaultdict(set)
        """Of those, the acknowledged ones."""
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

    async def wait_empty(self) -> None:
        """Wait for the events being worked on, but not for ever: an agent may have given up."""
        deadline = time.monotonic() + STOP_SECONDS_MAX
        while not self.should_stop and self._unacked_messages and time.monotonic() < deadline:
            await self._wait_for_ack(timeout=1)
            self._clean_unacked_messages()
        if self._unacked_messages:
            self.log.warning("%d events are not acknowledged: they come again", len(self._unacked_messages))
        await self.commit_and_end_transactions()

    async def _drain_messages(self, fetcher: "Fetcher") -> None:
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
            records = await self._getmany(active, FETCH_SECONDS_MAX)
            if not records or self.should_stop:
                continue
            task = asyncio.ensure_future(self._hand_over(records, active, seeks))
            await self.wait_first(task, self.suspend_flow.wait())  # cancels what is not done
            if not task.done() or task.cancelled() or not task.result():
                await self._take_back()

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
