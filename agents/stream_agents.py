"""The two stream agents: from the log into the tables. Each takes the pending events, commits and acknowledges them.

| agent | topic | events |
|---|---|---|
| specimens | `lab.specimens` | `order.*`, `specimen.*`, `result.*` and their voids: custody, results, the ledger |
| supplies | `lab.supplies` | `supply.*` and their voids: stock, lots, recalls, the ledger |

The store decides by an event's content which tables it changes, not by its topic: a collection uses supplies too.
No exception leaves an agent: Faust would then acknowledge its events. When a batch can't be committed, the fault is
passed to the service, which stops; the agent waits for that with the batch unacknowledged.
"""

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any

from faust.types import AppT

from agents.committing import BATCH_MAX, Committer
from embedded.batches import acknowledge, batches
from models.recording.evidence import Record
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC

AGENTS = {"specimens": SPECIMENS_TOPIC, "supplies": SUPPLIES_TOPIC}
"""By agent, the topic that it consumes."""
Fault = Callable[[BaseException], None]


def add_agents(app: AppT, partitions: int, committer: Committer, on_fault: Fault) -> None:
    """One agent per topic, concurrency 1: partitions give the parallelism.

    `on_fault(exception)` is called when an agent can't go on: it then waits, with its batch unacknowledged.
    """

    async def commit_stream(stream: Any) -> None:
        await commit_all(stream, committer, on_fault)

    for topic_name in AGENTS.values():
        topic = app.topic(
            topic_name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=partitions,
        )
        app.agent(topic, name=f"agents.{topic_name}", concurrency=1)(commit_stream)


async def commit_all(stream: AsyncIterable[Any], committer: Committer, on_fault: Fault) -> None:
    """Commit a stream's records batch by batch, until the agent is cancelled."""
    async for events in batches(stream, BATCH_MAX):
        records = [
            Record(m.topic, m.partition, m.offset, m.value or b"", round(m.timestamp * 1e6))
            for m in (event.message for event in events)
        ]
        try:
            await committer.commit(records)
        except Exception as fault:  # noqa: BLE001 - none may escape; the service stops on it
            on_fault(fault)
            await asyncio.Event().wait()
        acknowledge(events)
