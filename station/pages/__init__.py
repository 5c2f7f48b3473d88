"""The pages that people hold in their hands: drawn on the server, with a little plain JavaScript."""

from typing import Any

from station.pages import board, collect, dispatch, home, pickup, receive, results, supplies, supplies_order, trail
from station.pages.render import refused

__all__ = ["refused", "routes"]


def routes() -> list[Any]:
    """Every page's handler, to be mounted at `/`."""
    parts = (home, collect, dispatch, pickup, receive, results, supplies, supplies_order, board, trail)
    return [route for part in parts for route in part.ROUTES]
