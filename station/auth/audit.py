"""The audit trail's writer: what waits is written in one transaction, a read is answered once it is on record."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from sqlalchemy import Engine

from config.errors import LabtrailError
from models.database.engine import writing
from models.people.audit import Entry, note

WAITING_MAX = 10_000
BATCH_MAX = 500


class AuditBusy(LabtrailError):
    """More is to be noted than the database takes; try again shortly."""


class AuditTrail:
    """Groups entries of requests that come at the same time. Use from one event loop."""

    def __init__(self, engine: Engine, threads: Executor) -> None:
        self._engine, self._threads = engine, threads
        self._waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def note(self, entry: Entry) -> None:
        """Returns when the entry is durable. Raises what the database raises, AuditBusy when too many wait."""
        if len(self._waiting) >= WAITING_MAX:
            raise AuditBusy("too many requests at once: try again in a few seconds")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
                await self._write(batch)
        finally:
            self._writer = None

    async def _write(self, batch: Sequence[tuple[Entry, asyncio.Future[None]]]) -> None:
        entries = [entry for entry, _ in batch]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, _note, self._engine, entries)
        except Exception as fault:  # noqa: BLE001 - handed to each request that waits for it
            _settle(batch, fault)
        else:
            _settle(batch, None)


def _settle(batch: Sequence[tuple[Entry, asyncio.Future[None]]], fault: Exception | None) -> None:
    for _, done in batch:
        if done.done():  # the request was given up
            continue
        if fault is None:
            done.set_result(None)
        else:
            done.set_exception(fault)


def _note(engine: Engine, entries: Sequence[Entry]) -> None:
    with writing(engine) as connection:
        note(connection, entries)
