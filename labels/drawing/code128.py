"""Code 128 (ISO/IEC 15417) in the shortest encoding, on python-barcode's tables.

python-barcode 0.16.1 gives the tables only: its own encoder loses the first two digits of a value that begins
with 99, and uses one symbol too many for about half of our identifiers. The path through the code sets A, B
and C is found here by dynamic programming, so it is the shortest there is.
"""

from collections.abc import Sequence
from functools import lru_cache

from barcode.charsets import code128 as tables

from labels.errors import LabelError

VALUE_CHARACTERS_MAX = 80
"""More than fits any label at any resolution; a bound for the algorithm below."""
FNC1 = "\x1d"
"""Stands for the function character FNC1 in a GS1 value; scanners give it back as the group separator."""

_SETS = "BCA"  # of equally short encodings, B comes first: native ZPL writes it as it is
_START = dict(tables.START_CODES)
_FNC1_VALUE = 102
_SHIFT_VALUE = 98
_TO = {
    (frm, to): value
    for to in _SETS
    for frm, value in ((frm, {"A": tables.A, "B": tables.B, "C": tables.C}[frm].get(f"TO_{to}")) for frm in _SETS)
    if value is not None
}
_A = {char: value for char, value in tables.A.items() if len(char) == 1 and ord(char) < 128}
_B = {char: value for char, value in tables.B.items() if len(char) == 1 and ord(char) < 128}
_BARS: tuple[str, ...] = (*tables.CODES, tables.STOP + "11")


def _emissions(value: str, at: int, charset: str, gs1: bool) -> list[tuple[tuple[int, ...], int]]:
    """What the code set can write at this place without leaving it: (symbol values, characters taken)."""
    char = value[at]
    if gs1 and char == FNC1:
        return [((_FNC1_VALUE,), 1)]
    if charset == "C":
        pair = value[at : at + 2]
        return [((int(pair),), 2)] if len(pair) == 2 and pair.isascii() and pair.isdigit() else []
    own, other = (_A, _B) if charset == "A" else (_B, _A)
    if char in own:
        return [((own[char],), 1)]
    return [((_SHIFT_VALUE, other[char]), 1)]


def _shortest(value: str, gs1: bool) -> tuple[int, ...]:
    """Start symbol and data symbols by the fewest symbols, found from the end of the value backwards."""
    # after[k]: the shortest way to write the last k characters when in code set A, B or C
    after: list[dict[str, tuple[int, ...]]] = [dict.fromkeys(_SETS, ())]
    for at in range(len(value) - 1, -1, -1):
        stay: dict[str, tuple[int, ...]] = {}
        for charset in _SETS:
            ways = [
                symbols + after[len(value) - at - taken][charset]
                for symbols, taken in _emissions(value, at, charset, gs1)
                if charset in after[len(value) - at - taken]
            ]
            if ways:
                stay[charset] = min(ways, key=len)
        here: dict[str, tuple[int, ...]] = {}
        for charset in _SETS:
            ways = [stay[charset]] if charset in stay else []
            ways += [(_TO[charset, to], *stay[to]) for to in _SETS if to != charset and to in stay]
            if ways:
                here[charset] = min(ways, key=len)
        after.append(here)
    starts = [(_START[charset], *after[-1][charset]) for charset in _SETS if charset in after[-1]]
    return min(starts, key=len)


def _check(symbols: Sequence[int]) -> int:
    return (symbols[0] + sum(place * symbol for place, symbol in enumerate(symbols[1:], 1))) % 103


@lru_cache(maxsize=1024)
def symbol_values(value: str, *, gs1: bool = False) -> tuple[int, ...]:
    """The symbol values of a Code 128 symbol: start, data, check; without the stop pattern.

    `value`: ASCII characters. With `gs1`, FNC1 follows the start symbol and each `FNC1` character in the
    value is written as the function character (GS1-128). Raises LabelError for an empty value, one with
    characters outside ASCII, or one longer than VALUE_CHARACTERS_MAX.
    """
    if not value:
        raise LabelError("an empty value has no barcode: give the identifier")
    if len(value) > VALUE_CHARACTERS_MAX:
        raise LabelError(f"{len(value)} characters are too many for a barcode: at most {VALUE_CHARACTERS_MAX}")
    if not value.isascii():
        raise LabelError(f"{value!r} holds characters that Code 128 can't carry: use ASCII letters and digits")
    data = _shortest(FNC1 + value if gs1 else value, gs1)
    return (*data, _check(data))


@lru_cache(maxsize=1024)
def modules(value: str, *, gs1: bool = False) -> str:
    """The whole symbol as a string of modules, `1` for bar and `0` for space, without quiet zones.

    Its length is 11 for each symbol and 13 for the stop pattern. Raises LabelError as `symbol_values` does.
    """
    return bars(symbol_values(value, gs1=gs1)[:-1])


def bars(symbols: Sequence[int]) -> str:
    """The modules of a start symbol and data symbols, with the check symbol and stop pattern behind them."""
    return "".join(_BARS[symbol] for symbol in (*symbols, _check(symbols))) + _BARS[-1]
