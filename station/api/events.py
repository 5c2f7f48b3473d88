"""`/api/v1/events`: events are posted, and their outcomes read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Operation
from litestar.params import PathParameter, QueryParameter
from msgspec import Struct

from agents.log.port import Position
from models.views.api import EventView, event_view
from models.views.outcomes import Asked, Judged, judge
from station.api.intake import BODY_BYTES_MAX, Admitted, admit
from station.api.openapi import events_body
from station.api.outcomes import Outcomes
from station.auth.access import api
from station.auth.roles import STAFF
from station.auth.session import Session
from station.languages.language import teller_of
from station.languages.words import Tell
from station.problems import ProblemBody, Refusal
from station.services import Station

WAIT_SECONDS = 2.0
"""Contract section 8: committed within this time, or 202."""


class EventOutcome(Struct, frozen=True, kw_only=True):
    """What became of one event, and how its specimen stands now.

    `outcome`: `recorded`; `duplicate`, this id was on record with the same content; `quarantined`, for `reason`;
    `accepted`, durable in the log and not committed yet: ask `location`.
    """

    id: str
    outcome: str
    subject: str
    status: str | None = None
    discrepancies: tuple[str, ...] = ()
    reason: str | None = None
    detail: str | None = None
    location: str


@dataclass
class PostEvents(Operation):
    """The operation with its body: the handler reads the bytes itself, since they are the evidence."""

    def __post_init__(self) -> None:
        self.request_body = events_body()


_ACCEPTED: Any = EventOutcome | list[EventOutcome]
_ANSWERS = {
    202: ResponseSpec(_ACCEPTED, description="Durable, not committed yet: ask Location. Array in, array out."),
    413: ResponseSpec(ProblemBody, description="Too large, or too many at once: split it."),
    422: ResponseSpec(ProblemBody, description="`faults` names each event's; nothing of the request was appended."),
}


@post(
    "/api/v1/events",
    access=api(*STAFF),
    status_code=200,
    tags=["events"],
    summary="Append one event or an array",
    operation_class=PostEvents,
    responses=_ANSWERS,
    request_max_body_size=BODY_BYTES_MAX,
)
async def post_events(
    request: Request[Any, Any, Any], station: Station, session: Session, outcomes: NamedDependency[Outcomes]
) -> Response[EventOutcome | list[EventOutcome]]:
    """Answers when all are committed, or after two seconds when all are durable. Array in, array out."""
    body = await request.body()
    admitted, single = admit(body, session, station.catalog, station.settings.outside)
    places = await station.run(station.log.append, [one.record for one in admitted])
    asked = [Asked(one.id, one.subject, place) for one, place in zip(admitted, places, strict=True)]
    judged = await outcomes.wait(asked, WAIT_SECONDS)
    tell = teller_of(request)
    answers = [_outcome(*one, tell) for one in zip(admitted, places, judged, strict=True)]
    answer = answers[0] if single else answers
    waiting = next((one for one in answers if one.outcome == "accepted"), None)
    if waiting is None:
        return Response(answer, status_code=200)
    return Response(answer, status_code=202, headers={"location": waiting.location})


def _outcome(one: Admitted, place: Position, judged: Judged | None, tell: Tell) -> EventOutcome:
    location = _location(one.id)
    if judged is None:
        at = f"{place.topic}.{place.partition}.{place.offset}"
        return EventOutcome(id=one.id, outcome="accepted", subject=one.subject, location=f"{location}?at={at}")
    return EventOutcome(
        id=one.id,
        outcome=judged.outcome,
        subject=one.subject,
        status=judged.status,
        discrepancies=judged.discrepancies,
        reason=judged.reason,
        detail=judged.detail and tell(judged.detail),
        location=location,
    )


def _location(event_id: str) -> str:
    return f"/api/v1/events/{quote(event_id, safe='')}"


At = Annotated[
    str | None,
    QueryParameter(
        description="Where the log took it, as Location says: tells what became of it meanwhile.",
        pattern=r"^[a-z.]{1,40}\.[0-9]{1,6}\.[0-9]{1,18}$",
        required=False,
    ),
]


@get(
    "/api/v1/events/{event:path}",
    access=api(*STAFF, scope="event", read="event.read"),
    tags=["events"],
    summary="A recorded event, or what became of an appended one",
)
async def get_event(
    station: Station, event: Annotated[str, PathParameter(description="The event's id.")], at: At = None
) -> Response[EventView | EventOutcome]:
    """200 with the event once recorded; 202 while it waits; 404 for an id that is not on record."""
    event_id = event.removeprefix("/")
    found = await station.read(event_view, event_id)
    if at is not None:
        topic, partition, offset = at.rsplit(".", 2)
        place = Position(topic, int(partition), int(offset))
        subject = found.subject if found else ""
        (judged,) = await station.read(judge, [Asked(event_id, subject, place)])
        if judged is None and place.offset < station.log.ends().get(place[:2], 0):
            return Response(_pending(event_id, at), status_code=202)
        if judged is not None and judged.outcome == "quarantined":
            return Response(_quarantined(event_id, judged), status_code=200)
    if found is None:
        raise Refusal(404, "no event {id!r} is on record", id=event_id)
    return Response(found, status_code=200)


def _pending(event_id: str, at: str) -> EventOutcome:
    return EventOutcome(id=event_id, outcome="accepted", subject="", location=f"{_location(event_id)}?at={at}")


def _quarantined(event_id: str, judged: Judged) -> EventOutcome:
    return EventOutcome(
        id=event_id,
        outcome="quarantined",
        subject="",
        reason=judged.reason,
        detail=judged.detail,
        location=_location(event_id),
    )


ROUTES: Sequence[Any] = (post_events, get_event)
