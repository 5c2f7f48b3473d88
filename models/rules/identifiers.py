"""Identifiers with check digits: `S2600012334` is a letter, a two-digit year, a serial and two check digits.

The check digits are ISO 7064 MOD 97-10 over the whole value with letters as A=10 … Z=35, as in an IBAN: the
resulting number modulo 97 is 1. Every single-character change and every swap of neighbours is caught.
"""

import re
from functools import lru_cache
from typing import Literal

Kind = Literal["S", "M", "T", "B"]
SPECIMEN: Kind = "S"
MANIFEST: Kind = "M"
TOTE: Kind = "T"
BADGE: Kind = "B"

KEPT_MAX = 8192
"""Cached answers: a badge or a manifest occurs in many scans."""
SERIAL_DIGITS_MIN = 6
SERIAL_DIGITS_MAX = 10
_FORM = re.compile(r"([SMTB])([0-9]{2}[0-9]{6,10}[0-9]{2})", re.ASCII)
_LETTER = {"S": "28", "M": "22", "T": "29", "B": "11"}


def make_identifier(kind: Kind, year: int, serial: int, digits: int = SERIAL_DIGITS_MIN) -> str:
    """The identifier with this serial, e.g. ("S", 2026, 123) gives an `S26000123` and its two check digits.

    Raises ValueError when the serial has more than `digits` digits or `digits` is not within 6 to 10.
    """
    if not SERIAL_DIGITS_MIN <= digits <= SERIAL_DIGITS_MAX:
        raise ValueError(f"serials have {SERIAL_DIGITS_MIN} to {SERIAL_DIGITS_MAX} digits, not {digits}")
    if not 0 <= serial < 10**digits:
        raise ValueError(f"serial {serial} does not fit in {digits} digits: raise LABTRAIL_SERIAL_DIGITS")
    body = f"{year % 100:02d}{serial:0{digits}d}"
    check = 98 - int(f"{_LETTER[kind]}{body}00") % 97
    return f"{kind}{body}{check:02d}"


@lru_cache(KEPT_MAX)
def is_identifier(value: str, kind: Kind, outside: re.Pattern[str] | None = None) -> bool:
    """Whether a scanned value is one of ours, of this kind, with the right check digits.

    `outside`: the configured pattern of identifiers from other systems (a reference lab's accession numbers);
    a value that it fully matches is accepted as it is.
    """
    form = _FORM.fullmatch(value)
    if (
        form is not None
        and form[1] == kind
        and int(_LETTER[kind] + form[2]) % 97 == 1
        and 2 <= int(form[2][-2:]) <= 98
    ):
        return True
    return outside is not None and outside.fullmatch(value) is not None


def looks_like(value: str, kind: Kind) -> bool:
    """Whether a value has the form of this kind of identifier, whether or not its check digits are right."""
    return re.fullmatch(kind + r"[0-9]{10,14}", value, re.ASCII) is not None
