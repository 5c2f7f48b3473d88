"""`labtrail verify`: check the whole ledger, and name the first fault."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labtrail.progress import progress
from labtrail.shared import CommandError, Data, database_for, settings_for

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from agents.ledger.checkpoints import Evidence
    from config.settings import Settings
    from models.ledger.verify import Verdict


def verify(
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            metavar="FILE",
            help="A signed checkpoint, or a folder of them, that was carried off the machine; "
            "else those of the home.",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key",
            metavar="FILE",
            help="The public key, as in ledger.pub; else the one beside the checkpoint, else this home's.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Check the ledger; name the first fault.

    Every hash chain, the Merkle tree and the signed checkpoints; exit 1 if something was altered, deleted,
    inserted, swapped, truncated or rewritten.
    """
    settings = settings_for(data)
    evidence = _evidence(settings, checkpoint, key)
    with database_for(settings) as engine:
        verdict = _check(engine, evidence)
    counts = (
        f"{verdict.events} events of {verdict.subjects} subjects, {verdict.leaves} leaves "
        f"({verdict.pending} events wait for theirs), {verdict.checkpoints} signed checkpoints"
    )
    if verdict.first is not None:
        more = f" ({verdict.faults} faults in all)" if verdict.faults > 1 else ""
        raise CommandError(
            f"the ledger does not hold: {verdict.first.sentence}{more}; checked {counts}: "
            "keep database and checkpoints as they are, and compare with a backup"
        )
    typer.echo(f"the ledger holds: {counts}; root {verdict.root.hex()}")


def _evidence(settings: "Settings", checkpoint: Path | None, key: Path | None) -> "Evidence":
    """The checkpoints to check against: the given copies, else those of the home, if any."""
    from agents.ledger.checkpoints import Evidence, load_evidence, public_key

    where = checkpoint or settings.checkpoint_folder
    if checkpoint is not None and not checkpoint.exists():
        raise CommandError(f"{checkpoint} is not there: give the path of a checkpoint file or folder")
    public = public_key(settings, where if where.is_dir() else where.parent, key)
    if public is None and checkpoint is not None:
        raise CommandError(f"no public key to check {checkpoint} with: give ledger.pub by --key")
    return load_evidence(where, public) if public is not None and where.exists() else Evidence((), None)


def _check(engine: "Engine", evidence: "Evidence") -> "Verdict":
    from models.database.engine import reading
    from models.ledger.verify import rows_to_check
    from models.ledger.verify import verify as check

    with reading(engine) as connection, progress("verifying", rows_to_check(connection), "rows") as bar:
        witness = evidence.witness() if evidence.witness else None
        return check(connection, evidence.checkpoints, witness, bar.advance)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: labtrail verify --checkpoint /mnt/usb/checkpoints --data var/demo")(verify)
