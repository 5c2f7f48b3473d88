"""SIGTERM and SIGINT are handled whenever they arrive."""

import signal
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
    watch = weakref.ref(thing, lambda _: signal.raise_signal({number}))
    del thing
    return real(*given, **named)

module.{name} = interrupted
sys.argv = ["labtrail", *{arguments}]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("module", "name", "command"),
    [
        ("config.settings", "load_settings", ["up", "--port", "0"]),
        ("models.database.migrate", "require_current", ["up", "--port", "0"]),
        ("agents.log.open", "open_log", ["up", "--port", "0"]),
        ("config.settings", "load_settings", ["drain", "--timeout", "600"]),
        ("agents.log.open", "open_log", ["drain", "--timeout", "600"]),
    ],
)
def test_a_signal_that_comes_in_a_callback_is_heard(
    module: str, name: str, command: list[str], number: signal.Signals, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    works("migrate", "--data", str(home))
    works("publish", "-", "--data", str(home), stdin=b"{}")  # something to wait for
    arguments = [*command, "--data", str(home)]
    script = LOST.format(module=module, name=name, arguments=arguments, number=int(number))
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=SECONDS, check=False, env=environment()
    )
    said = ended.stderr.decode()
    assert ended.returncode == 1, said
    assert said.splitlines()[-1] == "labtrail: stopped"
