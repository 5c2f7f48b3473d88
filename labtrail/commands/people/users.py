"""`labtrail users` and `labtrail devices`: who may sign in at the station, and where."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.clock import now_us
from labtrail.shared import CommandError, Data, database_for, say, settings_for

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from config.catalog import Catalog
    from config.settings import Settings


class Language(StrEnum):
    en = "en"
    es = "es"


Roles = Annotated[
    list[str],
    typer.Option("--role", metavar="ROLE@SITE", help="ma, courier, lab, manager or admin; * for all sites."),
]
Badge = Annotated[str, typer.Argument(metavar="BADGE", help="The badge number.")]


@contextmanager
def _home(data: Path | None) -> Iterator[tuple["Settings", "Catalog", "Engine"]]:
    from config.catalog import load_catalog
    from config.home import make_home

    settings = settings_for(data)
    if settings.embedded:
        settings = make_home(settings)
    with database_for(settings) as engine:
        yield settings, load_catalog(settings.catalog), engine


def _asked_pin() -> str:
    """From the terminal, twice and not shown; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt("PIN (8 or more characters)", hide_input=True, confirmation_prompt=True, err=True))
    pin = sys.stdin.readline().rstrip("\r\n")
    if not pin:
        raise CommandError("no PIN: type it at a terminal, or give it as the first line of standard input")
    return pin


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As colleagues know the person.")],
    role: Roles,
    badge: Annotated[
        str | None, typer.Option("--badge", help="A badge they have already; else a new number.", show_default=False)
    ] = None,
    language: Annotated[Language, typer.Option("--language", help="Of the pages.")] = Language.en,
    data: Data = None,
) -> None:
    """Add a person; asks for a PIN and prints the badge number."""
    from models.rules.calendars import zone_of
    from station.auth.people import grant_of, new_person

    with _home(data) as (settings, catalog, engine):
        grants = tuple(grant_of(text, catalog) for text in role)
        user = new_person(
            engine,
            settings,
            name,
            grants,
            _asked_pin(),
            now_us(),
            badge=badge,
            language=language.value,
            zone=zone_of(grants[0].site, catalog) if grants else UTC,
        )
    typer.echo(user.badge)


def list_people(data: Data = None) -> None:
    """Show everybody: badge, roles and sites, name."""
    from models.database.engine import reading
    from models.people.users import list_users

    with _home(data) as (_, _, engine), reading(engine) as connection:
        people = list_users(connection)
    for user in people:
        roles = " ".join(f"{g.role}@{g.site}" for g in user.grants)
        barred = "  disabled" if user.disabled_us is not None else ""
        typer.echo(f"{user.badge}  {user.name:<24} {roles}{barred}")
    if not people:
        say("nobody yet: see labtrail users add --help")


def disable(badge: Badge, data: Data = None) -> None:
    """Disable a badge at once: open sessions end too."""
    from station.auth.people import disable as bar

    with _home(data) as (_, _, engine):
        bar(engine, badge, now_us())
    say(f"{badge} is disabled; labtrail users set-pin {badge} enables it again")


def set_pin(badge: Badge, data: Data = None) -> None:
    """Give a person a new PIN; enables a disabled badge, ends open sessions."""
    from station.auth.people import new_pin

    with _home(data) as (settings, _, engine):
        new_pin(engine, settings, badge, _asked_pin(), now_us())
    say(f"{badge} has a new PIN")


def set_roles(badge: Badge, role: Roles, data: Data = None) -> None:
    """Replace a person's roles and sites; ends open sessions."""
    from station.auth.people import grant_of, new_roles

    with _home(data) as (_, catalog, engine):
        new_roles(engine, badge, [grant_of(text, catalog) for text in role], now_us())
    say(f"{badge} is {' '.join(role)} now")


def enroll(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one it is: Front desk 2, Van 7.")],
    site: Annotated[str, typer.Option("--site", help="Where it is; * for one that moves.")],
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="ROLE", help="A program with this role, no browser.", show_default=False),
    ] = None,
    data: Data = None,
) -> None:
    """Enroll a browser, or a program; prints the token, once."""
    from station.auth.people import new_device

    with _home(data) as (settings, catalog, engine):
        made = new_device(engine, catalog, name, site, now_us(), role=service)
    typer.echo(made.token)
    if service is None:
        address = settings.public_url or f"http://{settings.host}:{settings.port}"
        say(f"device {made.device.id}: open {address}/enroll#{made.token} in its browser, once")
    else:
        say(f"device {made.device.id}: the program sends the header Authorization: Bearer and this token")


def list_devices(data: Data = None) -> None:
    """Show every device: number, kind, site, name, state."""
    from models.database.engine import reading
    from models.people.devices import list_devices
    from models.rules.times import utc_text

    with _home(data) as (_, _, engine), reading(engine) as connection:
        found = list_devices(connection)
    for one in found:
        state = "enrolled" if one.revoked_us is None else f"revoked {utc_text(one.revoked_us)}"
        kind = one.kind if one.role is None else f"{one.kind} {one.role}"
        typer.echo(f"{one.id:>4}  {kind:<16} {one.site:<8} {one.name:<24} {state}")
    if not found:
        say("no device yet: see labtrail devices enroll --help")


def revoke(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="From `devices list`.")], data: Data = None
) -> None:
    """Revoke a device's token at once: its sessions end too."""
    from station.auth.people import revoke as take_back

    with _home(data) as (_, _, engine):
        take_back(engine, number, now_us())
    say(f"device {number} is revoked")


def register(app: typer.Typer) -> None:
    users = typer.Typer(no_args_is_help=True, help="The people who sign in at the station.")
    example = "Example: labtrail users "
    users.command(epilog=f"{example}add 'Maria Alvarez' --role ma@NORTH --role ma@SOUTH")(add)
    users.command("list", epilog=f"{example}list")(list_people)
    users.command(epilog=f"{example}disable B2600001721")(disable)
    users.command("set-pin", epilog=f"{example}set-pin B2600001721")(set_pin)
    users.command("set-roles", epilog=f"{example}set-roles B2600001721 --role manager@*")(set_roles)
    app.add_typer(users, name="users", epilog=f"{example}list")
    devices = typer.Typer(no_args_is_help=True, help="The browsers and programs that may talk to the station.")
    example = "Example: labtrail devices "
    devices.command(epilog=f"{example}enroll 'Front desk 2' --site NORTH")(enroll)
    devices.command("list", epilog=f"{example}list")(list_devices)
    devices.command(epilog=f"{example}revoke 3")(revoke)
    app.add_typer(devices, name="devices", epilog=f"{example}list")
