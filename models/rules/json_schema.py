"""JSON Schemas of all events, made from the structs that check them. `docs/make.py` writes them into docs/schema."""

import json
from typing import Any

import msgspec

from models.rules.event_types import TYPES, EventType
from models.rules.events import EVENT_BYTES_MAX, site_is_optional

_SUBJECTS = {
    "order": "The order's number.",
    "specimen": "The accession number of the specimen.",
    "specimen-or-order": "The accession number of the specimen, or the order's number when no tube has one yet.",
    "stock": "SITE/ITEM; */ITEM for a recall.",
    "any": "The subject of the event that is voided.",
}


def _name(longest: int, description: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": description}


def event_schema(name: str, row: EventType) -> dict[str, Any]:
    """The JSON Schema (2020-12) of the whole CloudEvent of one type."""
    (reference,), parts = msgspec.json.schema_components([row.data], ref_template="#/$defs/{name}")
    time = "When it happened, RFC 3339 with an offset from UTC."
    optional = {"site"} if site_is_optional(name) else set()
    required = ["specversion", "id", "source", "type", "subject", "time", "site", "actor", "data"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:labtrail:event:{name}:1",
        "title": name,
        "description": f"CloudEvents 1.0, structured mode, at most {EVENT_BYTES_MAX} bytes. "
        "Attributes and data fields that are not named here are kept.",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _name(128, "Unique for each happening: the same id is the same event."),
            "source": _name(512, "The device, like /sites/NORTH/stations/2."),
            "type": {"const": name},
            "subject": _name(128, _SUBJECTS[row.subject]),
            "time": {"type": "string", "format": "date-time", "maxLength": 64, "description": time},
            "site": _name(128, "The code of the site where it happened."),
            "actor": _name(128, "The badge number of who did it."),
            "data": reference,
        },
        "required": [attribute for attribute in required if attribute not in optional],
        "$defs": parts,
    }


def schemas() -> dict[str, str]:
    """File name to content, for every event type."""
    return {
        f"{name}.schema.json": json.dumps(event_schema(name, row), indent=2, ensure_ascii=False) + "\n"
        for name, row in TYPES.items()
    }
