"""A seeded load whose outcome is known before anything runs: what the fault runs are judged by.

The truth is counted from the story while its events are made, without using the service.
"""

import json
import random
from collections import Counter
from typing import NamedTuple

from models.rules.identifiers import make_identifier
from tests.support.story import collected, result, step, supply

SITES = ("NORTH", "SOUTH", "EAST", "WEST")
LOTS = tuple(f"L{number}" for number in range(1, 21))
ITEM = "SUP-EDTA4"
RECEIVED_PER_LOT = 100_000
STEPS = (
    ("collected", "collected"),
    ("labeled", "labeled"),
    ("dispatched", "dispatched"),
    ("picked-up", "in-transit"),
    ("received", "received"),
    ("result", "resulted"),
    ("stored", "stored"),
)
"""(event, the status of a tube whose story ends there)."""
MIX = (1, 1, 2, 2, 6, 80, 8)
"""How often a story ends at each step."""


class Load(NamedTuple):
    """Records in the order of their arrival, and the expected outcome."""

    seed: int
    arrivals: list[bytes]
    events: list[bytes]
    """Every distinct valid event once, in the order of the story."""
    statuses: dict[str, str]
    """{accession: status}."""
    on_hand: dict[tuple[str, str], int]
    """{(site, lot): pieces}."""
    refused: Counter[str]
    """{quarantine reason: records}."""


def bad_records(count: int, chance: random.Random) -> list[tuple[str, bytes]]:
    """(reason, bytes) of records that belong in quarantine, eight kinds in turn."""
    tube = make_identifier("S", 2026, 999_999)
    good = json.loads(step("stored", 1, tube))
    kinds: list[tuple[str, bytes]] = [
        ("not-json", b"\xff\xfe no JSON"),
        ("not-cloudevents", json.dumps({"hello": "world"}).encode()),
        ("unknown-type", json.dumps(good | {"type": "specimen.teleported"}).encode()),
        ("invalid-data", json.dumps(good | {"data": {"location": 7}}).encode()),
        ("bad-identifier", json.dumps(good | {"subject": "S2699999900"}).encode()),
        ("unknown-site", json.dumps(good | {"site": "MOON"}).encode()),
        ("no-offset", json.dumps(good | {"time": "2026-11-20T06:00:00"}).encode()),
        ("too-large", json.dumps(good | {"data": {"location": "x" * 70_000}}).encode()),
    ]
    made = [kinds[number % len(kinds)] for number in range(count)]
    chance.shuffle(made)
    return made


def make_load(seed: int, events: int, duplicates: float = 0.1, bad: int = 40) -> Load:
    """About `events` valid events, `duplicates` of them twice, `bad` records between them, all shuffled."""
    chance = random.Random(seed)
    story: list[bytes] = []
    statuses: dict[str, str] = {}
    used: Counter[tuple[str, str]] = Counter()
    for site in SITES:
        story += [
            supply(
                "received",
                0,
                site=site,
                id=f"delivery {site} {lot}",
                lot=lot,
                quantity=RECEIVED_PER_LOT,
                expires="2027-06-30",
            )
            for lot in LOTS
        ]
    serial = 0
    while len(story) < events:
        serial += 1
        tube = make_identifier("S", 2026, serial)
        site, lot = chance.choice(SITES), chance.choice(LOTS)
        last = chance.choices(range(len(STEPS)), MIX)[0]
        story += tube_events(tube, site, lot, chance.uniform(1, 600), last, chance)
        statuses[tube] = STEPS[last][1]
        used[site, lot] += 1
    assert len(ids(story)) == len(story)
    repeated = chance.sample(story, int(len(story) * duplicates))
    wrong = bad_records(bad, chance)
    arrivals = [*story, *repeated, *(record for _, record in wrong)]
    chance.shuffle(arrivals)
    on_hand = {(site, lot): RECEIVED_PER_LOT - used[site, lot] for site in SITES for lot in LOTS}
    return Load(seed, arrivals, story, statuses, on_hand, Counter(reason for reason, _ in wrong))


def tube_events(tube: str, site: str, lot: str, start: float, last: int, chance: random.Random) -> list[bytes]:
    """The story of one tube up to the step `last`, minutes apart."""
    minute, events = start, []
    for name, _ in STEPS[: last + 1]:
        minute += chance.uniform(0.1, 20)
        if name == "collected":
            supplies = [{"item": ITEM, "lot": lot, "quantity": 1}]
            events.append(
                collected(minute, tube, order=f"R-{tube}", patient=f"P-{tube}", site=site, supplies=supplies)
            )
        elif name == "result":
            events.append(result(minute, tube=tube))
        elif name in ("received", "stored"):
            events.append(step(name, minute, tube))
        else:
            events.append(step(name, minute, tube, site=site))
    return events


def ids(records: list[bytes]) -> set[str]:
    return {json.loads(record)["id"] for record in records}
