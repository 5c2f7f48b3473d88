"""Layouts as data: which text and which barcode goes where on each kind of label (`layouts.toml`)."""

import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from labels.errors import LabelError

MM_PER_INCH = 25.4
BAR_HEIGHT_MM_MIN = 10.0
"""CLSI AUTO02: bars at least 10 mm high, so a slanted scan line still crosses all of them."""

Box = tuple[float, float, float, float]
"""x, y, width, height in millimetres from the top left corner."""


class Text(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    words: str
    box: Box
    bold: bool = False
    inverse: bool = False
    align: Literal["left", "center", "right"] = "left"
    over: Literal["refuse", "cut"] = "refuse"
    """What happens to a text that is too long: an identifier is refused, a name is cut and shows it."""


class Bars(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Code 128 symbol with its quiet zones, on the whole width of the box."""

    value: str
    box: Box


class Matrix(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A square symbol with its quiet zone, in the middle of the box."""

    value: str
    box: Box
    symbology: Literal["data-matrix", "qr"] = "data-matrix"
    gs1: bool = False


class Layout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str = ""
    holds: str
    """The class of contents.py that this layout shows."""
    size: tuple[float, float]
    """Width and height in millimetres."""
    text: tuple[Text, ...] = ()
    bars: tuple[Bars, ...] = ()
    matrix: tuple[Matrix, ...] = ()


def fill(template: str, words: Mapping[str, str]) -> str:
    """The template with each `{name}` replaced, without spaces at its ends."""
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], template).strip()


def names(template: str) -> set[str]:
    """The names in braces in a template."""
    return set(re.findall(r"\{(\w+)\}", template))


def _check(layout: Layout) -> None:
    wide, high = layout.size
    elements: tuple[Text | Bars | Matrix, ...] = (*layout.text, *layout.bars, *layout.matrix)
    for element in elements:
        x, y, w, h = element.box
        if min(x, y) < 0 or min(w, h) <= 0 or x + w > wide + 1e-6 or y + h > high + 1e-6:
            raise LabelError(f"layout {layout.name}: the box {element.box} is not on the label: move it")
    if not (layout.bars or layout.matrix):
        raise LabelError(f"layout {layout.name} has no barcode: add bars or a matrix")
    for bars in layout.bars:
        if bars.box[3] < BAR_HEIGHT_MM_MIN:
            raise LabelError(f"layout {layout.name}: bars must be at least {BAR_HEIGHT_MM_MIN:g} mm high")


def read_layouts(text: str) -> dict[str, Layout]:
    """Layouts from TOML text, by name. Raises LabelError naming what to fix."""
    try:
        tables = msgspec.convert(tomllib.loads(text), dict[str, Layout])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise LabelError(f"the layouts can't be read ({fault}): mend this line") from fault
    layouts = {name: msgspec.structs.replace(layout, name=name) for name, layout in tables.items()}
    for layout in layouts.values():
        _check(layout)
    return layouts


@lru_cache(maxsize=1)
def packaged_layouts() -> dict[str, Layout]:
    """The layouts that come with Labtrail."""
    return read_layouts((Path(__file__).parents[1] / "layouts.toml").read_text(encoding="utf-8"))


def layout_named(name: str) -> Layout:
    """A packaged layout. Raises LabelError listing the available names."""
    layouts = packaged_layouts()
    if name not in layouts:
        raise LabelError(f"there is no layout {name!r}: use one of {', '.join(sorted(layouts))}")
    return layouts[name]


def dots(length_mm: float, dpi: int) -> int:
    """Millimetres as whole dots; 203 dpi is 7.99 dots per mm, 300 dpi 11.81, never 8 and 12."""
    return round(length_mm * dpi / MM_PER_INCH)
