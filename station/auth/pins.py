"""PINs and tokens: made, hashed, checked. Neither is ever stored or logged.

A PIN's hash is argon2id over HMAC-SHA256(pepper, PIN); the pepper is a setting outside the database, so a stolen
database alone can't be searched for PINs. Tokens are random and long enough for a plain SHA-256.
"""

import hashlib
import hmac
import re
import secrets
from itertools import pairwise

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from config.errors import LabtrailError
from config.values import Secret

PIN_CHARACTERS_MIN = 8
PIN_CHARACTERS_MAX = 64
TOKEN_BYTES = 32
# OWASP's password storage cheat sheet: argon2id with 19 MiB and two passes; small enough for a clinic's mini PC
ARGON2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)


class SecretError(LabtrailError):
    """A PIN can't be taken, or there is no pepper; the message says what to do."""


class Pins:
    """Hashes and checks PINs with one pepper. Each call takes tens of milliseconds: use it in a thread."""

    def __init__(self, pepper: Secret, hasher: PasswordHasher = ARGON2) -> None:
        self._pepper, self._hasher = pepper, hasher
        self._nobody = ""

    def hash_pin(self, pin: str) -> str:
        """The hash to store. Raises SecretError for a PIN that is too short, too long or too simple."""
        check_pin(pin)
        return self._hasher.hash(self._peppered(pin))

    def pin_is_right(self, pin: str, stored: str | None) -> bool:
        """Whether this is the PIN of the stored hash. `stored` None (nobody has the badge): takes as long."""
        if not self._nobody:
            self._nobody = self._hasher.hash(self._peppered(secrets.token_hex(8)))
        try:
            self._hasher.verify(stored or self._nobody, self._peppered(pin[: PIN_CHARACTERS_MAX + 1]))
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def _peppered(self, pin: str) -> bytes:
        if not self._pepper:
            raise SecretError(
                "nobody can sign in without a pepper: set LABTRAIL_PEPPER (or LABTRAIL_PEPPER_FILE) to a long "
                "random text, the same for every station, and keep it outside the database"
            )
        return hmac.digest(self._pepper.reveal().encode(), pin.encode("utf-8", "surrogatepass"), "sha256")


def check_pin(pin: str) -> None:
    """Raises SecretError for a PIN that must not be used."""
    if not PIN_CHARACTERS_MIN <= len(pin) <= PIN_CHARACTERS_MAX:
        raise SecretError(f"a PIN has {PIN_CHARACTERS_MIN} to {PIN_CHARACTERS_MAX} characters: choose another")
    steps = {ord(b) - ord(a) for a, b in pairwise(pin)}
    if len(set(pin)) < 4 or steps in ({1}, {-1}):
        raise SecretError("that PIN is guessed at once: choose one with four different characters, not in a row")
    if re.search(r"[\x00-\x1f\x7f]", pin):
        raise SecretError("a PIN has no control characters: choose another")


def new_token() -> str:
    """A token for a device or a session, 43 characters of URL-safe Base64."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """What the database knows a token by."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
