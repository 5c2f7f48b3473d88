"""The limit: a plain aiokafka + psycopg 3 loop that writes the rows which Labtrail writes, and nothing else.

`capture` (not timed, once) gives the events to Labtrail's own store, in batches of up to 2000, on a PostgreSQL
database, and keeps every INSERT, UPDATE and DELETE that the store commits, with its values, batch by batch. `limit`
then reads the same records from Kafka in the same batches, sends each batch's statements through psycopg in one
transaction, and commits the batch's offsets to Kafka after it.

So it does: fetch every record from Kafka, write the same rows into the same tables with the same indexes by the same
statements, durable commits, offsets. It does not: parse or check an event, look for duplicates, read anything from
the database, take locks, hash, fold custody or stock, draw or send anything, sweep for what is late, grow the Merkle
tree, count metrics, retry a batch; and the values of its statements are already in its memory (psycopg encodes
them here as it does there). So it is a limit that one process can't pass with these statements, not a rival that does
the same work; where the store sends better statements, this loop gets faster with it.
"""

import asyncio
import gc
import pickle
import re
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import AsyncConnection
from sqlalchemy import event

from agents.committing import BATCH_MAX
from bench.home import Home, read_events
from bench.network_job import Job, recorded
from bench.network_servers import LIMIT_GROUP, PARTITIONS
from bench.runs import Clock
from config.clock import now_us
from embedded.records import partition_of
from models.database.engine import make_engine
from models.database.postgres.pipeline import WAITING
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC, route
from tests.support.postgres.server import plain

FETCH_MS, IDLE_FETCHES_MAX = 1000, 60
_writes = re.compile(r"\b(INSERT INTO|DELETE FROM|UPDATE\s+\S+\s+SET)\b")

Place = tuple[str, int]


class Statement(NamedTuple):
    """One call of the driver. `many`: the values are a list, one entry a row."""

    sql: str
    values: Any
    many: bool


class Batch(NamedTuple):
    """The next records of each partition, and what they make the store write."""

    records: dict[Place, int]
    statements: list[Statement]


def cut(events: Path) -> Iterator[list[Record]]:
    """The records as Kafka holds them, in batches: each takes the same share of every partition."""
    places: defaultdict[Place, list[Record]] = defaultdict(list)
    for raw in read_events(events):
        topic, key = route(raw)
        records = places[topic, partition_of(key, PARTITIONS)]
        records.append(Record(topic, partition_of(key, PARTITIONS), len(records), raw, now_us()))
    number = -(-sum(map(len, places.values())) // BATCH_MAX)
    for part in range(number):
        yield [
            record
            for records in places.values()
            for record in records[part * len(records) // number : (part + 1) * len(records) // number]
        ]


def capture(job: Job) -> dict[str, object]:
    """Write the batches with their statements to the job's capture file."""
    home, engine = Home(Path(job.folder)), make_engine(job.database)
    sent: list[Statement] = []

    @event.listens_for(engine, "before_cursor_execute")
    def keep(_c: object, _cursor: object, sql: str, values: Any, context: Any, many: bool) -> None:
        taken_along = [Statement(each.sql, each.values, False) for each in context.execution_options.get(WAITING, ())]
        sent.extend(each for each in (*taken_along, Statement(sql, values, many)) if _writes.search(each.sql))

    @event.listens_for(engine, "rollback")
    def forget(_c: object) -> None:
        sent.clear()  # the store restarts a batch when it finds more to lock

    store = Store(engine, home.catalog, home.settings.policy)
    batches = []
    for records in cut(Path(job.events)):
        store.commit(records, now_us())
        counts: defaultdict[Place, int] = defaultdict(int)
        for record in records:
            counts[record.topic, record.partition] += 1
        batches.append(Batch(dict(counts), sent[:]))
        sent.clear()
    engine.dispose()
    Path(job.capture).write_bytes(pickle.dumps(batches))
    statements = sum(len(batch.statements) for batch in batches)
    return {"batches": len(batches), "statements_a_batch": statements / len(batches)}


def limit(job: Job) -> dict[str, object]:
    """The loop itself, one process. The clock runs from the first batch that is read to the last offset commit."""
    batches: list[Batch] = pickle.loads(Path(job.capture).read_bytes())
    gc.collect()
    gc.freeze()  # as the worker does: long-lived objects are not scanned in every collection
    clock = Clock(job.count)
    asyncio.run(_loop(job, batches, clock))
    return {**clock.result(), "recorded": recorded(job.database)}


async def _loop(job: Job, batches: list[Batch], clock: Clock) -> None:
    consumer = AIOKafkaConsumer(
        SPECIMENS_TOPIC,
        SUPPLIES_TOPIC,
        bootstrap_servers=job.kafka,
        group_id=LIMIT_GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    connection = await AsyncConnection.connect(plain(job.database))
    await consumer.start()
    try:
        reader = Reader(consumer)
        for batch in batches:
            ends = await reader.take(batch.records)
            clock.begin()
            async with connection.transaction(), connection.cursor() as cursor:
                for sql, values, many in batch.statements:
                    await (cursor.executemany if many else cursor.execute)(sql.encode(), values)
            await consumer.commit(ends)
            clock.count(sum(batch.records.values()))
    finally:
        await consumer.stop()
        await connection.close()


class Reader:
    """Takes the next records of each partition; what was fetched beyond that is kept for the next call."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.consumer = consumer
        self.waiting: defaultdict[Place, deque[Any]] = defaultdict(deque)

    async def take(self, wanted: dict[Place, int]) -> dict[TopicPartition, int]:
        """Fetch until this many of each are there, and drop them; the offsets to commit. May raise SystemExit."""
        idle = 0
        while any(len(self.waiting[place]) < count for place, count in wanted.items()):
            fetched = await self.consumer.getmany(timeout_ms=FETCH_MS, max_records=BATCH_MAX)
            for place, records in fetched.items():
                self.waiting[place.topic, place.partition].extend(records)
            idle = 0 if fetched else idle + 1
            if idle > IDLE_FETCHES_MAX:
                raise SystemExit("Kafka does not hold the records that were captured: it was filled otherwise")
        ends = {}
        for (topic, partition), count in wanted.items():
            taken = [self.waiting[topic, partition].popleft() for _ in range(count)]
            ends[TopicPartition(topic, partition)] = taken[-1].offset + 1
        return ends
