"""A label in the form its printer takes: PNG, PDF or ZPL, read back before it is given out."""

import io
from typing import Literal

from PIL import Image
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from labels import readback, zpl
from labels.contents import Content
from labels.drawing import Placed, paint, place
from labels.errors import LabelError
from labels.layouts import Layout, layout_named

Format = Literal["png", "pdf", "zpl"]
FORMATS: tuple[Format, ...] = ("png", "pdf", "zpl")


def _png(image: Image.Image, dpi: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", dpi=(dpi, dpi))
    return out.getvalue()


def _pdf(image: Image.Image, placed: Placed) -> bytes:
    """One page of the label's size, the dots as a 1-bit image over all of it: at 100% each dot is one dot."""
    out = io.BytesIO()
    wide, high = (length * mm for length in placed.layout.size)
    page = Canvas(out, pagesize=(wide, high), invariant=1, pageCompression=1)
    page.setTitle(f"label {placed.layout.name}")
    page.setViewerPreference("PrintScaling", "None")
    page.drawImage(ImageReader(image), 0, 0, wide, high)
    page.showPage()
    page.save()
    return out.getvalue()


def render(content: Content, fmt: Format, dpi: int, *, layout: Layout | None = None) -> bytes:
    """The label's bytes for a printer.

    `dpi`: the printer's own resolution, 203, 300 or 600. `layout`: the content's own by default. The result
    was decoded with zxing-cpp. Raises LabelError when something does not fit, has no glyph, lacks patient
    identifiers or does not read back.
    """
    placed = place(layout or layout_named(content.layout), content, dpi)
    image = paint(placed)
    if fmt == "png":
        out = _png(image, dpi)
        readback.check(Image.open(io.BytesIO(out)), placed.codes)
    elif fmt == "zpl":
        out = zpl.bitmap(image)
        readback.check(zpl.picture(out), placed.codes)
    elif fmt == "pdf":
        readback.check(image, placed.codes)
        out = _pdf(image, placed)
    else:
        raise LabelError(f"there is no label format {fmt!r}: use png, pdf or zpl")
    return out
