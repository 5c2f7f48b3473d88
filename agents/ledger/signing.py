"""The ledger's Ed25519 key and the signed notes it makes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint)."""

import base64
import binascii
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from config.errors import LabtrailError
from config.files import write_whole
from models.ledger.chain import Checkpoint, parse_checkpoint

_ED25519 = b"\x01"
_DASH = "\u2014"


class CheckpointError(LabtrailError):
    """A key or checkpoint can't be used; the message names the file and what to do."""


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """The signing key in this file (PEM, or base64 of its 32 bytes); made with mode 0600 if there is none.

    Of several processes that start at once, one makes it and all use it. Raises CheckpointError.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with suppress(FileExistsError):  # another process has just made one
            write_whole(path, pem, mode=0o600, replace=False)
    try:
        return key_from_text(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError, CheckpointError) as fault:
        raise CheckpointError(
            f"{path} holds no Ed25519 key ({fault}): put it back, or remove the file to have a new one made"
        ) from None


def key_from_text(text: str) -> Ed25519PrivateKey:
    """A key as PEM (PKCS 8) or as the base64 of its 32 bytes. Raises CheckpointError."""
    try:
        if "BEGIN" in text:
            key = serialization.load_pem_private_key(text.encode(), password=None)
        else:
            key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(text.strip(), validate=True))
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise CheckpointError(f"this is no Ed25519 key: {fault}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise CheckpointError("this is a key of another kind: Ed25519 is needed")
    return key


def _public_bytes(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def origin_of(key: Ed25519PublicKey) -> str:
    """The name of the log that this key signs: the same on every worker, different for every installation."""
    return f"labtrail/{sha256(_public_bytes(key)).hexdigest()[:12]}"


def _key_id(key: Ed25519PublicKey) -> bytes:
    return sha256(origin_of(key).encode() + b"\n" + _ED25519 + _public_bytes(key)).digest()[:4]


def verifier_text(key: Ed25519PublicKey) -> str:
    """The public key as a C2SP verifier key, `name+id+key`: all that another machine needs."""
    body = base64.b64encode(_ED25519 + _public_bytes(key)).decode()
    return f"{origin_of(key)}+{_key_id(key).hex()}+{body}"


def verifier_from_text(text: str) -> Ed25519PublicKey:
    """The public key that `verifier_text` wrote. Raises CheckpointError."""
    hint = "copy the whole line of ledger.pub"
    try:
        _, _, body = text.strip().split("+", 2)
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(body, validate=True)[1:])
    except ValueError as fault:
        raise CheckpointError(f"this is no verifier key ({fault}): {hint}") from None
    if verifier_text(key) != text.strip():
        raise CheckpointError(f"the parts of this verifier key do not belong together: {hint}")
    return key


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note of a checkpoint, whose origin must be that of the key."""
    public = key.public_key()
    assert checkpoint.origin == origin_of(public)
    body = checkpoint.body()
    signature = base64.b64encode(_key_id(public) + key.sign(body.encode())).decode()
    return f"{body}\n{_DASH} {checkpoint.origin} {signature}\n"


def open_note(note: str, key: Ed25519PublicKey) -> Checkpoint:
    """The checkpoint in a signed note; other signatures (of witnesses) are ignored. Raises CheckpointError."""
    body, blank, lines = note.rpartition("\n\n")
    if not blank:
        raise CheckpointError("this is no signed checkpoint: use a file from the checkpoint folder, unchanged")
    body += "\n"
    name = origin_of(key)
    for line in lines.splitlines():
        start, _, signature = line.rpartition(" ")
        if start != f"{_DASH} {name}":
            continue
        try:
            raw = base64.b64decode(signature, validate=True)
            if raw[:4] != _key_id(key):
                continue
            key.verify(raw[4:], body.encode())
            checkpoint = parse_checkpoint(body)
        except InvalidSignature:
            raise CheckpointError("the signature does not fit: the checkpoint was altered after signing") from None
        except (binascii.Error, ValueError) as fault:
            raise CheckpointError(f"the checkpoint can't be read: {fault}") from None
        if checkpoint.origin != name:
            raise CheckpointError(f"the checkpoint is of {checkpoint.origin}, not of this installation {name}")
        return checkpoint
    raise CheckpointError(f"the checkpoint is not signed by {name}: check it with the key it was signed with")
