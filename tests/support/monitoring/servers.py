"""The real Prometheus and Alertmanager on loopback ports, and a sink for what Alertmanager posts."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx

from tests.support.monitoring.programs import program
from tests.support.monitoring.scaling import TOKEN, write_alertmanager, write_prometheus
from tests.support.processes import Server, free_port, wait_until

READY_S = 30.0
T = TypeVar("T")


def until(what: str, ask: Callable[[], T | None], seconds: float = READY_S) -> T:
    """Poll until the answer is true and return it; else ServerFault that says what was awaited."""
    answers: list[T] = []

    def asked() -> bool:
        answer = ask()
        if answer:
            answers.append(answer)
        return bool(answer)

    wait_until(asked, seconds, what, every=0.1)
    return answers[0]


@contextmanager
def running(name: str, command: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[Server]:
    """A program until the end of the block; fails with the end of its log when it is not ready in time."""
    server = Server(name, command, log)
    server.start(ready, READY_S)
    try:
        yield server
    finally:
        server.kill()


def _ready(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    return ask


class Prometheus(NamedTuple):
    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """The data of one answer of the HTTP API; an error of Prometheus is a failure with its message."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=30)
        body = answer.json()
        assert body["status"] == "success", f"{parameters}: {body.get('error')}"
        return body["data"]

    def query(self, expr: str, **parameters: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found: list[dict[str, Any]] = self.get("query", query=expr, **parameters)["result"]
        return found

    def firing(self) -> set[tuple[str, str]]:
        """(alert, site) of all that fire now; the watchdog aside."""
        alerts = self.get("alerts")["alerts"]
        return {
            (a["labels"]["alertname"], a["labels"].get("site", ""))
            for a in alerts
            if a["state"] == "firing" and a["labels"]["alertname"] != "Watchdog"
        }


@contextmanager
def prometheus(
    folder: Path, targets: list[str], *, speed: float = 1, alertmanager: str | None = None, data: Path | None = None
) -> Iterator[Prometheus]:
    """The real Prometheus with the shipped rules, `speed` times as fast, scraping `targets` (host:port)."""
    config = write_prometheus(folder / "config", speed, targets, alertmanager)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data or folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--storage.tsdb.retention.time=30d",
        "--rules.alert.for-grace-period=0s",
        "--rules.alert.resend-delay=500ms",
        "--log.level=warn",
    ]
    with running("prometheus", command, folder / "prometheus.log", _ready(url)):
        yield Prometheus(url)


@contextmanager
def alertmanager(folder: Path, sink: str, *, address: str, speed: float = 1, token: str = TOKEN) -> Iterator[None]:
    """The real Alertmanager with the shipped routes at `address` (host:port), posting to `sink`."""
    config = write_alertmanager(folder / "config-alertmanager", speed, sink, token)
    command = [
        program("prometheus-alertmanager", "alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with running("alertmanager", command, folder / "alertmanager.log", _ready(f"http://{address}")):
        yield


class Notification(NamedTuple):
    """One alert inside one message to one receiver."""

    receiver: str
    status: str
    """`firing` or `resolved`."""
    name: str
    labels: dict[str, str]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.receiver, self.name, self.labels.get("site", "")


class Sink:
    """Takes Alertmanager's webhooks and keeps them in order."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def take(self, body: dict[str, Any]) -> None:
        with self._lock:
            self.messages.append(body)

    def notifications(self) -> list[Notification]:
        """Every alert of every message so far, the heartbeat aside."""
        with self._lock:
            messages = list(self.messages)
        return [
            Notification(m["receiver"], a["status"], a["labels"]["alertname"], a["labels"])
            for m in messages
            if m["receiver"] != "heartbeat"
            for a in m["alerts"]
        ]


@contextmanager
def sink() -> Iterator[tuple[Sink, str]]:
    """A webhook sink and its base URL."""
    kept = Sink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self.send_error(401)
                return
            kept.take(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
