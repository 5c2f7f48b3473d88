"""Homes with a station, closed at the end: one of its own for a test that asks for it, one for a module's others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.station_home import Home, Made


def _making(folder: Path) -> Iterator[Made]:
    homes: list[Home] = []

    def made(**settings: str) -> Home:
        homes.append(Home(folder / f"home{len(homes)}", **settings))
        return homes[-1]

    yield made
    for home in homes:
        home.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """Makes homes with the settings that a test gives, each in its own folder."""
    yield from _making(tmp_path)


@pytest.fixture
def home(make: Made) -> Home:
    """A home whose API requires authentication."""
    return make()


@pytest.fixture
def open_home(make: Made) -> Home:
    """A home on loopback whose API requires no token of programs, as with `labtrail up`."""
    return make(api_open="true")


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield from _making(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def shared_home(make_shared: Made) -> Home:
    """A home shared by the tests of a module, each of which creates its own tubes, people and devices."""
    return make_shared()


@pytest.fixture(scope="module")
def shared_open_home(make_shared: Made) -> Home:
    """As `shared_home`, with an API that requires no token of programs."""
    return make_shared(api_open="true")
