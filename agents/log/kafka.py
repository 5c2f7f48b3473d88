"""Apache Kafka behind the EventLog port, by kafka-python: append, ends, committed, replay.

The agents read Kafka through Faust; all other access goes through here and kafka_topics.py.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import OffsetSpec, OffsetTimestamp
from kafka.errors import KafkaError, RetriableError
from kafka.structs import TopicPartition as KafkaPartition

from agents.log.kafka_client import KafkaAccess, KafkaFault, explain, open_client
from agents.log.kafka_python_internals import abandon
from agents.log.kafka_topics import REQUEST_BYTES_MAX, TopicPlan, create_missing, described
from agents.log.port import TOPICS
from embedded.records import (
    APPEND_BYTES_MAX,
    APPEND_RECORDS_MAX,
    HEADERS_BYTES_MAX,
    KEY_BYTES_MAX,
    VALUE_BYTES_MAX,
    NewRecord,
    Position,
    Record,
    TopicPartition,
)
from models.rules.times import microseconds

RETRY_SECONDS = 0.2
REPLAY_WAIT_MS = 200
T = TypeVar("T")
_pack = msgspec.msgpack.Encoder().encode


class KafkaLog:
    """The log of an Apache Kafka; it connects when first used. Every method may be called from any thread."""

    def __init__(self, access: KafkaAccess, topics: Iterable[str] = TOPICS) -> None:
        """`topics`: those that ends() and replay() cover; ensure_topics adds to them."""
        self.access = access
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._appending = 0
        self._producer: KafkaProducer | None = None
        self._admin: KafkaAdminClient | None = None
        self._topics = set(topics)
        self._known: set[str] = set()  # to exist

    def close(self) -> None:
        """Wait for appends and flush pending records within the time limit, then close the connections.

        An append whose producer is closed before the brokers have named the topic's partitions is not answered: it
        would hold its thread, and the end of the process, for its whole time limit.
        """
        with self._idle:
            self._idle.wait_for(lambda: self._appending == 0, self.access.timeout_seconds)
            producer, admin = self._producer, self._admin
            self._producer = self._admin = None
        if producer is not None:
            try:
                producer.close(timeout=self.access.timeout_seconds)
            except KafkaError:
                abandon(producer)
        if admin is not None:
            admin.close()

    # ---- write ---------------------------------------------------------------------------------------------

    def append(self, records: Sequence[NewRecord]) -> list[Position]:
        """Append records; every in-sync replica has them when it returns. Positions in the given order.

        Raises KafkaFault when that does not happen within the time limit: some of them may then be in the log.
        Append all of them again: the event id makes a second copy harmless.
        """
        _check(records)
        with self._idle:
            self._appending += 1
        try:
            return self._append(records)
        finally:
            with self._idle:
                self._appending -= 1
                self._idle.notify_all()

    def _append(self, records: Sequence[NewRecord]) -> list[Position]:
        self._require({record.topic for record in records})
        producer = self._open_producer()
        deadline = time.monotonic() + self.access.timeout_seconds
        try:
            futures = [
                producer.send(
                    record.topic,
                    record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                )
                for record in records
            ]
            done = [future.get(max(0.0, deadline - time.monotonic())) for future in futures]
        except KafkaError as fault:
            self._give_up(producer)
            raise explain(fault, self.access) from fault
        except ValueError as fault:
            raise KafkaFault(f"a record for {records[0].topic} can't be appended: {fault}") from fault
        return [Position(each.topic, each.partition, each.offset) for each in done]

    def _require(self, topics: set[str]) -> None:
        """Raise KafkaFault for a topic that doesn't exist: the producer would wait for it until its timeout."""
        with self._lock:
            unknown = topics - self._known
        if unknown:
            there = self.ask(lambda admin: described(admin, sorted(unknown)))
            for name in sorted(unknown - set(there)):
                raise KafkaFault(f"Kafka has no topic {name}: run `labtrail topics`")
            with self._lock:
                self._known |= set(there)

    def _open_producer(self) -> KafkaProducer:
        milliseconds = int(self.access.timeout_seconds * 1000)
        with self._lock:
            if self._producer is None:
                self._producer = open_client(
                    KafkaProducer,
                    self.access,
                    acks="all",
                    enable_idempotence=True,
                    # a record expires when its append times out: it is not sent later without the caller's knowledge
                    delivery_timeout_ms=milliseconds,
                    request_timeout_ms=milliseconds // 2,
                    max_block_ms=milliseconds,
                    max_request_size=REQUEST_BYTES_MAX,
                    batch_size=256 * 1024,
                    allow_auto_create_topics=False,
                )
            return self._producer

    def _give_up(self, producer: KafkaProducer) -> None:
        """Abandon the producer; the next append makes a new one.

        kafka-python 3.0 keeps a partition closed for good once a batch in flight to it has expired. Pending appends
        of other threads in this producer fail too, and are repeated like this one.
        """
        with self._lock:
            if self._producer is producer:
                self._producer = None
        abandon(producer)

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """Create the topics that don't exist: {name: partitions}. One that exists stays as it is."""
        plans = [TopicPlan(name=name, partitions=count) for name, count in topics.items()]
        self.ask(lambda admin: create_missing(admin, plans))
        with self._lock:
            self._topics |= set(topics)
            self._known |= set(topics)

    # ---- read ----------------------------------------------------------------------------------------------

    def ends(self) -> dict[TopicPartition, int]:
        """{(topic, partition): offset of the next record}."""
        return self.ask(lambda admin: self._offsets(admin, OffsetSpec.LATEST))

    def _offsets(self, admin: KafkaAdminClient, spec: OffsetSpec | OffsetTimestamp) -> dict[TopicPartition, int]:
        found = described(admin, sorted(self._topics))
        places = [KafkaPartition(name, p["partition_index"]) for name, t in found.items() for p in t["partitions"]]
        if not places:
            return {}
        offsets = admin.list_partition_offsets(dict.fromkeys(places, spec))
        return {(place.topic, place.partition): at.offset for place, at in sorted(offsets.items())}

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """{(topic, partition): offset up to which the group has consumed}, where it has committed one."""
        offsets = self.ask(lambda admin: admin.list_group_offsets([group]))[group]
        return {(place.topic, place.partition): at.offset for place, at in sorted(offsets.items()) if at.offset >= 0}

    def replay(self, since: datetime | None = None) -> Iterator[tuple[Position, Record]]:
        """Every record of our topics appended at or after `since` (None: all kept), up to the ends of now.

        In order within a partition. Raises KafkaFault when the brokers stop answering.
        """
        ends = self.ends()
        spec = OffsetSpec.EARLIEST if since is None else OffsetTimestamp(microseconds(since) // 1000)
        starts = self.ask(lambda admin: self._offsets(admin, spec))
        # offset -1: nothing was appended since then
        left = {KafkaPartition(*place): end for place, end in ends.items() if 0 <= starts.get(place, -1) < end}
        consumer = open_client(
            KafkaConsumer, self.access, enable_auto_commit=False, max_partition_fetch_bytes=REQUEST_BYTES_MAX
        )
        try:
            consumer.assign(list(left))
            for place in left:
                consumer.seek(place, starts[place.topic, place.partition])
            yield from self._read(consumer, left)
        except KafkaError as fault:
            raise explain(fault, self.access) from fault
        finally:
            consumer.close()

    def _read(self, consumer: KafkaConsumer, left: dict[KafkaPartition, int]) -> Iterator[tuple[Position, Record]]:
        last_seen = time.monotonic()
        while left:
            batches = consumer.poll(timeout_ms=REPLAY_WAIT_MS)
            if batches:
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > self.access.timeout_seconds:
                raise KafkaFault(f"Kafka sent nothing for {self.access.timeout_seconds:g} s: check the brokers")
            for place, batch in batches.items():
                for each in batch:
                    if each.offset < left.get(place, 0):
                        headers = _pack(each.headers) if each.headers else None
                        record = Record(each.offset, each.timestamp * 1000, each.key, each.value, headers)
                        yield Position(place.topic, place.partition, each.offset), record
            for place in [place for place, end in left.items() if consumer.position(place) >= end]:
                del left[place]
                consumer.pause(place)

    def ask(self, question: Callable[[KafkaAdminClient], T]) -> T:
        """The brokers' answer; retried, within the time limit, while they restart or elect leaders."""
        deadline = time.monotonic() + self.access.timeout_seconds
        while True:
            try:
                return question(self._open_admin())
            except RetriableError as fault:
                if time.monotonic() > deadline:
                    raise explain(fault, self.access) from fault
            except KafkaError as fault:
                raise explain(fault, self.access) from fault
            time.sleep(RETRY_SECONDS)

    def _open_admin(self) -> KafkaAdminClient:
        with self._lock:
            if self._admin is None:
                self._admin = open_client(KafkaAdminClient, self.access)
            return self._admin


def _check(records: Sequence[NewRecord]) -> None:
    """Check all before sending any: a bad record must not leave half of its batch in the log."""
    if len(records) > APPEND_RECORDS_MAX:
        raise KafkaFault(f"{len(records)} records at once: append at most {APPEND_RECORDS_MAX} at a time")
    size = 0
    for record in records:
        if not isinstance(record.value, bytes) or not (record.key is None or isinstance(record.key, bytes)):
            raise KafkaFault(f"a record for {record.topic} is not bytes: encode key and value")
        headers = sum(len(name) + len(value) for name, value in record.headers)
        if (
            len(record.value) > VALUE_BYTES_MAX
            or len(record.key or b"") > KEY_BYTES_MAX
            or headers > HEADERS_BYTES_MAX
        ):
            raise KafkaFault(
                f"a record of {len(record.value)} bytes for {record.topic} is too large: split it (at most"
                f" {VALUE_BYTES_MAX} bytes of value, {KEY_BYTES_MAX} of key, {HEADERS_BYTES_MAX} of headers)"
            )
        size += len(record.value)
    if size > APPEND_BYTES_MAX:
        raise KafkaFault(f"{size} bytes at once: append at most {APPEND_BYTES_MAX} at a time")
