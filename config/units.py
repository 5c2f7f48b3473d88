"""Units: the usual spellings of one, told apart from another unit."""

import re
from functools import lru_cache

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
_MICRO = str.maketrans("µμ", "uu")
_POWER = re.compile(r"(?:[x*·×])?10(?:\*\*|[*^e])(-?[0-9]{1,2})")
_ANNOTATION = re.compile(r"\{([^{}]*)\}")
_SPELLINGS = {
    "k/ul": "10^3/ul",
    "thou/ul": "10^3/ul",
    "k/mm3": "10^3/ul",
    "10^3/mm3": "10^3/ul",
    "m/ul": "10^6/ul",
    "mil/ul": "10^6/ul",
    "10^6/mm3": "10^6/ul",
    "cells/ul": "/ul",
    "mg%": "mg/dl",
    "mg/100ml": "mg/dl",
    "g%": "g/dl",
    "gm/dl": "g/dl",
    "gm%": "g/dl",
    "g/100ml": "g/dl",
    "gm/l": "g/l",
    "mcg/dl": "ug/dl",
    "mcg/ml": "ug/ml",
    "mcg/l": "ug/l",
    "iu/l": "u/l",
    "[iu]/l": "u/l",
    "iu/ml": "u/ml",
    "[iu]/ml": "u/ml",
    "miu/ml": "mu/ml",
    "m[iu]/ml": "mu/ml",
    "miu/l": "mu/l",
    "m[iu]/l": "mu/l",
    "uiu/ml": "uu/ml",
    "u[iu]/ml": "uu/ml",
    "mmhg": "mm[hg]",
    "mm/hr": "mm/h",
    "mosmol/kg": "mosm/kg",
    "percent": "%",
    "sec": "s",
    "secs": "s",
    "seconds": "s",
    "[ph]": "ph",
}


@lru_cache(2048)
def unit_key(unit: str | None) -> str:
    """The same for the usual spellings of one unit: case, blanks, and those of UCUM; empty for none.

    Only spellings of the same quantity: nothing is converted.
    """
    text = _RAISED.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPT), (unit or "").translate(_MICRO))
    text = "".join(text.split()).casefold()
    whole = _ANNOTATION.fullmatch(text)  # {INR} is the unit itself; in ng/mL{FEU} it comments on it
    text = whole[1] if whole else _ANNOTATION.sub("", text)
    text = _POWER.sub(r"10^\1", text)
    return _SPELLINGS.get(text, text)
