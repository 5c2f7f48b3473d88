"""A committer on a database of the tests, closed whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from agents.committing import Committer
from agents.metrics.definitions import WorkerMetrics
from models.recording.evidence import Record
from tests.support.homes import new_store
from tests.support.story import CATALOG, us


@asynccontextmanager
async def committer(
    engine: Engine, give_up_seconds: float = 60, clock: Callable[[], int] = lambda: us(10_000)
) -> AsyncIterator[Committer]:
    metrics = WorkerMetrics(CollectorRegistry(), CATALOG)
    one = Committer(new_store(engine), metrics, clock=clock, give_up_seconds=give_up_seconds)
    try:
        yield one
    finally:
        await one.close()


def commit(engine: Engine, batch: Sequence[Record], give_up_seconds: float = 60) -> None:
    """One batch by a committer of its own. Raises CommitError."""

    async def committed() -> None:
        async with committer(engine, give_up_seconds) as one:
            await one.commit(batch)

    asyncio.run(committed())
