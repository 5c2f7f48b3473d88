"""The one way to write a file atomically: a reader, even after a crash, sees all of it or the old one."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, replace: bool = True) -> None:
    """Write a file by way of a temporary one beside it; durable in its folder when this returns.

    `mode` of the file, before the process's umask. `replace` False: an existing file is not overwritten but raises
    FileExistsError. A link is followed; a pipe or a device is written to directly. Raises OSError that names `path`;
    no temporary file is then left, and `path` is unchanged or complete.
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
            path.hardlink_to(partial)  # unlike a rename, this never overwrites what another process has just made
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
