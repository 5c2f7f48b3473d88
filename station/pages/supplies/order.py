"""What to order: suggested quantities that fill to par, on the screen, as CSV and as PDF."""

from typing import Any

from litestar import Request, Response, get
from litestar.params import FromQuery

from models.views.board import StockRow, stock_rows
from models.views.deliveries import deliveries
from station.auth.access import requires
from station.auth.session import Session
from station.pages.render import Page, page, zone_of
from station.pages.supplies.order_paper import order_csv, order_pdf
from station.pages.supplies.shelf import KEEPERS, site_of
from station.services import Station


async def due(session: Session, station: Station, site: str) -> list[StockRow]:
    """What is due for restocking at the site, or at all of the person's."""
    sites = [site_of(session, site)] if site else sorted(session.sites)
    policy, now_us = station.settings.policy, station.clock()
    rows = await station.read(lambda c: stock_rows(c, station.catalog, policy, sites, now_us))
    return [row for row in rows if row.due]


@get("/supplies/order", access=requires(*KEEPERS, scope="site"))
async def order_page(
    request: Request[Any, Any, Any], session: Session, station: Station, site: FromQuery[str] = ""
) -> Page:
    """The list, with a button that notes what was ordered; and what is on its way, which can be closed."""
    sites = [site_of(session, site)] if site else sorted(session.sites)
    coming = await station.read(deliveries, station.catalog, sites, station.clock())
    rows = await due(session, station, site)
    return page(request, "supplies_order.html", rows=rows, coming=coming, site=site)


@get("/supplies/order.csv", access=requires(*KEEPERS, scope="site"))
async def as_csv(session: Session, station: Station, site: FromQuery[str] = "") -> Response[str]:
    headers = {"Content-Disposition": 'attachment; filename="order.csv"', "Cache-Control": "no-store"}
    return Response(order_csv(await due(session, station, site)), media_type="text/csv", headers=headers)


@get("/supplies/order.pdf", access=requires(*KEEPERS, scope="site"))
async def as_pdf(session: Session, station: Station, site: FromQuery[str] = "") -> Response[bytes]:
    headers = {"Content-Disposition": 'inline; filename="order.pdf"', "Cache-Control": "no-store"}
    content = order_pdf(
        await due(session, station, site), station.clock(), zone_of(station.catalog, site or session.site)
    )
    return Response(content, media_type="application/pdf", headers=headers)


ROUTES = [order_page, as_csv, as_pdf]
