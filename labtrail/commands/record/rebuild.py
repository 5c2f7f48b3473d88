"""`labtrail rebuild`: rebuild every table of state from the recorded events."""

import typer

from labtrail.progress import progress
from labtrail.shared import Data, database_for, settings_for, store_for


def rebuild(data: Data = None) -> None:
    """Rebuild the tables from the recorded events.

    In one transaction; nothing is sent or printed again.
    """
    from models.recording.rebuild import rebuild as fold_again

    settings = settings_for(data)
    with database_for(settings) as engine, progress("rebuilding", None) as bar:
        count = fold_again(store_for(settings, engine), bar.at)
    typer.echo(f"rebuilt from {count} events")


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail rebuild --data var/demo")(rebuild)
