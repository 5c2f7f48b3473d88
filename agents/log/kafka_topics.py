"""Topics in Kafka: create what is missing, report what differs from the plan, rewind a group to read again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec, OffsetTimestamp
from kafka.errors import NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from kafka.structs import TopicPartition as KafkaPartition

from agents.log.kafka_client import KafkaFault
from embedded.records import VALUE_BYTES_MAX
from models.rules.times import microseconds

REQUEST_BYTES_MAX = 2 * VALUE_BYTES_MAX
"""The largest record with its key, headers and framing; also `max.message.bytes` of the topics."""
REPLICAS_WANTED = 3
DAY_MS = 86_400_000


class TopicPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How a topic should be. None: as many replicas as brokers, up to three; all but one must be in sync."""

    name: str
    partitions: int
    replication: int | None = None
    min_insync: int | None = None
    retention_days: float | None = None
    """None: kept indefinitely. The tables keep every event; the log is what a restored backup catches up from."""

    def resolved(self, brokers: int) -> "TopicPlan":
        """With the defaults filled in for a cluster of this many brokers."""
        replication = self.replication or min(REPLICAS_WANTED, brokers)
        if (self.min_insync or 1) > replication:
            raise KafkaFault(
                f"{self.min_insync} of {replication} replicas of {self.name} can't be in sync:"
                " lower --min-insync or raise --replication"
            )
        return msgspec.structs.replace(
            self, replication=replication, min_insync=self.min_insync or max(1, replication - 1)
        )

    def configs(self) -> dict[str, str]:
        """The topic settings that we rely on."""
        kept = -1 if self.retention_days is None else int(self.retention_days * DAY_MS)
        return {
            "min.insync.replicas": str(self.min_insync),
            "retention.ms": str(kept),
            "max.message.bytes": str(REQUEST_BYTES_MAX),
            # arrival is judged by the brokers' clocks, not by a phone's or a worker's
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
            # with too few replicas in sync, refuse writes rather than lose acknowledged records
            "unclean.leader.election.enable": "false",
        }


def described(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{name: Kafka's description} of the topics that exist."""
    found = {}
    for topic in admin.describe_topics(list(names)) if names else ():
        error = for_code(topic["error_code"])
        if error is NoError:
            found[topic["name"]] = topic
        elif error is not UnknownTopicOrPartitionError:
            raise error(f"topic {topic['name']}")
    return found


def create_missing(admin: KafkaAdminClient, plans: Sequence[TopicPlan]) -> list[str]:
    """Create the topics that don't exist; returns their names. Raises KafkaError; KafkaFault for a bad plan."""
    there = described(admin, [plan.name for plan in plans])
    brokers = len(admin.describe_cluster()["brokers"])
    new = [plan.resolved(brokers) for plan in plans if plan.name not in there]
    for plan in new:
        if plan.replication is not None and plan.replication > brokers:
            raise KafkaFault(
                f"{plan.replication} replicas of {plan.name} need as many brokers, {brokers} run: start more"
            )
    if not new:
        return []
    wanted = {
        plan.name: {
            "num_partitions": plan.partitions,
            "replication_factor": plan.replication,
            "configs": plan.configs(),
        }
        for plan in new
    }
    answer = admin.create_topics(wanted, raise_errors=False)
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if error not in (NoError, TopicAlreadyExistsError):  # another process may have made it first
            raise error(f"topic {topic['name']}: {topic['error_message']}")
    admin.wait_for_topics([plan.name for plan in new])
    return [plan.name for plan in new]


def differences(admin: KafkaAdminClient, plans: Sequence[TopicPlan]) -> list[str]:
    """One line for each way in which the topics are not as planned: what is, what should be, what to do."""
    there = described(admin, [plan.name for plan in plans])
    brokers = len(admin.describe_cluster()["brokers"])
    lines = []
    for plan in (plan.resolved(brokers) for plan in plans):
        topic = there.get(plan.name)
        if topic is None:
            lines.append(f"{plan.name}: is not there: run `labtrail topics`")
            continue
        count = len(topic["partitions"])
        if count < plan.partitions:
            lines.append(f"{plan.name}: {count} partitions, planned {plan.partitions}: add them by --add-partitions")
        elif count > plan.partitions:
            lines.append(
                f"{plan.name}: {count} partitions, planned {plan.partitions}: set LABTRAIL_PARTITIONS={count}"
            )
        replicas = min(len(part["replica_nodes"]) for part in topic["partitions"])
        if replicas != plan.replication:
            lines.append(
                f"{plan.name}: {replicas} replicas, planned {plan.replication}: move them by Kafka's"
                " kafka-reassign-partitions, or plan that number by --replication"
            )
        lacking = [p["partition_index"] for p in topic["partitions"] if len(p["isr_nodes"]) < len(p["replica_nodes"])]
        if lacking:
            lines.append(f"{plan.name}: partitions {lacking} lack replicas in sync: look after the brokers")
        lines += _setting_differences(admin, plan)
    return lines


def _setting_differences(admin: KafkaAdminClient, plan: TopicPlan) -> list[str]:
    wanted = plan.configs()
    resource = ConfigResource(ConfigResourceType.TOPIC, plan.name, list(wanted))
    found = admin.describe_configs([resource], config_filter="all")["topic"][plan.name]
    return [
        f"{plan.name}: {key} is {found[key]['value']}, planned {value}: run `labtrail topics --apply`"
        for key, value in wanted.items()
        if found[key]["value"] != value
    ]


def apply_settings(admin: KafkaAdminClient, plans: Sequence[TopicPlan]) -> None:
    """Give existing topics the planned settings. Partitions and replicas stay as they are."""
    brokers = len(admin.describe_cluster()["brokers"])
    resolved = [plan.resolved(brokers) for plan in plans]
    admin.alter_configs(
        [ConfigResource(ConfigResourceType.TOPIC, plan.name, dict(plan.configs())) for plan in resolved]
    )


def add_partitions(admin: KafkaAdminClient, plans: Sequence[TopicPlan]) -> list[str]:
    """Raise the number of partitions to the plan; returns the topics changed.

    Keys then map to other partitions, so two events of one specimen may be read in another order: the tables do
    not depend on it.
    """
    there = described(admin, [plan.name for plan in plans])
    short = {
        plan.name: plan.partitions
        for plan in plans
        if plan.name in there and len(there[plan.name]["partitions"]) < plan.partitions
    }
    if short:
        admin.create_partitions(short)
    return list(short)


def rewind(
    admin: KafkaAdminClient, group: str, topics: Sequence[str], since: datetime | None
) -> dict[tuple[str, int], int]:
    """Rewind a group to the first record appended at or after `since` (None: the first kept).

    Returns {(topic, partition): offset}. Records are redelivered from there; known ids change nothing.
    Raises KafkaFault while a worker of the group runs.
    """
    spec = OffsetSpec.EARLIEST if since is None else OffsetTimestamp(microseconds(since) // 1000)
    places = [
        KafkaPartition(name, part["partition_index"])
        for name, topic in described(admin, topics).items()
        for part in topic["partitions"]
    ]
    done = admin.reset_group_offsets(group, dict.fromkeys(places, spec))
    refused = {answer["error"] for answer in done.values()} - {NoError}
    if refused:
        raise KafkaFault(
            f"the group {group} could not be set back ({', '.join(e.__name__ for e in refused)}):"
            " stop every worker first, wait until its session has ended, and try again"
        )
    return {(place.topic, place.partition): answer["offset"] for place, answer in sorted(done.items())}
