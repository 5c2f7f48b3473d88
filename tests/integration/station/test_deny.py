"""Who may call what: generated from the route table, so that a new route can't be forgotten.

Every route × {nobody, wrong role, wrong site, expired, signed out, revoked device} is answered 401 or 403.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import insert

from config.errors import LabtrailError
from models.database.acts_tables import alerts
from models.database.engine import writing
from models.people.devices import revoke_device
from models.people.users import Role
from station.auth.access import Access, access_of
from tests.support.station_home import Browser, Home, accession, collected, dispatched, event, manifest

PUBLIC = frozenset(
    {
        "/healthz",
        "/readyz",
        "/metrics",
        "/schema",
        "/schema/openapi.json",
        "/schema/{path:str}",
        "/sign-in",
        "/enroll",
        "/language",
        "/sw.js",
        "/manifest.webmanifest",
        "/favicon.ico",
        "/static/{file_path:path}",
        "/offline",
        "POST /api/v1/session",
        "POST /api/v1/device",
    }
)
"""What is public: probes, the API's description, what a browser needs before it can sign in."""

OWN = {
    "POST /api/v1/events": "each event's site is checked: test_events.py",
    "GET /api/v1/live": "counts only",
    "GET /api/v1/break-glass": "managers review every site's",
    "POST /api/v1/break-glass": "one's own session",
    "POST /api/v1/break-glass/{number:int}/review": "managers review every site's",
    "POST /api/v1/notifications/{receiver:str}": "Alertmanager speaks for every site",
    "GET /api/v1/notifications": "Alertmanager speaks for every site",
    "GET /api/v1/session": "one's own session",
    "POST /api/v1/session/touch": "one's own session",
    "DELETE /api/v1/session": "one's own session",
    "POST /api/v1/near-misses": "recorded at the session's site",
    "POST /api/v1/numbers": "new numbers belong to no site",
    "GET /": "links only",
    "GET /collect": "the session's sites only",
    "POST /collect/lot": "the catalog and lots, of no site",
    "GET /dispatch": "the session's sites only",
    "POST /dispatch": "the session's sites only",
    "POST /dispatch/tube": "the page says only what may be scanned at the session's site",
    "GET /pick-up": "the session's sites only",
    "GET /pick-up/bags": "the session's sites only",
    "GET /receive": "the session's sites only",
    "POST /receive": "the session's sites only",
    "POST /receive/tube": "unexpected tubes are recorded, not refused",
    "GET /receive/{manifest:str}": "its holder is told where it belongs; its contents: test_receive.py",
    "GET /results": "the session's sites only",
    "POST /results/check": "the catalog's critical values, of no site",
    "GET /find": "leads to pages that are checked",
    "POST /find": "leads to pages that are checked",
    "GET /lots/{item:str}/{lot:str}": "a recall concerns every site that has the lot",
}
"""Routes without a particular site, each with the reason."""


class Route(NamedTuple):
    method: str
    template: str
    access: Access

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"


class World(NamedTuple):
    """One of each kind of object at SOUTH, and how to fill a path with them."""

    home: Home
    values: dict[str, str]

    def path(self, template: str) -> str:
        parts = []
        for part in template.split("/"):
            if part.startswith("{"):
                name, _, kind = part[1:-1].partition(":")
                part = self.values.get(name, "1" if kind == "int" else "SUP-EDTA4")
                if "/labels/" in template:
                    part += ".png"
            parts.append(part)
        return "/".join(parts)

    def ask(self, browser: Browser, route: Route) -> httpx.Response:
        query = {"site": "SOUTH"} if route.access.scope == "site" else {}
        body = {"json": {}} if route.method == "POST" else {}
        with browser.http.stream(route.method, self.path(route.template), params=query, **body) as answer:
            return answer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = Home(tmp_path_factory.mktemp("deny"))
    tube, bag = accession(), manifest()
    placed = event(
        "order.placed", "R-SOUTH", {"patient": "P-1", "priority": "routine", "tests": ["CBCD"]}, site="SOUTH"
    )
    first = collected(tube, site="SOUTH")
    first["data"]["order"] = "R-SOUTH"
    home.client(token=home.device(role="manager").token).post(
        placed, first, dispatched(tube, bag, to="HUB", site="SOUTH")
    )
    with writing(home.engine) as connection:
        row = {"kind": "restock", "subject": "SOUTH/SUP-EDTA4", "site": "SOUTH", "severity": "warning"}
        made = insert(alerts).values(**row, detail="x", since_us=1, opened_us=1).returning(alerts.c.id)
        number = connection.execute(made).scalar_one()
    yield World(
        home, {"accession": tube, "manifest": bag, "event": first["id"], "alert": str(number), "order_id": "R-SOUTH"}
    )
    home.close()


def routes(home: Home) -> list[Route]:
    """Every route of the app that is not public."""
    found = []
    for route in home.app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            access = access_of(handler)
            for method in handler.http_methods - {"OPTIONS", "HEAD"}:
                assert access is not None, f"{method} {route.path} says not who may call it"
                found.append(Route(str(method), route.path, access))
    return found


def guarded(home: Home) -> list[Route]:
    return [route for route in routes(home) if route.access.roles]


def test_only_the_listed_routes_are_for_everybody(world: World) -> None:
    free = {route for route in routes(world.home) if not route.access.roles}
    assert not [route.name for route in free if not {route.name, route.template} & PUBLIC]


def test_every_route_is_about_a_site_or_says_why_not(world: World) -> None:
    names = set(world.values)
    about = {
        r.name
        for r in guarded(world.home)
        if r.name not in OWN and (r.access.scope != "none" or any(f"{{{n}:" in r.template for n in names))
    }
    assert {route.name for route in guarded(world.home)} - about == set(OWN)


def test_nobody_gets_401_everywhere(world: World) -> None:
    answers = {r.name: world.ask(world.home.client(), r).status_code for r in guarded(world.home)}
    assert {name: code for name, code in answers.items() if code != 401} == {}


def test_an_unknown_token_gets_401_everywhere(world: World) -> None:
    program = world.home.client(token="x" * 43)
    answers = {r.name: world.ask(program, r).status_code for r in guarded(world.home)}
    assert {name: code for name, code in answers.items() if code != 401} == {}


def test_a_wrong_role_gets_403_everywhere(world: World) -> None:
    found = {}
    for role in Role:
        browser = world.home.signed_in(role, "*")
        asked = [route for route in guarded(world.home) if role not in route.access.roles]
        found |= {f"{role}: {r.name}": world.ask(browser, r).status_code for r in asked}
    assert found
    assert {name: code for name, code in found.items() if code != 403} == {}


def test_a_wrong_site_gets_403_wherever_a_route_is_about_a_site(world: World) -> None:
    found = {}
    for role in Role:
        browser = world.home.signed_in(role, "NORTH")
        asked = [r for r in guarded(world.home) if role in r.access.roles and r.name not in OWN]
        found |= {f"{role}: {r.name}": world.ask(browser, r).status_code for r in asked}
    assert {name: code for name, code in found.items() if code != 403} == {}


def test_a_program_gets_403_where_a_person_is_needed(world: World) -> None:
    program = world.home.client(token=world.home.device(role="manager").token)
    asked = [route for route in guarded(world.home) if route.access.people]
    assert {r.name: c for r in asked if (c := world.ask(program, r).status_code) != 403} == {}


@pytest.mark.parametrize("end", ["expired", "signed out", "device revoked", "program revoked"])
def test_a_session_that_is_over_gets_401_everywhere(world: World, end: str) -> None:
    home = world.home
    if end == "program revoked":
        device = home.device(role="manager")
        browser = home.client(token=device.token)
        with writing(home.engine) as connection:
            revoke_device(connection, device.device.id, home.clock())
    else:
        browser = home.signed_in("manager", "*")
    if end == "expired":
        home.clock.pass_minutes(home.settings.session_idle_minutes + 0.1)
    elif end == "signed out":
        kept = dict(browser.http.cookies)
        browser.http.delete("/api/v1/session")
        browser.http.cookies.update(kept)
    elif end == "device revoked":
        number = browser.http.get("/api/v1/session").json()["device"]
        with writing(home.engine) as connection:
            revoke_device(connection, number, home.clock())
    answers = {r.name: world.ask(browser, r).status_code for r in guarded(home)}
    assert {name: code for name, code in answers.items() if code != 401} == {}


def test_a_route_that_says_not_who_may_call_it_stops_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from litestar import get

    from station import app
    from station.api import alerts as api_alerts

    @get("/forgotten")
    async def forgotten() -> str:
        return ""

    monkeypatch.setattr(api_alerts, "ROUTES", (*api_alerts.ROUTES, forgotten))
    home = world.home
    with pytest.raises(LabtrailError, match="/forgotten"):
        app.create_app(home.settings, home.catalog, home.engine, home.log)


def test_a_refusal_is_in_the_audit_trail(world: World) -> None:
    browser = world.home.signed_in("ma", "NORTH")
    browser.http.get(f"/api/v1/specimens/{world.values['accession']}")
    entry = world.home.audited()[0]
    assert (entry.action, entry.badge, entry.role) == ("refused", browser.badge, "ma")


def test_breaking_the_glass_opens_it_for_a_time_with_a_reason_and_an_alert(world: World, tmp_path: Path) -> None:
    home, tube = world.home, world.values["accession"]
    browser = home.signed_in("ma", "NORTH")
    assert browser.http.post("/api/v1/break-glass", json={"reason": "short"}).status_code == 400
    reason = "Patient in the emergency room, results needed"
    answer = browser.http.post("/api/v1/break-glass", json={"reason": reason, "minutes": 4})
    assert answer.json()["break_glass_until"]
    assert browser.http.get(f"/api/v1/specimens/{tube}").status_code == 200
    seen = next(e for e in home.audited(tube) if e.badge == browser.badge and e.action == "specimen.read")
    assert seen.detail == "break-glass"
    manager = home.signed_in("manager", "*")
    listed = manager.http.get("/api/v1/break-glass").json()
    mine = next(one for one in listed if one["badge"] == browser.badge)
    assert mine["reason"] == reason
    with home.engine.connect() as connection:
        sent = connection.exec_driver_sql("SELECT payload FROM outbox WHERE key LIKE 'break-glass/%'").scalars().all()
    assert any(reason.encode() in bytes(one) for one in sent)
    assert manager.http.post(f"/api/v1/break-glass/{mine['id']}/review").status_code == 200
    assert manager.http.post(f"/api/v1/break-glass/{mine['id']}/review").status_code == 404
    home.clock.pass_minutes(4.1)
    assert browser.http.get(f"/api/v1/specimens/{tube}").status_code == 403


def test_nobody_reviews_their_own_break_glass(world: World) -> None:
    manager = world.home.signed_in("manager", "NORTH")
    manager.http.post("/api/v1/break-glass", json={"reason": "a reason that is long enough"})
    mine = next(o for o in manager.http.get("/api/v1/break-glass").json() if o["badge"] == manager.badge)
    assert manager.http.post(f"/api/v1/break-glass/{mine['id']}/review").status_code == 404
