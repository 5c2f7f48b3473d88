"""New identifiers, for labels that are printed elsewhere."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from models.people.users import Role
from models.printing.serials import allocate
from models.rules.times import moment_of
from station.auth.access import requires
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
async def post_numbers(station: Station, data: JSONBody[NewNumbers]) -> Numbers:
    """In rising order; nobody else gets them."""
    year, digits = moment_of(station.clock()).year, station.settings.serial_digits
    return Numbers(tuple(await station.write(allocate, data.kind, year, data.count, digits)))


ROUTES: Sequence[Any] = (post_numbers,)
