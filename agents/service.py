"""The service of one worker: Faust app, committer, outbox, leader's timers. Runs inside one event loop."""

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from agents import outbox
from agents.app import make_app
from agents.committing import Committer
from agents.leader import Leader
from agents.log.port import EventLog
from agents.metrics.definitions import WorkerMetrics
from agents.printing import Printing
from agents.stream_agents import add_agents
from config.catalog import Catalog
from config.clock import now_us
from config.settings import Settings
from embedded.waiting import set_within
from models.recording.store import Store

log = logging.getLogger(__name__)
STOP_SECONDS_MAX = 9.0
SWITCH_SECONDS = 0.0005
"""How long a thread that computes (a label, a page) may hold the GIL. A commit waits for it after every statement;
with Python's 5 ms the slowest hundredth of the commits took a third longer."""
WATCH_SECONDS = 0.5
GATHER_SECONDS = 0.2
"""Effects of several commits within this time are sent together: otherwise a read of the outbox follows each commit
and competes with the next one."""


class Service:
    """One worker. `start`, then wait for `failed`; `stop` finishes what is being worked on."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        engine: Engine,
        eventlog: EventLog,
        registry: CollectorRegistry,
        *,
        clock: Callable[[], int] = now_us,
    ) -> None:
        self.settings, self.catalog, self.engine, self.eventlog = settings, catalog, engine, eventlog
        self.clock = clock
        self.metrics = WorkerMetrics(registry, catalog)
        store = Store(
            engine,
            catalog,
            settings.policy,
            outside=settings.outside,
            print_on_collection=settings.print_on_collection,
            observer=self.metrics,
        )
        self.committer = Committer(
            store,
            self.metrics,
            clock=clock,
            give_up_seconds=settings.store_retry_seconds,
            on_commit=self._committed,
        )
        self.printing = Printing(settings, catalog, engine, eventlog, clock)
        self.app = make_app(settings)
        self.committed = asyncio.Event()
        """Set after each commit of this process; the waiter clears it."""
        self._wake_outbox = asyncio.Event()
        self._fault: asyncio.Future[BaseException] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Join the consumer group and start. Returns when the agents run."""
        self._fault = asyncio.get_running_loop().create_future()
        add_agents(self.app, self.settings.partitions, self.committer, self.fail)
        leader = Leader(
            settings=self.settings,
            catalog=self.catalog,
            engine=self.engine,
            metrics=self.metrics,
            clock=self.clock,
        )
        leader.add_timers(self.app)
        self.app.finalize()
        await self.app.start()
        await asyncio.to_thread(self.printing.start)
        gc.collect()
        gc.freeze()  # objects loaded by now stay alive: scanning them in every collection took a fifth of all time
        sys.setswitchinterval(SWITCH_SECONDS)
        self._tasks = [
            asyncio.create_task(self._repeat(self._send_outbox), name="outbox"),
            asyncio.create_task(self._watch(), name="watch"),
        ]

    def fail(self, fault: BaseException) -> None:
        """Report that something can't go on to those who await `failed`; only the first fault counts."""
        log.error("%s", fault)
        if self._fault is not None and not self._fault.done():
            self._fault.set_result(fault)

    async def failed(self) -> BaseException:
        """Wait until an agent, a timer or the consumer has failed; returns the first fault."""
        if self._fault is None:
            raise RuntimeError("the service has not been started")
        return await asyncio.shield(self._fault)

    @property
    def alive(self) -> bool:
        """Whether the agents run and none has failed."""
        faulty = self._fault is None or self._fault.done()
        return self.app.started and not self.app.crashed and not self.app.should_stop and not faulty

    async def stop(self) -> None:
        """Finish the batch under way, commit its offsets, leave the group; within about ten seconds."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self.app.stop(), STOP_SECONDS_MAX)
        except TimeoutError:
            log.warning("stopped before every batch was acknowledged: those come again, nothing is lost")
        await self.committer.close()
        await asyncio.to_thread(self.printing.close)

    def _committed(self) -> None:
        self.committed.set()
        self._wake_outbox.set()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until cancelled; an error is logged and the step retried, it never stops the service."""
        pause = self.settings.sweep_seconds
        while True:
            try:
                await step()
            except Exception:
                log.exception("trying again in %.1f s", pause)
                await asyncio.sleep(pause)

    async def _send_outbox(self) -> None:
        await set_within(self._wake_outbox, self.settings.sweep_seconds)
        await asyncio.sleep(GATHER_SECONDS)
        self._wake_outbox.clear()
        limit = self.settings.outbox_batch
        sent = limit
        while sent == limit:
            sent = await asyncio.to_thread(
                outbox.send, self.engine, self.eventlog, self.printing.queue, self.clock(), limit
            )
            if sent:
                self.printing.wake()

    async def _watch(self) -> None:
        """Stop the process when a Faust service has crashed: half a service does more harm than none."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self.app.crashed:
                reason = self.app.crash_reason if hasattr(self.app, "crash_reason") else None
                self.fail(reason or RuntimeError("the Faust app has crashed: see the log above"))
                return
