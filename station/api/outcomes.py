"""Waiting for the outcomes of appended events. One query serves all waiting requests."""

import asyncio
import itertools
import logging
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from embedded.batcher import Batcher
from embedded.waiting import set_within
from models.views.outcomes import Asked, Judged, judge
from station.services import Services

WAITING_MAX = 2000
"""Requests that may wait at a time; one more is answered at once with what is known."""
NOTIFIED_SECONDS = 0.1
"""The poll interval when commits of this process wake us: for what other processes commit."""
POLL_SECONDS = {"sqlite": 0.005, "postgresql": 0.015}
FAULT_SECONDS = 0.25
log = logging.getLogger(__name__)


class Outcomes:
    """Waits for commits on behalf of all requests of a station. Use from its event loop."""

    def __init__(self, station: Services, committed: asyncio.Event | None) -> None:
        """`committed`: set after each commit of this process; None: the agents run elsewhere."""
        self._station, self._committed = station, committed
        self._usual_pause = self._pause = NOTIFIED_SECONDS if committed else POLL_SECONDS[station.engine.dialect.name]
        self._looks = Batcher(self._look, name="outcomes", waiting_max=WAITING_MAX, between=self._rest)

    async def wait(self, asked: Sequence[Asked], seconds: float) -> list[Judged | None]:
        """The outcome of each; None for those that were not committed within `seconds`."""
        found: list[Judged | None] = [None] * len(asked)
        with suppress(TimeoutError, asyncio.QueueFull):
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 may swallow a cancellation
                while None in found:
                    found = await self._looks.ask(asked)
        return found

    async def _look(self, requests: Sequence[Sequence[Asked]]) -> list[list[Judged | None]]:
        """The outcomes of each request's events that are known by now."""
        self._pause = self._usual_pause
        if self._committed is not None:
            self._committed.clear()
        asked = [one for request in requests for one in request]
        try:
            judged = await self._station.read(judge, asked)
        except SQLAlchemyError as fault:
            log.warning("outcomes can't be read (%s): trying again", type(fault).__name__)
            self._pause = FAULT_SECONDS
            judged = [None] * len(asked)
        found = iter(judged)
        return [list(itertools.islice(found, len(request))) for request in requests]

    async def _rest(self) -> None:
        """Wait until the next poll."""
        if self._committed is None:
            await asyncio.sleep(self._pause)
        else:
            await set_within(self._committed, self._pause)
