"""Checkpoints of the ledger's tree as files, which are to be copied off the machine.

Beside the signed checkpoints the folder holds the leaf hashes, 65,536 a file: with them a forged ledger
is compared leaf by leaf. Both are of use only once they are on another machine.
"""

import os
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct
from sqlalchemy import Engine

from agents.ledger.signing import (
    CheckpointError,
    load_or_make_key,
    open_note,
    origin_of,
    sign,
    verifier_from_text,
    verifier_text,
)
from config.files import write_whole
from models.database.engine import reading
from models.ledger import tree
from models.ledger.chain import Checkpoint
from models.ledger.merkle import HASH_BYTES, Frontier
from models.rules.times import moment_of

if TYPE_CHECKING:
    from config.settings import Settings

LEAVES_A_FILE = 65_536
PUBLIC_KEY_FILE = "ledger.pub"
"""Beside the checkpoints, to check them with."""
NEWEST_KEPT = 1000
"""This many checkpoints are all kept; of older ones the last of each day, which covers those before it."""
_NOTE_BYTES_MAX = 64 * 1024


class Evidence(Struct, frozen=True):
    """What was copied off the machine: checkpoints with valid signatures, and the leaves that give their roots."""

    checkpoints: tuple[Checkpoint, ...]
    witness: Callable[[], Iterator[bytes]] | None


def take_checkpoint(engine: Engine, folder: Path, key: Ed25519PrivateKey, now_us: int) -> Path | None:
    """Sign the current tree and write it into the folder; None when nothing is new since the last one.

    Durable when it returns. Called by the one leader; a second caller does no harm.
    """
    origin = origin_of(key.public_key())
    with reading(engine) as connection:
        head = tree.head(connection)
        newest = max(checkpoint_files(folder), default=None)
        if head.size == 0 or (newest is not None and _size_in(newest) >= head.size):
            return None
        folder.mkdir(parents=True, exist_ok=True)
        start = _leaves_held(folder)
        _write_leaves(folder, start, tree.leaf_hashes(connection, start, head.size))
    checkpoint = Checkpoint(origin=origin, size=head.size, root=head.root(), time_us=now_us)
    moment = f"{moment_of(now_us):%Y%m%dT%H%M%SZ}"
    path = folder / f"checkpoint-{head.size:016d}-{moment}.txt"
    write_whole(folder / PUBLIC_KEY_FILE, f"{verifier_text(key.public_key())}\n".encode())
    write_whole(path, sign(checkpoint, key).encode())
    _thin(folder)
    return path


def checkpoint_files(folder: Path) -> list[Path]:
    """The checkpoints of a folder, the smallest tree first."""
    return sorted(folder.glob("checkpoint-" + "[0-9]" * 16 + "-*.txt"))


def read_checkpoint(path: Path, key: Ed25519PublicKey) -> Checkpoint:
    """One checkpoint from its file, its signature checked. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            note = file.read(_NOTE_BYTES_MAX).decode()
        return open_note(note, key)
    except (OSError, UnicodeDecodeError) as fault:
        raise CheckpointError(f"{path} can't be read ({fault}): give the path of a checkpoint file") from None
    except CheckpointError as fault:
        raise CheckpointError(f"{path}: {fault}") from None


def newest_checkpoint(settings: "Settings") -> Checkpoint | None:
    """The newest checkpoint of the home, its signature checked. Raises CheckpointError.

    None when there is none yet, or no key to check it with: a station on another machine may lack it.
    """
    files = checkpoint_files(settings.checkpoint_folder)
    key = public_key(settings, settings.checkpoint_folder) if files else None
    return read_checkpoint(files[-1], key) if key is not None else None


def public_key(settings: "Settings", beside: Path, named: Path | None = None) -> Ed25519PublicKey | None:
    """The key that signed: the named one, the one copied with the checkpoints, or this home's own."""
    carried = named or beside / PUBLIC_KEY_FILE
    if carried.exists() or named is not None:
        return verifier_from_text(carried.read_text())
    if settings.signing_key_file.exists():
        return load_or_make_key(settings.signing_key_file).public_key()
    return None


def load_evidence(path: Path, key: Ed25519PublicKey) -> Evidence:
    """What a checkpoint file, or a folder of them, proves; with the leaves beside it if they give its root.

    Raises CheckpointError for a checkpoint that can't be read or whose signature is invalid.
    """
    files = checkpoint_files(path) if path.is_dir() else [path]
    checkpoints = tuple(read_checkpoint(file, key) for file in files)
    folder = path if path.is_dir() else path.parent
    if not checkpoints:
        return Evidence((), None)
    last = max(checkpoints, key=lambda checkpoint: checkpoint.size)
    root = Frontier().extended(_carried_leaves(folder, last.size))
    if root.size != last.size or root.root() != last.root:
        return Evidence(checkpoints, None)
    return Evidence(checkpoints, lambda: _carried_leaves(folder, last.size))


def _size_in(path: Path) -> int:
    return int(path.name.split("-")[1])


def _leaf_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("leaves-" + "[0-9]" * 10 + ".bin"))


def _leaves_held(folder: Path) -> int:
    """Up to which leaf the folder has complete hashes; a torn last one is written again."""
    held = 0
    for number, path in enumerate(_leaf_files(folder)):
        count = path.stat().st_size // HASH_BYTES
        if int(path.stem.split("-")[1]) != number:
            break
        held = number * LEAVES_A_FILE + count
        if count < LEAVES_A_FILE:
            break
    return held


def _write_leaves(folder: Path, start: int, hashes: Iterator[bytes]) -> None:
    place, waiting = start, b""
    for digest in hashes:
        waiting += digest
        if (place + len(waiting) // HASH_BYTES) % LEAVES_A_FILE == 0 or len(waiting) >= 1000 * HASH_BYTES:
            _put_leaves(folder, place, waiting)
            place, waiting = place + len(waiting) // HASH_BYTES, b""
    if waiting:
        _put_leaves(folder, place, waiting)


def _put_leaves(folder: Path, place: int, hashes: bytes) -> None:
    number, within = divmod(place, LEAVES_A_FILE)
    path = folder / f"leaves-{number:010d}.bin"
    path.touch()
    with path.open("r+b") as file:
        file.seek(within * HASH_BYTES)
        file.write(hashes)
        file.flush()
        os.fsync(file.fileno())


def _carried_leaves(folder: Path, size: int) -> Iterator[bytes]:
    left = size
    for path in _leaf_files(folder):
        with path.open("rb") as file:
            while left and len(digest := file.read(HASH_BYTES)) == HASH_BYTES:
                left -= 1
                yield digest


def _thin(folder: Path) -> None:
    older = checkpoint_files(folder)[:-NEWEST_KEPT]
    day = {path: path.stem.rsplit("-", 1)[1][:8] for path in older}
    for path, after in pairwise(older):
        if day[path] == day[after]:
            path.unlink(missing_ok=True)
