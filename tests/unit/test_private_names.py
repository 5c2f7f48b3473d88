"""Private names of libraries are used in one module per library, and exist in the installed versions.

A new version of such a library may change them without notice. So its version has an upper bound in pyproject.toml,
and before the bound is raised these names are checked in the library's source.
"""

import ast
import importlib
import inspect
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import faust
import faust.types.tuples
import kafka.net.compat
import kafka.net.selector
import kafka.producer.sender
import psycopg
import psycopg.generators
import pytest
import reportlab.pdfgen.canvas
import uvicorn
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import subscription_state
from barcode.charsets import code128
from faust.app.base import App
from faust.channels import Channel
from faust.sensors.monitor import Monitor
from faust.streams import Stream
from faust.transport import base
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
Names = Mapping[Any, Mapping[str, tuple[str, ...] | None]]
"""{class or module of the library: {name: its parameters; None: no function}}"""

PRIVATE: Mapping[str, tuple[str, Names]] = {
    "models.database.postgres.psycopg_internals": (
        "psycopg",
        {
            psycopg.Connection: {"_pipeline": None},
            psycopg.Pipeline: {
                "_communicate_gen": ("self",),
                "_exit_gen": ("self",),
                "_enqueue_sync": ("self",),
                "_fetch_gen": ("self", "flush"),
                "_conn": None,
            },
        },
    ),
    "agents.log.kafka_python_internals": (
        "kafka-python",
        {
            kafka.net.compat.KafkaNetClient: {"_net": None},
            kafka.KafkaProducer: {"_sender": None},
        },
    ),
    "embedded.aiokafka_internals": (
        "aiokafka",
        {
            AIOKafkaConsumer: {"_fetch_max_wait_ms": None, "_subscription": None},
        },
    ),
    "embedded.strict": (
        "faust-streaming",
        {
            base.Consumer: {
                "_drain_messages": ("self", "fetcher"),
                "_new_offset": ("self", "tp"),
                "_filter_committable_offsets": ("self", "tps"),
                "_get_active_partitions": ("self",),
                "_wait_for_ack": ("self", "timeout"),
                "_clean_unacked_messages": ("self",),
                "_acked": None,
                "_acked_index": None,
                "_unacked_messages": None,
                "_read_offset": None,
                "_buffered_partitions": None,
            },
            driver.AIOKafkaConsumerThread: {
                "_create_worker_consumer": ("self", "transport"),
                "_ensure_consumer": ("self",),
            },
        },
    ),
    "station.custody_report.reportlab_internals": (
        "reportlab",
        {
            reportlab.pdfgen.canvas.Canvas: {"_startPage": ("self",)},
        },
    ),
}
"""{our module: the library, its private names}"""

ABSTRACT: Names = {
    base.Consumer: {
        "_commit": ("self", "offsets"),
        "_getmany": ("self", "active_partitions", "timeout"),
        "_new_topicpartition": ("self", "topic", "partition"),
        "_seek": ("self", "partition", "offset"),
        "_to_message": ("self", "tp", "record"),
    },
    ThreadDelegateConsumer: {"_new_consumer_thread": ("self",)},
}
"""What Faust asks of every transport: meant to be implemented, the underscore notwithstanding."""

UNDOCUMENTED: Mapping[str, Names] = {
    "psycopg": {
        psycopg.Pipeline: {"command_queue": None, "pgconn": None},
        psycopg.generators: {"send": ("pgconn",)},
    },
    "kafka-python": {
        kafka.net.compat.KafkaNetClient: {"close": ("self", "node_id")},
        kafka.net.selector.NetworkSelector: {"stop": ("self", "timeout_ms")},
        kafka.producer.sender.Sender: {"force_close": ("self",)},
    },
    "aiokafka": {
        subscription_state.SubscriptionState: {"subscription": None},
        subscription_state.Subscription: {"assignment": None},
        subscription_state.Assignment: {"state_value": ("self", "tp")},
        subscription_state.TopicPartitionState: {"has_valid_position": None, "position": None, "highwater": None},
    },
    "faust-streaming": {
        base.Consumer: {
            "flow_active": None,
            "can_resume_flow": None,
            "suspend_flow": None,
            "callback": None,
            "scheduler": None,
            "unacked": None,
            "perform_seek": ("self",),
            "on_buffer_drop": ("self", "tp"),
            "stop_flow": ("self",),
            "resume_partitions": ("self", "tps"),
            "wait_empty": ("self",),
            "commit_and_end_transactions": ("self",),
        },
        driver.AIOKafkaConsumerThread: {"verify_event_path": ("self", "now", "tp")},
        driver: {"ensure_aiokafka_TP": ("tp",)},
        App: {
            "consumer_generation_id": None,
            "flow_control": None,
            "on_rebalance_start": ("self",),
            "crashed": None,
        },
        Channel: {"queue": None},
        Stream: {"maybe_start": ("self",), "should_stop": None},
        Monitor: {"stream_inbound_time": None},
        faust.types.tuples.Message: {"tracked": None, "generation_id": None},
        faust.types.tuples: {"ack_lock": None},
    },
    "uvicorn": {uvicorn.Server: {"capture_signals": ("self",)}},
    "python-barcode": {code128: dict.fromkeys(("A", "B", "C", "CODES", "START_CODES", "STOP"))},
}
"""{library: names without an underscore that its documentation does not promise}"""

UNBOUND = {
    "argon2-cffi": "its versions are dates",
    "cryptography": "security fixes come as new major versions",
    "tzdata": "data: the newest is the right one",
}
"""Dependencies that have no upper bound, and why."""
DOCUMENTED = {"_make", "_replace", "_asdict", "_fields", "_mapping"}
"""Names of named tuples and of SQLAlchemy's rows, whose columns may have any other name."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def module_files() -> list[tuple[str, Path]]:
    """Every module of ours, except the migrations, which run as scripts."""
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    named = [(".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in files]
    return [(name, path) for name, path in named if not name.startswith("models.database.migrations")]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def attributes(node: ast.AST) -> Iterator[ast.Attribute]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Attribute))


def is_stored(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store)


def is_own(receiver: ast.expr) -> bool:
    """`self`, `cls`, `super()`: the class says whose names these are."""
    if isinstance(receiver, ast.Call):
        receiver = receiver.func
    return isinstance(receiver, ast.Name) and receiver.id in ("self", "cls", "super")


def defined(node: ast.AST) -> set[str]:
    """The names that a module or class gives to something of its own."""
    found = {each.attr for each in attributes(node) if is_stored(each) and is_own(each.value)}
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(each.name)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            found.add(each.id)
    return found


def foreign(module: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of each private name that a module uses on something that is not its own."""
    own = defined(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node.value):
            if node.attr not in own | DOCUMENTED:
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom | ast.Import):
            origin = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            for name in (".".join(filter(None, (origin, alias.name))) for alias in node.names):
                if name.split(".")[0] not in PACKAGES and any(map(is_private, name.split("."))):
                    yield node.lineno, name
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            for each in node.args[1:2]:
                if isinstance(each, ast.Constant) and is_private(str(each.value)):
                    yield node.lineno, str(each.value)


@cache
def names_of(thing: Any) -> frozenset[str]:
    """What a class or module defines itself: in its body, by an annotation, or by `self.name = …` in a method."""
    found = {*vars(thing), *inspect.get_annotations(thing), *getattr(thing, "__slots__", ())}
    if inspect.isclass(thing):
        # not inspect.getsource: psycopg's classes name another module than the one that defines them
        codes = [each.__code__ for each in vars(thing).values() if inspect.isfunction(each)]
        for path in {Path(code.co_filename) for code in codes if code.co_qualname.startswith(f"{thing.__name__}.")}:
            for node in tree(path).body:
                if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                    found |= {each.attr for each in attributes(node) if is_own(each.value) and is_stored(each)}
    return frozenset(found)


def of_library(kind: type) -> bool:
    root = kind.__module__.split(".")[0]
    return root not in PACKAGES and root not in sys.stdlib_module_names


def has(thing: Any, name: str) -> bool:
    lines = [each for each in thing.__mro__ if of_library(each)] if inspect.isclass(thing) else [thing]
    return any(name in names_of(each) for each in lines)


def inherited(path: Path, module: ModuleType) -> Iterator[tuple[str, str]]:
    """(class of ours, name) of each private name of a library that a class overrides or uses as its own."""
    for node in tree(path).body:
        if not isinstance(node, ast.ClassDef):
            continue
        kind = getattr(module, node.name)
        used = {each.attr for each in attributes(node) if is_own(each.value)} | defined(node)
        for name in sorted(filter(is_private, used)):
            if has(kind, name):
                yield kind.__name__, name


def listed(names: Names) -> set[str]:
    return {name for each in names.values() for name in each}


def cases() -> Iterator[Any]:
    tables = [*PRIVATE.values(), ("faust-streaming", ABSTRACT), *UNDOCUMENTED.items()]
    for library, names in tables:
        for thing, those in names.items():
            for name, parameters in those.items():
                yield pytest.param(thing, name, parameters, id=f"{library}: {thing.__name__}.{name}")


@pytest.mark.parametrize(("thing", "name", "parameters"), [*cases()])
def test_the_installed_version_has_the_name(thing: Any, name: str, parameters: tuple[str, ...] | None) -> None:
    assert has(thing, name)
    if parameters is not None:
        assert tuple(inspect.signature(getattr(thing, name)).parameters) == parameters


def test_faust_asks_nothing_else_of_a_transport() -> None:
    for kind, names in ABSTRACT.items():
        mine = {name for name in vars(kind) if getattr(vars(kind)[name], "__isabstractmethod__", False)}
        assert set(filter(is_private, mine)) == set(names)


def test_only_the_module_of_a_library_uses_its_private_names() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} uses {name}"
        for module, path in module_files()
        if module not in PRIVATE
        for line, name in foreign(tree(path))
    ]
    assert not found, "move it into the module of its library (PRIVATE)"


def test_only_the_module_of_a_library_overrides_its_private_names() -> None:
    """A private name of ours that a library has as well is found too: it would replace the library's."""
    found = [
        f"{path.relative_to(ROOT)}: {kind}.{name}"
        for module, path in module_files()
        if module not in PRIVATE and any(isinstance(node, ast.ClassDef) for node in tree(path).body)
        for kind, name in inherited(path, importlib.import_module(module))
        if name not in listed(ABSTRACT)
    ]
    assert not found, "move it into the module of its library (PRIVATE), or give yours another name"


@pytest.mark.parametrize("module", [*PRIVATE])
def test_the_list_and_the_docstring_name_what_the_module_uses(module: str) -> None:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    library, names = PRIVATE[module]
    used = {name for _, name in foreign(tree(path))}
    used |= {name for _, name in inherited(path, importlib.import_module(module))} - listed(ABSTRACT)
    assert used == listed(names)
    said = importlib.import_module(module).__doc__ or ""
    assert f"{library} " in said
    assert [name for name in sorted(used) if name not in said] == []


def requirements() -> dict[str, Requirement]:
    return {each.name: each for each in map(Requirement, PYPROJECT["project"]["dependencies"])}


@pytest.mark.parametrize("library", sorted({*UNDOCUMENTED, *(library for library, _ in PRIVATE.values())}))
def test_the_next_minor_version_is_not_taken_unread(library: str) -> None:
    specifier, installed = requirements()[library].specifier, Version(version(library))
    assert installed in specifier
    assert Version(f"{installed.major}.{installed.minor + 1}") not in specifier


def test_every_dependency_has_an_upper_bound_or_a_reason() -> None:
    unbound = [name for name, each in requirements().items() if Version("9999") in each.specifier]
    assert sorted(unbound) == sorted(UNBOUND)


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg\nfrom psycopg import _queries",
        "from psycopg._queries import PostgresQuery",
        "import faust._cython.streams",
        "def f(connection): return connection._pipeline",
        "def f(connection): setattr(connection, '_pipeline', None)",
    ],
)
def test_a_private_name_is_seen(source: str) -> None:
    assert [*foreign(ast.parse(source))]
