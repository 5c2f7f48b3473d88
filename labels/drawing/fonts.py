"""The shipped fonts: which face has a glyph for a character, and text as black dots.

Every text on a label is drawn from these files, so a label looks the same on every machine. A character that
none of them has is an error before anything is printed: a box in place of a letter of a name is a wrong name.
"""

import math
import re
import struct
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from labels.errors import LabelError

FOLDER = Path(__file__).parents[1] / "fonts"
TEXT_CHARACTERS_MAX = 400
ELLIPSIS = "…"

REGULAR = "DejaVuSansCondensed.ttf"
BOLD = "DejaVuSansCondensed-Bold.ttf"
_FALLBACKS = (
    "DroidSansFallbackFull.ttf",  # Han, Kana
    "NanumSquareR.ttf",  # Hangul
    *(
        f"NotoSans{script}-Regular.ttf"
        for script in (
            "Arabic",
            "Devanagari",
            "Bengali",
            "Gurmukhi",
            "Gujarati",
            "Tamil",
            "Telugu",
            "Thai",
            "Khmer",
            "Myanmar",
            "Ethiopic",
        )
    ),
)
# joiners shape their neighbours and have no dots of their own
_JOINERS = frozenset("\u200c\u200d")


def _cmap_format_4(table: bytes) -> set[int]:
    count = struct.unpack_from(">H", table, 6)[0] // 2
    ends = struct.unpack_from(f">{count}H", table, 14)
    starts = struct.unpack_from(f">{count}H", table, 16 + 2 * count)
    deltas = struct.unpack_from(f">{count}H", table, 16 + 4 * count)
    offsets_at = 16 + 6 * count
    offsets = struct.unpack_from(f">{count}H", table, offsets_at)
    found: set[int] = set()
    for segment, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for char in range(start, end + 1):
            glyph = char
            if offset:
                glyph = struct.unpack_from(">H", table, offsets_at + 2 * segment + offset + 2 * (char - start))[0]
                if glyph == 0:
                    continue
            if (glyph + delta) & 0xFFFF:
                found.add(char)
    return found - {0xFFFF}


def _cmap_format_12(table: bytes) -> set[int]:
    found: set[int] = set()
    for group in range(struct.unpack_from(">L", table, 12)[0]):
        start, end, glyph = struct.unpack_from(">3L", table, 16 + 12 * group)
        found.update(char for char in range(start, end + 1) if glyph + char - start)
    return found


@lru_cache(maxsize=16)
def covered(file: str) -> frozenset[int]:
    """The code points that a shipped font file has a glyph for (its `cmap`, OpenType formats 4 and 12)."""
    data = (FOLDER / file).read_bytes()
    tables = {
        data[at : at + 4]: struct.unpack_from(">L", data, at + 8)[0]
        for at in range(12, 12 + 16 * struct.unpack_from(">H", data, 4)[0], 16)
    }
    cmap = data[tables[b"cmap"] :]
    found: set[int] = set()
    for record in range(struct.unpack_from(">H", cmap, 2)[0]):
        platform, encoding, offset = struct.unpack_from(">HHL", cmap, 4 + 8 * record)
        if platform not in (0, 3) or (platform, encoding) == (3, 0):
            continue
        table = cmap[offset:]
        kind = struct.unpack_from(">H", table)[0]
        if kind == 4:
            found |= _cmap_format_4(table)
        elif kind == 12:
            found |= _cmap_format_12(table)
    return frozenset(found)


@lru_cache(maxsize=256)
def _font(file: str, size_dots: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FOLDER / file), size_dots)


def clean(text: str) -> str:
    """The text as it may be printed: composed (NFC), one line, no control or direction-override characters.

    A newline or tab becomes a space. Order and spelling stay as they are.
    """
    composed = unicodedata.normalize("NFC", text)
    kept = (
        " " if char in "\n\r\t\v\f" or unicodedata.category(char) in ("Zl", "Zp", "Zs") else char
        for char in composed
        if char in _JOINERS or char in "\n\r\t\v\f" or unicodedata.category(char) not in ("Cc", "Cf", "Cs")
    )
    return "".join(kept).strip()


def _faces(bold: bool) -> tuple[str, ...]:
    return (BOLD if bold else REGULAR, REGULAR, *_FALLBACKS)


def _has(file: str, text: str) -> bool:
    return all(ord(char) in covered(file) or char in _JOINERS for char in text)


def _missing(cluster: str, faces: tuple[str, ...]) -> LabelError:
    char = next((c for c in cluster if not any(_has(file, c) for file in faces)), cluster[0])
    name = unicodedata.name(char, "a character without a name").lower()
    return LabelError(
        f"the label fonts have no glyph for {char!r} (U+{ord(char):04X}, {name}): "
        "correct the text, or record the name in a script that the label can show"
    )


def _clusters(word: str) -> list[str]:
    """A word in letters with their marks, which must come from one font."""
    clusters: list[str] = []
    for char in word:
        if clusters and (unicodedata.category(char) in ("Mn", "Mc", "Me") or char in _JOINERS):
            clusters[-1] += char
        else:
            clusters.append(char)
    return clusters


def _right_to_left(text: str) -> bool:
    """Whether the first letter with a direction runs to the left (the paragraph rule P2 of UAX #9)."""
    strong = (unicodedata.bidirectional(char) for char in text)
    return next((kind in ("R", "AL") for kind in strong if kind in ("L", "R", "AL")), False)


@lru_cache(maxsize=4096)
def _runs(text: str, bold: bool) -> tuple[tuple[str, str], ...]:
    """The text in pieces (font file, piece), in the order in which they are drawn from the left.

    One font for all of it, else for each word, where there is one: so letters that join are shaped together.
    """
    faces = _faces(bold)
    for file in faces:
        if _has(file, text):
            return ((file, text),)
    runs: list[tuple[str, str]] = []
    for piece in re.findall(r"\s+|\S+", text):
        whole = next((file for file in faces if _has(file, piece)), None)
        for part in (piece,) if whole else _clusters(piece):
            face = whole or next((file for file in faces if _has(file, part)), None)
            if face is None:
                raise _missing(part, faces)
            if runs and (runs[-1][0] == face or (not part.strip() and _has(runs[-1][0], part))):
                runs[-1] = (runs[-1][0], runs[-1][1] + part)
            else:
                runs.append((face, part))
    return tuple(reversed(runs)) if _right_to_left(text) else tuple(runs)


def check_latin(text: str, *, bold: bool = False) -> None:
    """Raises LabelError unless the Latin face alone has every glyph, as PDF text needs it."""
    faces = (BOLD if bold else REGULAR,)
    if not _has(faces[0], text):
        raise _missing(next(cluster for cluster in _clusters(text) if not _has(faces[0], cluster)), faces)


@lru_cache(maxsize=16384)
def _run_width(file: str, text: str, size_dots: int) -> int:
    font = _font(file, size_dots)
    return max(math.ceil(font.getlength(text, mode="1")), math.ceil(font.getbbox(text, mode="1")[2]))


def width(text: str, size_dots: int, *, bold: bool = False) -> int:
    """The width of a text in dots at a font size in dots. Raises LabelError for a missing glyph."""
    return sum(_run_width(file, run, size_dots) for file, run in _runs(text, bold))


def cut(text: str, size_dots: int, room_dots: int, *, bold: bool = False) -> str:
    """The text, or as much of its start as fits the width with `…` behind it, which shows that it is cut."""
    if width(text, size_dots, bold=bold) <= room_dots:
        return text
    low, high = 0, len(text)
    while low < high - 1:
        middle = (low + high) // 2
        if width(text[:middle].rstrip(" ,-") + ELLIPSIS, size_dots, bold=bold) <= room_dots:
            low = middle
        else:
            high = middle
    while low > 0 and unicodedata.category(text[low]) in ("Mn", "Mc", "Me"):
        low -= 1  # never a letter without its accent: that is another letter
    if low == 0:
        raise LabelError("there is no room for even one letter of the text: use a larger label")
    return text[:low].rstrip(" ,-") + ELLIPSIS


def line_dots(size_dots: int) -> int:
    """The height of a line, ascent and descent, of the Latin face at this size."""
    ascent, descent = _font(REGULAR, size_dots).getmetrics()
    return ascent + descent


@lru_cache(maxsize=256)
def size_for(line_height_dots: int) -> int:
    """The largest font size in dots whose line is at most this high."""
    size = max(1, int(line_height_dots / 1.1))
    while size > 1 and line_dots(size) > line_height_dots:
        size -= 1
    return size


def draw(image: Image.Image, at: tuple[int, int], text: str, size_dots: int, *, bold: bool = False) -> None:
    """Draw one line in black dots (no grey) with its top left at `at`, on a 1-bit image."""
    if len(text) > TEXT_CHARACTERS_MAX:
        raise LabelError(f"a text of {len(text)} characters is too long for a label: at most {TEXT_CHARACTERS_MAX}")
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"
    x, top = at
    baseline = top + _font(REGULAR, size_dots).getmetrics()[0]
    for file, run in _runs(text, bold):
        pen.text((x, baseline), run, font=_font(file, size_dots), fill=0, anchor="ls")
        x += _run_width(file, run, size_dots)
