"""The Dockerfile's build steps, run here without Docker: the same commands in the same order, in a folder."""

import re

from tests.support.compose_file import ROOT

DOCKERFILE = ROOT / "Dockerfile"


def stage(name: str) -> list[tuple[str, str]]:
    """(instruction, its text) of one stage of the Dockerfile."""
    steps: list[tuple[str, str]] = []
    inside = False
    for line in DOCKERFILE.read_text().splitlines():
        found = re.match(r"([A-Z]+) (.*)", line)
        if found is None:
            continue
        if found[1] == "FROM":
            inside = found[2].endswith(f" AS {name}")
        elif inside:
            steps.append((found[1], found[2]))
    return steps


def test_the_image_runs_as_the_user_of_the_compose_file_and_keeps_its_home() -> None:
    steps = dict(stage("run"))
    assert steps["USER"] == "10001:10001"
    assert "--uid 10001" in steps["RUN"]
    assert steps["VOLUME"] == steps["WORKDIR"] == "/var/lib/labtrail"
    assert "LABTRAIL_DATA=/var/lib/labtrail" in steps["ENV"]
