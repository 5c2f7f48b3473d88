"""The simulated network: sites with their staff, devices and couriers, taken from a catalog; and larger catalogs."""

import csv
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from config.catalog import Catalog, ParLevel, Route, Site
from config.errors import LabtrailError
from models.rules.identifiers import SERIAL_DIGITS_MAX, SERIAL_DIGITS_MIN, Kind, make_identifier
from models.rules.times import HOUR_US, MINUTE_US

SERIAL_FIRST = 500_000
"""Simulated numbers start here, so that a station in the same home, which starts at 1, does not collide with them."""
SERIAL_STEP_MAX = 3
CLINICS_MAX = 10_000


class SimulationError(LabtrailError):
    """A day can't be simulated with this catalog; the message says what to change."""


class Device(Struct):
    """A station or a phone. While it is offline (microseconds from, to) what it scans arrives later."""

    source: str
    offline: tuple[int, int] = (0, 0)


class Place(Struct):
    """One site at work."""

    site: Site
    zone: ZoneInfo
    staff: list[str]
    stations: list[Device]
    courier: str
    phone: Device
    route: Route | None
    """The leg that its tubes take; None at a lab."""
    hops: int
    """Legs to the lab."""
    volume: float
    """Orders a day, relative to the average clinic."""
    stat_share: float


class World:
    """Everything that stays from one simulated day to the next, except stock."""

    def __init__(
        self,
        catalog: Catalog,
        clinics: int | None,
        year: int,
        orders: float,
        rng: Random,
        numbers_from: int = SERIAL_FIRST,
    ) -> None:
        """`numbers_from`: the serials of all identifiers, and the orders' numbers, are above this."""
        self.catalog = catalog
        self.rng = rng
        self.year = year
        self.orders = orders
        self.day_us = 0
        """When the simulated day began, an hour before the clinics open."""
        self.numbers_from = numbers_from
        self._serials: dict[Kind, int] = {}
        legs = _legs(catalog)
        codes = [site.code for site in catalog.sites.values() if site.kind == "clinic"]
        chosen = codes if clinics is None else codes[:clinics]
        if clinics is not None and clinics > len(codes):
            raise SimulationError(
                f"the catalog has {len(codes)} clinics, not {clinics}: "
                "add --catalog-out DIR to have a larger one written, and run Labtrail with LABTRAIL_CATALOG=DIR"
            )
        if not chosen:
            raise SimulationError("there is no clinic to simulate: add a site of kind clinic to sites.csv")
        self.places: dict[str, Place] = {}
        for code in chosen:
            self._add(code, legs)
        self.clinics = [self.places[code] for code in chosen]
        self.labs = [place for place in self.places.values() if place.site.kind == "lab"]

    def _add(self, code: str, legs: Mapping[str, tuple[int, Route | None]]) -> None:
        """This site and those on its way to the lab."""
        if code in self.places:
            return
        if code not in legs:
            raise SimulationError(f"no route leads from {code} to a lab: add one to routes.csv")
        hops, route = legs[code]
        site, rng = self.catalog.sites[code], self.rng
        self.places[code] = Place(
            site=site,
            zone=ZoneInfo(site.timezone),
            staff=[self.identifier("B") for _ in range(3 if site.kind == "clinic" else 6)],
            stations=[Device(f"/sites/{code}/stations/{n}") for n in (1, 2)],
            courier=self.identifier("B"),
            phone=Device(f"/couriers/{code}/phone"),
            route=route,
            hops=hops,
            volume=rng.uniform(0.6, 1.4),
            stat_share=rng.uniform(0.04, 0.14),
        )
        if route is not None:
            self._add(route.to_site, legs)

    def identifier(self, kind: Kind) -> str:
        """The next number of this kind, with its check digits."""
        serial = self._serials.get(kind, self.numbers_from) + self.rng.randint(1, SERIAL_STEP_MAX)
        self._serials[kind] = serial
        digits = max(SERIAL_DIGITS_MIN, len(str(serial)))
        if digits > SERIAL_DIGITS_MAX:
            raise SimulationError("the year's numbers are used up: simulate fewer days or clinics")
        return make_identifier(kind, self.year, serial, digits)

    def begin_day(self, start_us: int) -> None:
        """Decide which devices are offline when: couriers' phones in the country, now and then a station."""
        self.day_us = start_us
        rng = self.rng
        for place in self.places.values():
            place.phone.offline = _offline(rng, start_us, 0.25, 40, 150)
            for station in place.stations:
                station.offline = _offline(rng, start_us, 0.03, 5, 40)


def minutes(rng: Random, least: float, most: float) -> int:
    """A random time between so many minutes, in microseconds."""
    return int(rng.uniform(least, most) * MINUTE_US)


def _offline(rng: Random, start_us: int, share: float, minutes_min: int, minutes_max: int) -> tuple[int, int]:
    if rng.random() >= share:
        return (0, 0)
    begin = start_us + int(rng.uniform(1, 12) * HOUR_US)
    return (begin, begin + rng.randint(minutes_min, minutes_max) * MINUTE_US)


def _legs(catalog: Catalog) -> dict[str, tuple[int, Route | None]]:
    """For each site from which a lab can be reached: how many legs it is away, and the first of them."""
    found: dict[str, tuple[int, Route | None]] = {
        site.code: (0, None) for site in catalog.sites.values() if site.kind == "lab"
    }
    reached = list(found)
    while reached:
        further: list[str] = []
        for route in catalog.routes.values():
            if route.to_site in reached and route.from_site not in found:
                found[route.from_site] = (found[route.to_site][0] + 1, route)
                further.append(route.from_site)
        reached = further
    return found


def larger_catalog(catalog: Catalog, clinics: int) -> Catalog:
    """The catalog with clinics `C00007`, … added until there are so many; each a copy of one that is there.

    Raises SimulationError for a catalog without clinics or for more than 10,000.
    """
    have = [site for site in catalog.sites.values() if site.kind == "clinic"]
    if not have or not 0 < clinics <= CLINICS_MAX:
        raise SimulationError(f"1 to {CLINICS_MAX} clinics can be simulated, in a catalog that has at least one")
    sites, routes, levels = dict(catalog.sites), dict(catalog.routes), dict(catalog.par_levels)
    for number in range(len(have) + 1, clinics + 1):
        model = have[number % len(have)]
        code = f"C{number:05d}"
        sites[code] = Site(code=code, name=f"Clinic {number}", kind="clinic", timezone=model.timezone)
        for (origin, _), route in catalog.routes.items():
            if origin == model.code:
                routes[code, route.to_site] = msgspec.structs.replace(route, from_site=code)
        for (site, item), level in catalog.par_levels.items():
            if site == model.code:
                levels[code, item] = msgspec.structs.replace(level, site=code)
    return msgspec.structs.replace(
        catalog,
        sites=MappingProxyType(sites),
        routes=MappingProxyType(routes),
        par_levels=MappingProxyType(levels),
    )


def write_catalog(catalog: Catalog, folder: Path) -> None:
    """The nine CSV files of a catalog; raises SimulationError rather than write over files that are there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in catalog.__struct_fields__:
        rows: list[Struct] = []
        for row in getattr(catalog, name).values():
            rows += row if isinstance(row, tuple) else [row]
        path = folder / f"{name}.csv"
        if path.exists():
            raise SimulationError(f"{path} is there already: name an empty folder")
        fields = rows[0].__struct_fields__ if rows else _COLUMNS[name]
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(fields)
            writer.writerows([_cell(getattr(row, field)) for field in fields] for row in rows)


_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "par_levels": ParLevel.__struct_fields__,
    "critical_values": ("test", "unit", "low_below", "high_above"),
    "reject_reasons": ("code", "text"),
    "printers": ("name", "kind", "address", "dpi"),
}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)
