"""`labtrail worker` and `labtrail station`: the parts of `up`, each its own process, for Kafka and PostgreSQL."""

from pathlib import Path

import typer

from labtrail.shared import Data, Port, settings_for


def worker(port: Port = None, data: Data = None) -> None:
    """Run the agents, with metrics and health.

    Start as many as there are partitions; each takes a share, and the others take over when one dies.
    """
    _run(data, port, work=True)


def station(port: Port = None, data: Data = None) -> None:
    """Run the web alone: station, metrics and health.

    Start as many as needed behind a proxy; the agents run in `labtrail worker`.
    """
    _run(data, port, work=False)


def _run(data: Path | None, port: int | None, *, work: bool) -> None:
    import asyncio

    import msgspec

    from labtrail.running import log_to_stderr, run

    settings = settings_for(data)
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)
    log_to_stderr(settings.log_level)
    asyncio.run(run(settings, work=work, pages=not work))


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: LABTRAIL_BROKER=kafka://localhost:9092 labtrail worker --port 8081")(worker)
    app.command(epilog="Example: labtrail station --port 8080")(station)
