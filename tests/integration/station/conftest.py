"""Homes with a station, closed at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.station_home import Home, Made


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Made]:
    """Makes homes with the settings that a test gives, each in its own folder."""
    homes: list[Home] = []

    def made(**settings: str) -> Home:
        homes.append(Home(tmp_path / f"home{len(homes)}", **settings))
        return homes[-1]

    yield made
    for home in homes:
        home.close()


@pytest.fixture
def home(make: Made) -> Home:
    """A home whose API asks who calls."""
    return make()


@pytest.fixture
def open_home(make: Made) -> Home:
    """A home on loopback whose API asks programs for no token, as `labtrail up` has it."""
    return make(api_open="true")
