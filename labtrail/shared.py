"""The commands: each module has thin functions and `register(app)`. What several of them need is here.

Nothing heavy is imported at the top of a command's module, so that `labtrail --help` answers at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from config.errors import LabtrailError
from labtrail.stopping import heed

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from agents.log.port import EventLog
    from config.settings import Settings
    from models.recording.store import Store

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="DIR", help="The home folder; LABTRAIL_DATA, else var/labtrail.", show_default=False
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="The moment that decides what is late, like 2026-11-21T18:00:00Z; now by default.",
        show_default=False,
    ),
]


Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="N", min=0, max=65535, help="LABTRAIL_PORT, else 8080; 0: any.", show_default=False
    ),
]


class CommandError(LabtrailError):
    """A command could not do its work; the message says what to do."""


def settings_for(data: Path | None) -> "Settings":
    """The settings of this process, with the home folder of the command line."""
    from config.settings import load_settings

    return load_settings(os.environ, data=data)


@contextmanager
def log_for(settings: "Settings") -> Iterator["EventLog"]:
    """The log of these settings, closed at the end. The embedded one is created if missing, with its topics."""
    from agents.log.open import open_log
    from agents.log.port import TOPICS

    heed()
    log: EventLog
    if settings.embedded:
        log = open_log(settings.broker, dict.fromkeys(TOPICS, settings.partitions))
    else:
        from agents.log.kafka import KafkaLog
        from agents.log.kafka_client import access_of

        log = KafkaLog(access_of(settings))  # its topics are made by `labtrail topics`, with their replicas
    try:
        yield log
    finally:
        log.close()


@contextmanager
def database_for(settings: "Settings") -> Iterator["Engine"]:
    """The database of these settings, which must be there.

    Raises CommandError when a file is not, SchemaError when its tables are not those of this version.
    """
    from models.database.engine import make_engine
    from models.database.migrate import require_current

    heed()
    file = sqlite_file(settings.database)
    if file is not None and not file.exists():
        raise CommandError(f"there is no database {file}: give the right --data, or run labtrail migrate to make it")
    engine = make_engine(settings.database)
    try:
        require_current(engine)
        yield engine
    finally:
        engine.dispose()


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database address; None for another database."""
    path = url.partition("?")[0].removeprefix("sqlite:///")
    return Path(path) if url.startswith("sqlite:///") else None


def store_for(settings: "Settings", engine: "Engine") -> "Store":
    """The writer of the tables. Raises CatalogError when the catalog can't be used."""
    from config.catalog import load_catalog
    from models.recording.store import Store

    return Store(
        engine,
        load_catalog(settings.catalog),
        settings.policy,
        outside=settings.outside,
        print_on_collection=settings.print_on_collection,
    )


def moment_us(text: str | None) -> int:
    """The time given on the command line, or now. Raises a usage error."""
    from models.rules.times import microseconds

    if text is None:
        return now_us()
    try:
        return microseconds(datetime.fromisoformat(text))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no moment with an offset: write it like 2026-11-21T18:00:00Z or 2026-11-21T12:00:00-06:00",
            param_hint="--at",
        ) from None


def printable(text: str) -> str:
    """A text that is safe on a terminal: what is not printable is escaped. Most texts here are untrusted."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def say(text: str) -> None:
    """A line for the person at the terminal: standard error, so that standard output stays data."""
    typer.echo(text, err=True)
