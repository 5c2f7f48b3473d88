"""Read-back: every rendering is decoded by a reader of its own (zxing-cpp) before it leaves."""

from collections.abc import Sequence

import zxingcpp
from PIL import Image

from labels.drawing.label import Code
from labels.drawing.symbols import Symbology
from labels.errors import LabelError

_FORMATS: dict[Symbology, zxingcpp.BarcodeFormat] = {
    "code-128": zxingcpp.BarcodeFormat.Code128,
    "data-matrix": zxingcpp.BarcodeFormat.DataMatrix,
    "qr": zxingcpp.BarcodeFormat.QRCode,
}
_NAMES = {format_: name for name, format_ in _FORMATS.items()}


def decode(image: Image.Image, codes: Sequence[Code]) -> tuple[Code, ...]:
    """The barcodes that a reader finds on a picture of a label, sorted; it reads the symbologies of `codes`.

    A GS1 symbol gives its bracketed element string.
    """
    formats = [_FORMATS[name] for name in sorted({code.symbology for code in codes})]
    found = zxingcpp.read_barcodes(image.convert("L"), formats=formats, try_rotate=False, try_invert=False)
    return tuple(sorted(Code(_NAMES[result.format], _text(result)) for result in found))


def _text(result: zxingcpp.Barcode) -> str:
    gs1 = result.content_type == zxingcpp.ContentType.GS1
    return str(result.text if gs1 else bytes(result.bytes).decode("utf-8", "replace"))


def check(image: Image.Image, codes: Sequence[Code]) -> None:
    """Raises LabelError unless a reader finds exactly these barcodes."""
    found = decode(image, codes)
    if found != tuple(sorted(codes)):
        raise LabelError(
            f"the label does not read back: {[code.value for code in codes]} was drawn and "
            f"{[code.value for code in found]} is read; nothing was sent: report the layout and resolution"
        )
