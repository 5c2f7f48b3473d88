"""Faust's Kafka transport with the strict commit: `broker="kafka+strict://host:9092"`.

TLS and SASL come from Faust's `broker_credentials` setting, as with `kafka://`.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from embedded.strict import ConsumerThread, StrictCommit
from embedded.watermark import WatermarkBuffer, by_time

TAKE_BACK_PAUSE_SECONDS = 0.5


class Consumer(StrictCommit, driver.Consumer):
    """Reads Kafka for one Faust app, up to one watermark; never commits past an unacknowledged event."""

    def on_init(self) -> None:
        super().on_init()
        self._held_back = WatermarkBuffer()

    def _forget(self) -> None:
        super()._forget()
        self._held_back.clear()

    async def fetch(self, active: set[TP], timeout: float) -> Mapping[TP, Sequence[Any]]:
        """Due records of the active partitions, once all with more have returned some, or after `timeout` s."""
        seeks, held_back = self._seeks, self._held_back
        held_back.keep(set(self.assignment()))
        deadline = time.monotonic() + timeout
        while wanted := active.difference(held_back.waiting):
            left, some = deadline - time.monotonic(), wanted != active
            if left <= 0 or (some and not any(map(self._has_more, wanted))):
                break
            found: Mapping[TP, Sequence[Any]] = await super().fetch(wanted, left)
            if seeks != self._seeks:
                return found  # fetched before a seek: the delivery refuses it, and goes back
            if not found:
                break
            held_back.add(found)
        return held_back.take(active, self._has_more)

    def _has_more(self, tp: TP) -> bool:
        """Whether the broker has records of this partition that were not fetched, as far as is known."""
        state = self._kafka.state_of(tp)
        if state is None:
            return False
        try:
            return state.highwater is None or state.position < state.highwater
        except AssertionError:  # raised by aiokafka for a partition without a position
            return True

    def _in_order(self, records: Mapping[TP, Sequence[Any]]) -> Iterable[tuple[TP, Any]]:
        return by_time(records)

    async def _take_back(self) -> None:
        # fetched and not delivered: reading on without a seek back would lose it
        while not self.should_stop and self.assignment():
            try:
                await self.perform_seek()
            except KafkaError as fault:  # the broker restarts, or a rebalance is under way
                self.log.warning("not gone back to the committed offsets, trying again: %s", fault)
                await asyncio.sleep(TAKE_BACK_PAUSE_SECONDS)
            else:
                return

    def _new_consumer_thread(self) -> ConsumerThread:
        self._kafka = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        return self._kafka


class Transport(driver.Transport):
    """The transport that Faust makes from the URL."""

    Consumer = Consumer
