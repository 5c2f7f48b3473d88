"""The Faust app and its broker, for the embedded log and for Kafka alike."""

from typing import Any

import faust
from faust.types import AppT

from agents.log.port import GROUP
from config.settings import Settings


def faust_broker(settings: Settings) -> str:
    """Faust's own address of the broker; Kafka goes through the strict commit (embedded/strict.py)."""
    if not settings.embedded:
        from agents.log.kafka_client import servers_of

        return ";".join(f"kafka+strict://{server}" for server in servers_of(settings.broker))
    mark = "&" if "?" in settings.broker else "?"
    return f"{settings.broker}{mark}keep_days={settings.retention_days:g}"


def credentials(settings: Settings) -> Any:
    """Faust's credentials for a Kafka with TLS or SASL; None for one without."""
    if settings.embedded:
        return None
    from agents.log.kafka_client import access_of

    return access_of(settings).faust_credentials()


def make_app(settings: Settings) -> AppT:
    """An app without agents yet. It opens nothing before it is started."""
    return faust.App(
        GROUP,
        broker=faust_broker(settings),
        broker_credentials=credentials(settings),
        datadir=str(settings.data / "faust"),
        store="memory://",
        autodiscover=False,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=True,
        topic_partitions=settings.partitions,
        stream_wait_empty=True,
        stream_buffer_maxsize=4096,
        broker_commit_interval=0.5,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        producer_acks=-1,
        producer_linger=0,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
