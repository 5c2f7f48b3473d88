"""What a refusal looks like: `application/problem+json` (RFC 9457) for programs, a page for people.

The log gets the kind of a fault and where it was, never its message: a driver's message may quote values.
"""

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.exc import SQLAlchemyError

from config.errors import LabtrailError
from config.foreign_texts import recognized
from config.messages import N_, Message, Say, Value, as_message

PROBLEM = "application/problem+json"
log = logging.getLogger(__name__)
Page = Callable[[Request[Any, Any, Any], int, str], Response[Any]]


class EventFault(Struct, frozen=True):
    """What is wrong with one event of a request. `index` counts from 0."""

    index: int
    id: str | None
    reason: str
    detail: str


class ProblemBody(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer that is no success."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    faults: tuple[EventFault, ...] = ()
    retry_after_s: int | None = None


class Refusal(Exception):
    """A request that can't be served as it is; a 4xx or 503. `values` fill the placeholders of the text."""

    def __init__(
        self,
        status: int,
        text: str,
        /,
        *,
        faults: Sequence[EventFault] = (),
        retry_after_s: int | None = None,
        **values: Value,
    ) -> None:
        self.status, self.detail = status, as_message(text, **values)
        super().__init__(self.detail)
        self.faults, self.retry_after_s = tuple(faults), retry_after_s


def handlers(
    page: Page, teller_of: Callable[[Request[Any, Any, Any]], Say]
) -> dict[int | type[Exception], Callable[[Request[Any, Any, Any], Any], Response[Any]]]:
    """The exception handlers of the app.

    `page` makes the answer for people at a browser; `teller_of` gives the translator of a request's texts.
    """

    def answer(request: Request[Any, Any, Any], refusal: Refusal, headers: Mapping[str, str]) -> Response[Any]:
        if _for_people(request):
            made = page(request, refusal.status, refusal.detail)
            made.status_code = refusal.status
            return made
        return problem(refusal, headers, teller_of(request))

    def refused(request: Request[Any, Any, Any], fault: Refusal) -> Response[Any]:
        return answer(request, fault, {})

    def http(request: Request[Any, Any, Any], fault: HTTPException) -> Response[Any]:
        if fault.status_code >= 500:
            _note(request, fault)
            return answer(request, Refusal(fault.status_code, "the station could not do this"), {})
        more = {"www-authenticate": 'Bearer realm="labtrail"'} if fault.status_code == HTTPStatus.UNAUTHORIZED else {}
        return answer(request, Refusal(fault.status_code, _detail(fault)), {**(fault.headers or {}), **more})

    def database(request: Request[Any, Any, Any], fault: SQLAlchemyError) -> Response[Any]:
        _note(request, fault)
        refusal = Refusal(
            503, "the database can't be reached: try again; what was scanned stays queued", retry_after_s=2
        )
        return answer(request, refusal, {})

    def ours(request: Request[Any, Any, Any], fault: LabtrailError) -> Response[Any]:
        _note(request, fault)
        return answer(
            request, Refusal(503, "the station can't do this now: {why}", retry_after_s=2, why=fault.message), {}
        )

    def unforeseen(request: Request[Any, Any, Any], fault: Exception) -> Response[Any]:
        _note(request, fault)
        return answer(request, Refusal(500, "something unforeseen happened: it is in the station's log"), {})

    return {
        Refusal: refused,
        HTTPException: http,
        SQLAlchemyError: database,
        LabtrailError: ours,
        Exception: unforeseen,
    }


def problem(refusal: Refusal, headers: Mapping[str, str], tell: Say) -> Response[ProblemBody]:
    """The answer for a program, or for a page's script, which shows its details as they are."""
    faults = tuple(replace(fault, detail=tell(fault.detail)) for fault in refusal.faults)
    body = ProblemBody(
        status=refusal.status,
        title=_title(refusal.status),
        detail=tell(refusal.detail),
        faults=faults,
        retry_after_s=refusal.retry_after_s,
    )
    retry = {} if refusal.retry_after_s is None else {"retry-after": str(refusal.retry_after_s)}
    return Response(body, status_code=refusal.status, media_type=PROBLEM, headers={**headers, **retry})


def _for_people(request: Request[Any, Any, Any]) -> bool:
    return not request.scope["path"].startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


_LITESTAR_SAYS = (N_("Not Found"), N_("Method Not Allowed"), N_("Validation failed for {what}"))


def _detail(fault: HTTPException) -> Message:
    """The message that we gave it, or Litestar's own words with the fields that it names."""
    if isinstance(fault.detail, Message):
        return fault.detail
    extra = fault.extra if isinstance(fault.extra, list) else []
    named = [f"{one.get('key', '')}: {one.get('message', '')}".strip(": ") for one in extra if isinstance(one, dict)]
    return recognized("; ".join([fault.detail, *named][:10]), _LITESTAR_SAYS)


def _note(request: Request[Any, Any, Any], fault: Exception) -> None:
    where = request.scope.get("path_template") or "(no route)"
    frames = "".join(traceback.format_tb(fault.__traceback__)[-6:])
    log.error("%s %s: %s\n%s", request.method, where, type(fault).__name__, frames)
