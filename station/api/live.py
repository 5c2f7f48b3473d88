"""The live board: server-sent events that say "something has changed", so that pages refresh.

One query serves every screen; a slow screen skips states, never the newest one. No patient's data is
sent: only counts.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
from litestar.response import ServerSentEventMessage
from sqlalchemy.exc import SQLAlchemyError

from config.errors import LabtrailError
from config.messages import Message
from embedded.waiting import set_within
from models.views.board import BoardState, board_state
from station.services import Services

CLIENTS_MAX = 100
LOOK_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
RETRY_MS = 3000
log = logging.getLogger(__name__)


class BoardFull(LabtrailError):
    """Too many screens are open."""


class Board:
    """Notifies every open screen when something has changed. Use from one event loop."""

    def __init__(self, station: Services) -> None:
        self._station = station
        self._screens: set[asyncio.Event] = set()
        self._latest: BoardState | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closing = False

    async def follow(self, still: Callable[[], Awaitable[bool]]) -> AsyncIterator[ServerSentEventMessage]:
        """The stream of one screen, from the current state on; it ends when `still` says that the session is over."""
        woken = asyncio.Event()
        self._screens.add(woken)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            if self._latest is not None:
                woken.set()
            yield ServerSentEventMessage(data=None, comment="labtrail", retry=RETRY_MS)
            while not self._closing:
                await set_within(woken, HEARTBEAT_SECONDS)
                if not await still():
                    yield ServerSentEventMessage(event="over", data="sign in again")
                    return
                if woken.is_set():
                    woken.clear()
                    yield ServerSentEventMessage(event="changed", data=msgspec.json.encode(self._latest).decode())
                else:
                    yield ServerSentEventMessage(data=None, comment="still here")
        finally:
            self._screens.discard(woken)

    def admit(self) -> None:
        """Raises BoardFull when no more screens may follow."""
        if len(self._screens) >= CLIENTS_MAX:
            raise BoardFull(
                Message("{n} screens follow already: close one, or look at the page without following", n=CLIENTS_MAX)
            )

    def close(self) -> None:
        """End every stream: the station stops."""
        self._closing = True
        for woken in self._screens:
            woken.set()
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            while self._screens:
                try:
                    now = await self._station.read(board_state)
                except SQLAlchemyError as fault:
                    log.warning("the board can't be read (%s): trying again", type(fault).__name__)
                else:
                    if now != self._latest:
                        self._latest = now
                        for woken in self._screens:
                            woken.set()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._looking = None
