"""The producing half of the transport: what agents send through Faust. Everything else appends through the port."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any

from faust.exceptions import NotReady, ProducerSendError
from faust.transport import base
from faust.types import TP, RecordMetadata
from mode import get_logger

from embedded.batcher import Batcher
from embedded.log import Log
from embedded.records import APPEND_RECORDS_MAX, Headers, LogError, NewRecord

PENDING_MAX = APPEND_RECORDS_MAX
"""Records pending for the next write; beyond that, senders wait."""


def headers_tuple(headers: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]] | None) -> Headers:
    """Faust's headers (a mapping, pairs or None) as the log stores them."""
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


class Producer(base.Producer):
    """Sends in batches: records that arrive during one write are sent by the next."""

    logger = get_logger(__name__)
    _log: Log

    def on_init(self) -> None:
        self._appends = Batcher(self._append, name="producer", waiting_max=PENDING_MAX)

    async def on_start(self) -> None:
        self._log = await asyncio.to_thread(Log.open, self.transport.path)
        await super().on_start()

    async def on_stop(self) -> None:
        await self.flush()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        await asyncio.to_thread(self._log.close)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]] | None,
        **_options: object,
    ) -> Awaitable[RecordMetadata]:
        """Queue a record; returns a future that is done when the record is durable.

        The log stamps every record itself, so `timestamp` is not used. Raises LogError for a record that the
        log would refuse, so that it fails no other.
        """
        if not self.started or self.should_stop:
            raise NotReady("the producer is not running: send after the app has started")
        if topic not in self._log.partitions():
            await asyncio.to_thread(self._log.ensure_topics, {topic: self.app.conf.topic_partitions})
        record = NewRecord(topic, key, value or b"", headers_tuple(headers), partition)
        self._log.check(record)
        self.app.on_produce_message.send(
            key=key, value=value, partition=partition, timestamp=timestamp, headers=headers
        )
        await self._appends.room()
        return self._appends.ask(record)

    async def send_and_wait(self, topic: str, *args: Any, **options: Any) -> RecordMetadata:
        return await (await self.send(topic, *args, **options))

    async def _append(self, records: Sequence[NewRecord]) -> list[RecordMetadata]:
        try:
            positions = await asyncio.to_thread(self._log.append, records)
        except LogError as fault:
            raise ProducerSendError(str(fault)) from fault
        return [
            RecordMetadata(place.topic, place.partition, TP(place.topic, place.partition), place.offset)
            for place in positions
        ]

    async def flush(self) -> None:
        """Return when every record sent so far is durable or has failed."""
        while self.buffer.size and self.buffer.state == "running":
            await self.buffer.flush()  # gives up after 0.1 s without progress
        await asyncio.sleep(0)  # the buffer takes a message out before it calls send()
        await self._appends.flush()

    async def create_topic(self, topic: str, partitions: int, *_args: object, **_options: object) -> None:
        """Declare a topic; the log has its own retention, other options have no effect."""
        if self.app.conf.topic_allow_declare:
            await asyncio.to_thread(self._log.ensure_topics, {topic: partitions})

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, self._log.partition(topic, key))

    def supports_headers(self) -> bool:
        return True
