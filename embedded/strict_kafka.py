"""Faust's Kafka transport with the strict commit: `broker="kafka+strict://host:9092"`.

TLS and SASL come from Faust's `broker_credentials` setting, as with `kafka://`.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from embedded.strict import StrictCommit
from embedded.watermark import InStep, by_time

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.consumer.subscription_state import TopicPartitionState

FETCH_WAIT_MILLISECONDS_MAX = 100
"""How long the broker may hold an empty fetch. Faust has 1500 and no setting for it: a partition that is
resumed meanwhile would wait that long for its first fetch."""
TAKE_BACK_PAUSE_SECONDS = 0.5


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
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription and subscription.assignment
        return assignment and assignment.state_value(driver.ensure_aiokafka_TP(tp))

    def _create_worker_consumer(self, transport: "Transport") -> "AIOKafkaConsumer":
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MILLISECONDS_MAX  # read when it starts
        return consumer


class Consumer(StrictCommit, driver.Consumer):
    """Reads Kafka for one Faust app, in step; never commits past an unacknowledged event."""

    def on_init(self) -> None:
        super().on_init()
        self._in_step = InStep()

    def _forget(self) -> None:
        super()._forget()
        self._in_step.clear()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, Sequence[Any]]:
        """What is due of the active partitions, once all that have more brought some, or after `timeout` seconds."""
        active, seeks, in_step = active_partitions or set(), self._seeks, self._in_step
        in_step.keep(set(self.assignment()))
        deadline = time.monotonic() + timeout
        while wanted := active.difference(in_step.waiting):
            left, some = deadline - time.monotonic(), wanted != active
            if left <= 0 or (some and not any(map(self._has_more, wanted))):
                break
            found: Mapping[TP, Sequence[Any]] = await super()._getmany(wanted, left)
            if seeks != self._seeks:
                return found  # fetched before the consumer went elsewhere: the hand-over refuses it, and goes back
            if not found:
                break
            in_step.add(found)
        return in_step.take(active, self._has_more)

    def _has_more(self, tp: TP) -> bool:
        """Whether the broker has records of this partition that were not fetched, as far as it has told by now."""
        state = self._thread.state_of(tp)
        if state is None:
            return False
        try:
            return state.highwater is None or state.position < state.highwater
        except AssertionError:  # aiokafka's word for a partition that has no position yet
            return True

    def _in_order(self, records: Mapping[TP, Sequence[Any]]) -> Iterable[tuple[TP, Any]]:
        return by_time(records)

    async def _take_back(self) -> None:
        # fetched and not handed over: reading on without having gone back would lose it
        while not self.should_stop and self.assignment():
            try:
                await self.perform_seek()
            except KafkaError as fault:  # the broker restarts, or a rebalance is under way
                self.log.warning("not gone back to the committed offsets, trying again: %s", fault)
                await asyncio.sleep(TAKE_BACK_PAUSE_SECONDS)
            else:
                return

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """What Faust makes from the URL."""

    Consumer = Consumer
