"""The tour of the README works as written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.running import environment

README = Path(__file__).parents[3] / "README.md"
TOUR_SECONDS_MAX = 300


def _tour() -> str:
    section = README.read_text().partition("## The first ten minutes\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_every_line_of_the_first_ten_minutes_works(tmp_path: Path) -> None:
    program = Path(sys.executable).parent
    assert (program / "labtrail").exists(), "install Labtrail into the environment that runs the tests: make install"
    # any free port, so that nothing else on this machine is in the way
    tour = _tour().replace("--port 8081", "--port 0") + "wait\n"
    environ = environment(PATH=f"{program}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-mec", tour], cwd=tmp_path, capture_output=True, timeout=TOUR_SECONDS_MAX, check=False, env=environ
    )
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, said
    assert "Traceback" not in said
    for words in (
        "events appended",
        "CHAIN OF CUSTODY",
        "remaining stock",
        "not-json",
        "the ledger holds",
        "rebuilt",
    ):
        assert words in said, words
    assert (tmp_path / "custody.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "label.png").read_bytes().startswith(b"\x89PNG")
    assert "nothing is lost" in (tmp_path / "up.log").read_text()
