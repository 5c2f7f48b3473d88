"""`labtrail topics` as an administrator types it, against a broker of its own: the topic names are fixed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaAdminClient

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess
from agents.log.kafka_topics import rewind
from agents.log.port import GROUP, TOPICS
from embedded.records import NewRecord
from models.rules.events import SPECIMENS_TOPIC, SUPPLIES_TOPIC
from tests.support.kafka import broker
from tests.support.kafka.broker import Broker
from tests.support.processes import wait_until
from tests.support.servers import skip_if

pytestmark = pytest.mark.kafka


class Ran(NamedTuple):
    code: int
    out: list[str]
    err: str


@pytest.fixture(scope="module")
def empty_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    skip_if(broker.missing())
    own = Broker(tmp_path_factory.mktemp("empty"))
    own.start()
    yield own
    own.kill()


def run_topics(kafka: str, *arguments: str, home: Path, **variables: str) -> Ran:
    environ = {"PATH": os.environ["PATH"], "LABTRAIL_BROKER": kafka, "LABTRAIL_DATA": str(home), **variables}
    done = subprocess.run(
        [sys.executable, "-m", "labtrail", "topics", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout.splitlines(), done.stderr.strip())


def test_topics_are_made_checked_changed_and_grown_by_one_command(empty_kafka: Broker, tmp_path: Path) -> None:
    url = f"kafka://{empty_kafka.bootstrap}"

    absent = run_topics(url, "--check", home=tmp_path)
    assert absent.code == 1
    assert absent.out == [f"{name}: is not there: run `labtrail topics`" for name in TOPICS]
    assert absent.err == "labtrail: 3 things differ from the plan: do what each line says"

    made = run_topics(url, home=tmp_path, LABTRAIL_PARTITIONS="2")
    assert (made.code, made.out) == (0, [*(f"{name}: made" for name in TOPICS), "3 topics are as planned"])

    larger = {"LABTRAIL_PARTITIONS": "3", "LABTRAIL_RETENTION_DAYS": "30"}
    assert run_topics(url, "--check", home=tmp_path, **larger).code == 1
    differing = run_topics(url, home=tmp_path, **larger)
    assert differing.code == 0, "workers must be able to start beside topics that are usable"
    assert differing.out[:2] == [
        f"{SPECIMENS_TOPIC}: 2 partitions, planned 3: add them by --add-partitions",
        f"{SPECIMENS_TOPIC}: retention.ms is 1209600000, planned 2592000000: run `labtrail topics --apply`",
    ]

    brought = run_topics(url, "--add-partitions", "--apply", home=tmp_path, **larger)
    assert brought.code == 0, brought
    assert run_topics(url, "--check", home=tmp_path, **larger) == Ran(0, ["3 topics are as planned"], "")


def test_rewind_lets_the_workers_read_everything_again(empty_kafka: Broker, tmp_path: Path) -> None:
    url = f"kafka://{empty_kafka.bootstrap}"
    run_topics(url, home=tmp_path)
    log = KafkaLog(KafkaAccess(servers=(empty_kafka.bootstrap,)))
    log.append([NewRecord(SPECIMENS_TOPIC, b"k", b"{}", partition=0) for _ in range(7)])
    log.ask(lambda admin: rewind(admin, GROUP, [SPECIMENS_TOPIC, SUPPLIES_TOPIC], None))
    log.ask(
        lambda admin: admin.alter_group_offsets(
            GROUP, {place: at._replace(offset=7) for place, at in admin.list_group_offsets([GROUP])[GROUP].items()}
        )
    )
    assert log.committed(GROUP)[SPECIMENS_TOPIC, 0] == 7
    answer = run_topics(url, "--rewind", "start", home=tmp_path)
    assert answer.code == 0, answer
    assert f"{SPECIMENS_TOPIC} partition 0: reads again from 0" in answer.out
    assert log.committed(GROUP)[SPECIMENS_TOPIC, 0] == 0
    later = run_topics(url, "--rewind", "2100-01-01T00:00:00Z", home=tmp_path)
    assert f"{SPECIMENS_TOPIC} partition 0: reads again from 7" in later.out
    log.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rewind", "yesterday"), "write it like 2026-11-21T18:00:00Z"),
        (("--rewind", "2026-11-21T18:00:00"), "no moment with an offset"),
        (("--replication", "0"), "--replication"),
    ],
)
def test_a_wrongly_written_command_is_told_in_one_line(arguments: tuple[str, ...], says: str, tmp_path: Path) -> None:
    ran = run_topics("kafka://127.0.0.1:9", *arguments, home=tmp_path)
    assert (ran.code, ran.out) == (2, [])
    assert says in ran.err
    assert "\n" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--replication", "2"), "2 replicas of lab.specimens need as many brokers, 1 run"),
        (("--min-insync", "2"), "raise --replication"),
    ],
)
def test_a_plan_that_the_cluster_can_not_hold_is_refused(
    arguments: tuple[str, ...], says: str, empty_kafka: Broker, tmp_path: Path
) -> None:
    delete_topics(empty_kafka)
    ran = run_topics(f"kafka://{empty_kafka.bootstrap}", *arguments, home=tmp_path)
    assert (ran.code, ran.out) == (1, [])
    assert says in ran.err


def delete_topics(kafka: Broker) -> None:
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap) as admin:
        there = sorted(set(admin.list_topics()) & set(TOPICS))
        if there:
            admin.delete_topics(there)
            wait_until(lambda: not set(admin.list_topics()) & set(TOPICS), 30, "topics deleted")


def test_an_embedded_log_needs_no_topics(tmp_path: Path) -> None:
    ran = run_topics(f"sqlite:///{tmp_path}/log.db", home=tmp_path)
    assert ran.code == 1
    assert "the embedded log makes its own topics" in ran.err
