"""Retention: records that every group has consumed are deleted after a time, so that the file stops growing."""

import sqlite3

from embedded.log import Log
from embedded.records import TopicPartition
from embedded.writer import OFFSET_BITS

EXPIRE_RECORDS_MAX = 5_000
"""Records deleted in one transaction: appends wait no longer than that takes."""


def expire(log: Log, before_us: int, unread_before_us: int | None = None) -> int:
    """Delete records that were appended before `before_us` and consumed by every group; returns how many.

    In a partition that no group reads, only records before `unread_before_us` are deleted (None: none). Times are
    microseconds since 1970. Later appends reuse the freed pages; the file does not shrink.
    Raises LogError.
    """
    deleted = 0
    for place, end in log.ends().items():
        chunk = EXPIRE_RECORDS_MAX
        while chunk == EXPIRE_RECORDS_MAX:  # ends: every full round deletes that many of a finite number
            chunk = _expire_some(log, place, end, before_us, unread_before_us)
            deleted += chunk
    return deleted


def _expire_some(log: Log, place: TopicPartition, end: int, before_us: int, unread_before_us: int | None) -> int:
    deleted = 0

    def delete(db: sqlite3.Connection) -> None:
        nonlocal deleted
        sql = "SELECT id FROM partition WHERE topic = ? AND number = ?"
        (part,) = db.execute(sql, place).fetchone()
        (consumed,) = db.execute("SELECT min(next) FROM committed WHERE partition = ?", (part,)).fetchone()
        limit_us = unread_before_us if consumed is None else before_us
        if limit_us is None:
            return
        first = part << OFFSET_BITS
        rows = db.execute(
            "SELECT position, appended_us FROM record WHERE position >= ? AND position < ? ORDER BY position LIMIT ?",
            (first, first + (end if consumed is None else consumed), EXPIRE_RECORDS_MAX),
        ).fetchall()
        # up to the first record that is recent, even if the clock went back after it: offsets are deleted in order
        old = next((at for at, row in enumerate(rows) if row[1] >= limit_us), len(rows))
        if old:
            sql = "DELETE FROM record WHERE position >= ? AND position <= ?"
            deleted = db.execute(sql, (first, rows[old - 1][0])).rowcount

    log.transact(delete)
    return deleted
