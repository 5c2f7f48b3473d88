"""Pick-up: the courier's phone. The page works without a signal, so it holds opaque numbers only, no name."""

from typing import Any

from litestar import Request, get

from models.people.users import Role
from models.rules.specimen import Status
from models.views.pages import Bag, open_bags
from station.auth.access import requires
from station.auth.session import Session
from station.pages.render import Page, page
from station.services import Station


@get("/pick-up", access=requires(Role.COURIER))
async def pick_up_page(request: Request[Any, Any, Any]) -> Page:
    """The same for every courier except for the badge, so that a phone may cache it."""
    return page(request, "pickup.html")


def on_phone(bag: Bag) -> dict[str, Any]:
    """What the phone keeps of a bag, to compare scans with when there is no signal."""
    here = [t for t in bag.tubes if t.current and t.status == Status.DISPATCHED]
    return {
        "manifest": bag.manifest,
        "origin": bag.origin,
        "destination": bag.destination,
        "transport": bag.transport,
        "tote": bag.tote,
        "seal": bag.seal,
        "tubes": [tube.accession for tube in here],
        "seals": {tube.accession: tube.seal for tube in here},
    }


@get("/pick-up/bags", access=requires(Role.COURIER))
async def bags(session: Session, station: Station) -> list[dict[str, Any]]:
    """The bags that wait at the courier's sites."""
    return [on_phone(bag) for bag in await station.read(open_bags, session.sites)]


ROUTES = [pick_up_page, bags]
