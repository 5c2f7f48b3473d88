"""A small clinic network for the station's tests: real tables, the real log, the real store; only Faust is left out.

`Committing` does what the agents do, and can be paused, as if the worker were down.
"""

import asyncio
import socket
import ssl
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from litestar import Litestar
from sqlalchemy import Engine, select

from agents.log.open import open_log
from config.catalog import Catalog, load_catalog
from config.home import make_home
from config.settings import Settings, load_settings
from embedded.log import Log
from models.database.engine import reading
from models.database.evidence_tables import progress
from models.people.audit import Entry, audit_rows
from models.people.users import Grant
from models.recording.evidence import Record
from models.recording.store import Store
from models.rules.identifiers import BADGE, MANIFEST, SPECIMEN, make_identifier
from station.app import create_app
from station.auth.people import Enrolled, new_device, new_person
from tests.support.homes import new_home
from tests.support.processes import wait_until

NOW_US = 1_795_270_000_000_000  # 2026-11-21T14:06:40Z
MINUTE_US = 60_000_000
PIN = "4711-9932"
LIMIT_S = 20.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients on loopback: one that reads the machine's certificates takes 40 ms to make."""


class Clock:
    """Microseconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.us = NOW_US

    def __call__(self) -> int:
        return self.us

    def pass_minutes(self, minutes: float) -> None:
        self.us += round(minutes * MINUTE_US)


class Committing:
    """Commits what is appended, in its own thread, while `running` is set."""

    def __init__(self, log: Log, store: Store, engine: Engine, clock: Clock) -> None:
        self._log, self._store, self._engine, self._clock = log, store, engine, clock
        self.running = threading.Event()
        self.running.set()
        self._appended, self._ended = threading.Event(), False
        log.listen(self._appended.set)
        self._thread = threading.Thread(target=self._work, name="committing")
        self._thread.start()

    def _work(self) -> None:
        while not self._ended:
            self._appended.wait(LIMIT_S)
            self._appended.clear()
            self.running.wait(LIMIT_S)
            records = self._waiting()
            if records and not self._ended:
                self._store.commit(records, self._clock())

    def _waiting(self) -> list[Record]:
        with reading(self._engine) as connection:
            done = {(t, p): n for t, p, n in connection.execute(select(progress))}
        return [
            Record(topic, partition, r.offset, r.value, self._clock())
            for (topic, partition), end in self._log.ends().items()
            if topic != "lab.alerts" and end > done.get((topic, partition), 0)
            for r in self._log.read((topic, partition), done.get((topic, partition), 0), 1000)
        ]

    def wake(self) -> None:
        self.running.set()
        self._appended.set()

    def close(self) -> None:
        self._ended = True
        self.wake()
        self._thread.join(LIMIT_S)
        self._log.unlisten(self._appended.set)


class Serving:
    """A web server in a thread of its own, on a free port of loopback."""

    def __init__(self, app: Litestar) -> None:
        door = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{door.getsockname()[1]}"
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(door)], name="serving")
        self._thread.start()
        wait_until(lambda: self._server.started, LIMIT_S, "the station serves")

    async def _serve(self, door: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[door])

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(LIMIT_S)


class Home:
    """One home with its station; `client()` makes browsers and programs that talk to it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        environ = {f"LABTRAIL_{name.upper()}": value for name, value in settings.items()}
        self.settings: Settings = make_home(load_settings({"LABTRAIL_API_OPEN": "false"} | environ, data=folder))
        self.catalog: Catalog = load_catalog(self.settings.catalog)
        self.clock = Clock()
        self.engine = new_home(self.settings.database)
        log = open_log(self.settings.broker)
        assert isinstance(log, Log)
        self.log = log
        store = Store(self.engine, self.catalog, self.settings.policy)
        self.committing = Committing(log, store, self.engine, self.clock)
        self.app = create_app(self.settings, self.catalog, self.engine, log, clock=self.clock)
        self.serving = Serving(self.app)
        self._clients: list[httpx.Client] = []
        self._people = 0

    def client(self, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> "Browser":
        """A browser, with cookies of its own; with `token`, a program."""
        own = {"origin": self.serving.origin} if token is None else {"authorization": f"Bearer {token}"}
        headers = {**own, **(headers or {})}
        made = httpx.Client(base_url=self.serving.origin, headers=headers, timeout=LIMIT_S, verify=NO_TLS)
        self._clients.append(made)
        return Browser(made, self)

    def person(self, role: str, *sites: str, name: str = "Some One") -> str:
        """A person with the PIN `PIN`; the badge."""
        self._people += 1
        badge = make_identifier(BADGE, 2026, self._people)
        grants = tuple(Grant(role, site) for site in sites)  # type: ignore[arg-type]
        new_person(self.engine, self.settings, name, grants, PIN, self.clock(), badge=badge)
        return badge

    def device(self, site: str = "*", role: str | None = None) -> Enrolled:
        return new_device(self.engine, self.catalog, f"device at {site}", site, self.clock(), role=role)

    def signed_in(self, role: str, *sites: str, at: str | None = None) -> "Browser":
        """A browser in which a new person with this role is signed in."""
        browser = self.client()
        browser.enroll(self.device(at or "*").token)
        browser.sign_in(self.person(role, *sites))
        return browser

    def audited(self, subject: str | None = None) -> list[Entry]:
        with reading(self.engine) as connection:
            return audit_rows(connection, subject=subject)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.serving.close()
        self.committing.close()
        self.log.close()
        self.engine.dispose()


class Browser:
    """A client with its cookies."""

    def __init__(self, client: httpx.Client, home: Home) -> None:
        self.http, self.home = client, home
        self.badge = ""

    def enroll(self, token: str) -> None:
        answer = self.http.post("/api/v1/device", json={"token": token})
        assert answer.status_code == 200, answer.text

    def sign_in(self, badge: str, pin: str = PIN, **more: str) -> Any:
        answer = self.http.post("/api/v1/session", json={"badge": badge, "pin": pin, **more})
        assert answer.status_code == 200, answer.text
        self.badge = badge
        return answer.json()

    def post(self, *events: Mapping[str, Any], status: int = 200) -> Any:
        """Post one event, or several as an array; the JSON of the answer."""
        body = events[0] if len(events) == 1 else list(events)
        answer = self.http.post("/api/v1/events", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


_serials = iter(range(1, 1_000_000))


def accession() -> str:
    return make_identifier(SPECIMEN, 2026, next(_serials))


def manifest() -> str:
    return make_identifier(MANIFEST, 2026, next(_serials))


def event(kind: str, subject: str, data: Mapping[str, Any], *, site: str | None = "NORTH", **more: Any) -> dict:
    """An event as a program sends it, ten minutes ago, with an id of its own."""
    made = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "/tests",
        "type": kind,
        "subject": subject,
        "time": "2026-11-21T13:56:40Z",
        "actor": "B2600001721",
        "data": dict(data),
    }
    return made | ({} if site is None else {"site": site}) | more


def collected(subject: str, **more: Any) -> dict:
    data = {"order": "R-1", "patient": "P-1", "container": "EDTA4", "tests": ["CBCD"], "priority": "routine"}
    return event("specimen.collected", subject, data, **more)


def dispatched(subject: str, number: str, to: str = "CORE", **more: Any) -> dict:
    return event("specimen.dispatched", subject, {"manifest": number, "destination": to}, **more)


def scanned(kind: str, subject: str, data: Mapping[str, Any], **more: Any) -> dict:
    """An event as a page sends it: who and where are the session's."""
    made = event(kind, subject, data, site=None)
    del made["actor"], made["source"], made["specversion"]
    return made | more


Made = Callable[..., Home]
