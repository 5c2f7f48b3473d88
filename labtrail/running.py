"""One process at work: agents, web and metrics in one event loop, until a signal or a fault ends it."""

import asyncio
import logging
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import uvicorn
from litestar import Litestar
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agents.log.port import EventLog
from agents.metrics.reader import watch_state
from agents.service import Service
from config.catalog import Catalog, load_catalog
from config.clock import now_us
from config.errors import LabtrailError
from config.settings import Settings
from labtrail.demo import live_clinics
from labtrail.shared import CommandError, database_for, log_for, say
from labtrail.stopping import heed
from models.database.migrate import require_current
from station.app import create_app, end_streams
from station.auth.demo_people import create_demo_people
from station.health import health_app

WEB_STOP_SECONDS = 3
_NOISY = ("faust", "mode", "aiokafka", "kafka", "alembic", "asyncio", "uvicorn", "embedded")


class Server(uvicorn.Server):
    """Uvicorn without signal handlers of its own: this module ends everything together."""

    def capture_signals(self) -> Any:
        return nullcontext()


class Process:
    """What one process has open. `service` None: it only serves the web."""

    def __init__(self, settings: Settings, engine: Engine, log: EventLog, *, work: bool) -> None:
        self.settings, self.engine, self.log = settings, engine, log
        self.catalog: Catalog = load_catalog(settings.catalog)
        self.registry = CollectorRegistry()
        watch_state(self.registry, engine, log, self.catalog, settings.policy, now_us)
        self.service: Service | None = None
        if work:
            self.service = Service(settings, self.catalog, engine, log, self.registry)

    def web(self, *, pages: bool) -> Litestar:
        """What it serves: the station, or health and metrics alone."""
        if not pages:
            return health_app(self.registry, self.alive, self.problems, self.engine)
        return create_app(
            self.settings,
            self.catalog,
            self.engine,
            self.log,
            registry=self.registry,
            alive=self.alive,
            problems=self.problems,
            committed=self.service.committed if self.service else None,
        )

    def alive(self) -> bool:
        return self.service is None or self.service.alive

    async def problems(self) -> Sequence[str]:
        """Why the process can't serve now."""
        return await asyncio.to_thread(self._problems)

    def _problems(self) -> list[str]:
        found = [] if self.alive() else ["the agents do not run"]
        try:
            require_current(self.engine)
            self.log.ends()
        except SQLAlchemyError as fault:
            found.append(f"the database can't be reached ({type(fault).__name__}): look at LABTRAIL_DATABASE")
        except LabtrailError as fault:
            found.append(str(fault))
        return found


async def run(settings: Settings, *, work: bool, pages: bool, demo: bool = False) -> None:
    """Run until SIGINT or SIGTERM, which end it within ten seconds. Raises CommandError on a fault.

    `work`: with the agents. `pages`: with the station. `demo`: with simulated clinics and people to sign in as.
    """
    with database_for(settings) as engine, log_for(settings) as log, _listener(settings) as listener:
        process = Process(settings, engine, log, work=work)
        web = process.web(pages=pages)
        server = Server(
            uvicorn.Config(
                web,
                log_config=None,
                access_log=False,
                lifespan="on",
                server_header=False,
                timeout_graceful_shutdown=WEB_STOP_SECONDS,
            )
        )
        stopping = _signals()
        tasks = [asyncio.create_task(server.serve([listener]), name="the web server")]
        try:
            if process.service is not None:
                await process.service.start()
                tasks.append(asyncio.create_task(_until_failed(process.service), name="the agents"))
            address = _address(listener)
            lines = [
                f"Labtrail is up at {address}",
                f"  metrics    {address}/metrics",
                f"  home       {settings.data}",
            ]
            if demo:
                tasks.append(asyncio.create_task(live_clinics(process.catalog, engine, log), name="the demo"))
                people = await asyncio.to_thread(create_demo_people, engine, settings, process.catalog, now_us())
                lines += people.lines(address)
            print("\n".join([*lines, "  stop it    Ctrl-C"]), flush=True)  # noqa: T201 - for the person who started it
            await _until_ended(stopping, tasks)
        finally:
            end_streams(web)
            server.should_exit = True
            for task in tasks[1:]:
                task.cancel()
            ending: list[Awaitable[Any]] = list(tasks)
            if process.service is not None:
                ending.append(process.service.stop())
            await asyncio.gather(*ending, return_exceptions=True)
    say("labtrail: stopped; nothing is lost")


def _signals() -> asyncio.Event:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def stop() -> None:
        stopping.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        say("labtrail: stopping")

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    heed()
    return stopping


async def _until_failed(service: Service) -> None:
    fault = await service.failed()
    raise CommandError(f"an agent has failed ({fault}): nothing is lost; mend it and start again") from fault


async def _until_ended(stopping: asyncio.Event, tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Return at a signal; raise when one of the tasks ends first."""
    waiting = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if waiting in done:
        return
    waiting.cancel()
    ended = done.pop()
    ended.result()
    raise CommandError(f"{ended.get_name()} ended by itself: see the log above")


@contextmanager
def _listener(settings: Settings) -> Iterator[socket.socket]:
    """The socket on which the web is served. Raises CommandError when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
    except OSError as fault:
        raise CommandError(
            f"{settings.host} port {settings.port} can't be had ({fault.strerror}): give another one by --port "
            "or LABTRAIL_PORT"
        ) from fault
    with listener:
        # asyncio does this for sockets that it makes; without it an answer's second packet waits some 40 ms
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class _UtcFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)


def log_to_stderr(level: str) -> None:
    """The service's log, a line each, with the time in UTC; libraries only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_UtcFormatter("%(asctime)s UTC %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(level if level == "DEBUG" else logging.WARNING)
