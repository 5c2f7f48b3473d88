"""What machines ask of a process: is it alive, is it ready, how is it doing. The same on workers and stations."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from agents.metrics.state import exposition
from models.alerts.sweep import LastSweep, last_sweep
from models.database.engine import reading
from models.rules.times import utc_text

READY_SECONDS_MAX = 5.0
Problems = Callable[[], Awaitable[Sequence[str]]]


def health_routes(
    registry: CollectorRegistry, alive: Callable[[], bool], problems: Problems, engine: Engine
) -> list[HTTPRouteHandler]:
    """`/healthz`, `/readyz` and `/metrics`, for a Litestar app.

    `/readyz` also says when the last complete sweep was (`last_sweep`, null: there was none yet) and how many cases
    it could not judge (`unjudged_cases`). The process serves all the same: alerts on that are the sweep's own rules.

    `alive`: whether the process still does its work; if not, it should be restarted. `problems`: why it can't
    serve now, one line each, none when it can; not answered within READY_SECONDS_MAX is a problem too.
    """

    @get("/healthz", summary="Whether the process works; if not, start it again")
    async def healthz() -> Response[dict[str, bool]]:
        works = alive()
        return Response({"alive": works}, status_code=200 if works else 503)

    @get("/readyz", summary="Whether it can serve now, and if not why")
    async def readyz() -> Response[dict[str, object]]:
        try:
            found = list(await asyncio.wait_for(problems(), READY_SECONDS_MAX))
        except TimeoutError:
            found = [f"no answer from log and database within {READY_SECONDS_MAX:g} s"]
        last = None if found else await asyncio.to_thread(_last_sweep, engine)
        answer = {
            "ready": not found,
            "problems": found,
            "last_sweep": utc_text(last.complete_us) if last else None,
            "unjudged_cases": last.failures if last else 0,
        }
        return Response(answer, status_code=503 if found else 200)

    @get("/metrics", summary="For Prometheus")
    async def metrics() -> Response[bytes]:
        return Response(await exposition(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return [healthz, readyz, metrics]


def _last_sweep(engine: Engine) -> LastSweep | None:
    try:
        with reading(engine) as connection:
            return last_sweep(connection)
    except SQLAlchemyError:  # whether the database answers is for `problems` to say
        return None


def health_app(
    registry: CollectorRegistry, alive: Callable[[], bool], problems: Problems, engine: Engine
) -> Litestar:
    """A web application with these three alone: what a worker serves."""
    return Litestar(health_routes(registry, alive, problems, engine), openapi_config=None, logging_config=None)
