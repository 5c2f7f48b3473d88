"""The lease: at most one live consumer per group on one machine."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from embedded.records import LogError


class Lease:
    """An exclusive lock on a side file, released by the operating system when the process dies.

    No clock and no timeout: a stopped holder (SIGSTOP) keeps it, so two never work at once. SQLite takes the lock,
    because it does so on every platform, and correctly for two holders in one process.
    """

    def __init__(self, log: Path, group: str) -> None:
        self.path = log.with_name(f"{log.name}.{quote(group, safe='')}.lock")
        self._db: sqlite3.Connection | None = None

    def acquire(self) -> bool:
        """True if this object holds the lease now; never waits. Raises LogError if the file can't be used."""
        if self._db is not None:
            return True
        try:
            db = sqlite3.connect(self.path, isolation_level=None, timeout=0, check_same_thread=False)
            try:
                db.execute("BEGIN EXCLUSIVE")
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as fault:
            if getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                return False
            raise LogError(f"{self.path} can't be locked ({fault}): check the rights on its folder") from fault
        self._db = db
        return True

    def release(self) -> None:
        """Release it for the next holder; harmless if it isn't held."""
        if self._db is not None:
            self._db.close()
            self._db = None
