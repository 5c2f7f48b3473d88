"""The contact sheet: every layout at every resolution in one picture, with names that are hard to print."""

import io

from PIL import Image

from labels.drawing import fonts
from labels.drawing.contents import Content
from labels.drawing.examples import EXAMPLES
from labels.drawing.label import Placed, paint, place
from labels.drawing.layouts import Layout, layout_named
from labels.drawing.readback import check

RESOLUTIONS = (203, 300, 600)
_PIXELS_PER_MM = 8
_GAP = 28
_CAPTION_SIZE = 20


def _caption(placed: Placed) -> str:
    symbol = placed.bars[0] if placed.bars else placed.matrices[0]
    kind = "Code 128" if placed.bars else placed.matrices[0].symbology
    module_mm = symbol.module * 25.4 / placed.dpi
    wide, high = placed.layout.size
    return (
        f"{placed.layout.name} {wide:g} x {high:g} mm, {placed.dpi} dpi, {placed.size[0]} x {placed.size[1]} dots, "
        f"{kind} X = {symbol.module} dots = {module_mm:.3f} mm"
    )


def _cell(layout: Layout, content: Content, dpi: int) -> tuple[str, Image.Image]:
    placed = place(layout, content, dpi)
    image = paint(placed)
    check(image, placed.codes)
    wide, high = (round(length * _PIXELS_PER_MM) for length in layout.size)
    return _caption(placed), image.convert("L").resize((wide, high), Image.Resampling.BOX)


def contact_sheet() -> bytes:
    """A PNG of every layout (down) at every resolution (across), at 8 pixels per millimetre; each is read back."""
    rows = [[_cell(layout_named(name), content, dpi) for dpi in RESOLUTIONS] for name, content in EXAMPLES]
    caption = fonts.line_dots(_CAPTION_SIZE)
    columns = [
        max(max(row[at][1].width, fonts.width(row[at][0], _CAPTION_SIZE)) for row in rows)
        for at in range(len(RESOLUTIONS))
    ]
    heights = [caption + max(image.height for _, image in row) + _GAP for row in rows]
    sheet = Image.new("L", (sum(columns) + _GAP * (len(columns) + 1), sum(heights) + _GAP), 214)
    y = _GAP
    for row, height in zip(rows, heights, strict=True):
        x = _GAP
        for (words, image), wide in zip(row, columns, strict=True):
            line = Image.new("1", (wide, caption), 1)
            fonts.draw(line, (0, 0), words, _CAPTION_SIZE)
            sheet.paste(0, (x, y), line.point(lambda dot: 0 if dot else 255))
            sheet.paste(image, (x, y + caption))
            x += wide + _GAP
        y += height
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()
