"""The log's records as written and as read, and the limits on each."""

from pathlib import Path
from struct import unpack_from
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from config.errors import LabtrailError

VALUE_BYTES_MAX = 1_000_000
"""Far above an event's limit, so that a line that is too large is still accepted, to be quarantined; and just below
Apache Kafka's default limit, so that both logs accept the same."""
KEY_BYTES_MAX = 4 * 1024
HEADERS_BYTES_MAX = 16 * 1024
APPEND_RECORDS_MAX = 10_000
"""Records in one append, and in one transaction of several appends."""
APPEND_BYTES_MAX = 64 * 1024 * 1024
PARTITIONS_MAX = 256
PARTITIONS = 4
"""Of an undeclared topic: one process reads them all, so few are enough."""

Headers = tuple[tuple[str, bytes], ...]
TopicPartition = tuple[str, int]


class LogError(LabtrailError):
    """The embedded log can't do what was asked; the message says what to do."""


class NewRecord(NamedTuple):
    """A record to append. `partition` None: chosen by the key, as in Kafka."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers = ()
    partition: int | None = None


class Position(NamedTuple):
    """Where a record is: offsets count from 0 in each partition, without gaps."""

    topic: str
    partition: int
    offset: int


class Record(NamedTuple):
    """A record as read. `appended_us`: microseconds since 1970, by the clock of the appending machine."""

    offset: int
    appended_us: int
    key: bytes | None
    value: bytes
    headers: bytes | None
    """MessagePack of Headers, or None: most records have none, so they are unpacked only when used."""


def check_bytes(topic: str, key: object, value: object, headers: bytes | None) -> None:
    """Check types and size. Raises LogError."""
    if not isinstance(value, bytes) or not isinstance(key, bytes | None):
        raise LogError(f"a record for {topic} is not bytes: encode key and value")
    if len(value) > VALUE_BYTES_MAX:
        raise LogError(f"a record for {topic} has {len(value)} bytes, more than {VALUE_BYTES_MAX}: split it")
    if key is not None and len(key) > KEY_BYTES_MAX:
        raise LogError(f"a key for {topic} has {len(key)} bytes, more than {KEY_BYTES_MAX}: shorten it")
    if headers is not None and len(headers) > HEADERS_BYTES_MAX:
        raise LogError(f"headers for {topic} have {len(headers)} bytes, more than {HEADERS_BYTES_MAX}: drop some")


def murmur2(key: bytes) -> int:
    """MurmurHash2 (32 bits) as in Apache Kafka's `Utils.murmur2`."""
    size = len(key)
    h = 0x9747B28C ^ size
    for (k,) in (unpack_from("<I", key, at) for at in range(0, size & ~3, 4)):
        k = (k * 0x5BD1E995) & 0xFFFFFFFF
        k ^= k >> 24
        h = ((h * 0x5BD1E995) & 0xFFFFFFFF) ^ ((k * 0x5BD1E995) & 0xFFFFFFFF)
    if size & 3:
        h ^= int.from_bytes(key[size & ~3 :], "little")
        h = (h * 0x5BD1E995) & 0xFFFFFFFF
    h ^= h >> 13
    h = (h * 0x5BD1E995) & 0xFFFFFFFF
    return h ^ (h >> 15)


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key, the one that Kafka's default partitioner gives; without a key: 0."""
    return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % partitions


def log_path(broker_url: str) -> Path:
    """The absolute path of `sqlite:///relative/log.db` or `sqlite:////absolute/log.db`. Raises LogError."""
    url = urlsplit(broker_url)
    path = unquote(url.path.removeprefix("/"))
    if url.scheme != "sqlite" or url.netloc or not path or path.startswith(":"):
        raise LogError(f"{broker_url!r} names no log file: write it like sqlite:////var/lib/labtrail/log.db")
    return Path(path).absolute()
