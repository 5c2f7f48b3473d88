"""The pictures of the daily report: shapes on a page-wide canvas, drawn the same way in the PDF and in the HTML.

Coordinates are points, from the top left. Colour alone never carries meaning: what is bad also has a mark or a word.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

Anchor = Literal["start", "middle", "end"]
WIDTH = 520.0
INK, FAINT, GRID, ALARM = "#1a1a1a", "#5c5c5c", "#d9dde1", "#a61b1b"
BLUE, PALE, GREEN = "#2f6690", "#a9c7dd", "#6b8f3a"
TEXT = 7.5
ROW = 13.0
LABEL_WIDTH, NOTE_WIDTH = 110.0, 160.0


class Box(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float
    colour: str


class Stroke(msgspec.Struct, frozen=True):
    x1: float
    y1: float
    x2: float
    y2: float
    colour: str
    width: float = 0.7


class Words(msgspec.Struct, frozen=True):
    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    colour: str = INK
    bold: bool = False


Shape = Box | Stroke | Words


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing with its title, and in words what it shows, for those who don't see it."""

    title: str
    words: str
    height: float
    shapes: tuple[Shape, ...]


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a bar chart. `tail`: a paler part that goes on to a second value."""

    label: str
    value: float
    note: str
    tail: float | None = None
    bad: bool = False


def bars(title: str, rows: Sequence[Bar], *, unit: str, mark: float | None = None, mark_label: str = "") -> Picture:
    """Horizontal bars from zero, with a note after each; `mark` is a line across all. `unit` explains the lengths."""
    reach = max([mark or 0, *(max(r.value, r.tail or 0) for r in rows)], default=0) or 1
    left, right = LABEL_WIDTH, WIDTH - NOTE_WIDTH
    scale = (right - left) / (reach * 1.02)
    shapes: list[Shape] = []
    top = 14.0 if mark is not None else 4.0
    bottom = top + ROW * len(rows)
    for row, y in zip(rows, _rows(top), strict=False):
        middle = y + ROW / 2
        shapes.append(Words(left - 6, middle + 2.6, _cut(row.label), "end"))
        if row.tail is not None:
            shapes.append(Box(left, middle - 3.6, max(0.5, row.tail * scale), 7.2, PALE))
        shapes.append(Box(left, middle - 3.6, max(0.5, row.value * scale), 7.2, ALARM if row.bad else BLUE))
        shapes.append(Words(right + 6, middle + 2.6, row.note, colour=ALARM if row.bad else FAINT, bold=row.bad))
    shapes.append(Stroke(left, top, left, bottom, FAINT))
    if mark is not None:
        x = left + mark * scale
        shapes += [Stroke(x, top - 3, x, bottom, INK, 1.1), Words(x, top - 5, mark_label, "middle")]
    spoken = "; ".join(f"{row.label}: {row.note}" for row in rows)
    return Picture(title=f"{title} ({unit})", words=f"{title}. {spoken}", height=bottom + 4, shapes=tuple(shapes))


def columns(title: str, labels: Sequence[str], series: Sequence[tuple[str, Sequence[float], str]]) -> Picture:
    """Groups of upright columns with a scale: `series` are (name, values, colour), one value for each label."""
    left, right, top, bottom = 30.0, WIDTH, 18.0, 118.0
    reach = _round_up(max((value for _, values, _ in series for value in values), default=0))
    shapes: list[Shape] = []
    for part in (0, 0.5, 1):
        y = bottom - part * (bottom - top)
        shapes += [Stroke(left, y, right, y, GRID), Words(left - 4, y + 2.6, f"{reach * part:g}", "end", FAINT)]
    step = (right - left) / max(1, len(labels))
    wide = step * 0.78 / len(series)
    for number, label in enumerate(labels):
        x = left + number * step + step * 0.11
        for place, (_, values, colour) in enumerate(series):
            tall = values[number] / reach * (bottom - top)
            if tall > 0:
                shapes.append(Box(x + place * wide, bottom - tall, wide * 0.92, tall, colour))
        shapes.append(Words(x + step * 0.39, bottom + 9, label, "middle", FAINT))
    at = left
    for name, _, colour in series:
        shapes += [Box(at, 2, 8, 8, colour), Words(at + 11, 9, name)]
        at += 26 + 4.2 * len(name)
    spoken = "; ".join(
        f"{name}: " + ", ".join(f"{label} {value:g}" for label, value in zip(labels, values, strict=True) if value)
        for name, values, _ in series
    )
    return Picture(title=title, words=f"{title}. {spoken}", height=bottom + 14, shapes=tuple(shapes))


def _rows(top: float) -> Iterator[float]:
    while True:
        yield top
        top += ROW


def _cut(label: str) -> str:
    return label if len(label) <= 26 else label[:25] + "…"


def _round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten: a scale that halves into readable numbers."""
    size = 1.0
    while True:
        for step in (2, 4, 10):
            if value <= step * size:
                return step * size
        size *= 10
