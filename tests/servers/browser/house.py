"""The whole service as started by `labtrail up`, with people, devices and tubes; and people at its pages.

Nothing of Labtrail is mocked: the pages are used in a real Chromium, the answers are read from the tables.
"""

import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from playwright.sync_api import Browser, BrowserContext, Page
from sqlalchemy import Engine, text

from config.catalog import Catalog, load_catalog
from config.settings import Settings, load_settings
from models.database.engine import make_engine, reading, writing
from models.people.patients import PatientRecord, read_keys, save_patients
from station.auth.people import grant_of, new_device, new_person
from tests.support.processes import Server, free_port, wait_until

PIN = "8261-5590-k"
LIMIT_S = 30.0
PEOPLE = {
    "ma": ("Maria Alvarez", "ma@NORTH"),
    "courier": ("Carl Dunn", "courier@*"),
    "lab": ("Lena Park", "lab@CORE"),
    "manager": ("Noor Haddad", "manager@*"),
}
READY = "#scanner[data-state=ready]"


class House:
    """One installation in a folder of its own."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.port = folder, free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "labtrail", "up", "--data", str(folder), "--port", str(self.port)]
        self.server = Server("labtrail", command, folder.parent / "up.log")
        self._environ = environ | {"LABTRAIL_SESSION_IDLE_MINUTES": "120"}
        self.settings: Settings
        self.catalog: Catalog
        self.engine: Engine
        self.badges: dict[str, str] = {}
        self.tokens: dict[str, str] = {}

    def start(self) -> None:
        self.server.start(self._ready, 90, environ=self._environ)
        self.settings = load_settings(self._environ, data=self.folder)
        self.catalog = load_catalog(self.settings.catalog)
        self.engine = make_engine(self.settings.database)
        for role, (name, grant) in PEOPLE.items():
            person = new_person(
                self.engine, self.settings, name, (grant_of(grant, self.catalog),), PIN, self.now_us()
            )
            self.badges[role] = person.badge
        for site in ("NORTH", "CORE"):
            self.tokens[site] = new_device(self.engine, self.catalog, f"at {site}", site, self.now_us()).token

    def stop(self) -> None:
        self.engine.dispose()
        self.server.stop()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def now_us(self) -> int:
        import time

        return time.time_ns() // 1000

    def query(self, statement: str, **values: Any) -> list[Any]:
        with reading(self.engine) as connection:
            return list(connection.execute(text(statement), values))

    def count(self, statement: str, **values: Any) -> int:
        return int(self.query(statement, **values)[0][0])

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the tables say so."""
        wait_until(condition, LIMIT_S, what, every=0.1)

    def status(self, accession: str) -> str | None:
        rows = self.query("SELECT status FROM specimens WHERE accession = :a", a=accession)
        return rows[0][0] if rows else None

    def until_status(self, accession: str, status: str) -> None:
        self.until(lambda: self.status(accession) == status, f"{accession} {status}")

    def name_patient(self, reference: str, record: PatientRecord) -> None:
        with writing(self.engine) as connection:
            keys = read_keys(self.settings.patient_key.reveal())
            save_patients(connection, [(reference, record)], keys, self.now_us())


class Person:
    """Somebody who is signed in, in a browser of their own."""

    def __init__(self, house: House, browser: Browser, role: str, *, base: str = "", **options: Any) -> None:
        self.house, self.role, self.badge = house, role, house.badges[role]
        self.context: BrowserContext = browser.new_context(base_url=base or house.base, **options)
        self.context.set_default_timeout(LIMIT_S * 1000)
        self.problems: list[str] = []
        self.page = self.open_tab()
        self.page.goto(f"/enroll#{house.tokens['CORE' if role == 'lab' else 'NORTH']}")
        self.page.click("#enroll button")
        self.page.wait_for_url("**/sign-in")
        self.sign_in(self.badge)

    def sign_in(self, badge: str) -> None:
        self.page.fill("#badge", badge)
        self.page.fill("#pin", PIN)
        self.page.click("#sign-in button")
        self.page.wait_for_selector(".doors, #sign-in-fault:not([hidden])")
        assert self.page.query_selector(".doors"), self.page.inner_text("#sign-in")

    def open_tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda fault: self.problems.append(f"{page.url}: {fault}"))
        return page

    def go(self, path: str) -> Page:
        self.page.goto(path)
        if self.page.query_selector("#scanner"):
            self.page.wait_for_selector(READY)
        return self.page

    def scan(self, code: str, suffix: str = "Enter") -> str:
        """Scan as a wedge scanner does; the verdict's kind (ok, warn, bad) when it is there."""
        return self.scan_on(self.page, code, suffix)

    def scan_on(self, page: Page, code: str, suffix: str = "Enter") -> str:
        page.wait_for_selector(READY)
        before = page.get_attribute("#verdict", "data-count") or "0"
        here = page.url
        page.keyboard.type(code)
        if suffix:
            page.keyboard.press(suffix)
        # a scan may lead on to another page, whose count starts at zero
        page.wait_for_function(
            "([n, url]) => location.href !== url || (document.querySelector('#verdict')?.dataset.count ?? '0') !== n",
            arg=[before, here],
        )
        return page.get_attribute("#verdict", "data-kind") or ""

    @property
    def said(self) -> str:
        return self.page.inner_text("#verdict .text")

    def pass_red(self) -> str:
        """Confirm the red page and go on; returns its title."""
        self.page.wait_for_selector("dialog.red")
        title = self.page.inner_text("#red-title")
        assert self.page.is_disabled("#red-go"), "the red page must not be left without a deliberate act"
        self.page.check("#red-looked")
        self.page.click("#red-go")
        self.page.wait_for_selector("dialog.red", state="detached")
        return title

    def unsent(self) -> int:
        return int(self.page.inner_text("#unsent-count"))

    def all_sent(self) -> None:
        self.page.wait_for_function("() => document.querySelector('#unsent-count').textContent === '0'")

    def post(self, events: Sequence[dict[str, Any]]) -> None:
        """Events as the pages' scripts send them, from this person's session."""
        answer = self.page.request.post(
            "/api/v1/events",
            data=msgspec.json.encode(list(events)).decode(),
            headers={"Origin": self.house.base, "Content-Type": "application/json"},
        )
        assert answer.ok, answer.text()

    def close(self) -> None:
        self.context.close()
        assert not self.problems, self.problems
