"""The station: one Litestar application, wired here.

Everything that it serves states who may call it (`station/auth/access.py`); a route that does not prevents the start.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, Reference, SecurityScheme
from litestar.routes import HTTPRoute
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agents.log.port import EventLog
from agents.metrics.reader import watch_state
from config.catalog import Catalog
from config.clock import now_us
from config.errors import LabtrailError
from config.settings import Settings
from models.database.migrate import require_current
from station.api import alerts, events, near_misses, notifications, numbers, reads, session
from station.api.live import Board
from station.api.openapi import Document
from station.api.outcomes import Outcomes
from station.auth.access import access_of, public
from station.auth.audit import AuditTrail
from station.auth.gate import Gate
from station.auth.guard import Guard
from station.auth.pins import Pins
from station.auth.session import session_of
from station.auth.sessions import Sessions
from station.auth.sign_in import Authenticator
from station.health import Problems, health_routes
from station.languages.language import teller_of
from station.pages.render import refused
from station.pages.routes import routes
from station.problems import handlers
from station.protection import Protection
from station.services import THREADS_MAX, Services

BODY_BYTES_MAX = 64 * 1024
API = (events, reads, alerts, notifications, session, near_misses, numbers)


def create_app(
    settings: Settings,
    catalog: Catalog,
    engine: Engine,
    log: EventLog,
    *,
    clock: Callable[[], int] | None = None,
    registry: CollectorRegistry | None = None,
    alive: Callable[[], bool] = lambda: True,
    problems: Problems | None = None,
    committed: asyncio.Event | None = None,
) -> Litestar:
    """The whole web application: API, pages, health, metrics. It opens nothing and closes nothing that it is given.

    `registry`: what `/metrics` shows; None: the state of the lab, read from the database. `alive`, `problems`: as for
    `station.health.health_routes`; None: database reachable and migrated, log reachable. `committed`: set after each
    commit of agents in this process; None: they run elsewhere. Raises LabtrailError for a route that doesn't state
    who may call it.
    """
    now = clock or now_us
    if registry is None:
        registry = CollectorRegistry()
        watch_state(registry, engine, log, catalog, settings.policy, now)
    threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="station")
    station = Services(settings=settings, catalog=catalog, engine=engine, log=log, clock=now, threads=threads)
    sessions, audit, board = Sessions(station), AuditTrail(station), Board(station)
    gate = Gate(Pins(settings.pepper), station)
    app = Litestar(
        route_handlers=_routes(registry, alive, problems or _problems(station), engine),
        dependencies={
            "session": Provide(session_of, sync_to_thread=False),
            "station": _given(station),
            "sessions": _given(sessions),
            "audit": _given(audit),
            "authenticator": _given(Authenticator(station, gate, sessions, audit)),
            "outcomes": _given(Outcomes(station, committed)),
            "board": _given(board),
        },
        guards=[Guard(station, sessions, audit).check],
        exception_handlers=handlers(refused, teller_of),
        openapi_config=_openapi(),
        request_max_body_size=BODY_BYTES_MAX,
        state=State({"station": station, "board": board}),
        lifespan=[_lifespan],
        logging_config=None,
        multipart_form_part_limit=50,
    )
    _require_access(app)
    # outermost: Litestar's own middleware does not see paths that no route has
    app.asgi_handler = Protection(app.asgi_handler, settings)
    return app


def _routes(registry: CollectorRegistry, alive: Callable[[], bool], problems: Problems, engine: Engine) -> list[Any]:
    health = health_routes(registry, alive, problems, engine)
    for route in health:
        route.opt["access"] = public()
    shown = Router(path="/", route_handlers=routes(), include_in_schema=False)
    return [*health, *(route for module in API for route in module.ROUTES), shown]


def _given(part: object) -> Provide:
    """A dependency of handlers that is the same for every request."""

    def give() -> Any:
        return part

    return Provide(give, sync_to_thread=False)


def _problems(station: Services) -> Callable[[], Awaitable[Sequence[str]]]:
    def look() -> list[str]:
        found = []
        try:
            require_current(station.engine)
        except SQLAlchemyError as fault:
            found.append(f"the database can't be reached ({type(fault).__name__}): look at LABTRAIL_DATABASE")
        except LabtrailError as fault:
            found.append(str(fault))
        try:
            station.log.ends()
        except LabtrailError as fault:
            found.append(str(fault))
        return found

    async def problems() -> Sequence[str]:
        return await station.run(look)

    return problems


def _openapi() -> OpenAPIConfig:
    schemes: dict[str, SecurityScheme | Reference] = {
        "token": SecurityScheme(type="http", scheme="bearer", description="Of an enrolled program."),
        "session": SecurityScheme(
            type="apiKey",
            name="labtrail-session",
            security_scheme_in="cookie",
            description="Set by POST /api/v1/session; `__Host-labtrail-session` where served by https.",
        ),
    }
    return OpenAPIConfig(
        title="Labtrail",
        version=version("labtrail"),
        description="Chain of custody for lab specimens, stock of clinic supplies. See docs/api.md.",
        components=Components(security_schemes=schemes),
        security=[{"token": []}, {"session": []}, {}],
        use_handler_docstrings=True,
        render_plugins=[Document(path=["/", "/openapi.json"])],
        openapi_router=Router(path="/schema", route_handlers=[], opt={"access": public()}),
    )


def _require_access(app: Litestar) -> None:
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            if access_of(handler) is None and handler.http_methods != {"OPTIONS"}:
                raise LabtrailError(
                    f"{route.path} does not say who may call it: give it access=requires(…) or public()"
                )


def end_streams(app: Litestar) -> None:
    """End the live streams of an app about to stop: they would never end. For an app without any: nothing."""
    board = app.state.get("board")
    if isinstance(board, Board):
        board.close()


@asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    station: Services = app.state.station
    try:
        yield
    finally:
        end_streams(app)
        station.threads.shutdown(wait=False, cancel_futures=True)
