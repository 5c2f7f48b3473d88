"""How many PINs are checked at a time: each takes 19 MiB and tens of milliseconds of a core."""

import asyncio

from station.auth.pins import Pins
from station.problems import Refusal
from station.services import Services

AT_ONCE_MAX = 2
WAITING_MAX = 50


class Gate:
    """Checks a few PINs at a time, lets a bounded number wait, and rejects the rest."""

    def __init__(self, pins: Pins, station: Services) -> None:
        self._pins, self._station = pins, station
        self._free = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def pin_is_right(self, pin: str, stored: str | None) -> bool:
        """As `Pins.pin_is_right`. Raises Refusal (503) when too many wait."""
        if self._waiting >= WAITING_MAX:
            raise Refusal(503, "too many people sign in at once: try again in a few seconds", retry_after_s=3)
        self._waiting += 1
        try:
            async with self._free:
                return await self._station.run(self._pins.pin_is_right, pin, stored)
        finally:
            self._waiting -= 1
