"""`labtrail up --demo`: simulated clinics that send their events as they come due."""

import asyncio
from collections.abc import Iterator

from sqlalchemy import Engine

from agents.log.port import EventLog, NewRecord
from config.catalog import Catalog
from config.clock import now_us
from labtrail.simulator.simulation import Due, live
from labtrail.simulator.world import SERIAL_FIRST, SERIAL_STEP_MAX
from models.database.engine import reading
from models.rules.events import route
from models.views.health import event_count

SPEED = 10.0
"""Times as fast as the clock: something happens every few seconds."""
APPEND_RECORDS_MAX = 500
SPARE_NUMBERS = 10_000
"""For orders and tubes that were sent before and are not in the tables yet."""


async def live_clinics(catalog: Catalog, engine: Engine, log: EventLog) -> None:
    """Send events until cancelled: the last three hours at once, then each when it is due."""
    stream = await asyncio.to_thread(_stream, catalog, engine)
    batch: list[bytes] = []
    while True:
        due_us, raw = await asyncio.to_thread(next, stream)
        wait_s = (due_us - now_us()) / 1e6
        if batch and (wait_s > 0 or len(batch) >= APPEND_RECORDS_MAX):
            await asyncio.to_thread(log.append, [NewRecord(*route(line), line) for line in batch])
            batch.clear()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        batch.append(raw)


def _stream(catalog: Catalog, engine: Engine) -> Iterator[Due]:
    """Another stream at each start: new people, orders and tubes, beside those that are there already."""
    with reading(engine) as connection:
        count = event_count(connection)
    numbers_from = SERIAL_FIRST + (SERIAL_STEP_MAX * count + SPARE_NUMBERS if count else 0)
    now = now_us()
    return live(catalog, now_us=now, seed=now, speed=SPEED, numbers_from=numbers_from)
