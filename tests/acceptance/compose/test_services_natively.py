"""Each service of docker-compose.yml runs here without containers: its command, settings and health check.

Host names become ports of this machine and mounted paths become folders of the test; nothing else is changed.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from models.rules.identifiers import make_identifier
from tests.support.compose_file import MAKE_SECRETS, ROOT, services
from tests.support.kafka import broker
from tests.support.kafka.broker import Broker
from tests.support.postgres import server
from tests.support.postgres.server import Postgres, run_as_owner
from tests.support.processes import Server, free_port
from tests.support.servers import skip_if
from tests.support.story import whole_day

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]
TUBES = 40
COMMAND_SECONDS = 120


class Site(NamedTuple):
    """The native stand-ins for what the compose file names."""

    folder: Path
    kafka: Broker
    postgres: Postgres

    def here(self, text: str, port: int = 0) -> str:
        """A value of the compose file, translated to this machine."""
        for there, here in (
            ("kafka:9092", self.kafka.bootstrap),
            ("/run/secrets", str(self.folder / "secrets")),
            ("/var/lib/labtrail", str(self.folder / "home")),
            ("8080", str(port)),
        ):
            text = text.replace(there, here)
        return text

    def environ(self, name: str, port: int = 0) -> dict[str, str]:
        own = {key: self.here(str(value), port) for key, value in services()[name]["environment"].items()}
        return {"PATH": os.environ["PATH"], **own}

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """A one-shot service, or a command of the administrator with the settings of that service."""
        return subprocess.run(
            [sys.executable, "-m", "labtrail", *(command or services()[name]["command"])],
            env=self.environ(name),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
            cwd=self.folder,
        )

    def healthy(self, name: str, port: int) -> bool:
        kind, program, *arguments = services()[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "python")
        command = [sys.executable, *(self.here(argument, port) for argument in arguments)]
        return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def kafka_settings(environment: dict[str, str]) -> dict[str, str]:
    """Kafka's properties from the variables of its image: KAFKA_LOG_DIRS is log.dirs."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }


def postgres_options(command: list[str]) -> tuple[str, ...]:
    assert command[0] == "postgres"
    assert set(command[1::2]) == {"-c"}
    return tuple(command[2::2])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    skip_if(broker.missing(), server.missing())
    folder = tmp_path_factory.mktemp("compose")
    (folder / "home").mkdir()
    secrets = folder / "secrets"
    subprocess.run(["sh", str(MAKE_SECRETS), str(secrets)], check=True, capture_output=True)
    kafka = Broker(folder / "kafka", settings=kafka_settings(services()["kafka"]["environment"]))
    with server.temporary_folder() as own, ExitStack() as stack:
        postgres = Postgres(
            own,
            options=postgres_options(services()["postgres"]["command"]),
            owner=services()["postgres"]["environment"]["POSTGRES_USER"],
            password=(secrets / "owner_password").read_text().strip(),
        )
        stack.callback(kafka.kill)
        stack.callback(postgres.stop)
        kafka.start()
        postgres.start()
        for name in ("owner_database", "service_database"):
            path = secrets / name
            path.write_text(path.read_text().replace("@postgres:5432/", f"@127.0.0.1:{postgres.port}/"))
        make_database(postgres, secrets)
        yield Site(folder, kafka, postgres)


def make_database(postgres: Postgres, secrets: Path) -> None:
    """What the postgres image does when its folder is empty: the database, then the mounted scripts."""
    run_as_owner(postgres.url(), "CREATE DATABASE labtrail")
    programs = postgres.programs / "bin"
    for script in sorted((ROOT / "config" / "compose" / "postgres").iterdir()):
        environ = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "POSTGRES_USER": postgres.owner,
            "POSTGRES_DB": "labtrail",
            "SERVICE_PASSWORD_FILE": str(secrets / "service_password"),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.port),
            "PGPASSWORD": postgres.password,
        }
        done = subprocess.run(["sh", str(script)], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def events() -> bytes:
    """A whole day of each tube, and one line that is no event."""
    tubes = [make_identifier("S", 2026, number) for number in range(1, TUBES + 1)]
    lines = [json.loads(line) for tube in tubes for line in whole_day(tube=tube)]
    return b"\n".join([*(json.dumps(line).encode() for line in lines), b"not an event"]) + b"\n"


def started(site: Site, name: str, number: int = 1) -> tuple[Server, int]:
    port = free_port()
    command = [sys.executable, "-m", "labtrail", *services()[name]["command"]]
    process = Server(f"{name} {number}", command, site.folder / f"{name}{number}.log")
    process.start(lambda: site.healthy(name, port), 60, environ=site.environ(name, port))
    return process, port


def get(port: int, path: str) -> str:
    return subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, timeout=20, check=True
    ).stdout


def test_the_services_work_together_as_the_file_starts_them(site: Site) -> None:
    for name, says in (
        ("migrate", "labtrail_service may add and read evidence"),
        ("topics", "3 topics are as planned"),
    ):
        for _ in range(2):  # they run again at every `docker compose up`
            done = site.run(name)
            assert (done.returncode, done.stderr) == (0, "")
            assert says in done.stdout

    running = [started(site, "worker", 1), started(site, "worker", 2), started(site, "station")]
    try:
        day = site.folder / "day.jsonl"
        day.write_bytes(events())
        for command in (("publish", str(day)), ("drain", "--timeout", "90")):
            done = site.run("worker", *command)
            assert done.returncode == 0, done.stderr
        exported = rows(site, "specimens")
        assert len(exported) == TUBES
        assert {row["status"] for row in exported} == {"resulted"}
        assert [row["reason"] for row in rows(site, "quarantine")] == ["not-json"]
        counted = 0
        for _, port in running:
            assert json.loads(get(port, "/readyz"))["ready"] is True
            metrics = get(port, "/metrics")
            counted += total(metrics, "labtrail_events_total", 'outcome="recorded"')
            assert f'labtrail_specimens{{site="NORTH",status="resulted"}} {TUBES}' in metrics
            assert "labtrail_log_lag" in metrics
        assert counted == TUBES * 6  # by one worker or the other, once; a rebalance may bring duplicates
    finally:
        codes = [(process.name, stop(process)) for process, _ in running]
    assert codes == [("worker 1", 0), ("worker 2", 0), ("station 1", 0)]
    assert site.run("worker", "verify").returncode == 0


def rows(site: Site, table: str) -> list[dict[str, Any]]:
    done = site.run("worker", "export", table)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def total(metrics: str, name: str, label: str) -> int:
    found = re.findall(rf"^{name}\{{[^}}]*{label}[^}}]*\}} (\S+)$", metrics, re.MULTILINE)
    return sum(int(float(number)) for number in found)


def stop(process: Server) -> int | None:
    """Stop it as Docker does: SIGTERM, then the grace period of the file; its exit code."""
    name = process.name.split()[0]
    process.stop(float(services()[name]["stop_grace_period"].removesuffix("s")))
    return process.exit_code


def test_the_databases_health_check_answers(site: Site) -> None:
    kind, command = services()["postgres"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    program, *arguments = command.split()
    ready = [str(site.postgres.programs / "bin" / program), "-p", str(site.postgres.port), *arguments]
    assert subprocess.run(ready, capture_output=True, timeout=30, check=False).returncode == 0


def test_the_service_can_not_change_evidence_and_others_can_not_connect(site: Site) -> None:
    assert site.run("migrate").returncode == 0
    service = (site.folder / "secrets" / "service_database").read_text().strip()
    for statement in ("DELETE FROM events", "UPDATE leaves SET leaf_index = 0", "DROP TABLE events"):
        with pytest.raises(Exception, match=r"permission denied|must be owner"):
            run_as_owner(service, statement)
    run_as_owner(site.postgres.url(), "CREATE ROLE stranger LOGIN PASSWORD 'x'")
    with pytest.raises(Exception, match="permission denied for database"):
        run_as_owner(service.replace("labtrail_service", "stranger").replace(password_of(service), "x"), "SELECT 1")


def password_of(url: str) -> str:
    return url.split("//")[1].split("@")[0].split(":")[1]
