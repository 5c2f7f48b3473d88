"""docker-compose.yml is valid, keeps its secrets, and runs what the tests have tested."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from config.settings import unknown_variables
from tests.compose.compose_file import COMPOSE, EXAMPLE_ENV, MAKE_SECRETS, ROOT, load, services, variables
from tests.kafka.broker import version as kafka_version
from tests.postgres.server import version as postgres_version

LOADER = Path(__file__).with_name("loader")
OURS = ("migrate", "topics", "worker", "station")
ONCE = ("migrate", "topics")


def make_secrets(folder: Path) -> None:
    subprocess.run(["sh", str(MAKE_SECRETS), str(folder)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader that docker compose itself uses, as a program."""
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


def test_what_runs_has_the_versions_that_are_tested() -> None:
    images = {name: service["image"] for name, service in services().items()}
    assert images["kafka"] == f"apache/kafka:{kafka_version()}"
    assert images["postgres"] == f"postgres:{postgres_version()}"
    for name, image in images.items():
        assert name in OURS or re.search(r":v?\d+\.\d+(\.\d+)?$", image), f"{name}: pin the version of {image}"


@pytest.mark.parametrize("name", services())
def test_every_service_has_limits_bounded_logs_and_a_health_check_or_an_end(name: str) -> None:
    service = services()[name]
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["logging"]["options"]["max-size"]
    if name in ONCE:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    for needed in service.get("depends_on", {}):
        condition = service["depends_on"][needed]["condition"]
        assert condition == ("service_completed_successfully" if needed in ONCE else "service_healthy")


@pytest.mark.parametrize("name", OURS)
def test_our_containers_run_without_root_and_without_rights(name: str) -> None:
    service = services()[name]
    user = service["user"]
    assert user == "10001:10001"
    assert f"USER {user}" in (ROOT / "Dockerfile").read_text()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_ports_are_open_to_this_machine_only_unless_said_otherwise() -> None:
    published = [port for service in services().values() for port in service.get("ports", ())]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert load()["networks"]["inside"]["internal"] is True
    assert services()["kafka"]["networks"] == services()["postgres"]["networks"] == ["inside"]


def test_no_password_stands_in_the_file_or_in_the_example() -> None:
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|PEPPER|KEY|DATABASE", variable.upper()):
                assert value.startswith("/run/secrets/"), f"{name}: {variable} must name a secret's file"
    assert not re.search(r"(?i)password\s*[=:]\s*\S", EXAMPLE_ENV.read_text())


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


def test_secrets_are_kept_out_of_git_and_out_of_the_image() -> None:
    assert "/config/compose/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored.index("*") < ignored.index("config/compose")


def test_every_variable_is_in_the_example_with_its_default_form() -> None:
    lines = [line for line in EXAMPLE_ENV.read_text().splitlines() if line and not line.startswith("#")]
    example = dict(line.split("=", 1) for line in lines)
    assert set(example) == set(variables())
    differing = {name for name, default in variables().items() if example[name] != default}
    assert differing == {"LABTRAIL_PUBLIC_URL"}


@pytest.mark.parametrize("name", OURS)
def test_settings_of_our_services_are_settings_of_ours(name: str) -> None:
    assert unknown_variables(services()[name]["environment"]) == []


def test_every_file_that_is_mounted_is_there() -> None:
    for service in services().values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            else:
                assert source in load()["volumes"]


def test_the_image_holds_the_packages_of_the_project_and_nothing_else() -> None:
    kept = {line[1:].split("/")[0] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    project = (ROOT / "pyproject.toml").read_text()
    packages = yaml.safe_load(re.search(r"^packages = (\[.*\])$", project, re.MULTILINE)[1])
    assert kept == {*packages, "requirements", "pyproject.toml", "README.md"}
