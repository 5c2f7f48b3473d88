"""`labtrail migrate`: bring the database to the tables of this version."""

from typing import TYPE_CHECKING, Annotated

import typer

from labtrail.progress import progress
from labtrail.shared import Data, settings_for, store_for

if TYPE_CHECKING:
    from config.settings import Settings


def migrate(
    service_role: Annotated[
        str | None,
        typer.Option(
            "--service-role",
            metavar="ROLE",
            help="PostgreSQL: give this role the rights of workers and stations, which can't rewrite evidence.",
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Make or upgrade the tables of the database.

    Where an upgrade changes what is folded from the events, that is folded again. Safe to run again; `labtrail up`
    does it automatically.
    """
    from config.home import make_home

    settings = settings_for(data)
    if settings.embedded:
        settings = make_home(settings)
    applied = bring_up_to_date(settings)
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")
    if service_role is not None:
        _grant(settings, service_role)
        typer.echo(f"{service_role} may add and read evidence, and not change it")


def _grant(settings: "Settings", role: str) -> None:
    from models.database.engine import make_engine, writing
    from models.database.postgres.grants import grant_service

    engine = make_engine(settings.database)
    try:
        with writing(engine) as connection:
            grant_service(connection, role)
    finally:
        engine.dispose()


def bring_up_to_date(settings: "Settings") -> list[str]:
    """The revisions applied; none when the database has the tables of this version.

    Where one of them has emptied the tables of state, they are folded from the evidence. Interrupted before the end,
    the next call goes on.
    """
    from models.database.engine import make_engine, reading
    from models.database.migrate import is_to_be_folded
    from models.database.migrate import migrate as upgrade
    from models.recording.rebuild import rebuild

    engine = make_engine(settings.database)
    try:
        applied = upgrade(engine)
        with reading(engine) as connection:
            waits = is_to_be_folded(connection)
        if waits:
            with progress("folding the tables from the evidence") as bar:
                rebuild(store_for(settings, engine), bar.at)
        return applied
    finally:
        engine.dispose()


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail migrate --data var/demo")(migrate)
