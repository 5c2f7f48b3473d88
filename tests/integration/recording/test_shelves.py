"""Long-lived shelves: late arrivals are folded from an earlier state, and give the same stock as if on time."""

import random
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import Engine, text

from models.database.engine import reading
from models.recording.stock_levels import MARK_EVERY
from models.rules.stock import StockState
from tests.support.examples import examples
from tests.support.homes import commit, commit_in_pieces, new_home, new_store, sqlite_url
from tests.support.story import supply, void

LOTS = ("A1", "B2", "C3", "D4", "E5")
HAPPENINGS = 4 * MARK_EVERY


KINDS: dict[str, float] = {
    "received": 3,
    "received-nameless": 0.5,
    "used": 4,
    "used-any": 12,
    "counted": 2,
    "transferred": 1,
    "sent": 1,
    "answered": 1,
    "ordered": 2,
    "order-closed": 1,
    "recalled": 0.2,
    "voided": 1,
}
"""How often each happens."""


def happenings(seed: int) -> list[bytes]:
    """Days of one item at two sites: lots whose expiry is corrected, uses that name no lot, orders, goods sent."""
    chance = random.Random(seed)
    events: list[bytes] = []
    for number in range(HAPPENINGS):
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        name, minute = f"{seed}.{number}", number * 30.0
        if kind == "voided":
            voidable = [one for one in events if b'"event.voided"' not in one]
            events += [void(minute, chance.choice(voidable), id=name)] if voidable else []
        else:
            data = _data(kind, seed, chance)
            events.append(supply(_SAID_AS.get(kind, kind), minute, id=name, **data))
    return events


_SAID_AS = {"received-nameless": "received", "answered": "received", "used-any": "used"}


def _data(kind: str, seed: int, chance: random.Random) -> dict[str, Any]:
    site, lot, order = (
        chance.choice(("NORTH", "NORTH", "SOUTH")),
        chance.choice(LOTS),
        chance.choice(("PO-1", "po-2")),
    )
    date, number = f"2026-11-{chance.randint(15, 30):02}", chance.randint(1, 20)
    data: dict[str, dict[str, Any]] = {
        "received": {"site": site, "lot": lot, "expires": date, "quantity": 9, "order": order},
        "received-nameless": {"site": site, "quantity": 9},
        "used": {"site": site, "lot": lot, "quantity": 1},
        "used-any": {"site": site, "quantity": number % 3 + 1},
        "counted": {"site": site, "lot": chance.choice((lot, lot, "")), "quantity": number},
        "transferred": {"lot": lot, "to": "SOUTH", "quantity": 2},
        "sent": {"to": "SOUTH", "quantity": 3, **chance.choice(({}, {"lot": lot, "expected": date}))},
        "answered": {"site": "SOUTH", "lot": lot, "quantity": 3, "sent": f"{seed}.{chance.randrange(HAPPENINGS)}"},
        "ordered": {"site": site, "quantity": 50, "order": order},
        "order-closed": {"site": site, "order": order, "reason": "sold out"},
        "recalled": {"lot": lot, "notice": "notice"},
    }
    return data[kind]


def shelves(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Stock, what each movement took, and the state of each item at each site."""
    with reading(engine) as connection:
        found = {
            query: [tuple(row) for row in connection.execute(text(query))]
            for query in (
                "SELECT * FROM stock ORDER BY site, item, lot",
                "SELECT * FROM movements ORDER BY site, item, time_us, event_id, line",
                "SELECT site, item, on_hand_u FROM stock_items ORDER BY site, item",
                "SELECT * FROM usage_daily ORDER BY site, item, day",
            )
        }
        states = connection.execute(text("SELECT state FROM stock_items ORDER BY site, item")).scalars()
        folded = [msgspec.json.decode(bytes(state), type=StockState) for state in states]
    return found | {"states": [(replace(state, since_mark=0),) for state in folded]}


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    late=st.integers(0, HAPPENINGS),
    pieces=st.lists(st.integers(1, HAPPENINGS), max_size=40),
)
def test_whatever_comes_late_the_shelves_are_as_if_it_had_come_in_time(
    tmp_path: Path, seed: int, late: int, pieces: list[int]
) -> None:
    events = happenings(seed)
    chance = random.Random(seed)
    arrivals = sorted(events, key=lambda _: chance.random()) if not late else _delayed(events, late, chance)
    homes = [new_home(sqlite_url(tmp_path, f"{seed}.{late}.{chance.random()}")) for _ in range(2)]
    try:
        commit(new_store(homes[0]), events)
        commit_in_pieces(homes[1], arrivals, pieces, restart=bool(seed % 2))
        assert shelves(homes[1]) == shelves(homes[0]), f"seed {seed}, late {late}"
    finally:
        for home in homes:
            home.dispose()


def _delayed(events: list[bytes], most: int, chance: random.Random) -> list[bytes]:
    """The events, each up to `most` places late."""
    return [one for _, one in sorted((n + chance.uniform(0, most), one) for n, one in enumerate(events))]
