"""Barcodes as whole dots: how many dots a module gets, and the modules of Data Matrix and QR symbols."""

import math
from functools import lru_cache
from typing import Literal

import zxingcpp

from labels.drawing.layouts import MM_PER_INCH
from labels.errors import LabelError

QUIET_MODULES = 10
"""Code 128 needs ten modules of white on either side (ISO/IEC 15417)."""
MATRIX_QUIET_MODULES = 2
"""Data Matrix needs one (ISO/IEC 16022); two hold on a curved, wet tube."""
QR_QUIET_MODULES = 4
MODULE_MM_PREFERRED = 0.33
MODULE_MM_FALLBACK = 0.245
MODULE_MM_MIN = 0.170
MATRIX_MODULE_MM_MIN = 0.25
MATRIX_MODULE_MM_MAX = 0.60
"""Larger cells would wrap too far round a 13 mm tube."""
DPI_MIN, DPI_MAX = 150, 1200

Symbology = Literal["code-128", "data-matrix", "qr"]


def check_dpi(dpi: int) -> None:
    """Raises LabelError for a resolution that no label printer has."""
    if not DPI_MIN <= dpi <= DPI_MAX:
        raise LabelError(f"{dpi} dpi is no label printer's resolution: use 203, 300 or 600")


def module_choices(dpi: int) -> tuple[int, int]:
    """Dots per module: preferred and fallback. 3 and 2 at 203 dpi, 4 and 3 at 300, 8 and 6 at 600."""
    per_mm = dpi / MM_PER_INCH
    return math.ceil(MODULE_MM_PREFERRED * per_mm), math.ceil(MODULE_MM_FALLBACK * per_mm)


def module_dots(modules: int, width_dots: int, dpi: int) -> int:
    """Dots per module of a linear symbol in a box of this width, quiet zones in it.

    The preferred module, or the fallback when that is too wide. Raises LabelError when neither fits: a symbol
    is never clipped or shrunk further.
    """
    check_dpi(dpi)
    for choice in module_choices(dpi):
        fits = (modules + 2 * QUIET_MODULES) * choice <= width_dots
        if fits and choice * MM_PER_INCH / dpi >= MODULE_MM_MIN:
            return choice
    room = width_dots // module_choices(dpi)[1] - 2 * QUIET_MODULES
    raise LabelError(
        f"the barcode needs {modules} modules and the label has room for {room} at {dpi} dpi: "
        "use a wider label or a shorter identifier"
    )


def matrix_module_dots(cells: int, quiet: int, room_dots: int, dpi: int) -> int:
    """Dots per cell of a square symbol in this room. Raises LabelError when the smallest does not fit."""
    check_dpi(dpi)
    most = min(room_dots // (cells + 2 * quiet), int(MATRIX_MODULE_MM_MAX * dpi / MM_PER_INCH))
    if most * MM_PER_INCH / dpi < MATRIX_MODULE_MM_MIN:
        raise LabelError(
            f"a symbol of {cells} by {cells} cells does not fit at {dpi} dpi: use a larger label or a shorter value"
        )
    return most


_FORMATS = {"data-matrix": zxingcpp.BarcodeFormat.DataMatrix, "qr": zxingcpp.BarcodeFormat.QRCode}


@lru_cache(maxsize=1024)
def matrix_rows(value: str, symbology: Literal["data-matrix", "qr"], *, gs1: bool = False) -> tuple[str, ...]:
    """The symbol's rows of cells, `1` for black, without quiet zone.

    A square Data Matrix (ECC 200) or a QR code with error correction level M. With `gs1` the value is a
    bracketed element string, `(01)…(17)…(10)…`. Raises LabelError when the value can't be encoded.
    """
    options: dict[str, bool | str] = {"gs1": True} if gs1 else {}
    if symbology == "data-matrix":
        options["options"] = "forceSquare"
    else:
        options["ec_level"] = "M"
    try:
        symbol = zxingcpp.create_barcode(value, _FORMATS[symbology], **options)
    except ValueError as fault:
        raise LabelError(f"{value!r} can't be a {symbology} symbol ({fault}): correct the value") from fault
    cells = memoryview(zxingcpp.write_barcode_to_image(symbol, scale=1, add_quiet_zones=False))
    rows, columns = cells.shape or (0, 0)
    return tuple("".join("1" if cells[row, at] < 128 else "0" for at in range(columns)) for row in range(rows))
