"""The people of a demonstration: one of each role, with PINs made for this home and kept in it."""

import secrets

import msgspec
from msgspec import Struct
from sqlalchemy import Engine

from config.catalog import Catalog
from config.files import write_whole
from config.settings import Settings
from models.database.engine import reading
from models.people.devices import find_device
from models.people.users import Grant, Role, find_user
from models.rules.identifiers import BADGE, make_identifier
from station.auth.people import new_device, new_person, new_pin
from station.auth.pins import SecretError, check_pin, token_hash

FILE = "demo-sign-in.json"
FIRST_SERIAL = 900_001
_STAFF: tuple[tuple[str, Role, str, str], ...] = (
    ("Maria Alvarez", Role.MA, "clinic", "es"),
    ("Carl Dunn", Role.COURIER, "*", "en"),
    ("Lena Park", Role.LAB, "lab", "en"),
    ("Noor Haddad", Role.MANAGER, "*", "en"),
    ("Ada Stone", Role.ADMIN, "*", "en"),
)


class DemoPerson(Struct, frozen=True):
    badge: str
    name: str
    role: str
    site: str
    pin: str


class DemoPeople(Struct, frozen=True):
    """How to sign in to a demonstration. `token` enrolls a browser."""

    people: tuple[DemoPerson, ...]
    token: str

    def lines(self, address: str) -> list[str]:
        """What to tell the person at the terminal; `address` as http://127.0.0.1:8080."""
        rows = [f"    {p.role:<8} {p.name:<14} badge {p.badge}  PIN {p.pin}  {p.site}" for p in self.people]
        return [f"  sign in    {address}/enroll#{self.token}", *rows]


def create_demo_people(engine: Engine, settings: Settings, catalog: Catalog, now_us: int) -> DemoPeople:
    """One person of each role and a browser's token: made at the first call for a home, the same at every later one.

    They are kept in `demo-sign-in.json` of the home, readable by its owner only. Raises LabtrailError.
    """
    path = settings.data / FILE
    known = msgspec.json.decode(path.read_bytes(), type=DemoPeople) if path.exists() else None
    people = known.people if known else tuple(_new(index, catalog) for index in range(len(_STAFF)))
    for person, (_, _, _, language) in zip(people, _STAFF, strict=True):
        with reading(engine) as connection:
            there = find_user(connection, person.badge)
        if there is None:
            held = (Grant(_role(person.role), person.site),)
            badge = person.badge
            new_person(engine, settings, person.name, held, person.pin, now_us, badge=badge, language=language)
        elif known is None:
            new_pin(engine, settings, person.badge, person.pin, now_us)
    token = known.token if known else ""
    with reading(engine) as connection:
        device = find_device(connection, token_hash(token)) if token else None
    if device is None:
        token = new_device(engine, catalog, "Demo browser", "*", now_us).token
    made = DemoPeople(people, token)
    if made != known:
        write_whole(path, msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n", mode=0o600)
    return made


def _new(index: int, catalog: Catalog) -> DemoPerson:
    name, role, where, _ = _STAFF[index]
    site = where if where == "*" else next(s.code for s in catalog.sites.values() if s.kind == where)
    return DemoPerson(make_identifier(BADGE, 2026, FIRST_SERIAL + index), name, role, site, _pin())


def _role(name: str) -> Role:
    return next(role for _, role, _, _ in _STAFF if role == name)


def _pin() -> str:
    """Eight digits that pass as a PIN."""
    while True:
        pin = f"{secrets.randbelow(10**8):08d}"
        try:
            check_pin(pin)
        except SecretError:
            continue
        return pin
