"""The keys that a home folder holds beside its data: which settings they are, and reading them."""

from pathlib import Path

from config.values import Secret, read_text

KEYS = ("pepper", "patient_key")
"""Settings of which a home holds the value in a file of its own, `pepper.key`."""


def home_keys(home: Path) -> dict[str, Secret]:
    """The keys that are in a home, by setting. Raises SettingsError for one that can't be read."""
    paths = {name: home / f"{name}.key" for name in KEYS}
    return {name: Secret(read_text(f"the {name}", path)) for name, path in paths.items() if path.exists()}
