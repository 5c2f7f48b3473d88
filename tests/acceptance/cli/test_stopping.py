"""SIGTERM is handled whenever it arrives."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import SECONDS, environment, works

# the signal arrives in a weakref callback, such as those at the end of an import: exceptions are dropped there
LOST = """
import signal, sys, weakref
from {module} import {name} as real
import {module} as module
from labtrail.cli import main

class Thing:
    pass

def interrupted(*given, **named):
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing
    return real(*given, **named)

module.{name} = interrupted
sys.argv = ["labtrail", *{arguments}]
main()
"""


@pytest.mark.parametrize(
    ("module", "name", "command"),
    [
        ("config.settings", "load_settings", ["up", "--port", "0"]),
        ("models.database.migrate", "require_current", ["up", "--port", "0"]),
        ("agents.log.open", "open_log", ["up", "--port", "0"]),
        ("config.settings", "load_settings", ["drain", "--timeout", "600"]),
    ],
)
def test_a_signal_that_comes_in_a_callback_is_heard(
    module: str, name: str, command: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    works("migrate", "--data", str(home))
    script = LOST.format(module=module, name=name, arguments=[*command, "--data", str(home)])
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=SECONDS, check=False, env=environment()
    )
    said = ended.stderr.decode()
    assert ended.returncode == 1, said
    assert said.splitlines()[-1] == "labtrail: stopped"
