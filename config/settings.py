"""Settings: environment `LABTRAIL_*` over a TOML file over defaults, as one frozen struct.

The struct is the one table: name, type, limits, default and description of every setting. `docs/settings.md`
is tested against it. `load_settings` takes the environment as an argument and otherwise reads only files.
"""

import re
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from config.catalog import DEFAULT_CATALOG
from config.keys import home_keys
from config.policy import Policy
from config.values import HIDDEN, Field, Secret, SettingsError, from_environment, from_toml

PREFIX = "LABTRAIL_"
CONFIG_VARIABLE = "LABTRAIL_CONFIG"
DEBUG_VARIABLE = "LABTRAIL_DEBUG"
DEFAULT_DATA = Path("var/labtrail")


class Settings(Policy, frozen=True, kw_only=True, repr_omit_defaults=False):
    """Everything that differs from one installation to the next and is not in the catalog.

    `{data}` inside a value means the home folder.
    """

    data: Annotated[Path, Meta(description="The home folder: embedded log, database, keys, checkpoints, labels.")] = (
        DEFAULT_DATA
    )
    broker: Annotated[
        str,
        Meta(
            min_length=1,
            description="Where events are appended: `sqlite:///PATH` (embedded) or `kafka://host:9092`, "
            "several hosts with commas between.",
        ),
    ] = "sqlite:///{data}/log.db"
    database: Annotated[
        str,
        Meta(
            min_length=1,
            description="Where the tables are: `sqlite:///PATH` or `postgresql+psycopg://user:password@host/name`.",
        ),
    ] = "sqlite:///{data}/labtrail.db"
    catalog: Annotated[
        Path,
        Meta(description="The folder of the catalog's CSV files; the packaged example network by default."),
    ] = DEFAULT_CATALOG

    serial_digits: Annotated[
        int,
        Meta(ge=6, le=10, description="Digits of the serial in new identifiers; 6 give a million a year."),
    ] = 6
    outside_identifiers: Annotated[
        str,
        Meta(
            description="Regular expression of identifiers from outside (a reference lab's accession "
            "numbers) that are taken without our check digits; empty: none."
        ),
    ] = ""

    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Partitions of each topic, set when the topic is made; the most workers.",
        ),
    ] = 8
    retention_days: Annotated[
        float,
        Meta(gt=0, description="The embedded log keeps records that were committed for this many days."),
    ] = 14.0
    kafka_security: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="How to talk to Kafka: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."),
    ] = "PLAINTEXT"
    kafka_ca_file: Annotated[
        Path | None,
        Meta(description="PEM file of the authority that signed the Kafka brokers' certificates."),
    ] = None
    kafka_sasl: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="SASL mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`."),
    ] = "SCRAM-SHA-512"
    kafka_username: Annotated[str, Meta(description="User name at the Kafka brokers, for SASL.")] = ""
    kafka_password: Annotated[Secret, Meta(description="Password at the Kafka brokers, for SASL.")] = Secret()

    sweep_seconds: Annotated[
        float, Meta(ge=0.1, le=3600, description="How often the leader looks for what has become late.")
    ] = 2.0
    store_retry_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="A database that refuses is tried again for so long; then the worker stops, losing nothing.",
        ),
    ] = 120.0
    outbox_batch: Annotated[
        int, Meta(ge=1, le=10_000, description="Most alerts and print jobs that are sent in one go.")
    ] = 200
    signing_key_file: Annotated[
        Path, Meta(description="The Ed25519 key that signs ledger checkpoints; made at the first start.")
    ] = Path("{data}/ledger.key")
    checkpoint_folder: Annotated[
        Path, Meta(description="Where signed checkpoints are written; carry them off the machine.")
    ] = Path("{data}/checkpoints")
    checkpoint_seconds: Annotated[
        float,
        Meta(ge=1, le=86_400, description="How often a checkpoint is signed, when there are new events."),
    ] = 60.0

    host: Annotated[str, Meta(min_length=1, description="Address on which the station and metrics are served.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65_535, description="Port of the station and metrics; 0: any free one.")] = (
        8080
    )
    public_url: Annotated[
        str,
        Meta(
            description="Address by which browsers reach the station, like `https://labtrail.example.org`; "
            "empty: http at host and port, which is for one machine only.",
        ),
    ] = ""
    api_open: Annotated[
        Literal["auto", "true", "false"],
        Meta(
            description="Whether `/api/v1` answers programs without a token: `auto` (an embedded home served on "
            "loopback only), `true` or `false`.",
        ),
    ] = "auto"
    session_idle_minutes: Annotated[
        float,
        Meta(gt=0, le=1440, description="A station session ends after this many minutes without a touch."),
    ] = 5.0
    session_hours_max: Annotated[
        float, Meta(gt=0, le=168, description="A station session ends after this many hours in any case.")
    ] = 12.0
    pepper: Annotated[
        Secret,
        Meta(description="Mixed into the hashes of PINs, kept outside the database; made for an embedded home."),
    ] = Secret()

    print_on_collection: Annotated[
        str,
        Meta(description="Printer of the catalog that prints a label for every collected tube; empty: none."),
    ] = "files"
    label_stock_item: Annotated[
        str,
        Meta(
            description="Item of the catalog whose stock labels draw down, like SUP-LBL (`roll 1000`: a "
            "thousandth each); empty: none. Files use no label."
        ),
    ] = ""
    patient_key: Annotated[
        Secret,
        Meta(
            description="Encrypts names, birth dates and MRNs in the database: 64 hex digits, after a change the "
            "older keys behind commas; made for an embedded home."
        ),
    ] = Secret()
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"],
        Meta(description="How much is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`."),
    ] = "INFO"

    @property
    def policy(self) -> Policy:
        """Only the medical director's limits."""
        return Policy(**{name: getattr(self, name) for name in Policy.__struct_fields__})

    @property
    def outside(self) -> re.Pattern[str] | None:
        """The pattern of identifiers from outside; None when there is none. It is compiled here only.

        Digits and letters are ASCII, as in the browsers' JavaScript, which gets the same pattern from the pages.
        """
        return re.compile(self.outside_identifiers, re.ASCII) if self.outside_identifiers else None

    @property
    def embedded(self) -> bool:
        """Whether the log is the single-machine one."""
        return self.broker.startswith("sqlite:")

    @property
    def api_is_open(self) -> bool:
        """Whether programs need no token: an embedded home on loopback can be called from this machine only."""
        if self.api_open == "auto":
            return self.embedded and not self.public_url and self.on_loopback
        return self.api_open == "true"

    @property
    def on_loopback(self) -> bool:
        """Whether the station is served to this machine only."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def shown(self) -> dict[str, str]:
        """Every setting as text fit for a screen: secrets and passwords hidden."""
        return {name: _shown(getattr(self, name)) for name in self.__struct_fields__}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.shown().items())})"


def fields() -> list[Field]:
    """Every setting with its variable, type, limits, default and description."""
    hints = typing.get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        hint = hints[field.name]
        assert get_origin(hint) is Annotated, f"{field.name}: write Annotated[…, Meta(description=…)]"
        kind, meta = get_args(hint)
        rows.append(Field(field.name, PREFIX + field.name.upper(), kind, meta, field.default))
    return rows


def load_settings(environ: Mapping[str, str], *, data: Path | None = None) -> Settings:
    """The settings of this environment.

    `data`: the home folder given on the command line; it takes precedence over LABTRAIL_DATA. The TOML file is
    the one that LABTRAIL_CONFIG names, else `labtrail.toml` in the home folder, if present. Raises SettingsError,
    whose message names the variable and what to write.
    """
    rows = fields()
    given = from_environment(rows, environ)
    if data is not None:
        given["data"] = data
    config = environ.get(CONFIG_VARIABLE)
    beside = given.get("data", DEFAULT_DATA) / "labtrail.toml"
    if config or beside.exists():
        given = from_toml(rows, Path(config) if config else beside) | given
    home = given.get("data", DEFAULT_DATA).absolute()
    given = {row.name: row.default for row in rows} | home_keys(home) | given | {"data": home}
    settings = Settings(**{name: _with_data(value, home) for name, value in given.items()})
    _check(settings)
    return settings


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours but are not: most often a misspelling."""
    known = {row.variable for row in fields()} | {CONFIG_VARIABLE, DEBUG_VARIABLE}
    return sorted(
        n for n in environ if n.startswith(PREFIX) and n not in known and n.removesuffix("_FILE") not in known
    )


def _with_data(value: object, home: Path) -> Any:
    if isinstance(value, Path):
        return Path(str(value).replace("{data}", str(home)))
    return value.replace("{data}", str(home)) if isinstance(value, str) else value


def _check(settings: Settings) -> None:
    """Checks beyond the type of a single field."""
    if not re.match(r"sqlite:///.|kafka://[^/]", settings.broker):
        raise SettingsError("LABTRAIL_BROKER is of no known kind: write sqlite:///PATH or kafka://host:9092")
    if not re.match(r"sqlite:///.|postgresql\+psycopg://", settings.database):
        raise SettingsError(
            "LABTRAIL_DATABASE is of no known kind: write sqlite:///PATH or postgresql+psycopg://user:password@host/name"
        )
    if settings.public_url and not re.fullmatch(r"https?://[^/?#@\s]+", settings.public_url):
        raise SettingsError("LABTRAIL_PUBLIC_URL is no address: write it like https://labtrail.example.org")
    try:
        _ = settings.outside
    except (re.error, ValueError) as fault:  # ValueError: flags in the pattern that contradict re.ASCII
        raise SettingsError(f"LABTRAIL_OUTSIDE_IDENTIFIERS is no regular expression ({fault}): mend it") from None
    if settings.refrigerated_min_c > settings.refrigerated_max_c:
        raise SettingsError("LABTRAIL_REFRIGERATED_MIN_C is above LABTRAIL_REFRIGERATED_MAX_C: swap them")
    if settings.kafka_security.startswith("SASL") and not (settings.kafka_username and settings.kafka_password):
        raise SettingsError(
            f"LABTRAIL_KAFKA_SECURITY is {settings.kafka_security}: "
            "set LABTRAIL_KAFKA_USERNAME and LABTRAIL_KAFKA_PASSWORD too"
        )
    if settings.patient_key and not re.fullmatch(
        r"[0-9a-fA-F]{64}(\s*,\s*[0-9a-fA-F]{64}){0,4}", settings.patient_key.reveal()
    ):
        raise SettingsError(
            "LABTRAIL_PATIENT_KEY is not usable: write 64 hex digits, as `openssl rand -hex 32` gives, "
            "older keys behind commas"
        )


def _shown(value: object) -> str:
    """A value as text, without the password that a URL may hold."""
    if not isinstance(value, str):
        return str(value)
    value = re.sub(r"(://[^:/@]*):.*@", rf"\1:{HIDDEN}@", value)
    return re.sub(r"(password=)[^&]*", rf"\1{HIDDEN}", value)
