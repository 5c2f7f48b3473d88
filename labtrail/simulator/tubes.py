"""Simulated tubes: what is known of one on its way, and what may go wrong with it."""

from random import Random

from msgspec import Struct

from config.catalog import Catalog
from labtrail.simulator.truth import SpecimenTruth
from labtrail.simulator.world import Place
from models.rules.event_types import Priority, Transport
from models.rules.times import HOUR_US

FAULTS: dict[str, float] = {
    "unlabeled": 0.012,
    "mislabeled": 0.006,
    "wrong patient": 0.003,
    "scanned twice": 0.006,
    "scanned twice, voided": 0.004,
    "relabeled": 0.006,
    "old label": 0.003,
    "slow clock": 0.003,
    "not dispatched": 0.004,
    "not picked up": 0.01,
    "lost": 0.004,
    "lost and found": 0.002,
    "wrong bag": 0.003,
    "not received at hub": 0.01,
    "left lying": 0.006,
    "hemolysed": 0.02,
    "stored after disposal": 0.002,
}
"""What may go wrong with a tube, and how often; at most one thing with each."""
_NAMES, _WEIGHTS = list(FAULTS), list(FAULTS.values())
_ANY = sum(_WEIGHTS)


class Tube(Struct):
    """One tube on its way."""

    accession: str
    order: str
    patient: str
    container: str
    tests: tuple[str, ...]
    priority: Priority
    transport: Transport
    origin: Place
    collected_us: int
    fault: str
    truth: SpecimenTruth
    ready_us: int = 0
    """From then on it may be dispatched."""


def draw_fault(rng: Random) -> str:
    """What goes wrong with the next tube; empty for most."""
    return rng.choices(_NAMES, _WEIGHTS)[0] if rng.random() < _ANY else ""


def transport_for(catalog: Catalog, container: str, tests: tuple[str, ...]) -> Transport:
    """Refrigerated where a test does not keep for a day at room temperature and the tube tolerates the cold."""
    kind = catalog.containers[container]
    cold = [catalog.tests[test].stability_refrigerated_hours for test in tests]
    if kind.temperature_min_c > 8 or 0 in cold:
        return "ambient"
    room = [catalog.tests[test].stability_room_hours for test in tests]
    short = any(hours is not None and hours < 24 for hours in room)
    return "refrigerated" if short or kind.temperature_max_c <= 8 else "ambient"


def stability_us(catalog: Catalog, tube: Tube, of: tuple[str, ...] = ()) -> int | None:
    """The time from collection to receipt at a lab that these tests, or all its own, allow; None: not known."""
    tests = [catalog.tests[test] for test in of or tube.tests]
    limits = [
        test.stability_refrigerated_hours if tube.transport == "refrigerated" else test.stability_room_hours
        for test in tests
    ]
    known = [hours for hours in limits if hours is not None]
    return int(min(known) * HOUR_US) if known else None
