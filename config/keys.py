"""The keys that a home folder holds beside its data: which settings they are, and how to read them."""

from pathlib import Path

from config.values import Secret, read_text

KEYS = ("pepper", "patient_key")
"""Settings whose value a home holds in a file of its own, such as `pepper.key`."""


def home_keys(home: Path) -> dict[str, Secret]:
    """The keys found in a home, by setting. Raises SettingsError for one that can't be read."""
    paths = {name: home / f"{name}.key" for name in KEYS}
    return {name: Secret(read_text(f"the {name}", path)) for name, path in paths.items() if path.exists()}
