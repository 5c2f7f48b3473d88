"""The Kafka transport goes back to what is committed, and to the beginning where nothing is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from agents.log.kafka import KafkaLog
from embedded import strict_kafka
from embedded.batches import acknowledge, batches
from embedded.records import NewRecord
from tests.support.embedded import watermark_story
from tests.support.embedded.worker import make_app, raw_topic, until

pytestmark = pytest.mark.kafka
SECONDS = 60.0
RECORDS = 50


class Running:
    """An app on Kafka, whose agent keeps what it gets and acknowledges it only when told."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.app = make_app(f"kafka+strict://{bootstrap}", f"group.{topic}")
        self.got: list[int] = []
        self.events: list[Any] = []

        async def keep(stream: Any) -> None:
            async for events in batches(stream, 100):
                self.got += [event.message.offset for event in events]
                self.events += events

        self.app.agent(raw_topic(self.app, topic, partitions=1), name="keep")(keep)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        await until(self.app, condition, SECONDS, what)


@asynccontextmanager
async def running(bootstrap: str, topic: str) -> AsyncIterator[Running]:
    it = Running(bootstrap, topic)
    await it.app.start()
    try:
        yield it
    finally:
        acknowledge(it.events)
        await it.app.stop()


@pytest.mark.story
def test_what_was_handed_over_and_not_acknowledged_comes_again_where_nothing_is_committed(
    kafka_log: KafkaLog, kafka_bootstrap: str, topic: str
) -> None:
    """The first records of a partition were lost here: aiokafka does not seek without a committed offset."""
    kafka_log.ensure_topics({topic: 1})
    kafka_log.append([NewRecord(topic, b"k", b"%d" % n) for n in range(RECORDS)])

    async def story() -> None:
        async with running(kafka_bootstrap, topic) as it:
            await it.until(lambda: len(it.got) == RECORDS, "everything is handed over")
            await it.app.consumer.perform_seek()
            await it.until(lambda: len(it.got) == 2 * RECORDS, "everything comes again")
            assert it.got == [*range(RECORDS), *range(RECORDS)]

    asyncio.run(story())


def test_going_back_is_tried_until_the_broker_answers(
    kafka_log: KafkaLog, kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka_log.ensure_topics({topic: 1})
    kafka_log.append([NewRecord(topic, b"k", b"%d" % n) for n in range(RECORDS)])
    monkeypatch.setattr(strict_kafka, "TAKE_BACK_PAUSE_SECONDS", 0.0)
    refused = 0
    go_back = strict_kafka.ConsumerThread._go_back

    async def refuse_twice(thread: strict_kafka.ConsumerThread) -> Any:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise KafkaConnectionError
        return await go_back(thread)

    async def story() -> None:
        async with running(kafka_bootstrap, topic) as it:
            await it.until(lambda: len(it.got) == RECORDS, "everything is handed over")
            monkeypatch.setattr(strict_kafka.ConsumerThread, "_go_back", refuse_twice)
            await it.app.consumer._take_back()
            assert refused == 2
            await it.until(lambda: len(it.got) == 2 * RECORDS, "everything comes again")

    asyncio.run(story())


def test_after_some_were_committed_only_the_others_come_again(
    kafka_log: KafkaLog, kafka_bootstrap: str, topic: str
) -> None:
    kafka_log.ensure_topics({topic: 1})
    kafka_log.append([NewRecord(topic, b"k", b"%d" % n) for n in range(RECORDS)])

    async def story() -> None:
        async with running(kafka_bootstrap, topic) as it:
            await it.until(lambda: len(it.got) == RECORDS, "everything is handed over")
            acknowledge(it.events[:20])
            del it.events[:20]
            await it.app.consumer.commit()
            await it.app.consumer.perform_seek()
            await it.until(lambda: len(it.got) == 2 * RECORDS - 20, "the others come again")
            assert it.got == [*range(RECORDS), *range(20, RECORDS)]

    asyncio.run(story())
    assert kafka_log.committed(f"group.{topic}") == {(topic, 0): RECORDS}


@pytest.mark.parametrize("first", ["both", "small"])
def test_a_small_topic_does_not_run_ahead_of_a_large_one_through_a_backlog(
    kafka_log: KafkaLog, kafka_bootstrap: str, topic: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`first`: what the first fetch brings; the partitions of a new group don't get their first positions at once."""
    large, small = f"{topic}.large", f"{topic}.small"
    kafka_log.ensure_topics({large: 2, small: 2})
    for piece in watermark_story.pieces(large, small):
        kafka_log.append(piece)
    fetch, fetched = driver.Consumer._getmany, 0

    async def small_first(self: Any, active_partitions: set[TP], timeout: float) -> Any:
        nonlocal fetched
        of_small = {tp for tp in active_partitions if tp.topic == small}
        found = await fetch(self, active_partitions if fetched else of_small, timeout)
        fetched += len(found)
        return found

    if first == "small":
        monkeypatch.setattr(driver.Consumer, "_getmany", small_first)
    broker = f"kafka+strict://{kafka_bootstrap}"
    watermark_story.check(asyncio.run(watermark_story.read_all(broker, f"group.{topic}", large, small)), large)
    assert bool(fetched) == (first == "small")
