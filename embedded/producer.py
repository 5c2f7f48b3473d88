"""The producing half of the transport: what agents send through Faust. The edge appends by the port."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

from faust.exceptions import NotReady, ProducerSendError
from faust.transport import base
from faust.types import TP, RecordMetadata
from mode import Service, get_logger

from embedded.log import Log
from embedded.records import APPEND_RECORDS_MAX, Headers, LogError, NewRecord

PENDING_MAX = APPEND_RECORDS_MAX
"""Records waiting for the next write; who sends more waits."""

_Pending = tuple[NewRecord, "asyncio.Future[RecordMetadata]"]


def headers_tuple(headers: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]] | None) -> Headers:
    """Faust's headers (a mapping, pairs or None) as the log keeps them."""
    if not headers:
        return ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value) for name, value in pairs)


class Producer(base.Producer):
    """Sends in groups: what arrives during one write goes out with the next."""

    logger = get_logger(__name__)
    _log: Log

    def on_init(self) -> None:
        self._pending: list[_Pending] = []
        self._kick = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

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
        """Queue a record; the future it returns is done when the record is durable.

        The log stamps every record itself, so `timestamp` is not used. Raises LogError for a record that the
        log would refuse, so that it fails alone.
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
        await self._room.wait()
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        self._pending.append((record, future))
        if len(self._pending) >= PENDING_MAX:
            self._room.clear()
        self._idle.clear()
        self._kick.set()
        return future

    async def send_and_wait(self, topic: str, *args: Any, **options: Any) -> RecordMetadata:
        return await (await self.send(topic, *args, **options))

    @Service.task
    async def _write(self) -> None:
        while True:
            await self._kick.wait()
            self._kick.clear()
            batch, self._pending = self._pending, []
            self._room.set()
            try:
                positions = await asyncio.to_thread(self._log.append, [record for record, _ in batch])
            except LogError as fault:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(ProducerSendError(str(fault)))
            else:
                for (_, future), place in zip(batch, positions, strict=True):
                    if not future.done():
                        tp = TP(place.topic, place.partition)
                        future.set_result(RecordMetadata(*tp, tp, place.offset))
            if not self._pending:
                self._idle.set()

    async def flush(self) -> None:
        """Return when everything that was sent is durable, or has failed."""
        while self.buffer.size and self.buffer.state == "running":
            await self.buffer.flush()  # gives up after 0.1 s without progress
        await asyncio.sleep(0)  # the buffer takes a message out before it calls send()
        await self._idle.wait()

    async def create_topic(self, topic: str, partitions: int, *_args: object, **_options: object) -> None:
        """Declare a topic; retention is the log's own, other options have no meaning here."""
        if self.app.conf.topic_allow_declare:
            await asyncio.to_thread(self._log.ensure_topics, {topic: partitions})

    def key_partition(self, topic: str, key: bytes) -> TP:
        return TP(topic, self._log.partition(topic, key))

    def supports_headers(self) -> bool:
        return True
