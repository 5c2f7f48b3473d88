"""Events: the CloudEvents envelope, one frozen struct per type, and the checks at the edge.

`parse` turns the bytes of one log record into an `Event` or raises `Refused` with the quarantine reason.
The bytes are stored as they are, with unknown attributes and fields.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, cast

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace
from typing_extensions import TypeVar

from config.messages import N_, Message, Value, as_message
from models.rules.decoding import fault_message
from models.rules.event_types import (
    ADDED_LATER,
    TYPES,
    Aliquoted,
    Collected,
    Data,
    Name,
    NotCollected,
    OrderPlaced,
    ResultReported,
    TestAdded,
)
from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, TOTE, Kind, is_identifier, looks_like
from models.rules.times import microseconds

if TYPE_CHECKING:
    from config.catalog import Catalog

T = TypeVar("T")
D = TypeVar("D", bound=Data, default=Data, covariant=True)
K = TypeVar("K", bound=Data)
EVENT_BYTES_MAX = 64 * 1024
TIME_US_MIN, TIME_US_END = 0, 7_258_118_400_000_000
"""1970 up to 2200: adding days or an offset to such a time still gives a valid date."""
SPECIMENS_TOPIC = "lab.specimens"
SUPPLIES_TOPIC = "lab.supplies"
ALERTS_TOPIC = "lab.alerts"


class Reason(StrEnum):
    """Why a record is put into quarantine (contract, section 2)."""

    NOT_JSON = "not-json"
    NOT_CLOUDEVENTS = "not-cloudevents"
    UNKNOWN_TYPE = "unknown-type"
    INVALID_DATA = "invalid-data"
    BAD_IDENTIFIER = "bad-identifier"
    UNKNOWN_SITE = "unknown-site"
    UNKNOWN_ITEM = "unknown-item"
    UNKNOWN_TEST = "unknown-test"
    UNKNOWN_CONTAINER = "unknown-container"
    NO_OFFSET = "no-offset"
    TOO_LARGE = "too-large"
    ID_CONFLICT = "id-conflict"


class Event(Struct, Generic[D], frozen=True, gc=False):
    """One thing that happened. `time_us` is microseconds since 1970-01-01 UTC.

    `Event[Collected]` is one whose data are known to be those of `specimen.collected`; `Event` alone may be any.
    """

    id: str
    type: str
    subject: str
    time_us: int
    site: str
    actor: str
    data: D
    rank: int
    order: tuple[int, int, str]
    """The place in a history: time, then lifecycle rank, then id."""
    appended_us: int = 0
    """When it was appended to the log: only the discrepancy `future-time` uses it."""


def of_kind(events: Iterable[Event], kind: type[K]) -> list[Event[K]]:
    """Those events whose data are of this kind, in their order."""
    return [cast(Event[K], e) for e in events if type(e.data) is kind]


class Refused(Exception):
    """A record that is not accepted as an event. `reason` is the contract's code, `detail` says what to fix."""

    def __init__(self, reason: Reason, text: str, /, **values: Value) -> None:
        self.reason: Reason = reason
        self.detail = as_message(text, **values)
        super().__init__(f"{reason}: {self.detail}")


class _Envelope(Struct):
    specversion: Literal["1.0"]
    id: Name
    source: Annotated[str, Meta(min_length=1, max_length=512)]
    type: Annotated[str, Meta(min_length=1, max_length=128)]
    subject: Name
    time: Annotated[str, Meta(min_length=1, max_length=64)]
    actor: Name
    site: Name | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Route(Struct):
    type: Any = None
    subject: Any = None


class _Time(Struct):
    time: Any = None


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoders raise, whatever the bytes are."""
_envelope = msgspec.json.Decoder(_Envelope)
_route = msgspec.json.Decoder(_Route)
_data: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(row.data) for name, row in TYPES.items()}
# a recall comes from the maker and applies everywhere; an order may be placed from outside the clinics
_SITE_OPTIONAL = frozenset({"supply.recalled", "order.placed", "order.cancelled", "event.voided"})


def site_is_optional(event_type: str) -> bool:
    """Whether events of this type may leave out where they happened."""
    return event_type in _SITE_OPTIONAL


def _time_us(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            Reason.NOT_CLOUDEVENTS, "time is not a date and time: write it like 2026-11-21T09:12:44-05:00"
        ) from None
    if moment.tzinfo is None:
        raise Refused(Reason.NO_OFFSET, "time has no offset: end it with Z or the offset from UTC, like -05:00")
    time_us = microseconds(moment)
    if not TIME_US_MIN <= time_us < TIME_US_END:
        raise Refused(Reason.NOT_CLOUDEVENTS, "time is not within the years 1970 to 2199: set the device's clock")
    return time_us


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw)
    except _UNREADABLE:
        return False
    return True


def _holds_nul(raw: bytes) -> bool:
    """Whether any text or name in the record contains the character NUL, which PostgreSQL can't store in a text."""
    try:
        waiting: list[Any] = [msgspec.json.decode(raw)]
    except _UNREADABLE:
        return True  # nested so deeply, or with such numbers, that it can't be searched
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and "\0" in value:
            return True
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return False


def _decoded(kind: str, data: msgspec.Raw, *, recorded: bool) -> Any:
    """The data of an event. Raises a fault of _UNREADABLE.

    `recorded`: an earlier version recorded it, to which a field that was added since was an unknown one, which may
    hold anything: it is left out where it isn't what the field must be.
    """
    try:
        decoded = _data[kind].decode(data)
    except msgspec.ValidationError:
        added = ADDED_LATER.get(kind)
        if not recorded or not added:
            raise
        fields = msgspec.json.decode(data)
        decoded = msgspec.convert({k: v for k, v in fields.items() if k not in added}, TYPES[kind].data)
    return exact_values(decoded, data) if isinstance(decoded, ResultReported) else decoded


class _Value(Struct):
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Values(Struct):
    components: tuple[_Value, ...] = ()


_value = msgspec.json.Decoder(_Value)
_values = msgspec.json.Decoder(_Values)
EXPONENT_MAX = 400


def exact_values(data: ResultReported, raw: msgspec.Raw) -> ResultReported:
    """The same report, with each number that is not whole as the text that was sent: 5.10 stays 5.10."""
    if not isinstance(data.value, float) and not any(isinstance(c.value, float) for c in data.components):
        return data
    components = data.components and tuple(
        replace(one, value=_plain(written.value)) if isinstance(one.value, float) else one
        for one, written in zip(data.components, _values.decode(raw).components, strict=True)
    )
    value = _plain(_value.decode(raw).value) if isinstance(data.value, float) else data.value
    return replace(data, value=value, components=components)


def _plain(raw: msgspec.Raw) -> str:
    """A JSON number without an exponent, with all its digits."""
    text = bytes(raw).decode().strip()
    number = Decimal(text)
    exponent = number.as_tuple().exponent
    plain = isinstance(exponent, int) and abs(exponent) <= EXPONENT_MAX and abs(number.adjusted()) <= EXPONENT_MAX
    return f"{number:f}" if plain else text


def parse(raw: bytes, appended_us: int = 0, *, recorded: bool = False) -> Event:
    """One record's bytes as an event. Raises Refused; never any other exception, whatever the bytes are.

    `recorded`: it is on record, so what an earlier version took as an event is one.
    """
    if len(raw) > EVENT_BYTES_MAX:
        raise Refused(
            Reason.TOO_LARGE,
            "the event has {n} bytes; at most {most} are taken: split it",
            n=len(raw),
            most=EVENT_BYTES_MAX,
        )
    try:
        raw.decode()
        head = _envelope.decode(raw)
    except msgspec.ValidationError as fault:
        # raised before the end was read: the rest may not be JSON at all
        raise Refused(Reason.NOT_CLOUDEVENTS if _is_json(raw) else Reason.NOT_JSON, fault_message(fault)) from None
    except _UNREADABLE as fault:
        raise Refused(Reason.NOT_JSON, fault_message(fault)) from None
    row = TYPES.get(head.type)
    if row is None:
        raise Refused(
            Reason.UNKNOWN_TYPE, "no event type {kind!r}: see docs/schema for those there are", kind=head.type
        )
    time_us = _time_us(head.time)
    if b"\\u0000" in raw and _holds_nul(raw):
        raise Refused(Reason.INVALID_DATA, "the event holds the character NUL: remove it")
    try:
        data = _decoded(head.type, head.data, recorded=recorded)
    except _UNREADABLE as fault:
        raise Refused(Reason.INVALID_DATA, fault_message(fault)) from None
    if head.site is None and head.type not in _SITE_OPTIONAL:
        raise Refused(Reason.NOT_CLOUDEVENTS, "the attribute site is missing: it says where this happened")
    order = (time_us, row.rank, head.id)
    return Event(
        head.id, head.type, head.subject, time_us, head.site or "", head.actor, data, row.rank, order, appended_us
    )


def time_of(raw: bytes) -> int | None:
    """The time that a record states, if one can be read: for records that are not accepted as events."""
    try:
        time = msgspec.json.decode(raw, type=_Time).time
        return _time_us(time) if isinstance(time, str) else None
    except (*_UNREADABLE, Refused):
        return None


def route(raw: bytes) -> tuple[str, bytes | None]:
    """The topic and key under which a record is appended, bad ones too: any bytes have one."""
    try:
        head = _route.decode(raw)
    except _UNREADABLE:
        return SPECIMENS_TOPIC, None
    if not isinstance(head.type, str) or not isinstance(head.subject, str) or not head.subject:
        return SPECIMENS_TOPIC, None
    supply = head.type.startswith("supply.") or (head.type == "event.voided" and "/" in head.subject)
    return (SUPPLIES_TOPIC if supply else SPECIMENS_TOPIC), head.subject.encode("utf-8", "replace")[:256]


def _identifiers(event: Event) -> Iterator[tuple[str, str, Kind]]:
    """Field, value and kind of each identifier whose check digits must be right."""
    yield "actor", event.actor, BADGE
    subject = TYPES[event.type].subject
    if subject == "specimen" or (subject != "order" and looks_like(event.subject, SPECIMEN)):
        yield "subject", event.subject, SPECIMEN
    for field, kind in _numbered[event.type]:
        if (value := getattr(event.data, field)) is not None:
            yield field, value, kind
    if isinstance(event.data, Aliquoted):
        for child in event.data.children:
            yield "children", child.accession, SPECIMEN


def _having(fields: dict[str, T]) -> dict[str, tuple[tuple[str, T], ...]]:
    """By event type, those of these fields that its data has: only these are read from an event."""
    return {
        name: tuple((field, of) for field, of in fields.items() if field in row.data.__struct_fields__)
        for name, row in TYPES.items()
    }


_numbered: dict[str, tuple[tuple[str, Kind], ...]] = _having(
    {"manifest": MANIFEST, "tote": TOTE, "released_by": BADGE, "specimen": SPECIMEN}
)
# Python 3.11 takes longer to look a member up in its class than to read a name of the module, and this is asked of
# every name in every event
_SITE, _ITEM = Reason.UNKNOWN_SITE, Reason.UNKNOWN_ITEM
_TEST, _CONTAINER = Reason.UNKNOWN_TEST, Reason.UNKNOWN_CONTAINER
_named: dict[str, tuple[tuple[str, Reason], ...]] = {
    **_having({"destination": _SITE, "to": _SITE, "site": _SITE, "test": _TEST}),
    "result.acknowledged": (("test", _TEST),),  # its `to` is who was told
}


_dated: dict[str, tuple[str, ...]] = {
    name: tuple(
        field for field in ("expires", "expected", "wanted", "analysed") if field in row.data.__struct_fields__
    )
    for name, row in TYPES.items()
}
YEAR_MIN, YEAR_MAX = 1970, 2199


def _check_date(where: str, value: date | datetime | None) -> None:
    """Raise Refused for a date that no timer can count from: what is recorded must be judged again and again."""
    if value is None:
        return
    if isinstance(value, datetime):
        fine = TIME_US_MIN <= microseconds(value) < TIME_US_END
    else:
        fine = YEAR_MIN <= value.year <= YEAR_MAX
    if not fine:
        raise Refused(
            Reason.INVALID_DATA, "{where} is not within the years 1970 to 2199: write it again", where=Message(where)
        )


_INVALID: Mapping[Kind, str] = {
    SPECIMEN: N_("{where} {value!r} is no valid S number: scan it again"),
    MANIFEST: N_("{where} {value!r} is no valid M number: scan it again"),
    TOTE: N_("{where} {value!r} is no valid T number: scan it again"),
    BADGE: N_("{where} {value!r} is no valid B number: scan it again"),
}


def stock_subject(subject: str) -> tuple[str, str]:
    """(site, item) of a supply subject `SITE/ITEM`; the site is `*` for a recall."""
    site, slash, item = subject.partition("/")
    if not slash or not site or not item:
        raise Refused(Reason.INVALID_DATA, "the subject {subject!r} is not SITE/ITEM", subject=subject)
    return site, item


def _names(event: Event) -> Iterator[tuple[Reason, str]]:
    """Every catalog name that the event uses, with the reason if it isn't known."""
    data: Any = event.data
    if event.site:
        yield _SITE, event.site
    for field, reason in _named[event.type]:
        if (name := getattr(data, field)) is not None:
            yield reason, name
    if event.type.startswith("supply."):
        site, item = stock_subject(event.subject)
        if (site == "*") != (event.type == "supply.recalled"):
            raise Refused(Reason.INVALID_DATA, "a recall has the subject */ITEM, every other supply event SITE/ITEM")
        if site != "*":
            yield _SITE, site
        yield _ITEM, item
    yield from _listed(data)


def _listed(data: Data) -> Iterator[tuple[Reason, str]]:
    """The names in lists, and the container."""
    if isinstance(data, Collected):
        for line in data.supplies:
            yield _ITEM, line.item
        for test in data.tests:
            yield _TEST, test
        yield _CONTAINER, data.container
    elif isinstance(data, (OrderPlaced, TestAdded)):
        for test in data.tests:
            yield _TEST, test
    elif isinstance(data, ResultReported):
        for line in data.supplies:
            yield _ITEM, line.item
    elif isinstance(data, NotCollected) and data.container is not None:
        yield _CONTAINER, data.container
    elif isinstance(data, Aliquoted):
        for child in data.children:
            yield _CONTAINER, child.container


def check(event: Event, catalog: "Catalog", outside: re.Pattern[str] | None = None) -> None:
    """Check digits first, then every name against the catalog. Raises Refused."""
    for where, value, kind in _identifiers(event):
        if not is_identifier(value, kind, outside):
            raise Refused(Reason.BAD_IDENTIFIER, _INVALID[kind], where=Message(where), value=value)
    for where in _dated[event.type]:
        _check_date(where, getattr(event.data, where))
    known: dict[Reason, Mapping[str, Any]] = {
        _SITE: catalog.sites,
        _ITEM: catalog.supplies,
        _TEST: catalog.tests,
        _CONTAINER: catalog.containers,
    }
    for reason, name in _names(event):
        if name not in known[reason]:
            raise Refused(reason, "{item!r} is not in the catalog: mend the event, or add it and requeue", item=name)
