"""What became of an appended event, read where it is committed: the tables.

`progress` says how far each partition is committed, in the same transaction as the events themselves; so once it
has passed an event's offset, the tables say what became of it. One look serves all requests that wait.
"""

import asyncio
import itertools
import logging
from collections.abc import Collection, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from agents.log.port import Position
from models.database.bulk import select_in
from models.database.engine import reading
from models.database.evidence_tables import events, progress, quarantine
from models.database.state_tables import specimens

WAITING_MAX = 2000
"""Requests that wait at the same time; one more is answered at once with what is known."""
NOTIFIED_SECONDS = 0.1
"""Between two looks when a commit in this process wakes us: only for what other processes commit."""
POLL_SECONDS = {"sqlite": 0.005, "postgresql": 0.015}
FAULT_SECONDS = 0.25
log = logging.getLogger(__name__)
_strings = msgspec.json.Decoder(tuple[str, ...])


class Asked(Struct, frozen=True):
    """An appended event: its id, the specimen that it is about (empty: none), its place in the log."""

    id: str
    accession: str
    place: Position


class Judged(Struct, frozen=True):
    """What became of it, and how its specimen stands now. `status` None: no specimen is on record."""

    outcome: Literal["recorded", "duplicate", "quarantined"]
    reason: str | None = None
    detail: str | None = None
    status: str | None = None
    discrepancies: tuple[str, ...] = ()


def judge(connection: Connection, asked: Sequence[Asked]) -> list[Judged | None]:
    """The outcome of each appended event; None where it is not committed yet."""
    reached = {
        (topic, partition): next_offset for topic, partition, next_offset in connection.execute(select(progress))
    }
    done = [one for one in asked if reached.get(one.place[:2], 0) > one.place.offset]
    if not done:
        return [None] * len(asked)
    recorded = {
        event_id: Position(topic, partition, offset)
        for event_id, topic, partition, offset in select_in(
            connection, events, ("id", "topic", "partition", "offset"), "id", {one.id for one in done}
        )
    }
    refused = _refused(connection, {one.place for one in done if recorded.get(one.id) != one.place})
    states = {
        accession: (status, _strings.decode(codes))
        for accession, status, codes in select_in(
            connection, specimens, ("accession", "status", "discrepancies"), "accession",
            {one.accession for one in done if one.accession},
        )
    }  # fmt: skip
    found: dict[Position, Judged] = {}
    for one in done:
        status, codes = states.get(one.accession, (None, ()))
        if recorded.get(one.id) == one.place:
            found[one.place] = Judged("recorded", None, None, status, codes)
        elif one.place in refused:
            found[one.place] = Judged("quarantined", *refused[one.place], status, codes)
        else:
            found[one.place] = Judged("duplicate", None, None, status, codes)
    return [found.get(one.place) for one in asked]


def _refused(connection: Connection, places: Collection[Position]) -> dict[Position, tuple[str, str]]:
    q = quarantine.c
    found = {}
    for (topic, partition), group in itertools.groupby(sorted(places), key=lambda place: place[:2]):
        rows = connection.execute(
            select(q.offset, q.reason, q.detail).where(
                q.topic == topic, q.partition == partition, q.offset.in_([place.offset for place in group])
            )
        )
        found.update({Position(topic, partition, offset): (reason, detail) for offset, reason, detail in rows})
    return found


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
