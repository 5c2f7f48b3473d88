"""The catalog: what the clinics have (sites, routes, tests, tubes, supplies), read from a folder of CSV files.

Everything that differs from one clinic network to the next and is not a secret is in these files.
The structs are plain values, so the pure modules in `models/` take them as arguments.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from config.errors import LabtrailError
from config.opening_hours import opening
from config.units import unit_key

DEFAULT_CATALOG = Path(__file__).parent / "catalog"
ROWS_MAX = 100_000
T = TypeVar("T", bound=msgspec.Struct)
# limits, so that no cell (`nan`, `1e300`) makes a moment or a judgement that can't be computed
Hours = Annotated[float, Meta(ge=0, le=100_000)]
Days = Annotated[float, Meta(ge=0, le=5_000)]
Quantity = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Limit = Annotated[float, Meta(ge=-1e15, le=1e15)]
Celsius = Annotated[float, Meta(ge=-273.15, le=1000)]


class CatalogError(LabtrailError):
    """A catalog file can't be used; the message names file, line and column."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    name: str
    kind: str
    """`clinic`, `hub` or `lab`: result turnaround starts at receipt at a `lab`."""
    timezone: str
    open: str | None = None
    """When it is open, like `Mo-Fr 06:00-20:00; Sa 08:00-12:00`: routine turnarounds run then. None: always."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One leg that couriers run, with the hours each step may take."""

    from_site: str
    to_site: str
    dispatch_hours_max: Hours
    pickup_hours_max: Hours
    transit_hours_max: Hours


class Test(msgspec.Struct, frozen=True, kw_only=True):
    __test__ = False  # not a pytest class

    code: str
    name: str
    loinc: str | None
    container: str
    min_ml: Quantity | None
    stability_room_hours: Hours | None
    """0: never at room temperature; None: not known."""
    stability_refrigerated_hours: Hours | None
    tat_routine_hours: Hours
    tat_stat_hours: Hours | None
    """None: the routine turnaround applies to a STAT too."""
    performed_at: Literal["lab", "clinic"] = "lab"
    """Where it is done: in the clinic, its turnaround runs from collection."""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    name: str
    specimen_type: str
    additive: str | None
    cap_colour: str
    draw_ml: Quantity
    item: str
    temperature_min_c: Celsius
    temperature_max_c: Celsius


class Supply(msgspec.Struct, frozen=True, kw_only=True):
    item: str
    name: str
    unit: str
    gtin: str | None


class ParLevel(msgspec.Struct, frozen=True, kw_only=True):
    site: str
    item: str
    reorder_point: Quantity
    par_level: Quantity
    lead_time_days: Days


class CriticalValue(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one test for values in one unit."""

    test: str
    """A test's code, or that of a panel's component."""
    unit: str | None
    """None: for values that have none."""
    low_below: Limit | None
    high_above: Limit | None


class RejectReason(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    text: str


class Printer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    """`file` (address: a folder), `zpl` (address: host:port) or `cups` (address: the queue)."""
    address: str
    dpi: int


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All nine files. The mappings are read-only and keyed by what an event names."""

    sites: Mapping[str, Site]
    routes: Mapping[tuple[str, str], Route]
    tests: Mapping[str, Test]
    containers: Mapping[str, Container]
    supplies: Mapping[str, Supply]
    par_levels: Mapping[tuple[str, str], ParLevel]
    critical_values: Mapping[str, tuple[CriticalValue, ...]]
    """By test, a line for each unit."""
    reject_reasons: Mapping[str, RejectReason]
    printers: Mapping[str, Printer]


def _rows(folder: Path, name: str, kind: type[T]) -> list[T]:
    path = folder / f"{name}.csv"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CatalogError(f"{path} is missing: put it there, or point LABTRAIL_CATALOG at a whole catalog") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise CatalogError(f"{path} can't be read ({fault}): save it as UTF-8 and make it readable") from fault
    reader = csv.DictReader(text.splitlines(), strict=True)
    there = [c for c in kind.__struct_fields__ if c in (reader.fieldnames or ())]
    optional = {field.name for field in msgspec.structs.fields(kind) if not field.required}
    lacking = [c for c in kind.__struct_fields__ if c not in there and c not in optional]
    if lacking:
        raise CatalogError(f"{path} lacks the column {lacking[0]}: add it to the first line")
    rows: list[T] = []
    for row in reader:
        if len(rows) >= ROWS_MAX:
            raise CatalogError(f"{path} has more than {ROWS_MAX} lines: split the network into several homes")
        cells = {c: (row[c] or "").strip() or None for c in there}
        values: dict[str, Any] = {c: cell for c, cell in cells.items() if cell is not None or c not in optional}
        try:
            rows.append(msgspec.convert(values, kind, strict=False))
        except msgspec.ValidationError as fault:
            raise CatalogError(f"{path} line {reader.line_num}: {fault}: mend the value") from None
    return rows


def _by(folder: Path, name: str, kind: type[T], key: Callable[[T], Any]) -> Mapping[Any, T]:
    table: dict[Any, T] = {}
    for row in _rows(folder, name, kind):
        if key(row) in table:
            raise CatalogError(f"{folder / name}.csv has {key(row)} twice: remove one line")
        table[key(row)] = row
    return MappingProxyType(table)


def _critical_values(folder: Path) -> Mapping[str, tuple[CriticalValue, ...]]:
    table: dict[str, tuple[CriticalValue, ...]] = {}
    for row in _rows(folder, "critical_values", CriticalValue):
        if unit_key(row.unit) in {unit_key(line.unit) for line in table.get(row.test, ())}:
            what = f"{row.test} twice in {row.unit}" if row.unit else f"{row.test} twice without a unit"
            raise CatalogError(f"{folder / 'critical_values'}.csv has {what}: remove one line")
        table[row.test] = (*table.get(row.test, ()), row)
    return MappingProxyType(table)


def _names(catalog: Catalog) -> None:
    """Check that every name that one file uses is in the file that defines it."""
    checks = [
        ("routes", "site", catalog.sites, {s for pair in catalog.routes for s in pair}),
        ("tests", "container", catalog.containers, {t.container for t in catalog.tests.values()}),
        ("containers", "item", catalog.supplies, {c.item for c in catalog.containers.values()}),
        ("par_levels", "site", catalog.sites, {site for site, _ in catalog.par_levels}),
        ("par_levels", "item", catalog.supplies, {item for _, item in catalog.par_levels}),
    ]
    for file, what, known, used in checks:
        for name in sorted(used - set(known)):
            raise CatalogError(f"{file}.csv names the {what} {name}, which no line of the catalog defines: add it")
    for site in catalog.sites.values():
        if site.kind not in ("clinic", "hub", "lab"):
            raise CatalogError(f"sites.csv: {site.code} has kind {site.kind}: use clinic, hub or lab")
        try:
            ZoneInfo(site.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise CatalogError(f"sites.csv: {site.code} has an unknown time zone {site.timezone}") from None
        try:
            opening(site.open)
        except ValueError as fault:
            raise CatalogError(f"sites.csv: {site.code} has hours that can't be read: {fault}") from None
    for par in catalog.par_levels.values():
        if par.reorder_point > par.par_level:
            raise CatalogError(
                f"par_levels.csv: {par.site} {par.item} has the reorder point {par.reorder_point:g} above its par "
                f"level {par.par_level:g}: it would be to order for ever"
            )


def load_catalog(folder: Path) -> Catalog:
    """Read and check a catalog folder.

    Raises CatalogError, whose message names the file, the line and what to fix.
    """
    catalog = Catalog(
        sites=_by(folder, "sites", Site, lambda r: r.code),
        routes=_by(folder, "routes", Route, lambda r: (r.from_site, r.to_site)),
        tests=_by(folder, "tests", Test, lambda r: r.code),
        containers=_by(folder, "containers", Container, lambda r: r.code),
        supplies=_by(folder, "supplies", Supply, lambda r: r.item),
        par_levels=_by(folder, "par_levels", ParLevel, lambda r: (r.site, r.item)),
        critical_values=_critical_values(folder),
        reject_reasons=_by(folder, "reject_reasons", RejectReason, lambda r: r.code),
        printers=_by(folder, "printers", Printer, lambda r: r.name),
    )
    _names(catalog)
    return catalog
