"""Server processes of the tests: free ports, bounded waiting, and none left behind when the test run dies."""

import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

SHOWN_LOG_BYTES = 4000


class ServerFault(Exception):
    """A test server can't be had, or does not do as told; the message says what to look at."""


def _ports() -> Iterator[int]:
    """Ports below those of outgoing connections; each worker of pytest-xdist has a range of its own."""
    first = 10_000 + PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 10)
    for number in itertools.count(secrets.randbelow(PORTS)):
        yield first + number % PORTS


PORTS = 2_000
_next_ports = _ports()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now, and that no other worker of this run is given."""
    for port in itertools.islice(_next_ports, PORTS):
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFault(f"none of {PORTS} ports is free: end what listens on them")


def listens(port: int) -> bool:
    """Whether something takes connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def wait_until(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> None:
    """Poll until the condition holds; ServerFault names `what` when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServerFault(f"{what}: not within {seconds} s")
        time.sleep(every)


def tail(path: Path) -> str:
    """The end of a log file, for a message."""
    return path.read_bytes()[-SHOWN_LOG_BYTES:].decode(errors="replace") if path.exists() else "(no log)"


def _mortal(command: Sequence[str], signal_name: str, user: str | None) -> list[str]:
    """The command under setpriv: it gets `signal_name` when the thread that started it is gone."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        if user is not None:
            raise ServerFault("setpriv is needed to start a server as another user: install util-linux")
        return list(command)
    group = ["--reuid", user, "--regid", "nogroup", "--clear-groups"] if user else []
    return [setpriv, *group, "--pdeathsig", signal_name, "--", *command]


class Server:
    """One operating-system process that the tests start, stop, kill, pause and start again."""

    def __init__(self, name: str, command: Sequence[str], log: Path, *, user: str | None = None) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._log_at_start = 0

    @property
    def said(self) -> str:
        """What it has written into its log since it was last started."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._log_at_start :].decode(errors="replace")

    @property
    def pid(self) -> int:
        """Process id; ServerFault when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise ServerFault(f"{self.name} does not run: {tail(self.log)}")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What the ended process gave (negative: the signal that ended it); None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(
        self,
        ready: Callable[[], bool],
        seconds: float,
        *,
        environ: Mapping[str, str] | None = None,
        mortal: bool = True,
    ) -> None:
        """Start and wait until `ready()`; on failure the message holds the end of the log.

        `mortal=False`: keeps running after this process has ended.
        """
        if self.running:
            raise ServerFault(f"{self.name} runs already")
        command = _mortal(self.command, "INT", self.user) if mortal or self.user else self.command
        with self.log.open("ab") as log:
            self._log_at_start = log.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=None if environ is None else dict(environ),
                start_new_session=not mortal,
            )

        def up() -> bool:
            if not self.running:
                raise ServerFault(f"{self.name} ended at its start")
            return ready()

        try:
            wait_until(up, seconds, f"{self.name} ready")
        except ServerFault as fault:
            self.kill()
            raise ServerFault(f"{fault}: {tail(self.log)}") from fault

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, seconds: float = 30, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end and wait; kill it when it does not. No error if it does not run."""
        if self._process is None or not self.running:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFault(f"{self.name} did not end within {seconds} s: {tail(self.log)}") from None

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def pause(self) -> None:
        """SIGSTOP: the process holds its connections and answers nothing."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)
