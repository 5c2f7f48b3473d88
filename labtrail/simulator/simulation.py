"""Simulated clinics: a believable stream of events, the same for the same seed.

`simulate` gives the events in the order in which they happened, `arrivals` in the order in which they came in (phones
that were offline deliver late, some deliver twice), `live` as they come due while a clock runs. The rules of a day
are in the modules beside this one: visits, couriers, lab, supplies, deliveries. No clock is read: the start is an
argument.
"""

from collections.abc import Iterator
from datetime import datetime
from heapq import heappop, heappush
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from config.catalog import Catalog
from labtrail.simulator.couriers import Couriers
from labtrail.simulator.deliveries import Deliveries
from labtrail.simulator.lab import Lab
from labtrail.simulator.stage import Happening, Stage
from labtrail.simulator.supplies import Stockroom
from labtrail.simulator.truth import Truth
from labtrail.simulator.visits import Visits
from labtrail.simulator.world import SERIAL_FIRST, SimulationError, World
from models.rules.times import DAY_US, HOUR_US, MINUTE_US, microseconds, moment_of

ORDERS_A_DAY = 32.0
DAYS_MAX = 3650
RESENT_SHARE = 0.03
"""The share of scans that arrive twice: the phone did not learn that the first had arrived."""
LIVE_HOURS_BEFORE = 3.0
"""How old the day is when a live simulation begins."""
_UTC = ZoneInfo("UTC")
_encode = msgspec.json.Encoder().encode


def simulate(
    catalog: Catalog,
    *,
    clinics: int | None = None,
    days: int = 1,
    seed: int = 1,
    start: datetime,
    orders: float = ORDERS_A_DAY,
    truth: Truth | None = None,
) -> Iterator[bytes]:
    """One JSON line (without its end) for each event of `days` times 24 hours from `start` on, by time of happening.

    `clinics`: only this many, the first of the catalog. `orders`: a day, at the average clinic. `truth`: filled with
    the expected outcome. Raises SimulationError, also for more clinics than there are (see `larger_catalog`).
    """
    write = Writer()
    for happening in _happenings(catalog, clinics, days, seed, start, orders, truth):
        yield write(happening, happening.time_us + happening.ahead_us)


def arrivals(
    catalog: Catalog,
    *,
    clinics: int | None = None,
    days: int = 1,
    seed: int = 1,
    start: datetime,
    orders: float = ORDERS_A_DAY,
    truth: Truth | None = None,
) -> Iterator[bytes]:
    """The same events as `simulate`, by time of arrival; three of a hundred come twice."""
    write = Writer()
    again = Random(seed)  # noqa: S311 - a simulation, not a secret
    waiting: list[tuple[int, int, bytes]] = []
    count = 0
    for happening in _happenings(catalog, clinics, days, seed, start, orders, truth):
        raw = write(happening, happening.time_us + happening.ahead_us)
        count += 1
        heappush(waiting, (happening.arrival_us, count, raw))
        if again.random() < RESENT_SHARE:
            count += 1
            heappush(waiting, (happening.arrival_us + again.randrange(HOUR_US), count, raw))
        while waiting[0][0] < happening.time_us:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


class Due(NamedTuple):
    """An event that comes in at `due_us`, microseconds since 1970; never before it happened."""

    due_us: int
    raw: bytes


def live(
    catalog: Catalog,
    *,
    now_us: int,
    seed: int,
    clinics: int | None = None,
    speed: float = 1.0,
    orders: float = ORDERS_A_DAY,
    numbers_from: int = SERIAL_FIRST,
) -> Iterator[Due]:
    """Events without end: the day is three hours old at `now_us` and goes on `speed` times as fast as the clock.

    Times that are not yet due lie in the future of `now_us`, never in the future of `due_us`: a client that sends an
    event when it is due sends nothing that has not happened. A stream that continues another one takes a new
    seed, and `numbers_from` above all numbers that the other one used.
    """
    if not speed > 0:
        raise SimulationError("the speed must be more than 0: 1 is real time")
    open_us = now_us - int(LIVE_HOURS_BEFORE * HOUR_US) - HOUR_US  # the clinics open an hour into the simulated day

    def on_the_clock(time_us: int) -> int:
        return time_us if time_us <= now_us else now_us + int((time_us - now_us) / speed)

    write = Writer()
    waiting: list[tuple[int, int, bytes]] = []
    for number, happening in enumerate(
        _happenings(catalog, clinics, None, seed, moment_of(open_us), orders, None, numbers_from)
    ):
        time_us = on_the_clock(happening.time_us)
        raw = write(happening, time_us)
        heappush(waiting, (max(time_us, on_the_clock(happening.arrival_us)), number, raw))
        while waiting[0][0] < time_us:
            due_us, _, raw = heappop(waiting)
            yield Due(due_us, raw)


def _happenings(
    catalog: Catalog,
    clinics: int | None,
    days: int | None,
    seed: int,
    start: datetime,
    orders: float,
    truth: Truth | None,
    numbers_from: int = SERIAL_FIRST,
) -> Iterator[Happening]:
    if days is not None and not 0 < days <= DAYS_MAX:
        raise SimulationError(f"1 to {DAYS_MAX} days can be simulated, not {days}")
    start_us = microseconds(start)
    end_us = None if days is None else start_us + days * DAY_US
    rng = Random(seed)  # noqa: S311 - a simulation, not a secret
    stage = Stage(rng, truth)
    world = World(catalog, clinics, start.year, orders, rng, numbers_from)
    stockroom = Stockroom(world, stage, start_us)
    deliveries = Deliveries(stockroom)
    lab = Lab(world, stage)
    couriers = Couriers(world, stage, lab)
    visits = Visits(world, stage, stockroom, couriers, lab)

    def day(when_us: int, number: int) -> None:
        world.begin_day(when_us)
        stockroom.plan_day(when_us, number)
        deliveries.plan_day(when_us, number)
        visits.plan_day(when_us)
        couriers.plan_day(when_us)
        stage.at(when_us + DAY_US, day, number + 1)

    stockroom.open(start_us)
    deliveries.open(start_us)
    stage.at(start_us, day, 0)
    count = 0
    for happening in stage.run(end_us):
        count += 1
        yield happening
    if truth is not None and end_us is not None:
        truth.cut_us, truth.events = end_us, count
        stockroom.tell(truth, end_us)


class Writer:
    """Writes events down as JSON; the offset of a site's local time is worked out once an hour."""

    def __init__(self) -> None:
        self._hour = -1
        self._offsets: dict[ZoneInfo, tuple[int, str]] = {}
        self._day = (-1, "")

    def __call__(self, happening: Happening, time_us: int) -> bytes:
        place = happening.place
        zone = place.zone if place is not None else _UTC
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": happening.event_id,
            "source": happening.source,
            "type": happening.type,
            "subject": happening.subject,
            "time": self.local_text(time_us, zone),
        }
        if place is not None:
            event["site"] = place.site.code
        event["actor"] = happening.actor
        event["data"] = happening.data
        return _encode(event)

    def local_text(self, time_us: int, zone: ZoneInfo) -> str:
        """`YYYY-MM-DDTHH:MM:SS.mmm±HH:MM`: what the clock on the wall shows, to the millisecond."""
        hour = time_us // HOUR_US
        if hour != self._hour:
            self._hour = hour
            self._offsets.clear()
        known = self._offsets.get(zone)
        if known is None:
            offset = moment_of(time_us).astimezone(zone).utcoffset()
            assert offset is not None
            minutes = int(offset.total_seconds()) // 60
            sign = "-" if minutes < 0 else "+"
            known = (minutes * MINUTE_US, f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}")
            self._offsets[zone] = known
        local_us = time_us + known[0]
        day, rest = divmod(local_us, DAY_US)
        if day != self._day[0]:
            self._day = (day, f"{moment_of(day * DAY_US):%Y-%m-%d}")
        seconds, within = divmod(rest, 1_000_000)
        clock, second = divmod(seconds, 60)
        return f"{self._day[1]}T{clock // 60:02d}:{clock % 60:02d}:{second:02d}.{within // 1000:03d}{known[1]}"
