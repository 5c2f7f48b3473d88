"""A large topic and a small one, full before the worker starts, through both transports: neither runs ahead."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Any

from embedded.batches import acknowledge, batches
from embedded.records import NewRecord
from tests.support.embedded.worker import make_app, raw_topic, until

LARGE, SMALL, PIECES = 20_000, 500, 50
BUFFERED_MAX = 6_000
"""What the buffers of a stream and a fetch may hold of the large one."""
SECONDS = 60.0


def pieces(large: str, small: str) -> list[list[NewRecord]]:
    """The chunks to append, in order: each has its share of both topics."""
    values = [b"%0300d" % n for n in range(LARGE)]
    of_large = iter([NewRecord(large, None, value, (), n % 2) for n, value in enumerate(values)])
    of_small = iter([NewRecord(small, None, value, (), n % 2) for n, value in enumerate(values[:SMALL])])
    return [[*islice(of_large, LARGE // PIECES), *islice(of_small, SMALL // PIECES)] for _ in range(PIECES)]


async def read_all(broker: str, group: str, large: str, small: str) -> list[str]:
    """The topics of all records in the order of their arrival; the large one's agent is the slower one."""
    app = make_app(broker, group)
    got: list[str] = []

    def keep(size: int, pause_seconds: float) -> Callable[[Any], Awaitable[None]]:
        async def agent(stream: Any) -> None:
            async for events in batches(stream, size):
                got.extend(event.message.topic for event in events)
                acknowledge(events)
                await asyncio.sleep(pause_seconds)

        return agent

    app.agent(raw_topic(app, large), name="large")(keep(100, 0.001))
    app.agent(raw_topic(app, small), name="small")(keep(1000, 0))
    await app.start()
    await until(app, lambda: len(got) >= LARGE + SMALL, SECONDS, "all arrive")
    await app.stop()
    return got


def check(got: Sequence[str], large: str) -> None:
    of_large = of_small = 0
    for topic in got:
        of_large, of_small = of_large + (topic == large), of_small + (topic != large)
        assert of_large >= of_small * LARGE // SMALL - BUFFERED_MAX, f"{of_small} of the small one came too early"
    assert (of_large, of_small) == (LARGE, SMALL)
