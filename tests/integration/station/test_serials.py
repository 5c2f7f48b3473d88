"""Serial numbers: each is allocated only once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, insert
from sqlalchemy.pool import StaticPool

from models.database.acts_tables import serials
from models.database.columns import metadata
from models.database.engine import make_engine, writing
from models.database.state_tables import specimens
from models.printing.serials import SerialError, allocate
from models.rules.identifiers import is_identifier, make_identifier
from tests.support.examples import examples

YEAR = 2026


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = make_engine(f"sqlite:///{tmp_path / 'serials.db'}")
    metadata.create_all(made)
    return made


def _in_memory() -> Engine:
    made = create_engine("sqlite://", poolclass=StaticPool)
    metadata.create_all(made)
    return made


def _take(engine: Engine, kind: str, count: int, digits: int = 6) -> list[str]:
    with writing(engine) as connection:
        return allocate(connection, kind, YEAR, count, digits)


@settings(deadline=None, max_examples=examples(50))
@given(
    asked=st.lists(st.tuples(st.sampled_from("SMTB"), st.integers(1, 40)), max_size=12),
    taken=st.sets(st.integers(1, 60), max_size=40),
)
def test_no_identifier_is_ever_given_twice_or_is_already_on_record(asked, taken):
    engine = _in_memory()
    on_record = {make_identifier("S", YEAR, serial) for serial in taken}
    rows = [{"accession": a, "tests": "[]", "status": "collected", "discrepancies": "[]"} for a in sorted(on_record)]
    with engine.begin() as connection:
        if rows:
            connection.execute(insert(specimens), rows)
    given_out: list[str] = []
    for kind, count in asked:
        numbers = _take(engine, kind, count)
        assert len(numbers) == count
        assert all(is_identifier(number, kind) for number in numbers)
        given_out += numbers
    assert len(given_out) == len(set(given_out))
    assert not set(given_out) & on_record
    engine.dispose()


def test_several_writers_at_once_share_no_number(engine: Engine):
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: _take(engine, "S", 3), range(40)))
    numbers = [number for batch in batches for number in batch]
    assert len(set(numbers)) == 120


def test_a_stretch_filled_by_another_source_is_left_behind(engine: Engine):
    rows = [
        {"accession": make_identifier("S", YEAR, serial), "tests": "[]", "status": "collected", "discrepancies": "[]"}
        for serial in range(1, 5001)
    ]
    with engine.begin() as connection:
        connection.execute(insert(specimens), rows)
    assert _take(engine, "S", 1) >= [make_identifier("S", YEAR, 5001)]


def test_used_up_serials_say_which_setting_to_raise(engine: Engine):
    with engine.begin() as connection:
        connection.execute(insert(serials), [{"kind": "S", "year": YEAR, "next": 999_999}])
    assert _take(engine, "S", 1) == [make_identifier("S", YEAR, 999_999)]
    with pytest.raises(SerialError, match="LABTRAIL_SERIAL_DIGITS"):
        _take(engine, "S", 1)
    with pytest.raises(SerialError, match="1 to"):
        _take(engine, "S", 0)
