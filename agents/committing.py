"""Committing: one batch of the log after another into the tables, in a thread, without losing any.

What several agents ask for while a commit is under way goes into the next one together: a clinic's collections and
what was used for them reach the tables in step, and fewer transactions serve the same events.

A fault of the database is retried in place with back-off. What lasts stops the worker, with the batch not
acknowledged: it comes again. A record that alone can't be recorded goes into quarantine, and the rest goes on.
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
"""Of one agent: more than its stream's buffer holds (agents/app.py), so that topics read in step are committed so."""
WAITING_MAX = 100
"""Batches that wait for the commit under way; an agent asks for one at a time."""
RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 5.0
# what passes by itself, or with somebody's help: the database is away, busy, full, read-only, or refuses a right
TRANSIENT = (DBAPIError, PoolTimeout)
# what the content of a record can bring about
OF_A_RECORD = (DataError, IntegrityError)
RACES_MAX = 3
"""Tries of a batch that breaks a unique key, as when another worker has just recorded the same event."""


class CommitError(LabtrailError):
    """The tables could not be written for so long that the worker stops; nothing is lost."""


class Committer:
    """Commits batches one at a time. All agents of a process share one, and its thread."""

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
        """Return when every record is durable in the tables. Raises CommitError when that can't be reached."""
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
        except Exception as fault:  # whatever one record makes happen must not stop the others
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
        """Wait for the commit under way; one that is to be tried again is not."""
        await self._batches.close()
        await asyncio.to_thread(self._thread.shutdown, wait=True)


def _brief(fault: Exception) -> str:
    """The driver's own words, without the statement and its values: those may name a patient."""
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    return f"{type(cause).__name__}: {str(cause).splitlines()[0][:200] if str(cause) else ''}"
