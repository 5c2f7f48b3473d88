"""A database with the real tables, and events recorded in it the way the store records them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.pool import NullPool

from models.database.columns import metadata
from models.database.evidence_tables import chains, events
from models.ledger.chain import genesis, link

EMPTY = {"topic": "lab.specimens", "partition": 0, "offset": 0, "appended_us": 0, "recorded_us": 0}


def new_ledger(url: str) -> Engine:
    made = create_engine(url, poolclass=NullPool)
    metadata.create_all(made)
    return made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    made = new_ledger(url)
    yield made
    made.dispose()


def raw_event(subject: str, number: int) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{subject}-{number}","source":"/sites/NORTH/stations/1",'
        f'"type":"specimen.stored","subject":"{subject}","time":"2026-11-21T09:00:{number % 60:02d}Z",'
        f'"site":"NORTH","actor":"B2600001721","data":{{"location":"rack {number}"}}}}'
    ).encode()


def rows_of(subjects: list[str], first_seq: int = 1) -> list[dict]:
    """Rows of `events` in which the n-th belongs to the n-th subject of the list; each has its own chain."""
    heads: dict[str, tuple[int, bytes]] = {}
    rows = []
    for seq, subject in enumerate(subjects, first_seq):
        number, previous = heads.get(subject, (0, genesis(subject)))
        raw = raw_event(subject, number + 1)
        head = link(previous, number + 1, raw)
        heads[subject] = (number + 1, head)
        at_us = 1_795_251_600_000_000 + ((number + 1) % 60) * 1_000_000
        rows.append(
            EMPTY
            | {"seq": seq, "id": f"{subject}-{number + 1}", "subject": subject, "chain_seq": number + 1}
            | {"link_hash": head, "type": "specimen.stored", "time_us": at_us, "site": "NORTH"}
            | {"actor": "B2600001721", "raw": raw}
        )
    return rows


def record(engine: Engine, rows: list[dict]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(events), rows)
        known = set(connection.execute(select(chains.c.subject)).scalars())
        ends = {row["subject"]: row for row in rows if row["subject"] not in known}
        values = [{"subject": s, "length": row["chain_seq"], "head": row["link_hash"]} for s, row in ends.items()]
        if values:
            connection.execute(insert(chains), values)
