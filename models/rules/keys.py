"""Keys: by what references, lots and read-backs are compared. Recorded bytes stay as they are."""

import unicodedata
from functools import lru_cache

_ALIKE = str.maketrans("OI", "01")


@lru_cache(8192)
def key(text: str) -> str:
    """The same for two spellings of one reference: compatibility forms, outer blanks and case don't count.

    Upper case may change what the compatibility form is (ß, ﬁ), so both are applied until nothing changes.
    """
    while (folded := unicodedata.normalize("NFKC", text).strip().upper()) != text:
        text = folded
    return text


def same(one: str | None, other: str | None) -> bool:
    """Whether two references are spellings of one; None is no reference at all."""
    return one is not None and other is not None and (one == other or key(one) == key(other))


def skeleton(lot_key: str) -> str:
    """The same for two lot keys that a reader may take for one another: blanks, punctuation, O/0 and I/1."""
    return "".join(c for c in lot_key if c.isalnum()).translate(_ALIKE)
