"""ZPL for Zebra printers: a compressed bitmap by default, or the printer's own barcode and text.

The bitmap keeps every dot and any script. Native ZPL is shorter and uses the printer's fonts; every text in
it goes through `^FH` hex escapes, so nothing in a name is ever a command.
"""

import base64
import binascii
import re
import zlib

from PIL import Image

from labels.errors import LabelError

BYTES_MAX = 8 * 1024 * 1024
_GRAPHIC = re.compile(rb"\^GFA,(\d+),(\d+),(\d+),:Z64:([A-Za-z0-9+/=]+):([0-9A-F]{4})\^FS")


def _format(body: str, size: tuple[int, int]) -> bytes:
    return f"^XA^PW{size[0]}^LL{size[1]}^LH0,0{body}^PQ1^XZ\n".encode("ascii")


def bitmap(image: Image.Image) -> bytes:
    """The image as one label format: `^GF` with Z64 (zlib, base64, CRC-16) compression, one label.

    Rows are padded to whole bytes; a set bit is a black dot (ZPL II guide, ^GF).
    """
    wide, high = image.size
    row_bytes = -(-wide // 8)
    packed = image.convert("1").point(lambda dot: 0 if dot else 255).tobytes()
    text = base64.b64encode(zlib.compress(packed, 9))
    crc = binascii.crc_hqx(text, 0)
    graphic = f"^GFA,{len(packed)},{len(packed)},{row_bytes},:Z64:{text.decode('ascii')}:{crc:04X}"
    return _format(f"^FO0,0{graphic}^FS", (wide, high))


def picture(rendering: bytes) -> Image.Image:
    """The bitmap inside ZPL made by `bitmap`, for the read-back. Raises LabelError when it is damaged."""
    found = _GRAPHIC.search(rendering)
    size = re.search(rb"\^PW(\d+)\^LL(\d+)", rendering)
    if found is None or size is None:
        raise LabelError("this ZPL holds no bitmap of ours: render the label again")
    if binascii.crc_hqx(found[4], 0) != int(found[5], 16):
        raise LabelError("the bitmap in this ZPL is damaged: render the label again")
    packed = zlib.decompress(base64.b64decode(found[4]))
    wide, high = int(size[1]), int(size[2])
    if len(packed) != int(found[1]) or len(packed) != -(-wide // 8) * high:
        raise LabelError("the bitmap in this ZPL has the wrong size: render the label again")
    return Image.frombytes("1", (wide, high), packed).point(lambda dot: 0 if dot else 255)
