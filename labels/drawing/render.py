"""A label in the form its printer takes: PNG, PDF or ZPL, read back before it is given out."""

import io
from typing import Literal

from PIL import Image

from labels.drawing import pdf, readback, zpl, zpl_native
from labels.drawing.contents import Content
from labels.drawing.label import Placed, paint, place
from labels.drawing.layouts import Layout, layout_named

Format = Literal["png", "pdf", "zpl", "zpl-native"]
FORMATS: tuple[Format, ...] = ("png", "pdf", "zpl", "zpl-native")


def _png(image: Image.Image, dpi: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(dpi, dpi))
    return out.getvalue()


def _rendered(placed: Placed, fmt: Format) -> tuple[bytes, Image.Image]:
    """The bytes, and the picture that their receiver makes of them, taken from the bytes."""
    match fmt:
        case "png":
            out = _png(paint(placed), placed.dpi)
            return out, Image.open(io.BytesIO(out))
        case "zpl":
            out = zpl.bitmap(paint(placed))
            return out, zpl.picture(out)
        case "zpl-native":
            out = zpl_native.native(placed)
            return out, zpl_native.picture(out)
        case "pdf":
            out = pdf.single(paint(placed), placed.dpi)
            return out, next(pdf.pictures(out, placed.dpi))


def render(content: Content, fmt: Format, dpi: int, *, layout: Layout | None = None) -> bytes:
    """The label's bytes for a printer.

    `fmt`: `zpl` is a bitmap, `zpl-native` the printer's own barcode and font. `dpi`: the printer's own
    resolution, 203, 300 or 600. `layout`: the content's own by default. The result was decoded with zxing-cpp.
    Raises LabelError when something does not fit, has no glyph, lacks patient identifiers or does not read back.
    """
    placed = place(layout or layout_named(content.layout), content, dpi)
    out, picture = _rendered(placed, fmt)
    readback.check(picture, placed.codes)
    return out
