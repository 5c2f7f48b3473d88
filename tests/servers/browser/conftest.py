"""A Chromium and a running Labtrail. Without Chromium the tests are skipped; with CI=true that is a failure."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.servers.browser.house import House, Person
from tests.support.running import environment

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


def chromium() -> str | None:
    """The program to run; None where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Ends with this package's last test: while Playwright runs, no other test of the process may `asyncio.run`."""
    program = chromium()
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One installation for all tests here; each test makes its own orders and tubes."""
    home: Path = tmp_path_factory.mktemp("house") / "home"
    made = House(home, environment())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def person(house: House, browser: Browser) -> Iterator[Callable[..., Person]]:
    """`person("ma")`: somebody signed in; closed at the end of the test, which fails on any script error."""
    came: list[Person] = []

    def come(role: str, **options: object) -> Person:
        came.append(Person(house, browser, role, **options))
        return came[-1]

    yield come
    for one in came:
        one.close()
