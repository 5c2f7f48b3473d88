"""Near misses: wrong matches that were caught before harm."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct
from sqlalchemy import Connection

from models.people.audit import NearMiss, kept_code, record_near_miss
from station.auth.access import requires
from station.auth.roles import STAFF
from station.auth.session import Session
from station.problems import Refusal
from station.services import Station


class NewNearMiss(Struct, frozen=True, kw_only=True):
    """A wrong match that was caught. `overridden`: the person went on deliberately, for `reason`."""

    kind: Literal["patient", "order", "tube", "label", "lot", "manifest", "tote"]
    expected: Annotated[str, Meta(max_length=128)]
    scanned: Annotated[str, Meta(max_length=512)]
    accession: Annotated[str, Meta(max_length=128)] = ""
    order: Annotated[str, Meta(max_length=128)] = ""
    overridden: bool = False
    reason: Annotated[str, Meta(max_length=500)] = ""


class Noted(Struct, frozen=True):
    id: int


@post(
    "/api/v1/near-misses",
    access=requires(*STAFF),
    tags=["near misses"],
    summary="A wrong match that was caught",
)
async def post_near_miss(station: Station, session: Session, data: JSONBody[NewNearMiss]) -> Noted:
    """What was scanned is kept only where it is one of our own codes: another may be a patient's number."""
    if data.overridden and not data.reason.strip():
        raise Refusal(422, "going on after a mismatch needs a reason: write it down")
    assert session.device is not None, "a person's session has a device"
    device = session.device

    def record(connection: Connection) -> int:
        return record_near_miss(
            connection,
            NearMiss(
                time_us=station.clock(),
                badge=session.badge,
                device_id=device,
                site=session.site,
                kind=data.kind,
                accession=kept_code(connection, data.accession),
                order_id=kept_code(connection, data.order),
                expected=kept_code(connection, data.expected),
                scanned=kept_code(connection, data.scanned),
                overridden=data.overridden,
                reason=data.reason,
            ),
        )

    return Noted(await station.write(record))


ROUTES: Sequence[Any] = (post_near_miss,)
