"""The Faust transport over the embedded log: `broker="sqlite:////var/lib/labtrail/log.db"`.

Options in the URL: `poll=0.005` (seconds between polls for what other processes wrote), `keep_days=7`
(retention of what every group has consumed), `keep_unread_days=90` (retention in topics that no group reads).
"""

import sqlite3
from pathlib import Path

from faust.transport import base
from faust.types import ProcessingGuarantee

from embedded.consumer import Consumer
from embedded.producer import Producer
from embedded.records import LogError, log_path

POLL_SECONDS = 0.005
KEEP_DAYS = 7.0
KEEP_UNREAD_DAYS = 90.0


class Transport(base.Transport):
    """The transport that Faust makes from the URL. It opens nothing: Faust creates it while modules are imported."""

    Consumer = Consumer
    Producer = Producer
    driver_version = f"sqlite={sqlite3.sqlite_version}"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if self.app.conf.processing_guarantee == ProcessingGuarantee.EXACTLY_ONCE:
            raise LogError("the embedded log delivers at least once: set processing_guarantee='at_least_once'")
        url = self.url[0]
        self.path: Path = log_path(str(url))
        self.poll_seconds = self._option("poll", POLL_SECONDS)
        self.keep_days = self._option("keep_days", KEEP_DAYS)
        self.keep_unread_days = self._option("keep_unread_days", KEEP_UNREAD_DAYS)

    def _option(self, name: str, default: float) -> float:
        text = self.url[0].query.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < 100_000:
            raise LogError(f"{name}={text} in the broker URL is no positive number: mend it or leave it out")
        return value
