"""Waiting for an event, but not longer than so many seconds."""

import asyncio
from contextlib import suppress


async def set_within(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or after `seconds`."""
    with suppress(TimeoutError):
        # wait_for of Python 3.11 swallows a cancellation that arrives with the wake-up: a stop would hang
        async with asyncio.timeout(seconds):
            await event.wait()
