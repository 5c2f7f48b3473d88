"""The agent of `lab.supplies`: receipts, uses, counts, transfers, recalls. A shell around a transaction."""

from collections.abc import Callable
from typing import Any

from agents.committing import Committer
from agents.stream_agents import Fault, keep


def supplies(committer: Committer, on_fault: Fault) -> Callable[[Any], Any]:
    """The agent's body: what happened to supplies, from the log into stock, lots and the ledger."""

    async def agent(stream: Any) -> None:
        await keep(stream, committer, on_fault)

    return agent
