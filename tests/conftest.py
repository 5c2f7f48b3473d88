"""What every test folder shares: the real servers, and marks by cost. Fixtures of one folder live in that folder."""

import signal
from pathlib import Path

import pytest

from tests.support.examples import load_profile

pytest_plugins = ["tests.support.servers"]
FOLDER = Path(__file__).parent

# a shell has SIGINT ignored by what it puts into the background, and so by the commands that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)
load_profile()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each case has its folder's name as a mark, before any is left out: unit, integration, servers, ..."""
    for item in items:
        item.add_marker(item.path.relative_to(FOLDER).parts[0])
