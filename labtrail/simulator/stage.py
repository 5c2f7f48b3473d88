"""The stage of a simulation: an agenda of acts, and the events that they emit, in the order of their times."""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from random import Random
from typing import Any

from msgspec import Struct

from labtrail.simulator.truth import Truth
from labtrail.simulator.world import Device, Place
from models.rules.times import HOUR_US, SECOND_US

HELD_BACK_US = 3 * HOUR_US
"""An act may emit events this far before its own time: the scans of a phone whose clock is slow."""

Act = Callable[..., None]


class Happening(Struct, frozen=True, gc=False):
    """One event before it is written down; `arrival_us` is when the device got it through."""

    time_us: int
    arrival_us: int
    event_id: str
    type: str
    subject: str
    place: Place | None
    source: str
    actor: str
    data: dict[str, Any]
    ahead_us: int = 0
    """How far the clock of the device is ahead."""


class Stage:
    """Acts run one after the other in the order of their times and schedule events and further acts."""

    def __init__(self, rng: Random, truth: Truth | None) -> None:
        self.rng = rng
        self.truth = truth
        self._acts: list[tuple[int, int, Act, tuple[Any, ...]]] = []
        self._events: list[tuple[int, int, Happening]] = []
        self._count = 0

    def at(self, when_us: int, act: Act, *about: Any) -> None:
        """Run the act at this moment; it is given the moment, and what it is about."""
        self._count += 1
        heappush(self._acts, (when_us, self._count, act, about))

    def say(
        self,
        when_us: int,
        place: Place | None,
        device: Device,
        type_: str,
        subject: str,
        actor: str,
        data: dict[str, Any],
        ahead_us: int = 0,
    ) -> str:
        """Emit an event, timed to the millisecond; returns its id. `ahead_us`: how far its clock is ahead."""
        self._count += 1
        when_us -= when_us % 1000
        bits = self.rng.getrandbits(74)
        # a UUID version 7 (RFC 9562): the time in milliseconds, then chance
        high = (when_us // 1000) << 16 | 0x7000 | bits & 0xFFF
        low = 0x8000_0000_0000_0000 | bits >> 12
        text = f"{high:016x}{low:016x}"
        event_id = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
        offline_from, offline_until = device.offline
        if offline_from <= when_us < offline_until:
            arrival_us = offline_until + self._count % 97 * 100_000
        else:
            arrival_us = when_us + 200_000 + bits % (3 * SECOND_US)
        source = device.source
        happening = Happening(when_us, arrival_us, event_id, type_, subject, place, source, actor, data, ahead_us)
        heappush(self._events, (when_us, self._count, happening))
        return event_id

    def run(self, end_us: int | None) -> Iterator[Happening]:
        """What happens before `end_us`, in the order of times; indefinitely without an end."""
        acts, events = self._acts, self._events
        while acts and (end_us is None or acts[0][0] < end_us):
            when_us, _, act, about = heappop(acts)
            while events and events[0][0] < when_us - HELD_BACK_US:
                yield heappop(events)[2]
            act(when_us, *about)
        while events and (end_us is None or events[0][0] < end_us):
            yield heappop(events)[2]
