"""docker compose's own loader accepts docker-compose.yml, and the script beside it generates the secrets."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.compose_file import COMPOSE, MAKE_SECRETS, load, services

LOADER = Path(__file__).with_name("loader")


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", str(MAKE_SECRETS), str(folder)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The loader that docker compose itself uses, as a program."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed: install Go 1.24 or later")
    program = tmp_path_factory.mktemp("loader") / "loader"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=LOADER, check=True, capture_output=True, timeout=300)
    return program


def read_as_compose(loader: Path, compose: Path, secrets: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "LABTRAIL_SECRETS": str(secrets), **variables}
    return subprocess.run([str(loader), str(compose)], env=environ, capture_output=True, text=True, check=False)


def test_docker_compose_reads_the_file_and_fills_in_its_variables(loader: Path, tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets")
    done = read_as_compose(loader, COMPOSE, tmp_path / "secrets", WORKERS="5", STATION_PUBLISH="10.0.0.1:443")
    assert (done.returncode, done.stderr) == (0, "")
    read = json.loads(done.stdout)["services"]
    assert sorted(read) == sorted(services())
    assert read["worker"]["deploy"]["replicas"] == 5
    assert read["station"]["ports"][0]["host_ip"] == "10.0.0.1"
    assert read["station"]["environment"]["LABTRAIL_BROKER"] == "kafka://kafka:9092"
    assert str(tmp_path) not in json.dumps(read), "secrets are mounted, never in a service's environment"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("restart: unless-stopped", "restarts: unless-stopped"), "restarts"),
        (("networks: [inside, outside]", "networks: [inside, elsewhere]"), "elsewhere"),
        (("condition: service_healthy", "condition: service_well"), "condition"),
        (("secrets: [grafana_password]", "secrets: [grafana_pass]"), "grafana_pass"),
    ],
)
def test_the_reader_sees_each_kind_of_mistake(
    change: tuple[str, str], says: str, loader: Path, tmp_path: Path
) -> None:
    assert change[0] in COMPOSE.read_text()
    (tmp_path / "docker-compose.yml").write_text(COMPOSE.read_text().replace(*change))
    done = read_as_compose(loader, tmp_path / "docker-compose.yml", tmp_path)
    assert done.returncode == 1
    assert says in done.stderr


def test_the_secrets_are_made_once_and_closed_to_other_users(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make_secrets(folder)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(made) == set(load()["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert made["service_database"] == (
        f"postgresql+psycopg://labtrail_service:{made['service_password'].strip()}@postgres:5432/labtrail\n"
    )
    assert re.fullmatch(r"[0-9a-f]{64}\n", made["patient_key"])
    assert len(set(made.values())) == len(made)
    make_secrets(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    make_secrets(tmp_path / "other")
    assert (tmp_path / "other" / "pepper").read_text() != made["pepper"]
