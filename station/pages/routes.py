"""Every page's handler: the pages are drawn on the server, with a little plain JavaScript."""

from typing import Any

from station.pages.board import ROUTES as BOARD
from station.pages.collect import ROUTES as COLLECT
from station.pages.dispatch import ROUTES as DISPATCH
from station.pages.home import ROUTES as HOME
from station.pages.labels import ROUTES as LABELS
from station.pages.pickup import ROUTES as PICKUP
from station.pages.receive import ROUTES as RECEIVE
from station.pages.results import ROUTES as RESULTS
from station.pages.supplies.order import ROUTES as SUPPLIES_ORDER
from station.pages.supplies.shelf import ROUTES as SUPPLIES
from station.pages.trail import ROUTES as TRAIL


def routes() -> list[Any]:
    """Every page's handler, to be mounted at `/`."""
    parts = (HOME, COLLECT, LABELS, DISPATCH, PICKUP, RECEIVE, RESULTS, SUPPLIES, SUPPLIES_ORDER, BOARD, TRAIL)
    return [route for part in parts for route in part]
