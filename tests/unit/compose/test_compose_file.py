"""docker-compose.yml is valid, keeps its secrets, and runs what the tests have tested."""

import re

import pytest
import yaml

from config.settings import unknown_variables
from tests.support.compose_file import EXAMPLE_ENV, ROOT, load, services, variables
from tests.support.kafka.broker import version as kafka_version
from tests.support.postgres.server import version as postgres_version

OURS = ("migrate", "topics", "worker", "station")
ONCE = ("migrate", "topics")


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
    assert kept == {*packages, "requirements", "pyproject.toml", "README.md", "LICENSE"}
