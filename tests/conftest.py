"""What every test folder shares: the real servers, and marks by cost. Fixtures of one folder live in that folder."""

import signal
from pathlib import Path

import pytest

from tests.support.examples import load_profile

pytest_plugins = ["tests.support.servers"]
FOLDER = Path(__file__).parent

# a shell starts background jobs with SIGINT ignored, and the commands that the tests interrupt would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
load_profile()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each case with its folder's name before any is deselected: unit, integration, servers, ..."""
    for item in items:
        item.add_marker(item.path.relative_to(FOLDER).parts[0])
