"""Statements that go to PostgreSQL together: the same answers, faults and locks as one after the other."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from models.database import engine as database
from models.database.bulk import Known, insert, select_in, upsert
from models.database.engine import make_engine, reading, writing
from models.database.evidence_tables import progress
from models.database.locks import Widen
from models.database.postgres.arrays import Numbers
from models.database.postgres.pipeline import ask, run, send
from models.database.postgres.psycopg_internals import OneSend
from tests.support.homes import commit, new_home, new_store
from tests.support.processes import wait_until
from tests.support.story import whole_day

pytestmark = pytest.mark.postgres
COLUMNS = ("topic", "partition", "next_offset")
LOCK = "SELECT pg_advisory_xact_lock(k) FROM unnest(%s::bigint[]) AS t(k)"
SECONDS_MAX = 30.0


@pytest.fixture
def home(postgres_home: str) -> Iterator[Engine]:
    engine = new_home(postgres_home)
    yield engine
    engine.dispose()


def there(engine: Engine) -> set[tuple[object, ...]]:
    with reading(engine) as connection:
        return {tuple(row) for row in connection.execute(text("SELECT topic, partition, next_offset FROM progress"))}


def put(connection: Connection, *rows: tuple[str, int, int]) -> None:
    insert(connection, progress, COLUMNS, rows)


def whole(connection: Connection) -> bool:
    """Whether a connection from the pool is like a new one: no transaction, no pipeline, no autocommit."""
    raw = connection.connection.driver_connection
    assert raw is not None
    quiet = raw.info.transaction_status == TransactionStatus.IDLE
    return quiet and raw.pgconn.pipeline_status == PipelineStatus.OFF and not raw.autocommit


def test_what_is_read_sees_what_was_written_before_it(home: Engine) -> None:
    with writing(home, pipelined=True) as connection:
        put(connection, ("a", 0, 1), ("b", 0, 1))
        first = ask(connection, "SELECT topic FROM progress WHERE partition = %s ORDER BY 1", (0,))
        put(connection, ("c", 0, 1))
        second = ask(connection, "SELECT count(*) FROM progress", ())
        assert connection.execute(text("SELECT max(topic) FROM progress")).scalar() == "c"
        assert ([*map(tuple, first())], second()) == ([("a",), ("b",)], [(3,)])
        upsert(connection, progress, COLUMNS, [("c", 0, 7)])
        assert [tuple(row) for row in select_in(connection, progress, COLUMNS, "topic", ["c"])] == [("c", 0, 7)]
        assert first() == [("a",), ("b",)], "an answer stays what it was"
    assert there(home) == {("a", 0, 1), ("b", 0, 1), ("c", 0, 7)}
    with home.connect() as connection:
        assert whole(connection)


def test_a_key_is_asked_for_once(home: Engine) -> None:
    seen: list[str] = []
    with writing(home, pipelined=True) as connection:
        put(connection, ("a", 0, 1), ("a", 1, 2), ("b", 0, 3))
        event.listen(home, "before_cursor_execute", lambda *a: seen.append(a[2]))
        known, pairs = (Known(connection, progress, ("next_offset", "topic"), "topic") for _ in range(2))
        known.ask(["a", "none"])
        pairs.ask(["b"])
        assert sorted(row[0] for row in known.of({"a", "none"})) == [1, 2]
        assert pairs.of(["b"]) == [(3, "b")]
        assert known.of(["none"]) == []
        assert len(seen) == 1, "two questions and a write go together"
        assert sorted(known.of(["a", "b"])) == [(1, "a"), (2, "a"), (3, "b")]
        assert len(seen) == 2


@pytest.mark.parametrize(
    ("kind", "rows"),
    [(IntegrityError, [("a", 0, 2)]), (DataError, [("b\x00", 0, 1)]), (DataError, [("b", 2**31, 1)])],
    ids=["a key that is there", "a text that can't be stored", "a number too large"],
)
@pytest.mark.parametrize(
    "when", ["with a read", "with a statement of SQLAlchemy", "with COMMIT", "as the last of many"]
)
def test_a_fault_in_the_middle_undoes_all(
    home: Engine, kind: type[DBAPIError], rows: list[tuple[str, int, int]], when: str
) -> None:
    with writing(home, pipelined=True) as connection:
        put(connection, ("a", 0, 1))
    for _ in range(8):  # past the number after which the driver prepares a statement
        with pytest.raises(kind) as caught, writing(home, pipelined=True) as connection:
            put(connection, ("good", 0, 1))
            put(connection, *rows)
            if when != "as the last of many":
                put(connection, ("good", 1, 1))
            if when == "with a read":
                select_in(connection, progress, COLUMNS, "topic", ["a"])
            elif when == "with a statement of SQLAlchemy":
                connection.execute(text("SELECT 1"))
        assert type(caught.value) is kind
        with home.connect() as connection:
            assert whole(connection)
    assert there(home) == {("a", 0, 1)}
    with writing(home, pipelined=True) as connection:
        put(connection, ("a", 1, 1))
    assert there(home) == {("a", 0, 1), ("a", 1, 1)}


def test_whoever_begins_again_with_more_locks_leaves_nothing_behind(home: Engine) -> None:
    for sent in (False, True):
        with pytest.raises(Widen), writing(home, pipelined=True) as connection:
            run(connection, LOCK, (Numbers([1]),))
            put(connection, ("a", 0, 1))
            if sent:
                send(connection)
            raise Widen({"specimen S"})
        with home.connect() as connection:
            assert whole(connection)
            assert connection.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar() == 0
    assert there(home) == set()


def test_a_statement_after_a_lock_sees_what_its_last_holder_committed(home: Engine) -> None:
    def read() -> list[tuple[object, ...]]:
        with writing(home, pipelined=True) as connection:
            run(connection, LOCK, (Numbers([1]),))
            return select_in(connection, progress, COLUMNS, "topic", ["a"])  # one round trip with the lock

    def somebody_waits() -> bool:
        with reading(home) as connection:
            waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            return connection.execute(waiting).scalar() == 1

    with ThreadPoolExecutor(1) as pool:
        with writing(home, pipelined=True) as connection:
            run(connection, LOCK, (Numbers([1]),))
            send(connection)
            other = pool.submit(read)
            wait_until(somebody_waits, SECONDS_MAX, "the other waits for the lock")
            put(connection, ("a", 0, 1))
        assert other.result(SECONDS_MAX) == [("a", 0, 1)]


def test_a_server_that_goes_away_is_told_as_such_and_the_next_transaction_works(home: Engine) -> None:
    for late in (False, True):
        with pytest.raises(OperationalError) as caught, writing(home, pipelined=True) as connection:
            put(connection, ("a", 0, 1))
            pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
            with home.connect() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            put(connection, ("a", 1, 1))
            if not late:
                select_in(connection, progress, COLUMNS, "topic", ["a"])
        assert caught.value.connection_invalidated
        assert there(home) == set()
    with writing(home, pipelined=True) as connection:
        put(connection, ("a", 0, 1))
    assert there(home) == {("a", 0, 1)}


def test_a_worker_that_stands_still_between_two_trips_loses_its_locks(
    postgres_home: str, home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ABANDONED_MS", 1000)
    zombie = make_engine(postgres_home)
    with pytest.raises(OperationalError), writing(zombie, pipelined=True) as standing:
        run(standing, LOCK, (Numbers([1]),))
        select_in(standing, progress, COLUMNS, "topic", ["a"])
        put(standing, ("zombie", 0, 1))  # waits here, not at the server
        with writing(home, pipelined=True) as going:
            run(going, LOCK, (Numbers([1]),))
            put(going, ("a", 0, 1))
    assert there(home) == {("a", 0, 1)}
    zombie.dispose()


def test_a_worker_that_stands_still_in_the_middle_of_sending_loses_its_locks(
    postgres_home: str, home: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "TRANSACTION_MS", 1000)
    zombie = make_engine(postgres_home)
    leave = OneSend._exit_gen

    def stand_still(self: OneSend) -> Generator[object, object, None]:
        monkeypatch.setattr(OneSend, "_exit_gen", leave)
        for command in self.command_queue:
            command()
        self.command_queue.clear()
        self.pgconn.flush()  # the server has all but the end
        with writing(home) as going:
            going.execute(text(f"SET LOCAL lock_timeout = '{SECONDS_MAX:.0f}s'"))
            run(going, LOCK, (Numbers([1]),))
            put(going, ("a", 0, 1))
        yield from leave(self)

    with pytest.raises(DBAPIError) as caught, writing(zombie, pipelined=True) as standing:
        run(standing, LOCK, (Numbers([1]),))
        put(standing, ("zombie", 0, 1))
        monkeypatch.setattr(OneSend, "_exit_gen", stand_still)
        send(standing)
    assert caught.value.connection_invalidated
    assert there(home) == {("a", 0, 1)}
    zombie.dispose()


def test_more_than_the_network_takes_at_once_is_sent_in_pieces(home: Engine) -> None:
    values = ["x" * 64_000] * 1000
    with writing(home, pipelined=True) as connection:
        for _ in range(2):
            run(connection, "SELECT * FROM unnest(%s::text[])", (values,))
        assert ask(connection, "SELECT length(t) FROM unnest(%s::text[]) AS t", (values,))() == [(64_000,)] * 1000


def test_many_rows_of_one_statement_are_changed_and_counted(home: Engine) -> None:
    change = text("UPDATE progress SET next_offset = :n WHERE topic = :topic")
    with writing(home) as connection:
        put(connection, ("a", 0, 1), ("b", 0, 1))
        changed = connection.execute(change, [{"n": 2, "topic": "a"}, {"n": 3, "topic": "b"}, {"n": 4, "topic": "c"}])
        assert changed.rowcount == 2
    assert there(home) == {("a", 0, 2), ("b", 0, 3)}
    with pytest.raises(DataError), writing(home) as connection:
        connection.execute(change, [{"n": 5, "topic": "a"}, {"n": 2**70, "topic": "b"}])
    assert there(home) == {("a", 0, 2), ("b", 0, 3)}
    with home.connect() as connection:
        assert whole(connection)
    with writing(home, pipelined=True) as connection:
        put(connection, ("d", 0, 1))  # waits, and goes first
        connection.execute(change, [{"n": 6, "topic": "d"}, {"n": 7, "topic": "d"}])
    assert ("d", 0, 7) in there(home)


def test_a_fault_of_the_statement_itself_is_not_one_of_a_record(home: Engine) -> None:
    with pytest.raises(ProgrammingError), writing(home, pipelined=True) as connection:
        run(connection, "INSERT INTO nowhere VALUES (1)")


def test_an_event_of_a_known_specimen_takes_three_round_trips(home: Engine) -> None:
    """BEGIN with the locks and what is on record; what the specimen rests on; what is written, with COMMIT."""
    store = new_store(home)
    commit(store, whole_day()[:2])
    trips: list[str] = []
    event.listen(home, "before_cursor_execute", lambda *a: trips.append(a[2]))
    commit(store, whole_day()[2:3], 10)
    assert len(trips) == 3, trips
