"""The agent of `lab.specimens`: orders, custody, results. A shell around one transaction per batch."""

from collections.abc import Callable
from typing import Any

from agents.committing import Committer
from agents.stream_agents import Fault, keep


def specimens(committer: Committer, on_fault: Fault) -> Callable[[Any], Any]:
    """The agent's body: what happened to specimens, from the log into custody, results and the ledger."""

    async def agent(stream: Any) -> None:
        await keep(stream, committer, on_fault)

    return agent
