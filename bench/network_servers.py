"""Kafka and PostgreSQL for the benchmarks: started as the tests do, set as docker-compose.yml sets them, or given.

`KAFKA_BOOTSTRAP` and `LABTRAIL_DATABASE` name your own. Every run gets fresh topics and a fresh database: a given
Kafka must not hold Labtrail's topics yet, and the user of a given PostgreSQL needs CREATEDB.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psycopg
import yaml
from kafka import KafkaAdminClient

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess
from agents.log.kafka_topics import described
from agents.log.port import GROUP, TOPICS
from config.settings import load_settings
from models.database.engine import make_engine
from models.database.migrate import migrate
from tests.support.kafka import broker
from tests.support.kafka.broker import Broker
from tests.support.postgres import server
from tests.support.postgres.server import Postgres, create_database, drop_database, temporary_folder
from tests.support.processes import wait_until

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
PARTITIONS = load_settings({}).partitions
SECONDS_MAX = 60
JAVA = ("-Xms512m", "-Xmx1g")
KAFKA_SETTINGS = {"group.initial.rebalance.delay.ms": "3000"}
"""Workers that start at the same time form the group together: no rebalance in the middle of what is measured."""
LIMIT_GROUP = "bench-limit"
"""The group of the plain loop."""


class Servers:
    """The two servers of a benchmark. A process id is 0 where the server is not ours."""

    def __init__(self, kafka: str, postgres: str, kafka_pid: int, postgres_pid: int) -> None:
        self.kafka, self.postgres = kafka, postgres
        self.kafka_pid, self.postgres_pid = kafka_pid, postgres_pid

    def describe(self) -> dict[str, str]:
        """Which they are, for the report."""
        return {
            "kafka": f"own, {broker.version()}" if self.kafka_pid else "given by KAFKA_BOOTSTRAP",
            "postgres": f"own, {server.version()}" if self.postgres_pid else "given by LABTRAIL_DATABASE",
        }

    def fresh_topics(self) -> None:
        """Delete Labtrail's topics and the groups that read them, and create the topics again, empty."""
        log = KafkaLog(access(self.kafka))
        try:
            log.ask(_delete_topics)
            log.ask(_delete_groups)
            log.ensure_topics(dict.fromkeys(TOPICS, PARTITIONS))
        finally:
            log.close()

    @contextmanager
    def fresh_database(self, *, tables: bool) -> Iterator[str]:
        """The URL of a new database, with Labtrail's tables or empty; dropped afterwards."""
        url = create_database(self.postgres)
        try:
            if tables:
                engine = make_engine(url)
                migrate(engine)
                engine.dispose()
            yield url
        finally:
            with suppress(psycopg.OperationalError):  # Ctrl-C ends our own servers too
                drop_database(self.postgres, url)


def access(kafka: str) -> KafkaAccess:
    """How `host:port,…` is reached: in plain text, as the tests do."""
    return KafkaAccess(servers=tuple(kafka.split(",")))


def _delete_topics(admin: KafkaAdminClient) -> None:
    there = sorted(described(admin, sorted(TOPICS)))
    if there:
        admin.delete_topics(there)
    wait_until(lambda: not described(admin, sorted(TOPICS)), SECONDS_MAX, "the topics are deleted")


def _delete_groups(admin: KafkaAdminClient) -> None:
    """A member that has just left may still be counted: then retry."""

    def gone() -> bool:
        answers: dict[str, str] = admin.delete_groups([GROUP, LIMIT_GROUP])
        return set(answers.values()) <= {"OK", "GroupIdNotFoundError"}

    wait_until(gone, SECONDS_MAX, "the groups are deleted", every=0.2)


def postgres_options() -> tuple[str, ...]:
    """The settings of PostgreSQL in docker-compose.yml, `name=value`."""
    command = yaml.safe_load(COMPOSE.read_text())["services"]["postgres"]["command"]
    return tuple(value for flag, value in pairwise(command) if flag == "-c")


@contextmanager
def servers() -> Iterator[Servers]:
    """Given ones, or our own, which end with this process. Raises SystemExit where neither can be had."""
    kafka, database = os.environ.get("KAFKA_BOOTSTRAP", ""), os.environ.get("LABTRAIL_DATABASE", "")
    kafka_pid = postgres_pid = 0
    with ExitStack() as stack:
        if kafka:
            _require_empty(kafka)
        else:
            _require(broker.missing())
            folder = stack.enter_context(temporary_folder())
            own = Broker(folder / "kafka", settings=KAFKA_SETTINGS, java=JAVA)
            stack.callback(own.kill)
            own.start()
            kafka, kafka_pid = own.bootstrap, own.server.pid
        if not database.startswith("postgresql+psycopg:"):
            _require(server.missing())
            postgres = Postgres(stack.enter_context(temporary_folder()), options=postgres_options())
            stack.callback(postgres.stop)
            postgres.start()
            database, postgres_pid = postgres.url(), postgres.server.pid
        yield Servers(kafka, database, kafka_pid, postgres_pid)


def _require(lacking: str | None) -> None:
    if lacking is not None:
        raise SystemExit(lacking)


def _require_empty(kafka: str) -> None:
    """Topics are deleted between the runs: never somebody else's."""
    log = KafkaLog(access(kafka))
    try:
        there = sorted(log.ask(lambda admin: described(admin, sorted(TOPICS))))
    finally:
        log.close()
    if there:
        raise SystemExit(
            f"{kafka} has {', '.join(there)} already, and the benchmark deletes its topics between the runs: "
            "give it a Kafka of its own, or none"
        )
