"""What the OpenAPI document says beyond what the handlers' types say: posted events, and how refusals look."""

from typing import Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, RequestBody, Schema

from models.rules.event_types import TYPES

COLLECTED = {
    "specversion": "1.0",
    "id": "0192f0c1-7c1e-7b3a-9f51-3b2f6f0f7a11",
    "source": "/sites/NORTH/stations/2",
    "type": "specimen.collected",
    "subject": "S2600012334",
    "time": "2026-11-21T09:12:44.120-05:00",
    "site": "NORTH",
    "actor": "B2600001721",
    "data": {
        "order": "R-10042",
        "patient": "P-77120",
        "container": "EDTA4",
        "tests": ["CBCD", "A1C"],
        "priority": "routine",
        "volume_ml": 4.0,
        "supplies": [{"item": "SUP-EDTA4", "lot": "L2291", "quantity": 1}],
    },
}
LABELED = COLLECTED | {
    "id": "0192f0c1-8a40-7d11-8c02-5f0e4cf0a1b2",
    "type": "specimen.labeled",
    "time": "2026-11-21T09:13:20.004-05:00",
    "data": {"label": "S2600012334-1", "scanned": "S2600012334"},
}
EVENTS_IN_ARRAY_MAX = 500


def _text(description: str, **limits: int) -> Schema:
    return Schema(type=OpenAPIType.STRING, min_length=1, description=description, **limits)  # type: ignore[arg-type]


def event_schema() -> Schema:
    """A CloudEvent as the API takes it. `data` of each type: docs/schema."""
    return Schema(
        type=OpenAPIType.OBJECT,
        title="Event",
        required=["specversion", "id", "source", "type", "subject", "time", "actor"],
        properties={
            "specversion": Schema(type=OpenAPIType.STRING, enum=["1.0"]),
            "id": _text("Unique per happening: the idempotency key.", max_length=128),
            "source": _text("What made the event.", max_length=512),
            "type": Schema(type=OpenAPIType.STRING, enum=sorted(TYPES)),
            "subject": _text("Accession, order id or SITE/ITEM.", max_length=128),
            "time": _text("When it happened, with offset (RFC 3339).", max_length=64),
            "site": _text("Where it happened: a site of the catalog.", max_length=128),
            "actor": _text("Who did it: a badge.", max_length=128),
            "data": Schema(type=OpenAPIType.OBJECT, description="By type; unknown fields are kept."),
        },
    )


def events_body() -> RequestBody:
    """One event or an array of them."""
    event = event_schema()
    array = Schema(type=OpenAPIType.ARRAY, items=event, min_items=1, max_items=EVENTS_IN_ARRAY_MAX)
    kinds = {"application/json": Schema(one_of=[event, array]), "application/cloudevents+json": event}
    examples = {
        "one": Example(summary="One event", value=COLLECTED),
        "several": Example(summary="An array", value=[COLLECTED, LABELED]),
    }
    return RequestBody(
        required=True,
        content={
            kind: OpenAPIMediaType(
                schema=schema, examples=dict(list(examples.items())[: 1 if "cloud" in kind else 2])
            )
            for kind, schema in kinds.items()
        },
    )


REFUSALS = {
    "400": "The request can't be read.",
    "401": "Nobody is signed in, and no token was given; or the session or token is over.",
    "403": "Not for this role, site or origin.",
    "404": "Nothing of that name is on record.",
    "503": "Log or database can't be reached: try again after Retry-After seconds.",
}
_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "description": "RFC 9457.",
    "required": ["status", "title", "detail"],
    "properties": {
        "type": {"type": "string"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "retry_after_s": {"type": ["integer", "null"]},
        "faults": {
            "type": "array",
            "description": "What is wrong with each event of a request.",
            "items": {
                "type": "object",
                "required": ["index", "id", "reason", "detail"],
                "properties": {
                    "index": {"type": "integer", "description": "Counted from 0."},
                    "id": {"type": ["string", "null"]},
                    "reason": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


class Document(JsonRenderPlugin):
    """The document as JSON, with the refusals that every operation of the API may answer."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The bytes of the document."""
        openapi_schema["components"].setdefault("schemas", {})["Problem"] = _PROBLEM
        for path, item in openapi_schema["paths"].items():
            for operation in item.values() if path.startswith("/api/") else ():
                _with_refusals(operation["responses"])
        return super().render(request, openapi_schema)


def _with_refusals(answers: dict[str, Any]) -> None:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for code, why in REFUSALS.items():
        answers[code] = {"description": why, "content": content}
    for code in set(answers) - set(REFUSALS):
        if int(code) >= 400:
            answers[code]["content"] = content
