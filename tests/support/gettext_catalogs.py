"""The msgids that Babel finds in our sources, and the files of each language. `make messages` brings them together.

python -m tests.support.gettext_catalogs     # adds new msgids to the .po, drops unused ones, compiles the .mo
"""

import io
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from config.catalog import DEFAULT_CATALOG, load_catalog
from models.alerts.stock_discrepancies import StockCode
from models.people.users import Role
from models.printing.states import JobState
from models.rules.deadlines import AlertKind, Step
from models.rules.discrepancies import MEANINGS
from models.rules.event_types import TYPES
from models.rules.events import Reason
from models.rules.movements import MovementKind
from models.rules.specimen import Status
from station.api import intake
from station.api.notifications import RECEIVERS
from station.languages.words import DOMAIN, LANGUAGES, SCRIPTS_FILE, folder
from station.pages import board, dispatch, results

ROOT = Path(__file__).parents[2]
PACKAGES = ("agents", "config", "embedded", "labels", "models", "station")
CODE = [("**.py", "python")]
PAGES = [("**/vendor/**", "ignore"), ("**.html", "jinja2"), ("**.js", "javascript")]
IN_PAGES = {"N_": None, "t": None, "say": None, "many": (2, 3)}
IN_CODE = {
    "N_": None,
    "Message": None,
    # refusals
    "Refusal": (2,),
    "Refused": (2,),
    "_Bad": (2,),
    # the meaning of a discrepancy, and what to do
    "Finding": (4, 5),
}
"""The calls whose arguments are texts, and which of them (None: the first)."""
SCRIPTS_SHOW = ("station/static/", "station/pages/", "station/custody_report/")
"""Sources of the texts that scripts may show, besides all tables."""


def in_sources() -> Iterator[tuple[str, str]]:
    """(msgid, file) of each text that a call marks."""
    for package, methods, keywords in [*((one, CODE, IN_CODE) for one in PACKAGES), ("station", PAGES, IN_PAGES)]:
        found = extract_from_dir(ROOT / package, methods, {}, keywords)
        for file, _, texts, *_ in found:
            for text in (texts,) if isinstance(texts, str) else texts:
                if text:
                    yield text, f"{package}/{file}"


def in_tables() -> Iterator[tuple[str, str]]:
    """(msgid, "file#table") of the codes and names that pages show as words: no call marks them."""
    catalog = load_catalog(DEFAULT_CATALOG)
    named = [thing for table in (catalog.containers, catalog.supplies, catalog.tests) for thing in table.values()]
    fields = {name for row in TYPES.values() for name in row.data.__struct_fields__}
    tables = {
        "config/catalog": [
            *(thing.name for thing in named),
            *(supply.unit for supply in catalog.supplies.values()),
            *(container.cap_colour for container in catalog.containers.values()),
            *(reason.text for reason in catalog.reject_reasons.values()),
        ],
        "models/rules/discrepancies.py": MEANINGS,
        "models/rules/event_types.py": [
            *(kind.partition(".")[2] for kind in TYPES if kind.startswith(("specimen.", "result."))),
            *("subject", "actor", "released_by", "accession", "item", "routine"),
            *(field.removesuffix("_c").removesuffix("_ml").replace("_", " ") for field in fields),
        ],
        "models/rules/deadlines.py": [*AlertKind, *Step],
        "models/people/users.py": Role,
        "models/printing/states.py": JobState,
        "models/rules/events.py": Reason,
        "station/api/intake.py": intake.REASONS,
        "models/rules/stock.py": ["empty", "reorder-point", "days-of-cover"],
        "models/rules/movements.py": MovementKind,
        "models/alerts/stock_discrepancies.py": StockCode,
        "models/rules/specimen.py": Status,
        "models/recording/orders.py": ["placed", "cancelled"],
        "models/people/audit.py": ["patient", "order", "tube", "label", "lot", "manifest", "tote"],
        "station/api/events.py": ["accepted", "recorded", "duplicate", "quarantined"],
        "station/api/notifications.py": set(RECEIVERS) - {"heartbeat"},
        "station/pages": [*dispatch.TRANSPORTS, *results.FLAGS, *results.STATUSES, *board.STATUSES],
    }
    yield from ((str(text), f"{place}#table") for place, texts in tables.items() for text in texts)


@cache
def every_text() -> frozenset[tuple[str, str]]:
    """Each msgid that the catalogs must have, with the place that shows it."""
    return frozenset({*in_sources(), *in_tables()})


def extracted() -> Catalog:
    """Every msgid that the catalogs must have."""
    template = Catalog(domain=DOMAIN)
    for text, place in sorted(every_text()):
        template.add(text, locations=[(place, 1)])
    return template


def po_of(language: str) -> Path:
    return folder(language) / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    with po_of(language).open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def for_scripts(catalog: Catalog) -> bytes:
    """The file of those texts of a catalog that scripts may show."""
    shown = {
        message.id: message.string
        for message in catalog
        if message.id
        and any(place.startswith(SCRIPTS_SHOW) or place.endswith("#table") for place, _ in message.locations)
    }
    return msgspec.json.format(msgspec.json.encode(shown, order="sorted"), indent=1) + b"\n"


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def update(language: str) -> list[str]:
    """Rewrite the files of a language; returns the msgids that have no translation yet."""
    catalog = read(language)
    catalog.update(extracted(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    with po_of(language).open("wb") as file:
        write_po(file, catalog, width=118, sort_output=True, include_lineno=False)
    po_of(language).with_suffix(".mo").write_bytes(compiled(read(language)))
    (folder(language) / SCRIPTS_FILE).write_bytes(for_scripts(read(language)))
    return [message.id for message in catalog if message.id and not message.string]


if __name__ == "__main__":
    for language in LANGUAGES[1:]:
        sys.stdout.write("".join(f"{language} has no text for: {text}\n" for text in update(language)))
