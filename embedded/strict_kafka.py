"""Faust's Kafka transport with the strict commit: `broker="kafka+strict://host:9092"`.

TLS and SASL come from Faust's `broker_credentials` setting, as with `kafka://`.
"""

from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver

from embedded.strict import StrictCommit

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

FETCH_WAIT_MILLISECONDS_MAX = 100
"""How long the broker may hold an empty fetch. Faust has 1500 and no setting for it: a partition that is
resumed meanwhile would wait that long for its first fetch."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, which asks the broker more often."""

    def _create_worker_consumer(self, transport: "Transport") -> "AIOKafkaConsumer":
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MILLISECONDS_MAX  # read when it starts
        return consumer


class Consumer(StrictCommit, driver.Consumer):
    """Reads Kafka for one Faust app; never commits past an unacknowledged event."""

    async def _take_back(self) -> None:
        try:
            await self.perform_seek()
        except KafkaError as fault:  # a rebalance is under way: it seeks at its end
            self.log.warning("not gone back to the committed offsets: %s", fault)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """What Faust makes from the URL."""

    Consumer = Consumer
