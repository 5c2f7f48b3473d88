"""From a Faust stream into the tables: take what is waiting, commit it, acknowledge it.

No exception leaves: Faust would acknowledge the events that it was about. When a batch can't be committed, the fault
is handed to the service, which stops; the agent waits for that with the batch not acknowledged.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from agents.committing import BATCH_MAX, Committer
from embedded.batches import acknowledge, batches
from models.recording.evidence import Record

Fault = Callable[[BaseException], None]


async def keep(stream: Any, committer: Committer, on_fault: Fault) -> None:
    """Commit a stream's records batch by batch, for ever."""
    async for events in batches(stream, BATCH_MAX):
        records = [
            Record(m.topic, m.partition, m.offset, m.value or b"", round(m.timestamp * 1e6))
            for m in (event.message for event in events)
        ]
        try:
            await committer.commit(records)
        except Exception as fault:  # noqa: BLE001 - none may leave; the service stops on it
            on_fault(fault)
            await asyncio.Event().wait()
        acknowledge(events)
