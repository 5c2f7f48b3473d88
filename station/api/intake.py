"""The edge of the API for events: from a request's body to records for the log, or to the faults that refuse it.

What is refused here (4xx, nothing of the request is appended) is what its sender alone can fix: no JSON, no
CloudEvent, too large, patient identity, another person's scan, a site or an act that is not the session's, a code
with wrong check digits that a person has just scanned. All else is appended, and judged where it is committed:
unknown names, data and (from programs) identifiers that do not verify, times without offset go into quarantine, where
nothing is lost and each can be requeued.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from agents.log.port import NewRecord
from config.catalog import Catalog
from config.messages import Message, Value, as_message
from models.rules.decoding import fault_message
from models.rules.events import EVENT_BYTES_MAX, Reason, Refused, check, parse, route
from station.api.patient_identity import identity_fields
from station.auth.roles import acts_of
from station.auth.session import Session
from station.problems import EventFault, Refusal

EVENTS_MAX = 500
BODY_BYTES_MAX = 8 * 1024 * 1024
REASONS = {
    Reason.NOT_JSON: 400,
    Reason.NOT_CLOUDEVENTS: 422,
    "patient-identity": 422,
    Reason.TOO_LARGE: 413,
    "another-person": 403,
    "another-site": 403,
    "not-your-act": 403,
    Reason.BAD_IDENTIFIER: 422,
}
"""Why an event is refused at the edge, with the status of the answer."""
_EDGE = frozenset({Reason.NOT_JSON, Reason.NOT_CLOUDEVENTS, Reason.TOO_LARGE})
_array = msgspec.json.Decoder(list[Raw])


class Admitted(Struct, frozen=True):
    """An event that may be appended: its record, its id, and its subject to report the specimen's status."""

    record: NewRecord
    id: str
    subject: str


class _Bad(Exception):
    def __init__(self, reason: str, text: str, /, **values: Value) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, as_message(text, **values)


def admit(
    body: bytes, session: Session, catalog: Catalog, outside: re.Pattern[str] | None
) -> tuple[list[Admitted], bool]:
    """The records of a request, and whether it was one event alone. Raises Refusal, which names each fault.

    `outside`: the pattern of identifiers that other systems give.
    """
    raws, single = _split(body)
    admitted: list[Admitted] = []
    faults: list[EventFault] = []
    for index, raw in enumerate(raws):
        event: Any = None
        try:
            event = _decoded(raw)
            admitted.append(_admitted(raw, event, session))
            if session.kind == "person":
                _verify(admitted[-1].record.value, catalog, outside)
        except _Bad as bad:
            faults.append(EventFault(index, _text(event, "id"), bad.reason, bad.detail))
    if faults:
        status = max((REASONS[fault.reason] for fault in faults), key=_SERIOUS.index)
        raise Refusal(
            status, "{n} of {all} events refused, none appended", faults=faults, n=len(faults), all=len(raws)
        )
    return admitted, single


_SERIOUS = (422, 413, 400, 403)


def _split(body: bytes) -> tuple[list[bytes], bool]:
    text = body.strip()
    if not text.startswith(b"["):
        return [text], True
    try:
        raws = [bytes(one) for one in _array.decode(text)]
    except (msgspec.DecodeError, RecursionError) as fault:
        raise _not_json(fault_message(fault)) from None
    if not raws:
        raise Refusal(422, "the array is empty: send at least one event")
    if len(raws) > EVENTS_MAX:
        raise Refusal(413, "{n} events in one request: send at most {most}", n=len(raws), most=EVENTS_MAX)
    return raws, False


def _not_json(detail: Message) -> Refusal:
    return Refusal(400, "the body is no JSON", faults=[EventFault(0, None, Reason.NOT_JSON, detail)])


def _decoded(raw: bytes) -> Any:
    if len(raw) > EVENT_BYTES_MAX:
        raise _Bad(
            Reason.TOO_LARGE,
            "the event has {n} bytes; at most {most} are taken: split it",
            n=len(raw),
            most=EVENT_BYTES_MAX,
        )
    try:
        raw.decode()
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise _Bad(Reason.NOT_JSON, fault_message(fault)) from None


def _admitted(raw: bytes, event: Any, session: Session) -> Admitted:
    if not isinstance(event, dict):
        raise _Bad(Reason.NOT_CLOUDEVENTS, "an event is a JSON object")
    if found := identity_fields(event):
        raise _Bad(
            "patient-identity",
            "leave out {fields}: an event names a patient by reference only",
            fields=tuple(found[:5]),
        )
    if session.kind != "open":
        event, raw = _bound(raw, event, session)
    try:
        parse(raw)
    except Refused as refused:
        if refused.reason in _EDGE:
            raise _Bad(refused.reason, refused.detail) from None
    topic, key = route(raw)
    return Admitted(NewRecord(topic, key, raw), str(event["id"]), str(event["subject"]))


def _verify(raw: bytes, catalog: Catalog, outside: re.Pattern[str] | None) -> None:
    """A person is there and can scan again: a code whose check digits are wrong is refused."""
    try:
        check(parse(raw), catalog, outside)
    except Refused as refused:
        if refused.reason == Reason.BAD_IDENTIFIER:
            raise _Bad(refused.reason, refused.detail) from None


def _bound(raw: bytes, event: dict[str, Any], session: Session) -> tuple[dict[str, Any], bytes]:
    """The event within what the session may state. A person's events get actor, site, source and device from it."""
    kind, site = event.get("type"), event.get("site")
    if isinstance(kind, str) and kind not in acts_of(session.role):
        raise _Bad("not-your-act", "the role {role} does not record {kind}", role=Message(session.role), kind=kind)
    if any(isinstance(one, str) and one not in session.sites for one in _places(event)):
        raise _Bad("another-site", "that is none of your sites: sign in for it")
    if session.kind == "service":
        return event, raw
    if event.get("actor", session.badge) != session.badge:
        raise _Bad("another-person", "another person made this scan: they must sign in to send it")
    site = site if isinstance(site, str) else session.site
    source = f"/sites/{site}/stations/{session.device}"
    own = {"actor": session.badge, "site": site, "source": source, "device": str(session.device)}
    event = {"specversion": "1.0", **event, **own}
    return event, msgspec.json.encode(event)


def _places(event: dict[str, Any]) -> Iterator[Any]:
    """Where an event happens: its site, and the site whose stock it moves."""
    yield event.get("site")
    kind, subject = event.get("type"), event.get("subject")
    if isinstance(kind, str) and kind.startswith("supply.") and isinstance(subject, str):
        site = subject.partition("/")[0]
        if kind != "supply.recalled":
            yield site


def _text(event: Any, name: str) -> str | None:
    value = event.get(name) if isinstance(event, dict) else None
    return value[:128] if isinstance(value, str) else None
