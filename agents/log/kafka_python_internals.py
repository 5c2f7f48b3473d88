"""The private names of kafka-python that Labtrail uses; no other module does. Read in kafka-python 3.0.12.

`KafkaNetClient` (of the undocumented `kafka.net.compat`) holds the connections of every kind of client; its `_net` is
the loop that runs them in a thread. `KafkaProducer._sender` is the thread that sends.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

ABANDON_SECONDS = 5.0
T = TypeVar("T")


def construct(kind: Callable[..., T], options: Mapping[str, Any]) -> T:
    """A client of this kind. Raises KafkaError or OSError when Kafka can't be reached in time.

    A client whose construction fails would leak its sockets and its thread: they are closed here.
    """
    made: list[KafkaNetClient] = []

    def network(**configs: object) -> KafkaNetClient:
        made.append(KafkaNetClient(**configs))
        return made[-1]

    try:
        return kind(**{**options, "kafka_client": network})
    except (KafkaError, OSError):
        for client in made:
            client._net.stop()
            client.close()
        raise


def abandon(producer: KafkaProducer) -> None:
    """Close a producer without waiting for unsent records: their callers get an error.

    Its own `close` waits first, and on timeout leaks its thread and sockets.
    """
    producer._sender.force_close()
    producer._sender.join(ABANDON_SECONDS)
    with suppress(KafkaError):
        producer.close(timeout=0)
