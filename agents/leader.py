"""The leader's timers: what is late becomes an alert, what is recorded becomes leaves and signed checkpoints."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agents.ledger.checkpoints import take_checkpoint
from agents.ledger.signing import load_or_make_key
from models.alerts.sweep import sweep
from models.database.engine import reading, writing
from models.ledger import tree

if TYPE_CHECKING:
    from agents.service import Service

log = logging.getLogger(__name__)
STEPS_MAX = 1000
LEAVES_PER_STEP = 2000


def sweep_all(service: "Service") -> None:
    """Open, resolve and escalate alerts as of now; note that it was done."""
    for _ in range(STEPS_MAX):
        swept = sweep(service.engine, service.catalog, service.settings.policy, service.clock())
        if not swept.more:
            break
    service.metrics.swept(service.clock())


def grow_tree(service: "Service") -> None:
    """Give new events their leaves."""
    for _ in range(STEPS_MAX):
        with reading(service.engine) as connection:
            if not tree.has_new_events(connection):
                return
        with writing(service.engine) as connection:
            tree.extend(connection, LEAVES_PER_STEP)


def checkpoint(service: "Service") -> None:
    """Sign the tree as it stands, for carrying off the machine."""
    grow_tree(service)
    key = load_or_make_key(service.settings.signing_key_file)
    take_checkpoint(service.engine, service.settings.checkpoint_folder, key, service.clock())


def add_timers(app: Any, service: "Service") -> None:
    """Register the timers. Only the leader's fire; a fault is logged, and the next round tries again."""
    for interval, work in (
        (service.settings.sweep_seconds, sweep_all),
        (service.settings.sweep_seconds, grow_tree),
        (service.settings.checkpoint_seconds, checkpoint),
    ):
        app.timer(interval=interval, on_leader=True, name=f"agents.leader.{work.__name__}")(_safely(work, service))


def _safely(work: Callable[["Service"], None], service: "Service") -> Callable[[Any], Any]:
    async def timer(_: Any) -> None:
        try:
            await asyncio.to_thread(work, service)
        except Exception:
            log.exception("%s failed: it is tried again in the next round", work.__name__)

    return timer
