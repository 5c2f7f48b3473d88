"""The shell: sign-in, home per role, languages, and what makes the station a program on a phone."""

from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.datastructures import CacheControlHeader, Cookie
from litestar.params import FromQuery
from litestar.response import File, Redirect
from litestar.static_files import create_static_files_router

from config.messages import N_
from models.people.users import Role
from models.views.board import open_alerts
from models.views.pages import coming_bags, count_waiting, open_bags, waiting_for_dispatch, waiting_for_results
from station.auth.access import public, requires
from station.auth.session import Session
from station.languages.language import LANGUAGE_COOKIE
from station.languages.words import LANGUAGES
from station.pages.render import FOLDER, Page, page
from station.services import Station

STATIC = FOLDER / "static"
YEAR_S = 365 * 86_400
DOORS: dict[str, tuple[str, str]] = {
    "/collect": ("tube", N_("Collect")),
    "/dispatch": ("bag", N_("Dispatch")),
    "/pick-up": ("van", N_("Pick up")),
    "/receive": ("inbox", N_("Receive")),
    "/results": ("result", N_("Results")),
    "/supplies": ("shelf", N_("Supplies")),
    "/board": ("board", N_("Board")),
    "/find": ("search", N_("Find")),
}
"""Path -> (icon, name)."""
WAITS: dict[str, tuple[str, str]] = {
    "/collect": (N_("1 order waits"), N_("{n} orders wait")),
    "/dispatch": (N_("1 tube to send"), N_("{n} tubes to send")),
    "/pick-up": (N_("1 bag to pick up"), N_("{n} bags to pick up")),
    "/receive": (N_("1 bag on its way"), N_("{n} bags on their way")),
    "/results": (N_("1 tube without all results"), N_("{n} tubes without all results")),
    "/board": (N_("1 open alert"), N_("{n} open alerts")),
}
OPEN_TO: dict[str, tuple[str, ...]] = {
    Role.MA: ("/collect", "/dispatch", "/supplies", "/find"),
    Role.COURIER: ("/pick-up", "/receive", "/find"),
    Role.LAB: ("/receive", "/results", "/dispatch", "/supplies", "/find"),
    Role.MANAGER: ("/board", "/supplies", "/receive", "/results", "/find"),
    Role.ADMIN: ("/board", "/find"),
}


def inside(path: str) -> str:
    """A path of this station to go on to; `/` for anything that might lead elsewhere."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if plain and len(path) <= 500 else "/"


@get("/", access=requires())
async def home(request: Request[Any, Any, Any], session: Session, station: Station) -> Page:
    """What a person can do here, with how much is pending for each task."""

    def counts(connection: Any) -> dict[str, int]:
        sites, open_to = session.sites, OPEN_TO[session.role]
        count = {
            "/collect": lambda: count_waiting(connection, sites),
            "/dispatch": lambda: len(waiting_for_dispatch(connection, sites)),
            "/pick-up": lambda: len(open_bags(connection, sites)),
            "/receive": lambda: len(coming_bags(connection, sites)),
            "/results": lambda: len(waiting_for_results(connection, sites)),
            "/board": lambda: len(open_alerts(connection, sites)),
        }
        return {door: count[door]() for door in open_to if door in count}

    doors = [(path, *DOORS[path]) for path in OPEN_TO[session.role]]
    return page(request, "home.html", doors=doors, counts=await station.read(counts), waits=WAITS)


@get("/sign-in", access=public())
async def sign_in(
    request: Request[Any, Any, Any], next: FromQuery[str] = "/"
) -> Page:  # the parameter's name in the address
    return page(request, "sign_in.html", message="", next=inside(next))


@get("/enroll", access=public())
async def enroll(request: Request[Any, Any, Any]) -> Page:
    return page(request, "enroll.html")


@get("/language", access=public())
async def language(to: FromQuery[str], next: FromQuery[str] = "/") -> Redirect:
    chosen = to if to in LANGUAGES else "en"
    cookie = Cookie(key=LANGUAGE_COOKIE, value=chosen, max_age=YEAR_S, path="/", httponly=True, samesite="lax")
    return Redirect(inside(next), status_code=303, cookies=[cookie])


@get("/sw.js", access=public())
async def service_worker() -> File:
    """At the root, so that its scope is every page; never from a cache, so that a new one is seen at once."""
    return File(
        STATIC / "sw.js",
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache"},
        content_disposition_type="inline",
    )


@get("/manifest.webmanifest", access=public())
async def manifest() -> Response[dict[str, Any]]:
    icons = [
        {"src": "/static/icon-192.png", "sizes": "192x192", "type": "image/png"},
        {"src": "/static/icon-512.png", "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
        {"src": "/static/icon.svg", "sizes": "any", "type": "image/svg+xml"},
    ]
    about = {
        "name": "Labtrail",
        "short_name": "Labtrail",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#eef2f1",
        "theme_color": "#0b4f5c",
        "icons": icons,
    }
    return Response(about, media_type="application/manifest+json")


@get("/favicon.ico", access=public(), media_type=MediaType.TEXT)
async def favicon() -> File:
    return File(STATIC / "icon-192.png", media_type="image/png", content_disposition_type="inline")


static_files = create_static_files_router(
    path="/static",
    directories=[STATIC],
    name="static",
    opt={"access": public()},
    cache_control=CacheControlHeader(no_cache=True),
)
ROUTES = [home, sign_in, enroll, language, service_worker, manifest, favicon, static_files]
