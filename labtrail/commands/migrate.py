"""`labtrail migrate`: bring the database to the tables of this version."""

import typer

from labtrail.commands import Data, settings_for


def migrate(data: Data = None) -> None:
    """Make or upgrade the tables of the database.

    Safe to run again; `labtrail up` does it by itself.
    """
    from config.settings import make_home
    from models.database import make_engine
    from models.migrate import migrate as upgrade

    settings = settings_for(data)
    if settings.embedded:
        settings = make_home(settings)
    engine = make_engine(settings.database)
    try:
        applied = upgrade(engine)
    finally:
        engine.dispose()
    typer.echo(f"applied {', '.join(applied)}" if applied else "the database is up to date")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail migrate --data var/demo")(migrate)
