"""A real Apache Kafka for the tests: its Maven artifacts, one KRaft node, on this machine only.

`python -m tests.support.kafka.broker start` leaves one running and prints its address (for KAFKA_BOOTSTRAP);
`python -m tests.support.kafka.broker stop` ends it. Needs a JDK 17 or later and Maven; the jars are fetched once into
`.cache/kafka`. The version is in `pom.xml` beside this file.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaAdminClient

from tests.support.processes import Server, ServerFault, free_port, listens, wait_until

ROOT = Path(__file__).parents[3]
POM = Path(__file__).with_name("pom.xml")
RUN = ROOT / ".cache" / "kafka" / "run"
START_SECONDS = 90
FETCH_SECONDS = 600
HEAP = "-Xmx512m"
# the tests look at behaviour, not speed: the small collector and the first compiler start three times as fast
JAVA_QUICK = (HEAP, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


ADDRESSED = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs")


class Security(NamedTuple):
    """Files and names of the two guarded listeners: TLS alone, and TLS with a SCRAM-SHA-512 user."""

    keystore: Path
    """PEM: private key and certificate chain of the broker, valid for 127.0.0.1."""
    username: str
    password: str


def version() -> str:
    """The Kafka version that the tests run, from pom.xml."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text())
    assert found, POM
    return found[1]


def missing() -> str | None:
    """What this machine lacks to start a broker, or None."""
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            return f"{program} is not installed: install a JDK 17 and Maven, or set KAFKA_BOOTSTRAP"
    return None


def jars() -> Path:
    """The folder of the broker's jars, fetched by Maven where it is not there yet."""
    folder = ROOT / ".cache" / "kafka" / version()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
        command = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(POM),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
        ]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={partial}/jars"],
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ServerFault(f"Maven could not fetch Kafka: {done.stdout.decode(errors='replace')[-2000:]}")
        try:
            Path(partial, "jars").rename(folder)
        except OSError:  # another test run was faster: its jars are the same
            if not folder.exists():
                raise
    return folder


class Broker:
    """One broker in a folder of its own; its data survives a restart.

    `advertised_port`: where clients are told to connect (a proxy that a test cuts); by default its own port.
    `settings`: override our own, except addresses and folders.
    """

    def __init__(
        self,
        folder: Path,
        *,
        advertised_port: int | None = None,
        security: Security | None = None,
        settings: Mapping[str, str] | None = None,
        java: tuple[str, ...] = JAVA_QUICK,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.tls_port, self.sasl_port = free_port(), free_port()
        self._controller_port = free_port()
        self._advertised_port = advertised_port or self.port
        self._security = security
        self._given = dict(settings or {})
        self._classpath = f"{jars()}/*"
        self._properties = folder / "server.properties"
        folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{k}={v}\n" for k, v in self._settings().items()))
        command = ["java", *java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", self._classpath]
        self.server = Server("Kafka", [*command, "kafka.Kafka", str(self._properties)], folder / "kafka.log")

    @property
    def bootstrap(self) -> str:
        """`host:port`, as clients take it."""
        return f"127.0.0.1:{self._advertised_port}"

    def _settings(self) -> dict[str, str]:
        listeners = {"PLAINTEXT": self.port, "CONTROLLER": self._controller_port}
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            # one node: nothing to copy to; few offset partitions start faster
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "log.cleaner.dedupe.buffer.size": "16777216",
            "controlled.shutdown.enable": "false",
        }
        settings |= {key: value for key, value in self._given.items() if key not in ADDRESSED}
        if self._security is not None:
            listeners |= {"SSL": self.tls_port, "SASL_SSL": self.sasl_port}
            settings |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self._security.keystore),
                "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
            }
        public = {name: port for name, port in listeners.items() if name != "CONTROLLER"}
        settings["listeners"] = ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
        settings["listener.security.protocol.map"] = ",".join(
            f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in listeners
        )
        public["PLAINTEXT"] = self._advertised_port
        settings["advertised.listeners"] = ",".join(f"{n}://127.0.0.1:{port}" for n, port in public.items())
        return settings

    def _format(self) -> None:
        """Write the cluster id and, with security, the SCRAM user into an empty storage folder."""
        cluster = "labtrail-tests-0000000"  # 22 characters, as Kafka's ids have
        command = ["java", "-cp", self._classpath, "kafka.tools.StorageTool", "format", "-t", cluster]
        command += ["-c", str(self._properties), "--ignore-formatted"]
        if self._security is not None:
            user = f"name={self._security.username},password={self._security.password}"
            command += ["--add-scram", f"SCRAM-SHA-512=[{user}]"]
        done = subprocess.run(command, capture_output=True, timeout=START_SECONDS, check=False)
        if done.returncode:
            raise ServerFault(f"Kafka's storage could not be made: {done.stderr.decode(errors='replace')[-2000:]}")

    def start(self, *, mortal: bool = True) -> None:
        """Start, or start again after stop or kill; returns when the broker answers on its own port."""
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        self.server.start(self._answers, START_SECONDS, mortal=mortal)

    def _answers(self) -> bool:
        # a Kafka client that can't connect leaks sockets: check the port first
        if not listens(self.port):
            return False
        with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.port}", bootstrap_timeout_ms=30_000) as admin:
            return bool(admin.describe_cluster()["brokers"])

    def stop(self) -> None:
        self.server.stop(60)

    def kill(self) -> None:
        self.server.kill()

    def restart(self) -> None:
        """An orderly restart; everything stored is there afterwards."""
        self.stop()
        self.start()


def _runs(pid: int) -> bool:
    """Whether the process is ours: its process id may belong to another program by now."""
    try:
        return b"kafka.Kafka" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _start() -> str:
    pid_file = RUN / "pid"
    if pid_file.exists():
        raise ServerFault(f"{RUN} has a broker already: stop it first")
    broker = Broker(RUN)
    broker.start(mortal=False)
    pid_file.write_text(str(broker.server.pid))
    return broker.bootstrap


def _stop() -> None:
    pid_file = RUN / "pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        if _runs(pid):
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not _runs(pid), 60, f"Kafka {pid} gone")
    shutil.rmtree(RUN, ignore_errors=True)


def main(arguments: list[str]) -> int:
    if arguments not in (["start"], ["stop"]):
        sys.stderr.write("usage: python -m tests.support.kafka.broker start|stop\n")
        return 2
    try:
        if arguments == ["start"]:
            sys.stdout.write(_start() + "\n")
        else:
            _stop()
    except ServerFault as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
