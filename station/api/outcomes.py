"""Waiting for what becomes of appended events. One look at the tables serves all requests that wait."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress

from msgspec import Struct
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from models.database.engine import reading
from models.views.outcomes import Asked, Judged, judge

WAITING_MAX = 2000
"""Requests that wait at the same time; one more is answered at once with what is known."""
NOTIFIED_SECONDS = 0.1
"""Between two looks when a commit in this process wakes us: only for what other processes commit."""
POLL_SECONDS = {"sqlite": 0.005, "postgresql": 0.015}
FAULT_SECONDS = 0.25
log = logging.getLogger(__name__)


class _Waiter(Struct, eq=False):
    asked: Sequence[Asked]
    found: list[Judged | None]
    complete: "asyncio.Future[None]"


class Outcomes:
    """Waits for commits on behalf of all requests of a station. Use from its event loop."""

    def __init__(self, engine: Engine, threads: Executor, committed: asyncio.Event | None) -> None:
        """`committed`: set after each commit of this process; None: the agents run elsewhere."""
        self._engine, self._threads, self._committed = engine, threads, committed
        self._pause = NOTIFIED_SECONDS if committed else POLL_SECONDS[engine.dialect.name]
        self._waiting: list[_Waiter] = []
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, asked: Sequence[Asked], seconds: float) -> list[Judged | None]:
        """What became of each; None for those that were not committed within `seconds`."""
        if len(self._waiting) >= WAITING_MAX:
            return [None] * len(asked)
        loop = asyncio.get_running_loop()
        waiter = _Waiter(asked, [None] * len(asked), loop.create_future())
        self._waiting.append(waiter)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancellation
                await waiter.complete
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        return waiter.found

    async def _look(self) -> None:
        """Look until nobody waits any more."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                pause = self._pause
                if self._committed is not None:
                    self._committed.clear()
                batch = list(self._waiting)
                try:
                    await loop.run_in_executor(self._threads, self._fill, batch)
                except SQLAlchemyError as fault:
                    log.warning("outcomes can't be read (%s): trying again", type(fault).__name__)
                    pause = FAULT_SECONDS
                for waiter in batch:
                    if None not in waiter.found and not waiter.complete.done():
                        waiter.complete.set_result(None)
                        self._waiting.remove(waiter)
                if self._waiting:
                    await self._rest(pause)
        finally:
            self._looking = None

    async def _rest(self, seconds: float) -> None:
        if self._committed is None:
            await asyncio.sleep(seconds)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._committed.wait()

    def _fill(self, batch: Sequence[_Waiter]) -> None:
        asked = [one for waiter in batch for one in waiter.asked]
        with reading(self._engine) as connection:
            found = iter(judge(connection, asked))
        for waiter in batch:
            waiter.found = [next(found) for _ in waiter.asked]
