"""docker-compose.yml as plain values, with its variables filled in: what the tests compare and run natively."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE_ENV = ROOT / "config" / "compose" / "example.env"
MAKE_SECRETS = ROOT / "config" / "compose" / "make-secrets.sh"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def variables() -> dict[str, str]:
    """{name: default} of every variable in the file."""
    return dict(_VARIABLE.findall(COMPOSE.read_text()))


def load(**given: str) -> dict[str, Any]:
    """The file with these variables, the defaults for the others."""
    loaded: dict[str, Any] = _filled(yaml.safe_load(COMPOSE.read_text()), given)
    return loaded


def _filled(value: Any, given: dict[str, str]) -> Any:
    """As docker compose does it: in the values that have been read, so that an empty one stays a string."""
    if isinstance(value, dict):
        return {key: _filled(each, given) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, given) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: given.get(found[1], found[2] or ""), value)
    return value


def services(**given: str) -> dict[str, Any]:
    found: dict[str, Any] = load(**given)["services"]
    return found
