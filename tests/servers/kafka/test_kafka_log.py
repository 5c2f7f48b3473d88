"""The Kafka log against a real broker: durable appends, reported faults, rereading."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata
from kafka.structs import TopicPartition

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess, KafkaFault, open_client, servers_of
from agents.log.kafka_topics import TopicPlan, add_partitions, apply_settings, create_missing, differences, rewind
from embedded.records import VALUE_BYTES_MAX, NewRecord, Position, partition_of
from tests.support.kafka.broker import Broker
from tests.support.processes import free_port

pytestmark = pytest.mark.kafka


def test_a_key_goes_to_the_partition_that_the_embedded_log_would_choose(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.ensure_topics({topic: 8})
    keys = [f"S26{number:06}".encode() for number in range(300)]
    positions = kafka_log.append([NewRecord(topic, key, b"{}") for key in keys])
    assert [place.partition for place in positions] == [partition_of(key, 8) for key in keys]


def test_appends_survive_kill_and_restart_of_the_broker_and_go_on_with_the_same_log(
    kafka_broker: Broker, topic: str
) -> None:
    log = KafkaLog(KafkaAccess(servers=(kafka_broker.bootstrap,), timeout_seconds=40), topics=())
    log.ensure_topics({topic: 1})
    try:
        before = log.append([NewRecord(topic, b"k", b"before %d" % n) for n in range(50)])
        kafka_broker.kill()
        kafka_broker.start()
        after = log.append([NewRecord(topic, b"k", b"after")])
        assert log.ends() == {(topic, 0): 51}
        assert [place.offset for place in before] == list(range(50))
        assert after == [Position(topic, 0, 50)]
        assert [record.value for _, record in log.replay()][-2:] == [b"before 49", b"after"]
    finally:
        log.close()


def test_a_close_waits_for_an_append_under_way(
    kafka_bootstrap: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = KafkaLog(KafkaAccess(servers=tuple(kafka_bootstrap.split(","))), topics=())
    log.ensure_topics({topic: 1})
    asks, began = KafkaProducer._wait_on_metadata, threading.Event()

    def asking(producer: KafkaProducer, *arguments: object) -> object:
        began.set()
        return asks(producer, *arguments)

    monkeypatch.setattr(KafkaProducer, "_wait_on_metadata", asking)
    with ThreadPoolExecutor(1) as pool:
        append = pool.submit(log.append, [NewRecord(topic, b"k", b"{}")])
        assert began.wait(30)
        log.close()
        assert append.result() == [Position(topic, 0, 0)]


def test_an_append_that_no_broker_answers_fails_within_its_time_limit_and_can_be_repeated(
    kafka_broker: Broker, topic: str
) -> None:
    log = KafkaLog(KafkaAccess(servers=(kafka_broker.bootstrap,), timeout_seconds=3), topics=())
    try:
        log.ensure_topics({topic: 1})
        log.append([NewRecord(topic, b"k", b"first")])
        kafka_broker.server.pause()
        try:
            with pytest.raises(KafkaFault, match="did not do it within 3 s"):
                log.append([NewRecord(topic, b"k", b"second")])
        finally:
            kafka_broker.server.resume()
        log.append([NewRecord(topic, b"k", b"second")])
        # at least once: the append that was given up may have arrived as well
        values = [record.value for _, record in log.replay()]
        assert values in ([b"first", b"second"], [b"first", b"second", b"second"])
    finally:
        log.close()


def test_a_kafka_that_is_not_there_is_told_in_one_line_and_leaves_nothing_open() -> None:
    access = KafkaAccess(servers=(f"127.0.0.1:{free_port()}",), timeout_seconds=1)
    log = KafkaLog(access)
    with pytest.raises(KafkaFault, match=r"can't be reached .* check that it runs") as told:
        log.append([NewRecord("lab.specimens", b"k", b"{}")])
    assert "\n" not in str(told.value)
    with pytest.raises(KafkaFault):
        log.ends()
    log.close()


def test_a_topic_that_is_not_there_is_told_with_what_to_do(kafka_bootstrap: str, topic: str) -> None:
    log = KafkaLog(KafkaAccess(servers=(kafka_bootstrap,), timeout_seconds=2))
    with pytest.raises(KafkaFault, match="labtrail topics"):
        log.append([NewRecord(topic, b"k", b"{}")])
    log.close()


def test_a_record_that_is_too_large_takes_nothing_of_its_batch_into_the_log(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.ensure_topics({topic: 1})
    with pytest.raises(KafkaFault, match="too large"):
        kafka_log.append([NewRecord(topic, b"k", b"good"), NewRecord(topic, b"k", bytes(VALUE_BYTES_MAX + 1))])
    assert kafka_log.ends() == {(topic, 0): 0}
    kafka_log.append([NewRecord(topic, b"k" * 4096, bytes(VALUE_BYTES_MAX))])
    assert kafka_log.ends() == {(topic, 0): 1}


def test_replay_gives_what_was_appended_since_a_time_up_to_the_end(kafka_log: KafkaLog, topic: str) -> None:
    kafka_log.ensure_topics({topic: 4})
    values = [b"%d" % n for n in range(2000)]
    first = kafka_log.append([NewRecord(topic, value, value) for value in values[:1200]])
    appended = {position: record.appended_us for position, record in kafka_log.replay()}
    assert set(appended) == set(first)
    last_us = max(appended.values())
    kafka_log.append([NewRecord(topic, value, value) for value in values[1200:]])
    replayed = [record.value for _, record in kafka_log.replay()]
    assert sorted(replayed, key=int) == values
    later = datetime.fromtimestamp(last_us / 1e6, UTC) + timedelta(milliseconds=1)
    since = {record.value for _, record in kafka_log.replay(later)}
    assert since == set(values[1200:])
    assert not list(kafka_log.replay(datetime.now(UTC) + timedelta(days=1)))


def test_committed_is_what_the_group_has_consumed(kafka_log: KafkaLog, kafka_access: KafkaAccess, topic: str) -> None:
    kafka_log.ensure_topics({topic: 2})
    assert kafka_log.committed(topic) == {}
    kafka_log.append([NewRecord(topic, None, b"{}", partition=1) for _ in range(5)])
    consumer = open_client(KafkaConsumer, kafka_access, group_id=topic, enable_auto_commit=False)
    consumer.assign([TopicPartition(topic, 1)])
    consumer.commit({TopicPartition(topic, 1): OffsetAndMetadata(3, "", -1)})
    consumer.close()
    assert kafka_log.committed(topic) == {(topic, 1): 3}
    assert kafka_log.ends() == {(topic, 0): 0, (topic, 1): 5}
    assert rewind_all(kafka_access, topic) == {(topic, 0): 0, (topic, 1): 0}
    assert kafka_log.committed(topic)[topic, 1] == 0


def rewind_all(access: KafkaAccess, topic: str) -> dict[tuple[str, int], int]:
    with open_client(KafkaAdminClient, access) as admin:
        return rewind(admin, topic, [topic], None)


def test_a_group_is_not_set_back_while_one_of_its_workers_runs(
    kafka_log: KafkaLog, kafka_access: KafkaAccess, topic: str
) -> None:
    kafka_log.ensure_topics({topic: 1})
    kafka_log.append([NewRecord(topic, b"k", b"{}")])
    worker = open_client(
        KafkaConsumer, kafka_access, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    worker.subscribe([topic])
    assert worker.poll(timeout_ms=20_000)
    with pytest.raises(KafkaFault, match="stop every worker first"):
        rewind_all(kafka_access, topic)
    worker.close()
    assert rewind_all(kafka_access, topic) == {(topic, 0): 0}


def test_topics_are_made_as_planned_and_differences_say_what_to_do(kafka_access: KafkaAccess, topic: str) -> None:
    made = [TopicPlan(name=topic, partitions=2, retention_days=14)]
    planned = [TopicPlan(name=topic, partitions=4, retention_days=30)]
    with open_client(KafkaAdminClient, kafka_access) as admin:
        assert differences(admin, made) == [f"{topic}: is not there: run `labtrail topics`"]
        assert create_missing(admin, made) == [topic]
        assert create_missing(admin, made) == []
        assert differences(admin, made) == []
        assert differences(admin, planned) == [
            f"{topic}: 2 partitions, planned 4: add them by --add-partitions",
            f"{topic}: retention.ms is 1209600000, planned 2592000000: run `labtrail topics --apply`",
        ]
        assert create_missing(admin, planned) == []
        assert add_partitions(admin, planned) == [topic]
        apply_settings(admin, planned)
        admin.wait_for_topics([topic])
        assert differences(admin, planned) == []
        assert differences(admin, made)[0].endswith("planned 2: set LABTRAIL_PARTITIONS=4")


def test_more_replicas_than_brokers_are_refused_with_the_number_of_brokers(
    kafka_access: KafkaAccess, topic: str
) -> None:
    with open_client(KafkaAdminClient, kafka_access) as admin:
        brokers = len(admin.describe_cluster()["brokers"])
        plan = TopicPlan(name=topic, partitions=1, replication=brokers + 1)
        with pytest.raises(KafkaFault, match=f"{brokers} run: start more"):
            create_missing(admin, [plan])


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("kafka://a:9092", ("a:9092",)),
        ("kafka://a", ("a:9092",)),
        ("kafka://a:1,b:2", ("a:1", "b:2")),
        ("kafka://a:1;kafka://b", ("a:1", "b:9092")),
        ("kafka+strict://a:1;kafka+strict://b", ("a:1", "b:9092")),
    ],
)
def test_a_broker_url_names_one_or_more_servers(url: str, servers: tuple[str, ...]) -> None:
    assert servers_of(url) == servers


@pytest.mark.parametrize("url", ["kafka://", "sqlite:///x", "kafka://a,,b"])
def test_a_url_that_names_no_kafka_is_refused(url: str) -> None:
    with pytest.raises(KafkaFault, match="LABTRAIL_BROKER"):
        servers_of(url)
