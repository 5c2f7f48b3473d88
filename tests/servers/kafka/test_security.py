"""TLS and SASL: the same settings let kafka-python and Faust in, and a wrong one says which to fix."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import faust
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from agents.log.kafka import KafkaLog
from agents.log.kafka_client import KafkaAccess, KafkaFault, access_of
from config.settings import load_settings
from config.values import Secret
from embedded.records import NewRecord
from tests.support.kafka import broker
from tests.support.kafka.broker import Broker, Security
from tests.support.kafka.certificates import Certificates, make_certificates
from tests.support.servers import skip_if

pytestmark = pytest.mark.kafka
USER, PASSWORD = "labtrail", "pass-word-of-the-test"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Broker]:
    """A broker that also listens with TLS, and with TLS and SCRAM."""
    skip_if(broker.missing())
    own = Broker(tmp_path_factory.mktemp("guarded"), security=Security(certificates.keystore, USER, PASSWORD))
    own.start()
    yield own
    own.kill()


@pytest.fixture
def tls(guarded: Broker, certificates: Certificates) -> KafkaAccess:
    return KafkaAccess(
        servers=(f"127.0.0.1:{guarded.tls_port}",),
        security="SSL",
        ca_file=certificates.authority,
        timeout_seconds=10,
    )


@pytest.fixture
def sasl(guarded: Broker, certificates: Certificates) -> KafkaAccess:
    """As LABTRAIL_ variables give it."""
    settings = load_settings(
        {
            "LABTRAIL_BROKER": f"kafka://127.0.0.1:{guarded.sasl_port}",
            "LABTRAIL_KAFKA_SECURITY": "SASL_SSL",
            "LABTRAIL_KAFKA_CA_FILE": str(certificates.authority),
            "LABTRAIL_KAFKA_SASL": "SCRAM-SHA-512",
            "LABTRAIL_KAFKA_USERNAME": USER,
            "LABTRAIL_KAFKA_PASSWORD": PASSWORD,
        }
    )
    return msgspec.structs.replace(access_of(settings), timeout_seconds=10.0)


def append_and_read(access: KafkaAccess, topic: str) -> list[bytes]:
    log = KafkaLog(access, topics=())
    try:
        log.ensure_topics({topic: 1})
        log.append([NewRecord(topic, b"k", b"through")])
        return [record.value for _, record in log.replay()]
    finally:
        log.close()


def test_events_go_through_tls(tls: KafkaAccess, topic: str) -> None:
    assert append_and_read(tls, topic) == [b"through"]


def test_events_go_through_tls_with_a_scram_user_from_the_settings(sasl: KafkaAccess, topic: str) -> None:
    assert append_and_read(sasl, topic) == [b"through"]


async def faust_reads(access: KafkaAccess, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=list(access.servers),
        auto_offset_reset="earliest",
        **credentials_to_aiokafka_auth(access.faust_credentials()),
    )
    await consumer.start()
    try:
        return (await consumer.getone()).value
    finally:
        await consumer.stop()


@pytest.mark.parametrize("kind", ["tls", "sasl"])
def test_the_same_settings_let_faust_in(kind: str, topic: str, request: pytest.FixtureRequest) -> None:
    access = request.getfixturevalue(kind)
    append_and_read(access, topic)
    assert asyncio.run(asyncio.wait_for(faust_reads(access, topic), 20)) == b"through"


def test_a_wrong_password_names_the_two_settings(sasl: KafkaAccess, topic: str) -> None:
    wrong = msgspec.structs.replace(sasl, password=Secret("wrong"), timeout_seconds=3.0)
    log = KafkaLog(wrong, topics=())
    with pytest.raises(KafkaFault, match="LABTRAIL_KAFKA_USERNAME and LABTRAIL_KAFKA_PASSWORD") as told:
        log.append([NewRecord(topic, b"k", b"{}")])
    assert "wrong" not in str(told.value)
    log.close()


def test_a_broker_of_an_unknown_authority_is_not_trusted(tls: KafkaAccess, tmp_path: Path, topic: str) -> None:
    stranger = msgspec.structs.replace(tls, ca_file=make_certificates(tmp_path).authority, timeout_seconds=3.0)
    log = KafkaLog(stranger, topics=())
    with pytest.raises(KafkaFault, match="LABTRAIL_KAFKA_CA_FILE"):
        log.append([NewRecord(topic, b"k", b"{}")])
    log.close()


def test_tls_to_a_plain_port_is_told(guarded: Broker, tls: KafkaAccess) -> None:
    log = KafkaLog(msgspec.structs.replace(tls, servers=(guarded.bootstrap,), timeout_seconds=2.0))
    with pytest.raises(KafkaFault, match="LABTRAIL_KAFKA_SECURITY"):
        log.ends()
    log.close()


def test_an_authority_file_that_is_none_is_told(tls: KafkaAccess, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
        log = KafkaLog(msgspec.structs.replace(tls, ca_file=path))
        with pytest.raises(KafkaFault, match="LABTRAIL_KAFKA_CA_FILE"):
            log.ends()
        log.close()


def test_no_repr_shows_the_password(sasl: KafkaAccess) -> None:
    assert PASSWORD not in repr(sasl)
    assert PASSWORD not in repr(sasl.faust_credentials())


def test_plain_text_needs_no_credentials() -> None:
    assert KafkaAccess(servers=("a:9092",)).faust_credentials() is None
    assert isinstance(KafkaAccess(servers=("a:9092",), security="SSL").faust_credentials(), faust.SSLCredentials)
