"""`labtrail patients`: the names behind opaque patient references, for labels only."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from labtrail.shared import CommandError, Data, database_for, say, settings_for

if TYPE_CHECKING:
    from config.settings import Settings
    from models.people.patients import Keys


def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: patient,family,given,birth_date,mrn.")],
    data: Data = None,
) -> None:
    """Load patients' records from a CSV file.

    All of it or nothing. They are encrypted with LABTRAIL_PATIENT_KEY; an existing record is replaced. Messages
    name lines, never what is in them.
    """
    from models.database.engine import writing
    from models.people.patients import FILE_BYTES_MAX, duplicates, read_csv, save_patients
    from models.rules.times import moment_of

    settings = settings_for(data)
    keys = _keys(settings)
    if file.stat().st_size > FILE_BYTES_MAX:
        raise CommandError(f"{file} is larger than {FILE_BYTES_MAX // 1024 // 1024} MiB: load it in parts")
    records = list(read_csv(file.read_bytes(), moment_of(now_us()).date()))
    twice = duplicates(records)
    if twice:
        raise CommandError(f"{twice[0]} stands twice in {file}: keep one line")
    with database_for(settings) as engine, writing(engine) as connection:
        count = save_patients(connection, records, keys, now_us())
    say(f"{count} records loaded; delete {file} if it is not needed any more")


def rekey(data: Data = None) -> None:
    """Encrypt every record with the first key.

    Set LABTRAIL_PATIENT_KEY to the new key, a comma and the old one, run this, then remove the old one.
    """
    from models.database.engine import writing
    from models.people.patients import change_key

    settings = settings_for(data)
    keys = _keys(settings)
    with database_for(settings) as engine, writing(engine) as connection:
        count = change_key(connection, keys, now_us())
    say(f"{count} records now have the key {keys.first}; the others had it before")


def count(data: Data = None) -> None:
    """Count patients' records."""
    from models.database.engine import reading
    from models.people.patients import count_patients

    with database_for(settings_for(data)) as engine, reading(engine) as connection:
        typer.echo(str(count_patients(connection)))


def _keys(settings: "Settings") -> "Keys":
    from agents.printing import keys_of

    keys = keys_of(settings)
    if keys is None:
        raise CommandError(
            "LABTRAIL_PATIENT_KEY is not set: write 64 hex digits (openssl rand -hex 32), and keep them"
        )
    return keys


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Names behind the opaque patient references.\n\nThey are printed on labels, and are in no event."
    )
    group.command(epilog="Example: labtrail patients load patients.csv --data var/demo")(load)
    group.command(epilog="Example: LABTRAIL_PATIENT_KEY=$NEW,$OLD labtrail patients rekey")(rekey)
    group.command(epilog="Example: labtrail patients count --data var/demo")(count)
    app.add_typer(group, name="patients", epilog="Example: labtrail patients load patients.csv")
