"""The home folder of an installation."""

import secrets
from contextlib import suppress
from pathlib import Path

import msgspec

from config.files import write_whole
from config.keys import KEYS
from config.settings import Settings
from config.values import Secret, SettingsError


def make_home(settings: Settings) -> Settings:
    """Make the home folder, readable by its owner only, and its two keys if none are set.

    Returns the settings with these keys. They must not change later: without them nobody can sign in, and the
    patients' names can't be read. Raises SettingsError when the folder can't be made.
    """
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = {name: _key_file(settings.data, name) for name in KEYS if not getattr(settings, name)}
    except OSError as fault:
        raise SettingsError(
            f"{settings.data} can't be written ({fault.strerror}): give another folder by --data or LABTRAIL_DATA"
        ) from fault
    return msgspec.structs.replace(settings, **made) if made else settings


def _key_file(home: Path, name: str) -> Secret:
    """The key in this home; created if there is none, safely when two processes start at once."""
    path = home / f"{name}.key"
    if not path.exists():
        with suppress(FileExistsError):  # the other process was first: use its key
            write_whole(path, f"{secrets.token_hex(32)}\n".encode(), mode=0o600, replace=False)
    return Secret(path.read_text().strip())
