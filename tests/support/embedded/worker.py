"""A worker process for the tests: a Faust app on a broker, with the agent we use, that records what it did.

`python -m tests.support.embedded.worker BROKER GROUP DONE_FILE MODE`. For every event one line goes to DONE_FILE,
durably and before the acknowledgement: topic, partition, offset, the value in hexadecimal. Modes:

- `work`: everything is done and acknowledged;
- `refuse`: an event whose value is b"bad" is neither done nor acknowledged, the others are;
- `raise`: at b"bad" the agent raises;
- `each`: event by event, in Faust's own way of iterating a stream.
"""

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import faust

from embedded.batches import acknowledge, batches

BAD = b"bad"
EVENTS_MAX = 50


class BadEvent(Exception):
    """What the agent of mode `raise` raises."""


def make_app(broker: str, group: str, **settings: Any) -> faust.App:
    """The app with the settings that docs/embedded-log.md recommends; shorter times where a test would wait."""
    return faust.App(
        group,
        broker=broker,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=True,
        stream_buffer_maxsize=4096,
        broker_commit_interval=0.1,
        broker_session_timeout=6,
        broker_heartbeat_interval=1,
        web_enabled=False,
        worker_redirect_stdouts=False,
        topic_partitions=2,
        datadir=tempfile.mkdtemp(),
        **settings,
    )


def raw_topic(app: faust.App, name: str, partitions: int = 2) -> Any:
    """A topic whose records come as the bytes they are."""
    return app.topic(
        name,
        partitions=partitions,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )


async def until(app: faust.App, condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until the condition holds; fails with `what` when the app has crashed, or not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert not app.crashed, f"{what}: the app crashed"
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.01)


def write_down(done: IO[str], events: list[Any]) -> None:
    for event in events:
        message = event.message
        done.write(f"{message.topic} {message.partition} {message.offset} {event.value.hex()}\n")
    done.flush()
    os.fsync(done.fileno())


def add_agent(app: faust.App, topic: Any, done: IO[str], mode: str) -> None:
    async def in_batches(stream: Any) -> None:
        async for events in batches(stream, EVENTS_MAX):
            good = [event for event in events if mode == "work" or event.value != BAD]
            await asyncio.to_thread(write_down, done, good)
            acknowledge(good)
            if mode == "raise" and len(good) < len(events):
                raise BadEvent

    async def each(stream: Any) -> None:
        async for event in stream.noack().events():
            write_down(done, [event])
            event.ack()

    app.agent(topic, name=f"agent-{topic.get_topic_name()}")(each if mode == "each" else in_batches)


async def run(broker: str, group: str, done: Path, mode: str) -> None:
    app = make_app(broker, group)
    with done.open("a") as file:
        add_agent(app, raw_topic(app, "things"), file, mode)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await app.start()
        await stop.wait()
        await app.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
