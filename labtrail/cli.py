"""The command line: wires the commands, and turns every failure into one line and an exit code.

0: done. 1: failed; one line on standard error says what to do. 2: wrong usage.
"""

import os
import sys
from collections.abc import Sequence
from types import ModuleType

import typer
from typer.exceptions import TyperException

from config.errors import LabtrailError
from labtrail import stopping
from labtrail.commands.paper import labels, print_jobs, sheets
from labtrail.commands.people import patients, users
from labtrail.commands.record import custody, export, quarantine, rebuild, recall, report
from labtrail.commands.record import verify as verify_command
from labtrail.commands.service import doctor, drain, migrate, parts, publish, simulate, topics, up
from labtrail.shared import printable

COMMANDS: tuple[ModuleType, ...] = (
    up,
    parts,
    migrate,
    topics,
    publish,
    drain,
    export,
    custody,
    verify_command,
    rebuild,
    quarantine,
    recall,
    report,
    labels,
    sheets,
    print_jobs,
    patients,
    users,
    simulate,
    doctor,
)
DEBUG_VARIABLE = "LABTRAIL_DEBUG"
INTERRUPTED = 130
"""What Typer makes of Ctrl-C."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"labtrail {version('labtrail')}")
        raise typer.Exit


def _root(
    debug: bool = typer.Option(False, "--debug", help="Show where in the program a failure came from."),
    version: bool = typer.Option(False, "--version", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Chain of custody for lab specimens, stock-keeping for clinic supplies.

    Start with `labtrail up --demo` and open the address that it prints. Each command shows an example:
    `labtrail publish --help`.
    """
    del version
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def make_app() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="labtrail", rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, callback=_root
    )
    for module in COMMANDS:
        module.register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. No exception leaves, except under --debug."""
    try:
        code = make_app()(list(arguments) or ["--help"], prog_name="labtrail", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:
            return _failed("stopped", 1, None)
    except TyperException as fault:
        return _failed(_usage(fault), fault.exit_code, fault)
    except LabtrailError as fault:
        return _failed(str(fault), 1, fault)
    except (KeyboardInterrupt, typer.Abort):
        return _failed("stopped", 1, None)
    except BrokenPipeError:
        # the reader has closed the pipe (`labtrail export … | head`): say nothing, send the last flush to a sink
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        return _failed(f"{where}{fault.strerror or fault}: check the path, its rights and the disk", 1, fault)
    except Exception as fault:  # noqa: BLE001 - the edge of the program: a person gets a line, never a traceback
        return _failed(_unexpected(fault), 1, fault)
    return code if isinstance(code, int) else 0


def _usage(fault: TyperException) -> str:
    context = getattr(fault, "ctx", None)
    command = context.command_path if context is not None else "labtrail"
    return f"{fault.format_message()} (see {command} --help)"


def _unexpected(fault: Exception) -> str:
    """SQLAlchemy's messages span many lines: the driver's own is the useful one."""
    cause = getattr(fault, "orig", None)
    if cause is not None:
        return f"the database said: {cause}: look at LABTRAIL_DATABASE, and run labtrail doctor"
    return f"unexpected {type(fault).__name__}: {fault}: run it again with LABTRAIL_DEBUG=1 and report what it shows"


def _failed(message: str, code: int, fault: BaseException | None) -> int:
    if fault is not None and os.environ.get(DEBUG_VARIABLE):
        raise fault
    print("labtrail: " + printable(" ".join(message.split())), file=sys.stderr)  # noqa: T201 - the one line of a failure
    return code


def main() -> None:
    """The `labtrail` command."""
    stopping.listen()
    raise SystemExit(run(sys.argv[1:]))
