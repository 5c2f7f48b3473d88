"""A label as whole printer dots: first every text and symbol is placed, then all of it is painted.

Nothing is scaled after it is painted. A bar is a whole number of dots wide, the same number for every module.
"""

from functools import lru_cache
from typing import Literal

from msgspec import Struct
from PIL import Image, ImageDraw

from labels.drawing import code128, fonts
from labels.drawing.contents import Content
from labels.drawing.layouts import Bars, Box, Layout, Matrix, Text, dots, fill
from labels.drawing.symbols import (
    MATRIX_QUIET_MODULES,
    QR_QUIET_MODULES,
    Symbology,
    check_dpi,
    matrix_module_dots,
    matrix_rows,
    module_dots,
)
from labels.errors import LabelError


class PlacedText(Struct, frozen=True):
    """One line of text in its box, in dots; nothing of it is painted outside the box."""

    box: tuple[int, int, int, int]
    """x, y, width, height."""
    text: str
    size: int
    x: int
    """Where the text starts, from the left edge of the box."""
    bold: bool
    inverse: bool


class PlacedBars(Struct, frozen=True):
    x: int
    y: int
    height: int
    module: int
    """Dots per module."""
    value: str
    modules: str


class PlacedMatrix(Struct, frozen=True):
    x: int
    y: int
    module: int
    symbology: Literal["data-matrix", "qr"]
    value: str
    gs1: bool
    rows: tuple[str, ...]


class Code(Struct, frozen=True, order=True):
    """A barcode that a reader must find on the label."""

    symbology: Symbology
    value: str


class Placed(Struct, frozen=True):
    """A label with everything in its place, in dots from the top left corner."""

    layout: Layout
    dpi: int
    size: tuple[int, int]
    texts: tuple[PlacedText, ...]
    bars: tuple[PlacedBars, ...]
    matrices: tuple[PlacedMatrix, ...]

    @property
    def codes(self) -> tuple[Code, ...]:
        """What a reader must find, sorted."""
        linear = [Code("code-128", bars.value) for bars in self.bars]
        return tuple(sorted(linear + [Code(matrix.symbology, matrix.value) for matrix in self.matrices]))


def _box(box: Box, dpi: int) -> tuple[int, int, int, int]:
    left, top = dots(box[0], dpi), dots(box[1], dpi)
    return left, top, dots(box[0] + box[2], dpi) - left, dots(box[1] + box[3], dpi) - top


def _place_text(element: Text, line: str, dpi: int) -> PlacedText | None:
    text = fonts.clean(line)
    if not text:
        return None
    box = _box(element.box, dpi)
    margin = max(1, box[3] // 6) if element.inverse else 0
    size = fonts.size_for(box[3])
    room = box[2] - 2 * margin
    if fonts.width(text, size, bold=element.bold) > room:
        if element.over == "refuse":
            # the text itself may be an MRN: messages are kept, and never hold a patient's data
            raise LabelError(
                f"{element.words} does not fit in its place on the label ({len(text)} characters): "
                "shorten it, or use a larger label"
            )
        text = fonts.cut(text, size, room, bold=element.bold)
    spare = room - fonts.width(text, size, bold=element.bold)
    x = margin + {"left": 0, "center": spare // 2, "right": spare}[element.align]
    return PlacedText(box, text, size, x, element.bold, element.inverse)


def _place_bars(element: Bars, value: str, dpi: int) -> PlacedBars:
    left, top, wide, high = _box(element.box, dpi)
    modules = code128.modules(value)
    module = module_dots(len(modules), wide, dpi)
    spare = wide - len(modules) * module
    return PlacedBars(left + spare // 2, top, high, module, value, modules)


def _place_matrix(element: Matrix, value: str, dpi: int) -> PlacedMatrix:
    left, top, wide, high = _box(element.box, dpi)
    rows = matrix_rows(value, element.symbology, gs1=element.gs1)
    quiet = MATRIX_QUIET_MODULES if element.symbology == "data-matrix" else QR_QUIET_MODULES
    module = matrix_module_dots(len(rows), quiet, min(wide, high), dpi)
    spare_x, spare_y = wide - len(rows) * module, high - len(rows) * module
    x, y = left + spare_x // 2, top + spare_y // 2
    return PlacedMatrix(x, y, module, element.symbology, value, element.gs1, rows)


def place(layout: Layout, content: Content, dpi: int) -> Placed:
    """Put the content into the layout at a resolution.

    Raises LabelError: an identifier or barcode that does not fit, a missing glyph, too few identifiers.
    """
    check_dpi(dpi)
    if layout.holds != type(content).__name__:
        raise LabelError(f"layout {layout.name} shows a {layout.holds}, not a {type(content).__name__}")
    words = content.words()
    texts = (_place_text(element, fill(element.words, words), dpi) for element in layout.text)
    return Placed(
        layout=layout,
        dpi=dpi,
        size=(dots(layout.size[0], dpi), dots(layout.size[1], dpi)),
        texts=tuple(text for text in texts if text is not None),
        bars=tuple(_place_bars(element, fill(element.value, words), dpi) for element in layout.bars),
        matrices=tuple(_place_matrix(element, fill(element.value, words), dpi) for element in layout.matrix),
    )


@lru_cache(maxsize=512)
def _patch(size: tuple[int, int], x: int, text: str, font_size: int, bold: bool, inverse: bool) -> Image.Image:
    """One text in its box. Most texts of a label are those of the last one too: site, tests, container."""
    patch = Image.new("1", size, 1)
    fonts.draw(patch, (x, (size[1] - fonts.line_dots(font_size)) // 2), text, font_size, bold=bold)
    return patch.point(lambda dot: 0 if dot else 1) if inverse else patch


def paint_cells(pen: ImageDraw.ImageDraw, at: tuple[int, int], row: str, module: int, high: int) -> None:
    """One row of modules, each run of black ones as one rectangle of whole dots."""
    x, y = at
    start = row.find("1")
    while start >= 0:
        end = row.find("0", start)
        end = len(row) if end < 0 else end
        pen.rectangle((x + start * module, y, x + end * module - 1, y + high - 1), fill=0)
        start = row.find("1", end)


def paint(placed: Placed) -> Image.Image:
    """The label as a 1-bit image of exactly its size in dots, black on white."""
    image = Image.new("1", placed.size, 1)
    for text in placed.texts:
        left, top, wide, high = text.box
        image.paste(_patch((wide, high), text.x, text.text, text.size, text.bold, text.inverse), (left, top))
    pen = ImageDraw.Draw(image)
    for bars in placed.bars:
        paint_cells(pen, (bars.x, bars.y), bars.modules, bars.module, bars.height)
    for matrix in placed.matrices:
        for line, row in enumerate(matrix.rows):
            at = (matrix.x, matrix.y + line * matrix.module)
            paint_cells(pen, at, row, matrix.module, matrix.module)
    return image
