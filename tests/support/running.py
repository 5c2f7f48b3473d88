"""Running the real `labtrail` command, as a person or a script does."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.processes import Server, tail

COMMAND = [sys.executable, "-m", "labtrail"]
SECONDS = 60


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own, so that only the test's hold."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LABTRAIL_")}
    return clean | more


def forget_settings(patch: pytest.MonkeyPatch) -> None:
    """Let only the settings hold that the test gives to what runs in this process."""
    for name in [name for name in os.environ if name.startswith("LABTRAIL_")]:
        patch.delenv(name)


def labtrail(
    *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """One command, to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        env=environment() if environ is None else dict(environ),
    )


def works(*arguments: str, stdin: bytes = b"") -> bytes:
    """One command that must succeed; its standard output."""
    done = labtrail(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def fails(*arguments: str, code: int = 1, stdin: bytes = b"") -> str:
    """One command that must fail; the one line that it says on standard error."""
    done = labtrail(*arguments, stdin=stdin)
    said = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}: {said}"
    assert said.startswith("labtrail: "), said
    assert said.count("\n") == 1, said
    return said


class Up:
    """`labtrail up`, or one of its parts, on a home, as a process of its own."""

    def __init__(self, home: Path, folder: Path, *more: str, part: str = "up", **settings: str) -> None:
        self.home = home
        self._settings = settings
        command = [*COMMAND, part, "--data", str(home), "--port", "0", *more]
        self.server = Server(f"labtrail {part}", command, folder / f"{part}.log")

    def start(self) -> "Up":
        """Start, or start again; returns when it is up."""
        self.server.start(lambda: self._address() is not None, SECONDS, environ=environment(**self._settings))
        return self

    def _address(self) -> str | None:
        found = re.search(r"Labtrail is up at (http://\S+)", self.server.said)
        return found[1] if found else None

    @property
    def address(self) -> str:
        address = self._address()
        assert address is not None, self.said()
        return address

    def exit_code(self) -> int | None:
        """What the ended process gave; None while it runs."""
        return self.server.exit_code

    def said(self) -> str:
        return tail(self.server.log)
