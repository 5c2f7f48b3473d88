"""The Kafka transport with the strict commit, as far as it goes without a broker; the rest is in servers/kafka."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import faust

from embedded.strict import FETCH_WAIT_MILLISECONDS_MAX, StrictCommit
from embedded.strict_kafka import Transport


@asynccontextmanager
async def made(**settings: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Faust's consumer of such an app, and the aiokafka consumer it would start."""
    app = faust.App("testers", broker="kafka+strict://127.0.0.1:9", **settings)
    consumer: Any = app.consumer
    assert isinstance(app.transport, Transport)
    client = consumer._thread._create_worker_consumer(app.transport)
    yield consumer, client
    await client.stop()
    consumer._thread.thread_loop.close()


def test_the_url_gives_the_strict_consumer_that_asks_the_broker_often() -> None:
    async def story() -> None:
        async with made() as (consumer, client):
            assert isinstance(consumer, StrictCommit)
            assert client._fetch_max_wait_ms == FETCH_WAIT_MILLISECONDS_MAX

    asyncio.run(story())


def test_tls_and_passwords_reach_the_client() -> None:
    async def story() -> None:
        context = ssl.create_default_context()
        credentials = faust.SASLCredentials(username="lab", password="secret", ssl_context=context)
        async with made(broker_credentials=credentials) as (_, client):
            assert client._client._security_protocol == "SASL_SSL"
            assert client._client._ssl_context is context
            assert client._client._sasl_plain_username == "lab"

    asyncio.run(story())
