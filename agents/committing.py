"""Committing: writes the log into the tables batch by batch, in a thread, without losing any.

Batches that several agents submit while a commit is under way are committed together by the next one: a clinic's
collections and the supplies used for them reach the tables together, in fewer transactions.

A database error is retried in place with back-off. If it persists, the worker stops without acknowledging the batch,
which is then redelivered. A single record that can't be recorded goes into quarantine, and the rest goes on.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from agents.metrics.definitions import WorkerMetrics
from config.errors import LabtrailError
from config.messages import Message
from embedded.batcher import Batcher
from models.recording.evidence import Outcome, Record
from models.recording.store import Store

log = logging.getLogger(__name__)
BATCH_MAX = 5000
"""Of one agent: more than its stream's buffer holds (agents/app.py), so that what was read together is committed
together."""
WAITING_MAX = 100
"""Batches queued behind the commit under way; an agent submits one at a time."""
RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 5.0
# passes on its own or once somebody fixes it: the database is down, busy, full, read-only, or denies a permission
TRANSIENT = (DBAPIError, PoolTimeout)
# can be caused by the content of a record
OF_A_RECORD = (DataError, IntegrityError)
RACES_MAX = 3
"""Attempts for a batch that violates a unique key, as when another worker has just recorded the same event."""


class CommitError(LabtrailError):
    """The tables could not be written for too long: the worker stops; nothing is lost."""


class Committer:
    """Commits batches one at a time. All agents of a process share one committer and its thread."""

    def __init__(
        self,
        store: Store,
        metrics: WorkerMetrics,
        *,
        clock: Callable[[], int],
        give_up_seconds: float,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` gives microseconds since 1970. `on_commit` is called in the event loop after each commit."""
        self.store, self.metrics, self.clock = store, metrics, clock
        self.give_up_seconds, self.on_commit = give_up_seconds, on_commit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._batches = Batcher(self._commit_all, name="committing", waiting_max=WAITING_MAX)

    async def commit(self, records: Sequence[Record]) -> None:
        """Return when every record is durable in the tables. Raises CommitError when that takes too long."""
        await self._batches.ask(records)

    async def _commit_all(self, batches: Sequence[Sequence[Record]]) -> Sequence[None]:
        await self._commit([record for records in batches for record in records])
        return [None] * len(batches)

    async def _commit(self, records: Sequence[Record]) -> None:
        waited, pause = 0.0, RETRY_SECONDS_FIRST
        loop = asyncio.get_running_loop()
        while True:
            try:
                outcomes = await loop.run_in_executor(self._thread, self._attempt, records)
                break
            except TRANSIENT as fault:
                if waited >= self.give_up_seconds:
                    raise CommitError(
                        f"the database has refused for {waited:.0f} s ({_brief(fault)}): mend it, then start the "
                        "worker again; no event is lost"
                    ) from fault
                log.warning("the database refused (%s): trying again in %.2f s", _brief(fault), pause)
                self.metrics.store_retried()
                await asyncio.sleep(pause)
                waited, pause = waited + pause, min(2 * pause, RETRY_SECONDS_MAX)
        self.metrics.committed(outcomes, self.clock())
        self.on_commit()

    def _attempt(self, records: Sequence[Record], races: int = 1) -> list[Outcome]:
        try:
            return self.store.commit(records, self.clock())
        except Exception as fault:  # an error that one record causes must not stop the others
            if isinstance(fault, TRANSIENT) and not isinstance(fault, OF_A_RECORD):
                raise
            if isinstance(fault, IntegrityError) and races < RACES_MAX:
                return self._attempt(records, races + 1)
            if len(records) == 1:
                record = records[0]
                log.exception("%s/%s offset %s can't be recorded", record.topic, record.partition, record.offset)
                return [
                    self.store.refuse(record, Message("could not be recorded: {fault}", fault=type(fault).__name__))
                ]
            middle = len(records) // 2
            return self._attempt(records[:middle]) + self._attempt(records[middle:])

    async def close(self) -> None:
        """Wait for the commit under way, but not for one that is to be retried."""
        await self._batches.close()
        await asyncio.to_thread(self._thread.shutdown, wait=True)


def _brief(fault: Exception) -> str:
    """The driver's error message, without the statement and its values: those may name a patient."""
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    return f"{type(cause).__name__}: {str(cause).splitlines()[0][:200] if str(cause) else ''}"
