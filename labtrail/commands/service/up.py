"""`labtrail up`: everything in one process, from an empty folder."""

from typing import Annotated

import typer

from labtrail.shared import Data, Port, settings_for


def up(
    port: Port = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Add live simulated clinics, and people to sign in as.")
    ] = False,
    data: Data = None,
) -> None:
    """Run everything in one process.

    Embedded log, SQLite tables, agents, station and metrics; from an empty folder. Ctrl-C stops it.
    """
    import asyncio

    import msgspec

    from config.home import make_home
    from labtrail.commands.service.migrate import bring_up_to_date
    from labtrail.running import log_to_stderr, run

    settings = make_home(settings_for(data))
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)
    log_to_stderr(settings.log_level)
    bring_up_to_date(settings)
    asyncio.run(run(settings, work=True, pages=True, demo=demo))


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail up --demo --data var/demo --port 8080")(up)
