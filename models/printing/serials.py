"""Serials: the next free numbers of new identifiers (accession, manifest, tote, badge), safe for several writers."""

from sqlalchemy import Column, Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from config.errors import LabtrailError
from config.messages import Message
from models.database.acts_tables import serials
from models.database.state_tables import legs, specimens
from models.rules.identifiers import MANIFEST, SPECIMEN, TOTE, Kind, make_identifier

COUNT_MAX = 1000
"""Most identifiers in one call."""
ROUNDS_MAX = 100
_ON_RECORD: dict[Kind, Column[str]] = {SPECIMEN: specimens.c.accession, MANIFEST: legs.c.manifest, TOTE: legs.c.tote}


class SerialError(LabtrailError):
    """No identifier can be given; the message says what to do."""


def allocate(connection: Connection, kind: Kind, year: int, count: int, digits: int) -> list[str]:
    """`count` new identifiers of this kind, in ascending order, unique across all processes.

    `connection`: of a writing transaction; numbers of one that is rolled back are given out again. `year`: four
    digits. Identifiers already on record from other sources are skipped. Raises SerialError.
    """
    if not 1 <= count <= COUNT_MAX:
        raise SerialError(Message("{n} identifiers in one go: ask for 1 to {most}", n=count, most=COUNT_MAX))
    free: list[str] = []
    step = count
    for _ in range(ROUNDS_MAX):
        first = _advance(connection, kind, year, step)
        last = first + step - 1
        if last >= 10**digits:
            raise SerialError(
                Message(
                    "the {kind} serials of {year} are used up: raise LABTRAIL_SERIAL_DIGITS", kind=kind, year=year
                )
            )
        block = [make_identifier(kind, year, serial, digits) for serial in range(first, last + 1)]
        used = _on_record(connection, kind, block)
        free += [identifier for identifier in block if identifier not in used]
        if len(free) >= count:
            return free[:count]
        # another source has used a range: skip it with growing steps
        step = min(step * 2, COUNT_MAX)
    raise SerialError(
        Message(
            "the {kind} serials of {year} are taken by another source: give it a block of its own",
            kind=kind,
            year=year,
        )
    )


def _advance(connection: Connection, kind: Kind, year: int, count: int) -> int:
    """Reserve `count` serials in one statement, so that no two writers get the same; returns the first."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(serials).values(kind=kind, year=year, next=count + 1)
    taken = statement.on_conflict_do_update(
        index_elements=[serials.c.kind, serials.c.year], set_={"next": serials.c.next + count}
    ).returning(serials.c.next)
    return int(connection.execute(taken).scalar_one()) - count


def _on_record(connection: Connection, kind: Kind, block: list[str]) -> set[str]:
    column = _ON_RECORD.get(kind)
    if column is None:
        return set()
    used: set[str] = set()
    for start in range(0, len(block), 500):
        some = block[start : start + 500]
        used.update(connection.execute(select(column).where(column.in_(some))).scalars())
    return used
