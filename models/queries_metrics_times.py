"""How long specimens took: the turnarounds and transits that new events have completed.

Read in the order of recording, a little behind: a transaction that began earlier may commit later. A caller that
remembers what it has seen may therefore ask again for the same events.
"""

import msgspec
from sqlalchemy import Connection, and_, func, or_, select

from models.tables import events, results, specimens

_e, _s, _r = events.c, specimens.c, results.c


class Turnaround(msgspec.Struct, frozen=True):
    """From receipt at a lab to the first final, corrected or cancelled result of one test."""

    accession: str
    test: str
    priority: str
    seconds: float


class Transit(msgspec.Struct, frozen=True):
    """From collection at a site to the first receipt at a lab."""

    accession: str
    site: str
    priority: str
    seconds: float


def newest_seq(connection: Connection) -> int:
    """The number of the event recorded last; 0 if there is none."""
    return connection.execute(select(func.max(_e.seq))).scalar() or 0


def turnarounds(connection: Connection, after_seq: int, to_seq: int) -> list[Turnaround]:
    """The turnarounds that the events after `after_seq`, up to `to_seq`, completed.

    An event completes one when it is the first final result, or the receipt that arrived only after it.
    """
    rows = connection.execute(
        select(_e.subject, _r.test, _s.priority, _r.first_final_us - _s.lab_received_us)
        .join(specimens, _s.accession == _e.subject)
        .join(results, _r.accession == _e.subject)
        .where(
            _e.seq > after_seq,
            _e.seq <= to_seq,
            or_(
                and_(_e.type == "result.reported", _e.time_us == _r.first_final_us),
                and_(_e.type == "specimen.received", _e.time_us == _s.lab_received_us),
            ),
            _s.lab_received_us.is_not(None),
            _r.first_final_us.is_not(None),
        )
    )
    return [Turnaround(a, test, priority or "routine", us / 1e6) for a, test, priority, us in rows]


def transits(connection: Connection, after_seq: int, to_seq: int) -> list[Transit]:
    """The transits that the events after `after_seq`, up to `to_seq`, completed, in whatever order they arrived."""
    rows = connection.execute(
        select(_e.subject, _s.site, _s.priority, _s.lab_received_us - _s.collected_us)
        .join(specimens, _s.accession == _e.subject)
        .where(
            _e.seq > after_seq,
            _e.seq <= to_seq,
            or_(
                and_(_e.type == "specimen.collected", _e.time_us == _s.collected_us),
                and_(_e.type == "specimen.received", _e.time_us == _s.lab_received_us),
            ),
            _s.lab_received_us.is_not(None),
            _s.collected_us.is_not(None),
        )
    )
    return [Transit(a, site or "", priority or "routine", us / 1e6) for a, site, priority, us in rows]
