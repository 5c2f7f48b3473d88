"""New identifiers, for labels that are printed elsewhere."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from models.people.users import Role
from models.printing.serials import allocate
from models.rules.calendars import day_at, zone_of
from station.auth.access import requires
from station.auth.session import Session
from station.services import Station


class NewNumbers(Struct, frozen=True):
    """New identifiers: `S` specimen, `M` manifest, `T` tote."""

    kind: Literal["S", "M", "T"]
    count: Annotated[int, Meta(ge=1, le=200)] = 1


class Numbers(Struct, frozen=True):
    numbers: tuple[str, ...]


@post(
    "/api/v1/numbers",
    access=requires(Role.MA, Role.LAB, Role.MANAGER),
    status_code=200,
    tags=["numbers"],
    summary="New specimen, manifest and tote numbers",
)
async def post_numbers(station: Station, session: Session, data: JSONBody[NewNumbers]) -> Numbers:
    """In rising order, with the year of the calendar where they are asked for; nobody else gets them."""
    year = day_at(station.clock(), zone_of(session.site, station.catalog)).year
    digits = station.settings.serial_digits
    return Numbers(tuple(await station.write(allocate, data.kind, year, data.count, digits)))


ROUTES: Sequence[Any] = (post_numbers,)
