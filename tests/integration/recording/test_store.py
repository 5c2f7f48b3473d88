"""The store on real databases: the tables are a pure function of the set of events."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from models.database.columns import metadata
from models.database.engine import reading
from models.database.postgres.partitions import KEYS
from models.recording.rebuild import rebuild
from models.rules.identifiers import make_identifier
from tests.support.examples import examples
from tests.support.homes import commit, commit_in_pieces, export, new_home, new_store, sqlite_url
from tests.support.story import (
    M2,
    OTHER_TUBE,
    TUBE,
    collected,
    raw,
    result,
    step,
    supply,
    void,
    whole_day,
)

CHILD, GRANDCHILD = make_identifier("S", 2026, 11), make_identifier("S", 2026, 12)
PLACED = raw("order.placed", "R-1", -20, {"patient": "P-1", "priority": "stat", "tests": ["CBCD"]})
MISTAKEN = supply("used", 7, quantity=4, id="mistaken use")
EVENTS = [
    PLACED,
    raw("order.placed", "R-2", -10, {"patient": "P-2", "priority": "routine", "tests": ["CBCD"]}),
    raw("order.cancelled", "R-2", 15, {"reason": "drawn twice"}),
    *whole_day(),
    *whole_day(5, OTHER_TUBE)[:3],
    collected(6, OTHER_TUBE, order="R-2"),
    step("received", 80, OTHER_TUBE, site="HUB"),
    step("missing", 100, OTHER_TUBE),
    step("aliquoted", 100, site="CORE", children=[{"accession": CHILD, "container": "EDTA4"}]),
    step("aliquoted", 110, CHILD, site="CORE", children=[{"accession": GRANDCHILD, "container": "EDTA4"}]),
    step("stored", 120, GRANDCHILD),
    step("dispatched", 130, CHILD, manifest=M2, site="CORE", destination="HUB"),
    result(200, status="corrected", value="6"),
    supply("received", -60, lot="L1", expires="2026-11-01", quantity=50),
    supply("received", -50, lot="L2", expires="2027-01-01", quantity=5),
    supply("received", 300, lot="L1", expires="2026-10-01", quantity=1, site="SOUTH"),
    supply("used", 4, quantity=52),
    MISTAKEN,
    void(400, MISTAKEN, id="void of the use"),
    supply("counted", 8, lot="L2", quantity=2),
    supply("transferred", 9, lot="L2", quantity=1, to="SOUTH"),
    supply("used", 20, lot="L2", quantity=1, specimen=TUBE),
    supply("wasted", 21, lot="L2", quantity=1, reason="dropped"),
    supply("ordered", 22, quantity=100, order="PO-1"),
    supply("recalled", 500, lot="L1", notice="maker's notice 7"),
]
BAD = [b"{oops", b'{"hello":"world"}', step("stored", 5, "S2600012335"), step("stored", 6, site="MARS")]


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = new_home(sqlite_url(tmp_path_factory.mktemp("truth")))
    commit(new_store(home), EVENTS + BAD)
    exported = export(home)
    home.dispose()
    return exported


def clear(engine: Engine) -> None:
    with engine.connect().execution_options(labtrail_write=True) as connection, connection.begin():
        for table in metadata.sorted_tables:
            connection.execute(table.delete())
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"DELETE FROM {KEYS}"))


@settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), restart=st.booleans(), pieces=st.lists(st.integers(1, 45), max_size=12))
def test_any_order_duplication_and_cutting_gives_byte_equal_tables(
    engine: Engine, truth: dict[str, str], seed: int, restart: bool, pieces: list[int]
) -> None:
    clear(engine)
    chance = random.Random(seed)
    arrivals = EVENTS + BAD + chance.choices(EVENTS, k=10)
    chance.shuffle(arrivals)
    commit_in_pieces(engine, arrivals, pieces, restart=restart)
    assert export(engine) == truth, f"seed {seed}"


def test_one_at_a_time_gives_byte_equal_tables(engine: Engine, truth: dict[str, str]) -> None:
    backwards = [*BAD, *EVENTS][::-1]
    commit_in_pieces(engine, backwards, range(len(backwards)), restart=False)
    assert export(engine) == truth


def test_a_rebuild_gives_byte_equal_tables(engine: Engine, truth: dict[str, str]) -> None:
    store = new_store(engine)
    commit(store, EVENTS + BAD)
    with engine.connect().execution_options(labtrail_write=True) as connection, connection.begin():
        connection.execute(text("UPDATE specimens SET status = 'disposed'"))
        connection.execute(text("UPDATE stock SET on_hand_u = 7"))
        connection.execute(text("DELETE FROM movements"))
        connection.execute(
            text(
                "INSERT INTO specimens (accession, tests, status, discrepancies) "
                "VALUES ('S-STRAY', '[]', 'received', '[]')"
            )
        )
    assert export(engine) != truth
    assert rebuild(store) == len(EVENTS)
    assert export(engine) == truth
    commit(store, [step("stored", 700)], 900)
    assert '"location": "RACK 1"' in export(engine)["specimens"]


def test_a_batch_that_comes_again_changes_nothing(engine: Engine, truth: dict[str, str]) -> None:
    store = new_store(engine)
    commit(store, EVENTS + BAD)
    again = commit(store, EVENTS + BAD)
    assert {o.verdict for o in again} == {"duplicate", "quarantined"}
    assert export(engine) == truth
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT count(*) FROM quarantine")) == len(BAD)


def test_a_void_that_arrives_before_what_it_voids_still_holds(engine: Engine) -> None:
    store = new_store(engine)
    commit(store, [supply("received", 0, lot="L1", expires="2027-01-01", quantity=9), void(9, MISTAKEN)])
    commit(store, [MISTAKEN], 50)
    assert '"on_hand": 9' in export(engine)["stock"]


def test_an_id_seen_with_other_content_is_quarantined_and_the_first_stands(engine: Engine) -> None:
    store = new_store(engine)
    first, other = collected(0, id="same"), collected(0, id="same", patient="P-2")
    reordered = first.replace(b'"specversion": "1.0", ', b"")[:-1] + b', "specversion": "1.0"}'
    assert [o.verdict for o in commit(store, [first])] == ["recorded"]
    assert [(o.verdict, o.reason) for o in commit(store, [other, reordered], 10)] == [
        ("quarantined", "id-conflict"),
        ("duplicate", None),
    ]
    assert '"patient": "P-1"' in export(engine)["specimens"]


def test_what_can_not_be_told_apart_inside_one_batch_is_recorded_once(engine: Engine) -> None:
    outcomes = commit(
        new_store(engine), [collected(0), collected(0), collected(0, id="x"), collected(0, id="x", patient="Q")]
    )
    assert [o.verdict for o in outcomes] == ["recorded", "duplicate", "recorded", "quarantined"]


def test_an_aliquot_follows_its_parent(engine: Engine) -> None:
    store = new_store(engine)
    commit(store, [step("stored", 120, CHILD)])
    assert '"missing-step"' in export(engine)["specimens"]
    pour = step("aliquoted", 100, site="CORE", children=[{"accession": CHILD, "container": "SST5"}])
    commit(store, [*whole_day()[:5], pour], 10)
    row = next(r for r in export(engine)["specimens"].splitlines() if CHILD in r.partition(",")[0])
    assert f'"parent": "{TUBE}"' in row
    assert '"order": "R-1", "patient": "P-1", "site": "NORTH", "container": "SST5"' in row
    assert '"discrepancies": []' in row
    commit(store, [collected(0, id="second", patient="P-9"), void(400, whole_day()[0])], 50)
    row = next(r for r in export(engine)["specimens"].splitlines() if CHILD in r.partition(",")[0])
    assert '"patient": "P-9"' in row


def test_a_recall_reaches_every_specimen_drawn_with_the_lot(engine: Engine) -> None:
    store = new_store(engine)
    commit(store, [*whole_day(), *whole_day(5, OTHER_TUBE)])
    commit(store, [supply("recalled", 900, lot="L1", notice="notice")], 50)
    assert export(engine)["discrepancies"].count('"recalled-supply"') == 2
    told = [json.loads(row) for row in export(engine)["alerts"].splitlines()]
    (recall,) = [row for row in told if row["kind"] == "recalled-stock"]
    assert (recall["subject"], recall["site"]) == ("SUP-EDTA4/L1", None)  # none is left on the shelf
    assert "2 tubes" in recall["detail"]
    assert not [row for row in told if row["kind"] == "custody-discrepancy"]
    commit(store, [supply("counted", 950, lot="L1", quantity=5, site=site) for site in ("NORTH", "SOUTH")], 60)
    told = [json.loads(row) for row in export(engine)["alerts"].splitlines()]
    found = {row["subject"]: row["detail"] for row in told if row["kind"] == "recalled-stock"}
    assert found.keys() == {"NORTH/SUP-EDTA4/L1", "SOUTH/SUP-EDTA4/L1"}


def test_a_hostile_text_in_any_field_does_no_harm(engine: Engine) -> None:
    hostile = ["'; DROP TABLE events; --", "%s %(x)s ? :name", "\\", "\x1b[2J\r\n\t", "𝔘ñîçø∂é", "=1+1", "\u202e"]
    wild = [collected(n, order=f"R{text}", patient=text, id=f"{n}{text}") for n, text in enumerate(hostile)]
    outcomes = commit(
        new_store(engine), [*wild, collected(9, patient="a\x00b"), step("stored", 10, location="\ud800")]
    )
    assert [o.verdict for o in outcomes] == ["recorded"] * len(hostile) + ["quarantined"] * 2
