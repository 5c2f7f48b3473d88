"""Fixtures of real servers: Apache Kafka and PostgreSQL, one each per test run, made when first asked for.

`KAFKA_BOOTSTRAP` and `LABTRAIL_DATABASE` point the tests at your own instead; that user needs CREATEDB.
Where a server can't be had the tests are skipped with the reason; with CI=true every skip is a failure.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.homes import new_home, sqlite_url
from tests.support.kafka import broker
from tests.support.kafka.broker import Broker
from tests.support.postgres import server
from tests.support.postgres.server import Postgres, create_database, drop_database, temporary_folder


def skip_if(*missing: str | None) -> None:
    """Skip with the first reason why a server can't be had."""
    for reason in missing:
        if reason is not None:
            pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that this run started: may be stopped, killed and restarted; leave it running."""
    skip_if(broker.missing())
    own = Broker(tmp_path_factory.mktemp("kafka"))
    try:
        own.start()
        yield own
    finally:
        own.kill()


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """`host:port` of the Kafka to test with: KAFKA_BOOTSTRAP, else our own broker."""
    given = os.environ.get("KAFKA_BOOTSTRAP")
    return given if given else request.getfixturevalue("kafka_broker").bootstrap


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """The PostgreSQL that this run started: may be stopped, crashed and restarted; leave it running."""
    skip_if(server.missing())
    with temporary_folder() as folder:
        own = Postgres(folder)
        try:
            own.start()
            yield own
        finally:
            own.stop()


@pytest.fixture(scope="session")
def postgres_base_url(request: pytest.FixtureRequest) -> str:
    """A database of the PostgreSQL to test with, to make others from: LABTRAIL_DATABASE, else our own."""
    given = os.environ.get("LABTRAIL_DATABASE", "")
    if given.startswith("postgresql+psycopg:"):
        return given
    return str(request.getfixturevalue("postgres_server").url())


@pytest.fixture
def postgres_url(postgres_base_url: str) -> Iterator[str]:
    """`postgresql+psycopg://…` of an empty database for this test alone, dropped after it."""
    url = create_database(postgres_base_url)
    yield url
    drop_database(postgres_base_url, url)


@pytest.fixture(scope="session")
def postgres_template(postgres_base_url: str) -> Iterator[str]:
    """A database with our tables and nothing in them, to make copies of: nobody connects to it."""
    url = create_database(postgres_base_url)
    new_home(url).dispose()
    yield url
    drop_database(postgres_base_url, url)


@pytest.fixture
def postgres_home(postgres_base_url: str, postgres_template: str) -> Iterator[str]:
    """`postgresql+psycopg://…` of a database with our tables for this test alone, dropped after it."""
    url = create_database(postgres_base_url, template=postgres_template)
    yield url
    drop_database(postgres_base_url, url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with our tables for this test alone, of each kind."""
    made = new_home(sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgres_home"))
    yield made
    made.dispose()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CI=true a skipped test is a failed one: there every program must be installed."""
    report = yield
    _refuse_skip(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    _refuse_skip(report, collector.nodeid)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, name: str) -> None:
    if os.environ.get("CI") != "true" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{name} was skipped, which CI=true does not allow: {reason}"
