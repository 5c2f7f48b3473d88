"""What machines ask of a process: is it alive, is it ready, how is it doing. The same on workers and stations."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from agents.metrics.state import exposition

READY_SECONDS_MAX = 5.0
Problems = Callable[[], Awaitable[Sequence[str]]]


def health_routes(
    registry: CollectorRegistry, alive: Callable[[], bool], problems: Problems
) -> list[HTTPRouteHandler]:
    """`/healthz`, `/readyz` and `/metrics`, for a Litestar app.

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
        return Response({"ready": not found, "problems": found}, status_code=503 if found else 200)

    @get("/metrics", summary="For Prometheus")
    async def metrics() -> Response[bytes]:
        return Response(await exposition(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return [healthz, readyz, metrics]


def health_app(registry: CollectorRegistry, alive: Callable[[], bool], problems: Problems) -> Litestar:
    """A web application with these three alone: what a worker serves."""
    return Litestar(health_routes(registry, alive, problems), openapi_config=None, logging_config=None)
