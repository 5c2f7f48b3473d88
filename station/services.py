"""What every handler of the station works with, made once by `station.app.create_app`.

It knows nothing of sign-in, API or pages: their own parts (sessions, the audit trail, the board's stream …) are
dependencies of the handlers that need them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeAlias, TypeVar

from litestar.di import NamedDependency
from sqlalchemy import Connection, Engine

from agents.log.port import EventLog
from config.catalog import Catalog
from config.settings import Settings
from models.database.engine import reading, writing

THREADS_MAX = 12
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """A running station: what it was given, and its threads for blocking calls. `clock`: microseconds since 1970."""

    settings: Settings
    catalog: Catalog
    engine: Engine
    log: EventLog
    clock: Callable[[], int]
    threads: ThreadPoolExecutor

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in one of the station's threads."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: function(*args, **kwargs))

    async def read(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(connection, …)` in one read transaction, in a thread."""

        def call() -> T:
            with reading(self.engine) as connection:
                return function(connection, *args, **kwargs)

        return await self.run(call)

    async def write(self, function: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`function(connection, …)` in one write transaction, in a thread. Not for evidence: that is the store's."""

        def call() -> T:
            with writing(self.engine) as connection:
                return function(connection, *args, **kwargs)

        return await self.run(call)


Station: TypeAlias = NamedDependency[Services]
"""The type of a handler's argument `station`: Litestar injects it."""
