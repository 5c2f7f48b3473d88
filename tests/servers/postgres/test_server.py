"""The PostgreSQL that the tests start is a real one: passwords, crash recovery, a database for each test."""

import psycopg
import pytest

from tests.support.postgres.server import Postgres, plain

pytestmark = pytest.mark.postgres


def test_each_test_gets_an_empty_database_of_its_own(postgres_url: str) -> None:
    with psycopg.connect(plain(postgres_url)) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        server = connection.execute("SHOW server_version_num").fetchone()
    assert tables == (0,)
    assert server is not None
    assert int(server[0]) >= 170000


def test_what_was_committed_survives_a_crash_of_the_server(postgres_server: Postgres) -> None:
    with psycopg.connect(plain(postgres_server.url()), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n integer)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        before = postgres_server.server.pid
    postgres_server.crash()
    assert not postgres_server.server.running
    postgres_server.start()
    with psycopg.connect(plain(postgres_server.url()), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
        connection.execute("DROP TABLE kept")
    assert postgres_server.server.pid != before
    assert "was interrupted" in postgres_server.server.log.read_text()


def test_a_wrong_password_is_refused(postgres_server: Postgres) -> None:
    url = plain(postgres_server.url()).replace(postgres_server.password, "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, connect_timeout=5)
