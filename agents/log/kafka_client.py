"""Connections to Apache Kafka outside the agents: credentials, and clients that leak no socket or thread."""

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import faust
import msgspec
from kafka.errors import (
    AuthorizationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnknownTopicOrPartitionError,
)

from agents.log.kafka_python_internals import construct
from config.errors import LabtrailError
from config.settings import Settings
from config.values import Secret

CLIENT_ID = "labtrail"
KNOCK_SECONDS = 3.0
T = TypeVar("T")


class KafkaFault(LabtrailError):
    """Kafka can't do what was asked at present; the message says what to look at. Trying again is safe."""


class KafkaAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is and how we authenticate. `timeout_seconds` bounds every call."""

    servers: tuple[str, ...]
    """`host:port` of one or more brokers; the others are learned from them."""
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: Path | None = None
    """PEM file of the authority that signed the brokers' certificates; None: the system's authorities."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: Secret = Secret()
    timeout_seconds: float = 30.0

    def options(self) -> dict[str, Any]:
        """The options that every kind of kafka-python client takes."""
        milliseconds = int(self.timeout_seconds * 1000)
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.servers),
            "client_id": CLIENT_ID,
            "security_protocol": self.security,
            "bootstrap_timeout_ms": milliseconds,
            "request_timeout_ms": milliseconds,
            # reconnect to a restarted broker within a second, not after half a minute
            "reconnect_backoff_max_ms": 1000,
        }
        if (context := self.tls()) is not None:
            options["ssl_context"] = context
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password.reveal(),
            }
        return options

    def tls(self) -> ssl.SSLContext | None:
        """How to check the brokers' certificates; None where there is no TLS. Raises KafkaFault."""
        if self.security not in ("SSL", "SASL_SSL"):
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as fault:
            raise KafkaFault(
                f"{self.ca_file} is no authority's certificate ({fault}): set LABTRAIL_KAFKA_CA_FILE to a PEM file"
            ) from fault

    def faust_credentials(self) -> faust.SSLCredentials | faust.SASLCredentials | None:
        """The same for Faust's `broker_credentials`; None for plain text."""
        if self.security == "PLAINTEXT":
            return None
        if self.security == "SSL":
            return faust.SSLCredentials(self.tls())
        return faust.SASLCredentials(
            username=self.username,
            password=self.password.reveal(),
            ssl_context=self.tls(),
            mechanism=self.mechanism,
        )


def access_of(settings: Settings) -> KafkaAccess:
    """How these settings reach Kafka. Raises KafkaFault when LABTRAIL_BROKER names none."""
    return KafkaAccess(
        servers=servers_of(settings.broker),
        security=settings.kafka_security,
        ca_file=settings.kafka_ca_file,
        mechanism=settings.kafka_sasl,
        username=settings.kafka_username,
        password=settings.kafka_password,
    )


def servers_of(broker_url: str) -> tuple[str, ...]:
    """The `host:port` pairs of `kafka://a:9092,b` (or `kafka://a:9092;kafka://b`); port 9092 if none."""
    scheme = re.compile(r"kafka(\+strict)?://")
    hosts = [scheme.sub("", part.strip()) for part in broker_url.replace(";", ",").split(",")]
    if not scheme.match(broker_url) or not all(hosts):
        raise KafkaFault(f"{broker_url!r} names no Kafka: set LABTRAIL_BROKER like kafka://host:9092,host2:9092")
    return tuple(host if ":" in host else f"{host}:9092" for host in hosts)


def open_client(kind: Callable[..., T], access: KafkaAccess, **options: object) -> T:
    """A kafka-python client of this kind. Raises KafkaFault when Kafka can't be reached in time."""
    try:
        return construct(kind, access.options() | options)
    except (KafkaError, OSError) as fault:
        raise _unreachable(fault, access) from fault


def explain(fault: Exception, access: KafkaAccess) -> KafkaFault:
    """What a person should do about this fault of Kafka, in one line."""
    servers = ",".join(access.servers)
    if isinstance(fault, SaslAuthenticationFailedError):
        return KafkaFault(_refused_user(access))
    if isinstance(fault, AuthorizationError):
        return KafkaFault(f"Kafka at {servers} does not allow this ({fault}): give the user that right")
    if isinstance(fault, UnknownTopicOrPartitionError):
        return KafkaFault(f"Kafka at {servers} lacks a topic: run `labtrail topics`")
    detail = str(fault).removeprefix(f"{type(fault).__name__}: ")
    return KafkaFault(
        f"Kafka at {servers} did not do it within {access.timeout_seconds:g} s ({detail}):"
        " look at the brokers, and try again"
    )


def _refused_user(access: KafkaAccess) -> str:
    return (
        f"Kafka at {','.join(access.servers)} refuses the user {access.username!r}: "
        "check LABTRAIL_KAFKA_USERNAME and LABTRAIL_KAFKA_PASSWORD"
    )


def _unreachable(fault: Exception, access: KafkaAccess) -> KafkaFault:
    """Why no client could be made. kafka-python reports it only to its own log, so probe the connection."""
    host, _, port = access.servers[0].rpartition(":")
    where = f"Kafka at {access.servers[0]}"
    try:
        with socket.create_connection((host, int(port)), timeout=KNOCK_SECONDS) as plain:
            context = access.tls()
            if context is not None:
                context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as refused:
        return KafkaFault(
            f"{where} shows a certificate that is not trusted ({refused.verify_message}): "
            "set LABTRAIL_KAFKA_CA_FILE to the authority that signed it"
        )
    except ssl.SSLError as refused:
        return KafkaFault(
            f"{where} does not speak TLS ({refused.reason}): check LABTRAIL_KAFKA_SECURITY and the port"
        )
    except (OSError, ValueError) as refused:
        return KafkaFault(
            f"{where} can't be reached ({refused}): check that it runs and that LABTRAIL_BROKER names it"
        )
    if access.security.startswith("SASL"):
        return KafkaFault(_refused_user(access))
    return explain(fault, access)
