"""ZPL for Zebra printers: the label as one compressed bitmap, which keeps every dot and any script."""

import base64
import binascii
import re
import zlib

from PIL import Image

from labels.errors import LabelError

DOTS_MAX = 64 * 1024 * 1024
_GRAPHIC = re.compile(r"\^GFA,(\d+),\d+,(\d+),:Z64:([A-Za-z0-9+/=]+):([0-9A-F]{4})\^FS")


def label_format(body: str, size: tuple[int, int]) -> bytes:
    """One label format around a body: size in dots, origin at the corner; without `^PQ` it prints once."""
    return f"^XA^PW{size[0]}^LL{size[1]}^LH0,0{body}^XZ\n".encode("ascii")


def graphic(image: Image.Image) -> str:
    """A 1-bit image as a `^GF` field with Z64 (zlib, base64, CRC-16) compression.

    Rows are padded to whole bytes; a set bit is a black dot (ZPL II guide, ^GF and appendix ZB64).
    """
    row_bytes = -(-image.width // 8)
    packed = image.convert("1").point(lambda dot: 0 if dot else 255).tobytes()
    text = base64.b64encode(zlib.compress(packed, 9))
    crc = binascii.crc_hqx(text, 0)
    return f"^GFA,{len(packed)},{len(packed)},{row_bytes},:Z64:{text.decode('ascii')}:{crc:04X}^FS"


def bitmap(image: Image.Image) -> bytes:
    """The whole label as one format with one graphic."""
    return label_format(f"^FO0,0{graphic(image)}", image.size)


def opened(total: str, row_bytes: str, text: str, crc: str) -> Image.Image:
    """The image of a `^GF` field made by `graphic`, as wide as its rows of bytes.

    Raises LabelError when the check sum or the size is wrong.
    """
    if binascii.crc_hqx(text.encode("ascii"), 0) != int(crc, 16):
        raise LabelError("the bitmap in this ZPL is damaged: render the label again")
    packed = zlib.decompressobj().decompress(base64.b64decode(text), DOTS_MAX // 8)
    wide = int(row_bytes)
    if not wide or len(packed) != int(total) or len(packed) % wide:
        raise LabelError("the bitmap in this ZPL has the wrong size: render the label again")
    image = Image.frombytes("1", (wide * 8, len(packed) // wide), packed)
    return image.point(lambda dot: 0 if dot else 255)


def picture(rendering: bytes) -> Image.Image:
    """The bitmap inside ZPL made by `bitmap`, for the read-back. Raises LabelError when it is damaged."""
    text = rendering.decode("ascii")
    found = _GRAPHIC.search(text)
    size = re.search(r"\^PW(\d+)\^LL(\d+)", text)
    if found is None or size is None:
        raise LabelError("this ZPL holds no bitmap of ours: render the label again")
    image = opened(found[1], found[2], found[3], found[4])
    if image.height != int(size[2]) or image.width < int(size[1]):
        raise LabelError("the bitmap in this ZPL is not as large as the label: render the label again")
    return image.crop((0, 0, int(size[1]), int(size[2])))
