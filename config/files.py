"""The one way to write a file whole: whoever reads it, and whatever happens, it is all there or as it was."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, replace: bool = True) -> None:
    """Write a file through a new one beside it, durable in its folder when this returns.

    `mode` of the file, less what the process's umask takes away. `replace` False: never over a file that is there,
    which raises FileExistsError. A link is followed; a pipe or a device is written to as it is. Raises OSError that
    names `path`; nothing is left beside it then, and `path` is as it was or whole.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
        else:
            _write(path.resolve(), content, mode, replace)
    except OSError as fault:
        raise OSError(fault.errno, fault.strerror, str(path)) from fault


def _write(path: Path, content: bytes, mode: int, replace: bool) -> None:
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            path.hardlink_to(partial)  # unlike a rename, never over what another process has just made
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
