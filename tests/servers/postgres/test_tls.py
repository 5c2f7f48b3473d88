"""TLS for PostgreSQL by LABTRAIL_DATABASE alone: a trusted server is accepted, an unknown one is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from models.database.engine import make_engine, reading
from tests.servers.postgres.tls_door import TlsDoor
from tests.support.homes import commit, new_home, new_store
from tests.support.kafka.certificates import Certificates, make_certificates
from tests.support.story import whole_day

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def guarded_url(postgres_home: str, certificates: Certificates) -> Iterator[str]:
    """The test's database behind TLS."""
    url = make_url(postgres_home)
    door = TlsDoor(url.port or 5432, certificates.certificate, certificates.key)
    yield url.set(host="127.0.0.1", port=door.port).render_as_string(hide_password=False)
    door.close()


def test_the_tables_are_written_over_tls(guarded_url: str, certificates: Certificates) -> None:
    engine = new_home(f"{guarded_url}?sslmode=verify-full&sslrootcert={certificates.authority}")
    commit(new_store(engine), whole_day())
    with reading(engine) as connection:
        assert connection.connection.dbapi_connection.pgconn.ssl_in_use  # type: ignore[union-attr]
    engine.dispose()


def test_a_server_of_an_unknown_authority_is_refused(guarded_url: str, tmp_path: Path) -> None:
    stranger = make_certificates(tmp_path).authority
    engine = make_engine(f"{guarded_url}?sslmode=verify-full&sslrootcert={stranger}")
    with pytest.raises(OperationalError, match=r"certificate verify failed|signature failure"), reading(engine):
        pass
    engine.dispose()


def test_a_server_under_another_name_is_refused(guarded_url: str, certificates: Certificates) -> None:
    elsewhere = guarded_url.replace("@127.0.0.1:", "@127.0.0.2:")
    engine = make_engine(f"{elsewhere}?sslmode=verify-full&sslrootcert={certificates.authority}&hostaddr=127.0.0.1")
    with pytest.raises(OperationalError, match="does not match host name"), reading(engine):
        pass
    engine.dispose()
