"""Opening the log that LABTRAIL_BROKER names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agents.log.port import TOPICS, EventLog
from config.errors import LabtrailError
from embedded.log import Log
from embedded.records import log_path

if TYPE_CHECKING:
    from agents.log.kafka_client import KafkaAccess


def open_log(broker_url: str, topics: Mapping[str, int] = TOPICS, kafka: "KafkaAccess | None" = None) -> EventLog:
    """The log that LABTRAIL_BROKER names, `sqlite:///PATH` or `kafka://HOST:PORT`; its topics are created.

    Within one process, everything that opens the same embedded log shares it, Faust's transport too, so an append
    wakes the agents at once. `kafka`: TLS, user, time limits; None: plain text. The caller closes the log.
    Raises LabtrailError.
    """
    scheme = broker_url.partition("://")[0]
    log: EventLog
    if scheme == "sqlite":
        log = Log.open(log_path(broker_url))
    elif scheme == "kafka":
        # kafka-python and Faust are slow to import, and needed with Kafka only
        from agents.log.kafka import KafkaLog
        from agents.log.kafka_client import KafkaAccess, servers_of

        log = KafkaLog(kafka or KafkaAccess(servers=servers_of(broker_url)))
    else:
        raise LabtrailError(
            f"{broker_url!r} is no broker: set LABTRAIL_BROKER to sqlite:///PATH or kafka://HOST:9092"
        )
    try:
        log.ensure_topics(topics)
    except BaseException:
        log.close()
        raise
    return log
