"""Adding people and devices: what the commands, the administrator's page and the demo share."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection, Engine

from config.catalog import Catalog
from config.settings import Settings
from models.database.engine import writing
from models.people.audit import Entry, note
from models.people.devices import Device, enroll, revoke_device
from models.people.errors import PeopleError
from models.people.users import (
    EVERYWHERE,
    Grant,
    Role,
    User,
    add_user,
    change_grants,
    disable_user,
    find_user,
    set_pin,
)
from models.printing.serials import allocate
from models.rules.calendars import day_at
from models.rules.identifiers import BADGE, is_identifier
from station.auth.pins import Pins, new_token, token_hash

LANGUAGES = ("en", "es")
NAME_CHARACTERS_MAX = 80
TRIES_MAX = 100
COMMAND_LINE = "command line"


class Enrolled(Struct, frozen=True):
    """A device and its token, which is shown this once and can't be had again."""

    device: Device
    token: str


def grant_of(text: str, catalog: Catalog) -> Grant:
    """`ma@NORTH` or `manager@*`. Raises PeopleError that says what to write."""
    name, _, site = text.partition("@")
    role: Role | None = next((one for one in Role if one == name), None)
    if role is None:
        raise PeopleError(f"{text!r} names no role: write one of {', '.join(Role)}, then @ and the site")
    return Grant(role, checked_site(site, catalog))


def checked_site(site: str, catalog: Catalog) -> str:
    """The site, which the catalog has or which is `*`. Raises PeopleError."""
    if site != EVERYWHERE and site not in catalog.sites:
        raise PeopleError(f"{site!r} is no site: write one of {', '.join(sorted(catalog.sites))}, or * for all")
    return site


def new_person(
    engine: Engine,
    settings: Settings,
    name: str,
    grants: tuple[Grant, ...],
    pin: str,
    now_us: int,
    *,
    badge: str | None = None,
    language: str = "en",
    zone: tzinfo = UTC,
) -> User:
    """Put a person on record, with a new badge number unless one is given. Raises PeopleError, SecretError.

    `zone`: of the site that gives the badge out, whose year the number has.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise PeopleError(f"a name has 1 to {NAME_CHARACTERS_MAX} printable characters: shorten it")
    if not grants:
        raise PeopleError("a person without a role can do nothing: give --role ROLE@SITE")
    if language not in LANGUAGES:
        raise PeopleError(f"{language!r} is not spoken here: write one of {', '.join(LANGUAGES)}")
    if badge is not None and not is_identifier(badge, BADGE):
        raise PeopleError(f"{badge!r} is no badge number: its check digits do not fit; leave it out to get a new one")
    pin_hash = Pins(settings.pepper).hash_pin(pin)
    with writing(engine) as connection:
        number = badge or _free_badge(connection, settings, day_at(now_us, zone).year)
        user = User(number, name, language, grants, None, pin_hash)
        add_user(connection, user, now_us)
        note(connection, [_entry("user added", number, now_us, " ".join(f"{g.role}@{g.site}" for g in grants))])
    return user


def _free_badge(connection: Connection, settings: Settings, year: int) -> str:
    for _ in range(TRIES_MAX):
        (badge,) = allocate(connection, BADGE, year, 1, settings.serial_digits)
        if find_user(connection, badge) is None:
            return badge
    raise PeopleError("no free badge number was found: give one by --badge")


def new_pin(engine: Engine, settings: Settings, badge: str, pin: str, now_us: int) -> None:
    """Give a person a new PIN. Raises PeopleError, SecretError."""
    pin_hash = Pins(settings.pepper).hash_pin(pin)
    with writing(engine) as connection:
        set_pin(connection, badge, pin_hash, now_us)
        note(connection, [_entry("PIN set", badge, now_us)])


def new_roles(engine: Engine, badge: str, held: Sequence[Grant], now_us: int) -> None:
    """Replace a person's roles and sites; open sessions end. Raises PeopleError."""
    with writing(engine) as connection:
        change_grants(connection, badge, held, now_us)
        note(connection, [_entry("roles set", badge, now_us, " ".join(f"{g.role}@{g.site}" for g in held))])


def disable(engine: Engine, badge: str, now_us: int) -> None:
    """Disable a badge; open sessions end. Raises PeopleError."""
    with writing(engine) as connection:
        disable_user(connection, badge, now_us)
        note(connection, [_entry("user disabled", badge, now_us)])


def revoke(engine: Engine, number: int, now_us: int) -> None:
    """Revoke a device's token; its sessions end. Raises PeopleError."""
    with writing(engine) as connection:
        revoke_device(connection, number, now_us)
        note(connection, [_entry("device revoked", str(number), now_us)])


def new_device(
    engine: Engine, catalog: Catalog, name: str, site: str, now_us: int, *, role: str | None = None, by: str = ""
) -> Enrolled:
    """Enroll a browser (`role` None: people sign in at it) or a program that has a role. Raises PeopleError."""
    checked_site(site, catalog)
    if role is not None and role not in tuple(Role):
        raise PeopleError(f"{role!r} is no role: write one of {', '.join(Role)}")
    if not 1 <= len(name.strip()) <= NAME_CHARACTERS_MAX or not name.isprintable():
        raise PeopleError(f"a device's name has 1 to {NAME_CHARACTERS_MAX} printable characters: give it one")
    token = new_token()
    kind: Literal["station", "service"] = "station" if role is None else "service"
    device = Device(0, name.strip(), kind, site, role, now_us, by or COMMAND_LINE, None)
    with writing(engine) as connection:
        device = enroll(connection, device, token_hash(token))
        note(connection, [_entry("device enrolled", str(device.id), now_us, device.name)])
    return Enrolled(device, token)


def _entry(action: str, subject: str, now_us: int, detail: str = "") -> Entry:
    return Entry(time_us=now_us, action=action, role=COMMAND_LINE, subject=subject, detail=detail)
