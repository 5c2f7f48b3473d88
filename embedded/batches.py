"""Reading a stream in batches of what is pending: no added delay when idle, big batches under load."""

import time
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from faust.types.tuples import ack_lock

if TYPE_CHECKING:
    from faust.types import EventT, StreamT


async def batches(stream: "StreamT", events_max: int) -> AsyncIterator[list["EventT"]]:
    """Yield the pending events of an agent's stream, 1 to `events_max` at a time, in order per partition.

    The stream's own buffer (`stream_buffer_maxsize`) is the only one between the log and the agent. Nothing
    is acknowledged: call `acknowledge` once the work is durable. An unacknowledged event is redelivered
    after a restart or a rebalance. Faust's work for each event of an iterated stream, as costly as all the rest
    of Faust, is done here once per batch.
    """
    app, queue = stream.app, stream.channel.queue
    unacknowledged, last_seen = app.consumer.unacked, app.monitor.stream_inbound_time
    await stream.maybe_start()  # not stopped at the end: an agent that Faust starts again gets the same one
    while not stream.should_stop:
        try:
            events = [await queue.get()]
        except StopAsyncIteration:
            return  # Faust's signal that the agent stops
        while len(events) < events_max and not queue.empty():
            events.append(queue.get_nowait())
        if not app.flow_control.is_active():
            continue  # a rebalance began: what was delivered before it is redelivered
        generation, now = app.consumer_generation_id, time.monotonic()
        current = [event for event in events if event.message.generation_id == generation]
        for event in current:
            message = event.message
            message.tracked = True
            unacknowledged.add(message)  # a shutdown waits for these
            last_seen[message.tp] = now  # Faust's watchdog warns of partitions that are not read
        if current:
            yield current


def acknowledge(events: Iterable["EventT"]) -> None:
    """Acknowledge events whose work is durable; the next commit (`broker_commit_interval`) passes them."""
    with ack_lock:  # taken once; each acknowledgement takes it again three times, which then costs little
        for event in events:
            event.ack()
