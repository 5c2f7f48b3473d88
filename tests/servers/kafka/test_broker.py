"""The broker that the tests start is Apache Kafka itself: what it acknowledged is there after kill -9."""

import pytest
from kafka import KafkaAdminClient, KafkaProducer, OffsetSpec, TopicPartition

from tests.support.kafka.broker import Broker

pytestmark = pytest.mark.kafka


def test_acknowledged_records_survive_kill_and_restart_of_the_broker(kafka_broker: Broker) -> None:
    partition = TopicPartition("survival", 0)
    with KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap) as admin:
        admin.create_topics({"survival": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    with KafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as producer:
        for future in [producer.send("survival", b"%d" % n) for n in range(100)]:
            future.get(30)
    killed = kafka_broker.server.pid
    kafka_broker.kill()
    kafka_broker.start()
    assert kafka_broker.server.pid != killed
    with KafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap) as admin:
        ends = admin.list_partition_offsets({partition: OffsetSpec.LATEST})
    assert ends[partition].offset == 100
