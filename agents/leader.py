"""The leader's timers: opening alerts for what is late, adding new events to the tree, signing checkpoints."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from agents.ledger.checkpoints import take_checkpoint
from agents.ledger.signing import load_or_make_key
from agents.metrics.definitions import WorkerMetrics
from config.catalog import Catalog
from config.settings import Settings
from models.alerts.sweep import sweep
from models.database.engine import reading, writing
from models.ledger import tree

log = logging.getLogger(__name__)
STEPS_MAX = 1000
LEAVES_PER_STEP = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class Leader:
    """The leader's jobs and what they need. `clock` gives microseconds since 1970."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    metrics: WorkerMetrics
    clock: Callable[[], int]

    def sweep(self) -> None:
        """Open, resolve and escalate alerts as of now."""
        for _ in range(STEPS_MAX):
            swept = sweep(self.engine, self.catalog, self.settings.policy, self.clock())
            if not swept.more:
                break

    def grow_tree(self) -> None:
        """Add new events to the tree as leaves."""
        for _ in range(STEPS_MAX):
            with reading(self.engine) as connection:
                if not tree.has_new_events(connection):
                    return
            with writing(self.engine) as connection:
                tree.extend(connection, LEAVES_PER_STEP)

    def checkpoint(self) -> None:
        """Sign the current tree, to be copied off the machine."""
        self.grow_tree()
        key = load_or_make_key(self.settings.signing_key_file)
        take_checkpoint(self.engine, self.settings.checkpoint_folder, key, self.clock())

    def add_timers(self, app: Any) -> None:
        """Register the timers, which fire on the leader only; an error is logged, and the next round tries again."""
        for interval, work in (
            (self.settings.sweep_seconds, self.sweep),
            (self.settings.sweep_seconds, self.grow_tree),
            (self.settings.checkpoint_seconds, self.checkpoint),
        ):
            app.timer(interval=interval, on_leader=True, name=f"agents.leader.{work.__name__}")(_safely(work))


def _safely(work: Callable[[], None]) -> Callable[[Any], Any]:
    async def timer(_: Any) -> None:
        try:
            await asyncio.to_thread(work)
        except Exception:
            log.exception("%s failed: it is tried again in the next round", work.__name__)

    return timer
