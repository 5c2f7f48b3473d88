"""Long-lived shelves: late arrivals are folded from an earlier state, and give the same stock as if on time."""

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.database.engine import reading
from models.recording.stock_levels import MARK_EVERY
from tests.support.examples import examples
from tests.support.homes import commit, commit_in_pieces, new_home, new_store, sqlite_url
from tests.support.story import supply, void

LOTS = ("A1", "B2", "C3", "D4", "E5")
HAPPENINGS = 4 * MARK_EVERY


def happenings(seed: int) -> list[bytes]:
    """A few weeks of one item at two sites: lots whose expiry is corrected, uses that name no lot, counts, voids."""
    chance = random.Random(seed)
    events: list[bytes] = []
    for number in range(HAPPENINGS):
        minute, site, lot = number * 3.0, chance.choice(("NORTH", "NORTH", "SOUTH")), chance.choice(LOTS)
        name = f"{seed}.{number}"
        kind = chance.choices(
            ("received", "used", "used-any", "counted", "transferred", "voided"), (2, 4, 12, 1, 1, 1)
        )[0]
        match kind:
            case "received":
                expires = f"2027-{chance.randint(1, 6):02}-01"
                events.append(supply("received", minute, site=site, lot=lot, expires=expires, quantity=9, id=name))
            case "used":
                events.append(supply("used", minute, site=site, lot=lot, quantity=1, id=name))
            case "used-any":
                events.append(supply("used", minute, site=site, quantity=chance.randint(1, 3), id=name))
            case "counted":
                events.append(supply("counted", minute, site=site, lot=lot, quantity=chance.randint(0, 20), id=name))
            case "transferred":
                events.append(supply("transferred", minute, site="NORTH", lot=lot, to="SOUTH", quantity=2, id=name))
            case "voided" if events:
                of = chance.choice([one for one in events if b'"event.voided"' not in one])
                events.append(void(minute, of, id=name))
    return events


def shelves(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Stock, what each movement took, and the totals of each item at each site."""
    with reading(engine) as connection:
        return {
            query: [tuple(row) for row in connection.execute(text(query))]
            for query in (
                "SELECT * FROM stock ORDER BY site, item, lot",
                "SELECT * FROM movements ORDER BY site, item, time_us, event_id, line",
                "SELECT site, item, on_hand_u, on_order_u FROM stock_items ORDER BY site, item",
                "SELECT * FROM usage_daily ORDER BY site, item, day",
            )
        }


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
