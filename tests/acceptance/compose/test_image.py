"""The Dockerfile's build steps, run here without Docker: the same commands in the same order, in a folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.compose_file import ROOT
from tests.unit.compose.test_image import DOCKERFILE, stage

STEP_SECONDS = 600


def context(folder: Path) -> None:
    """The build context that Docker would send: the exceptions in .dockerignore, from git."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    listed = subprocess.run(["git", "ls-files", "-z", *kept], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


@pytest.mark.slow
def test_the_steps_of_the_image_give_a_labtrail_that_runs_without_the_source(tmp_path: Path) -> None:
    source, installed = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    context(source)
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for instruction, text in stage("build"):
        if instruction == "RUN":
            command = shlex.split(text.replace("/opt/labtrail", str(installed)))
            done = subprocess.run(
                command, cwd=source, env=environ, capture_output=True, text=True, timeout=STEP_SECONDS, check=False
            )
            assert done.returncode == 0, f"{text}: {done.stderr[-2000:]}"
    (license_file,) = installed.rglob("labtrail-*.dist-info/licenses/LICENSE")
    assert license_file.read_bytes() == (ROOT / "LICENSE").read_bytes()
    shutil.rmtree(source)
    entry = re.search(r'^ENTRYPOINT \["(\w+)"\]$', DOCKERFILE.read_text(), re.MULTILINE)
    assert entry is not None
    run = {"PATH": f"{installed}/bin", "LABTRAIL_DATA": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    for command in (["--version"], ["migrate"], ["export", "specimens"], ["verify"]):
        done = subprocess.run(
            [f"{installed}/bin/{entry[1]}", *command],
            cwd=tmp_path,
            env=run,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        assert done.stderr == ""
