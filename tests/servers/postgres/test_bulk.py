"""Many rows at once on PostgreSQL: one statement with one text, and what the server refuses."""

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DataError, ProgrammingError

from models.database.bulk import delete, insert, upsert
from models.database.engine import reading, writing
from models.database.state_tables import legs, usage_daily
from tests.integration.database.test_bulk import LEG, read_legs
from tests.support.homes import new_home


@pytest.mark.postgres
def test_a_batch_of_any_size_is_one_statement_with_one_text(postgres_home: str) -> None:
    engine = new_home(postgres_home)
    seen: list[tuple[str, bool]] = []
    event.listen(engine, "before_cursor_execute", lambda *a: seen.append((a[2], a[5])))
    for size in (1, 2, 499, 3000):
        rows = [(f"S{size} {n}", "M", n, None, 2**40) for n in range(size)]
        with writing(engine) as connection:
            upsert(connection, legs, LEG, rows)
            delete(connection, legs, ("accession", "manifest"), [row[:2] for row in rows])
    assert len(seen) == 8
    assert len(set(seen)) == 2, "each with its own text would be planned again by the server"
    engine.dispose()


@pytest.mark.postgres
def test_what_does_not_fit_is_refused_as_the_fault_of_the_record(postgres_home: str) -> None:
    engine = new_home(postgres_home)
    for row in (("a\x00b", "M", 1, None, None), ("a", "M", 2**31, None, None)):
        with pytest.raises(DataError), writing(engine) as connection:
            insert(connection, legs, LEG, [("good", "M", 1, None, None), row])
    sums = (("quantity_u", "usage_daily.quantity_u + excluded.quantity_u"),)
    with pytest.raises(ProgrammingError, match="a second time"), writing(engine) as connection:
        upsert(connection, usage_daily, ("site", "item", "day", "quantity_u"), [("N", "I", 1, 1)] * 2, sums)
    with reading(engine) as connection:
        assert read_legs(connection) == set()
    engine.dispose()
