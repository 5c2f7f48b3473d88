"""Many rows at once are written the same on SQLite and on PostgreSQL, where each batch is one statement."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import IntegrityError

from models.database.bulk import delete, insert, select_in, select_pairs, upsert
from models.database.columns import metadata
from models.database.engine import reading, writing
from models.database.evidence_tables import chains, progress
from models.database.postgres.arrays import Numbers, array_of
from models.database.state_tables import legs, movements, stock_marks, usage_daily
from models.rules.specimen import Status
from tests.support.homes import commit, export, new_home, new_store, sqlite_url
from tests.support.story import supply

AWKWARD = (
    "",
    " ",
    "NULL",
    "null",
    "{}",
    "a,b",
    '"quoted"',
    "back\\slash",
    "it's",
    "tab\there",
    "line\nend",
    "\U0001f9ea é",
    "%s ? :x",
)
LEG = ("accession", "manifest", "number", "origin", "dispatched_us")


def read_legs(connection: Connection) -> set[tuple[object, ...]]:
    return {tuple(row) for row in connection.execute(select(*(legs.c[c] for c in LEG)))}


def test_every_value_comes_back_as_it_was_written(engine: Engine) -> None:
    rows = [
        (text, f"M {text}", n - 3, None if n % 3 else text, None if n % 2 else 2**62 - n)
        for n, text in enumerate(AWKWARD)
    ]
    heads = [(text, n, bytes(range(n * 20)) + b"\x00\\x") for n, text in enumerate(AWKWARD)]
    with writing(engine) as connection:
        insert(connection, legs, LEG, rows)
        insert(connection, chains, ("subject", "length", "head"), heads)
    with reading(engine) as connection:
        assert read_legs(connection) == set(rows)
        found = select_in(connection, chains, ("subject", "length", "head"), "subject", AWKWARD)
        assert {(s, n, bytes(head)) for s, n, head in found} == set(heads)
        pairs = [(row[0], row[1]) for row in rows]
        assert set(select_pairs(connection, legs, LEG, ("accession", "manifest"), pairs)) == set(rows)
        assert len(select_in(connection, legs, LEG, "number", [-3, 0, 5, 2**40])) == 3


def test_a_member_of_an_enum_is_written_and_found_as_its_value(engine: Engine) -> None:
    with writing(engine) as connection:
        insert(connection, legs, LEG, [("S1", Status.IN_TRANSIT, 1, Status.RECEIVED, None)])
        connection.execute(legs.insert().values(accession="S2", manifest=Status.IN_TRANSIT, number=2))
        connection.execute(legs.update().where(legs.c.accession == "S2").values(origin=Status.RECEIVED))
    stored = {("S1", "in-transit", 1, "received", None), ("S2", "in-transit", 2, "received", None)}
    with reading(engine) as connection:
        assert read_legs(connection) == stored
        assert {type(text) for row in read_legs(connection) for text in row[:2]} == {str}
        assert set(select_in(connection, legs, LEG, "manifest", [Status.IN_TRANSIT])) == stored
        pair = ("S1", Status.IN_TRANSIT)
        assert select_pairs(connection, legs, LEG, ("accession", "manifest"), [pair])[0][:2] == ("S1", "in-transit")
        of = legs.c.manifest.in_([Status.IN_TRANSIT, "elsewhere"]) & (legs.c.origin == Status.RECEIVED)
        assert connection.scalar(select(func.count()).select_from(legs).where(of)) == 2


def test_a_column_may_be_null_in_every_row_of_a_batch(engine: Engine) -> None:
    for size in (1, 7):
        rows = [(f"S{size} {n}", "M", 1, None, None) for n in range(size)]
        with writing(engine) as connection:
            insert(connection, legs, LEG, rows)
    with reading(engine) as connection:
        assert len(read_legs(connection)) == 8


def test_a_row_that_is_there_already_is_an_error_of_insert(engine: Engine) -> None:
    with writing(engine) as connection:
        insert(connection, progress, ("topic", "partition", "next_offset"), [("t", 0, 1)])
    with pytest.raises(IntegrityError), writing(engine) as connection:
        insert(connection, progress, ("topic", "partition", "next_offset"), [("t", 1, 1), ("t", 0, 1)])


def test_of_two_rows_with_one_key_the_last_one_stands(engine: Engine) -> None:
    columns = ("topic", "partition", "next_offset")
    for rows in ([("t", 0, 1), ("t", 1, 5), ("t", 0, 2)], [("t", 0, 3), ("t", 0, 4)]):
        with writing(engine) as connection:
            upsert(connection, progress, columns, rows)
    with writing(engine) as connection:
        upsert(connection, progress, columns, [("t", 0, 9), ("t", 2, 7), ("t", 2, 8)], ())  # only missing rows
    with reading(engine) as connection:
        assert set(connection.execute(select(progress)).all()) == {("t", 0, 4), ("t", 1, 5), ("t", 2, 8)}


def test_an_expression_sees_the_row_that_is_there(engine: Engine) -> None:
    columns, sums = (
        ("site", "item", "day", "quantity_u"),
        (("quantity_u", "usage_daily.quantity_u + excluded.quantity_u"),),
    )
    for quantity in (5, 7):
        with writing(engine) as connection:
            upsert(connection, usage_daily, columns, [("N", "I", 1, quantity), ("N", "I", 2, 1)], sums)
    with reading(engine) as connection:
        assert set(connection.execute(select(usage_daily)).all()) == {("N", "I", 1, 12), ("N", "I", 2, 2)}


def test_only_the_rows_named_are_deleted(engine: Engine) -> None:
    rows = [(f"S{n}", f"M{n % 3}", n, None, None) for n in range(40)]
    with writing(engine) as connection:
        insert(connection, legs, LEG, rows)
        delete(connection, legs, ("accession", "manifest"), [(r[0], r[1]) for r in rows[::2]] + [("S1", "M9")])
    with reading(engine) as connection:
        assert read_legs(connection) == set(rows[1::2])


def test_more_than_64_uses_at_one_moment_give_the_same_stock(engine: Engine, tmp_path: Path) -> None:
    """The fold saves its state every 64 movements, so two saved states of one batch may have the same key."""
    events = [supply("received", 1, lot="L1", quantity=500, expires="2027-01-01")]
    events += [supply("used", 5, quantity=1, id=f"use {n}") for n in range(150)]
    commit(new_store(engine), events)
    slowly = new_home(sqlite_url(tmp_path, "slowly"))
    store = new_store(slowly)
    for n, raw in enumerate(events):
        commit(store, [raw], n)
    with reading(engine) as connection:
        assert connection.execute(select(stock_marks.c.time_us)).all() != []
        assert len(connection.execute(select(movements.c.line)).all()) == 151
    assert export(engine) == export(slowly)
    slowly.dispose()


def test_every_column_of_our_tables_has_its_array() -> None:
    kinds = {type(array_of(c, [])) for table in metadata.tables.values() for c in table.columns}
    assert Numbers in kinds
    assert len(kinds) == 3
