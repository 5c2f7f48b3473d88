"""Drawing the pages: templates, languages, and how times and numbers are shown to a person."""

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from litestar import MediaType, Request, Response
from markupsafe import Markup

from config.catalog import Catalog
from config.messages import N_
from models.rules.times import moment_of
from station.auth.session import session_or_none
from station.custody_report.words import HAPPENED
from station.languages.language import language_of
from station.languages.words import LANGUAGES, Say, for_scripts, teller, translate
from station.services import Services

FOLDER = Path(__file__).resolve().parent.parent
COLOURS = {
    "lavender": "#8d7fc0",
    "gold": "#d9a520",
    "light blue": "#69b7e0",
    "gray": "#8b9297",
    "red": "#c23b3b",
    "red/yellow": "#c9742f",
    "yellow/white": "#e6cf56",
    "pink": "#df8fae",
    "clear": "#c9d6da",
    "green": "#4d9d5c",
    "blue+purple": "#5a5fb0",
    "tamper seal": "#a98b62",
}
UNKNOWN_COLOUR = "#9aa6ab"
KINDS = HAPPENED | {
    "supply.received": N_("Supply received"),
    "supply.counted": N_("Supply counted"),
    "supply.transferred": N_("Supply moved"),
    "supply.sent": N_("Supply sent"),
    "supply.ordered": N_("Supply ordered"),
    "supply.order-closed": N_("Supply order closed"),
    "supply.recalled": N_("Lot recalled"),
    "/api/v1/near-misses": N_("Near miss"),
}
"""What an event of each type is called; a near miss by the address that it is sent to."""
_environment = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals["N_"] = N_  # marks a text of a table, as in the code
Page = Response[str]


def zone_of(catalog: Catalog, site: str | None) -> ZoneInfo:
    known = catalog.sites.get(site or "")
    return ZoneInfo(known.timezone) if known else ZoneInfo("UTC")


def today_at(station: Services, site: str) -> date:
    """The date on the calendar of a site."""
    return moment_of(station.clock()).astimezone(zone_of(station.catalog, site)).date()


def page(request: Request[Any, Any, Any], template: str, *, status: int = 200, **values: Any) -> Page:
    """A page in the reader's language, with times on the clock of the site where they are."""
    station = request.app.state.station
    session = session_or_none(request)
    language = language_of(request)
    say = translate(language)
    now_us = station.clock()
    clock = _clock(zone_of(station.catalog, session.site if session else None), now_us)
    body = _environment.get_template(template).render(
        t=say,
        tell=teller(language),
        many=_many(say),
        language=language,
        session=session,
        catalog=station.catalog,
        path=request.url.path,
        now_us=now_us,
        outside=station.settings.outside_identifiers,
        clock=clock,
        age=_age(now_us),
        hours_text=hours_text,
        number=number,
        colour=colour,
        data=data,
        words=_words(language),
        kinds=_kinds(say),
        **values,
    )
    headers = {"Cache-Control": "no-store", "Content-Language": language}
    return Response(body, status_code=status, media_type=MediaType.HTML, headers=headers)


@lru_cache(len(LANGUAGES))
def _words(language: str) -> Markup:
    """The texts that the scripts show; English needs none, since a text is its own key."""
    return data(for_scripts(language))


def _kinds(say: Say) -> Markup:
    """Each type of event as the list of unsent scans names it."""
    return data({kind: say(name) for kind, name in KINDS.items()})


def data(value: object) -> Markup:
    """A value as JSON that is safe inside a `<script type="application/json">`."""
    text = msgspec.json.encode(value).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704  # every character that could end the element is escaped above


def _many(say: Say) -> Callable[[int, str, str], str]:
    """`many(n, "1 tube", "{n} tubes")`: the text for one, or for another number."""
    return lambda n, one, more: say(one if n == 1 else more, n=n)


def _clock(zone: ZoneInfo, now_us: int) -> Callable[[int | None], str]:
    today = moment_of(now_us).astimezone(zone).date()

    def clock(at_us: int | None) -> str:
        if at_us is None:
            return "–"
        at = moment_of(at_us).astimezone(zone)
        return f"{at:%H:%M}" if at.date() == today else f"{at:%Y-%m-%d %H:%M}"

    return clock


def _age(now_us: int) -> Callable[[int | None], str]:
    return lambda at_us: "–" if at_us is None else hours_text(max(now_us - at_us, 0) / 3.6e9)


def hours_text(hours: float) -> str:
    """`5 min`, `2 h 10`, `3 d 4 h`: as much as a person wants to know."""
    minutes = round(hours * 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def number(value: float | None) -> str:
    """A quantity without needless digits."""
    return "–" if value is None else f"{value:.10g}" if value == round(value) else f"{value:.1f}"


def colour(name: str | None) -> str:
    """The colour of a cap on the screen; its name is always beside it."""
    return COLOURS.get(name or "", UNKNOWN_COLOUR)


def refused(request: Request[Any, Any, Any], status: int, message: str) -> Page:
    """A refusal as a page: the sign-in form for 401, else what happened and where to go on."""
    if status == 401:
        return page(request, "sign_in.html", status=401, message=message, next=request.url.path)
    return page(request, "refused.html", status=status, code=status, message=message)
