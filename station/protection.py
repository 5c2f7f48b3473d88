"""What holds for every request and answer: own origin on writes, known hosts, headers that browsers obey.

An ASGI middleware around the whole app, so that nothing is served without it.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from config.settings import Settings
from station.api.notifications import PATHS
from station.auth.sessions import cookie_names
from station.problems import PROBLEM, ProblemBody

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PROBES = frozenset({"/healthz", "/readyz", "/metrics"}) | PATHS
"""Asked by machines that know only an address (the last by Alertmanager, with its token): no host check."""
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'wasm-unsafe-eval'",  # the barcode reader is WebAssembly
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",  # the camera's picture
        "connect-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not no-referrer: browsers then send `Origin: null` with our own forms
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=(), serial=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
HSTS = "max-age=63072000; includeSubDomains"


class Protection:
    """The middleware. `settings` tell the station's own address."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._own = settings.public_url.rstrip("/").lower()
        self._cookie = cookie_names(settings.public_url).session.encode()
        self._hosts = _hosts(settings)
        extra = {"strict-transport-security": HSTS} if self._own.startswith("https://") else {}
        self._headers = [(name.encode(), value.encode()) for name, value in (HEADERS | extra).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        path = scope["path"]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._completed(message.get("headers", []), path)
            await send(message)

        fault = self._fault(scope)
        if fault is None:
            await self._app(scope, receive, guarded)
        else:
            await _answer(guarded, *fault)

    def _fault(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in reversed(list(scope["headers"]))}
        host = headers.get(b"host", "").lower()
        if self._hosts is not None and scope["path"] not in PROBES and _name(host) not in self._hosts:
            return 421, "this station has another address: see LABTRAIL_PUBLIC_URL"
        if str(scope.get("method")) in SAFE_METHODS:
            return None
        origin, fetch_site = headers.get(b"origin"), headers.get(b"sec-fetch-site")
        if origin is not None:
            own = self._own or f"http://{host}"
            return None if origin.lower() == own else (403, "another site's page may not write here")
        if fetch_site is not None:
            return None if fetch_site in ("same-origin", "none") else (403, "another site's page may not write here")
        if self._cookie in headers.get(b"cookie", "").encode("latin-1"):
            return 403, "a signed-in write must name its origin: send the header Origin, as browsers do"
        return None

    def _completed(self, given: Iterable[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        names = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in self._headers if name not in names]
        if b"cache-control" not in names and not path.startswith("/static/"):
            headers.append((b"cache-control", b"no-store"))
        return headers


def _hosts(settings: Settings) -> frozenset[str] | None:
    """The names by which the station may be called; None: any. A page that makes its own name point to this
    machine's loopback (DNS rebinding) is none of them."""
    loopback = {"localhost", "127.0.0.1", "[::1]"}
    if settings.public_url:
        return frozenset({_name(urlsplit(settings.public_url).netloc.lower()), *loopback})
    if settings.on_loopback:
        return frozenset({settings.host, *loopback})
    return None


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


async def _answer(send: Any, status: int, detail: str) -> None:
    title = "Forbidden" if status == 403 else "Misdirected Request"
    body = msgspec.json.encode(ProblemBody(status=status, title=title, detail=detail))
    headers = [(b"content-type", PROBLEM.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
