"""ZPL with the printer's own barcode (`^BC`) and font (`^A0`), for printers that are slow with bitmaps.

A field's text goes through `^FH`: every byte that is not a plain letter, digit, space or stop is written in hex,
so nothing in a name is a command. In `^BC` the character `>` begins an invocation (`AB>512` would scan as `AB12`),
so the symbols chosen by `code128` are written one by one with the invocations of the ZPL II guide, table 6.
"""

import re
import unicodedata

from PIL import Image, ImageDraw

from labels.drawing import code128, zpl
from labels.drawing.label import Placed, PlacedBars, PlacedMatrix, PlacedText, paint_cells
from labels.errors import LabelError

_START = {103: ">9", 104: ">:", 105: ">;"}
_SWITCH = {"A": {99: ">5", 100: ">6", 102: ">8"}, "B": {99: ">5", 101: ">7", 102: ">8"}}
_SWITCH["C"] = {100: ">6", 101: ">7", 102: ">8"}
_SPECIAL_B = {62: "><", 30: ">0", 94: ">="}  # ^ > ~
_NEXT_SET = {"103": "A", "104": "B", "105": "C", ">5": "C", ">6": "B", ">7": "A"}
_BARS = re.compile(r"\^FO(\d+),(\d+)\^BY(\d+),3,\d+\^BCN,(\d+),N,N,N\^FH\^FD([^^]*)\^FS")
_GRAPHIC = re.compile(r"\^FO(\d+),(\d+)\^GFA,(\d+),\d+,(\d+),:Z64:([A-Za-z0-9+/=]+):([0-9A-F]{4})\^FS")


def escaped(text: str) -> str:
    """The text as field data behind `^FH`, in UTF-8 (`^CI28`).

    Raises LabelError for a character that the printer's font 0 lacks, and for the backslash, which some firmware
    takes for the beginning of a command.
    """
    for char in text:
        plain = char.isascii() and char.isprintable() and char != "\\"
        if not plain and not (ord(char) < 0x180 and unicodedata.category(char)[0] == "L"):
            raise LabelError(f"the printer's own font has no {char!r}: print this label as a bitmap")
    return "".join(
        chr(byte) if re.fullmatch(rb"[A-Za-z0-9 .,:-]", bytes([byte])) else f"_{byte:02X}" for byte in text.encode()
    )


def invocation(value: str) -> str:
    """The `^BC` field data that makes exactly the symbols of `code128.symbol_values`, in printable ASCII.

    Raises LabelError for a value with control characters: these go by bitmap only.
    """
    if not all(32 <= ord(char) < 127 for char in value):
        raise LabelError(f"{value!r} holds control characters: print this label as a bitmap")
    symbols = code128.symbol_values(value)[:-1]
    charset = _NEXT_SET[str(symbols[0])]
    out = [_START[symbols[0]]]
    for symbol in symbols[1:]:
        switch = _SWITCH[charset].get(symbol)
        if switch is not None:
            out.append(switch)
            charset = _NEXT_SET.get(switch, charset)
        elif charset == "B":
            out.append(_SPECIAL_B.get(symbol, chr(symbol + 32)))
        else:
            out.append(f"{symbol:02d}")
    return "".join(out)


def symbols_of(data: str) -> list[int]:
    """The symbols, start to last data symbol, that a printer makes of `^BC` field data written by `invocation`."""
    start = {written: symbol for symbol, written in _START.items()}[data[:2]]
    symbols, charset, at = [start], _NEXT_SET[str(start)], 2
    special = {written: symbol for symbol, written in _SPECIAL_B.items()}
    while at < len(data):
        pair = data[at : at + 2]
        switch = next((symbol for symbol, written in _SWITCH[charset].items() if written == pair), None)
        if switch is not None:
            symbols.append(switch)
            charset = _NEXT_SET.get(pair, charset)
            at += 2
        elif charset == "B":
            symbols.append(special.get(pair, ord(data[at]) - 32))
            at += 2 if pair in special else 1
        else:
            symbols.append(int(pair))
            at += 2
    return symbols


def _text(placed: PlacedText) -> str:
    x, y, wide, high = placed.box
    box = f"^FO{x},{y}^GB{wide},{high},{high}^FS" if placed.inverse else ""
    reverse = "^FR" if placed.inverse else ""
    top = y + (high - placed.size) // 2
    return f"{box}^FO{x + placed.x},{top}^A0N,{placed.size},{placed.size}{reverse}^FH^FD{escaped(placed.text)}^FS"


def _bars(placed: PlacedBars) -> str:
    data = "".join(f"_{ord(char):02X}" if char in "^~_" else char for char in invocation(placed.value))
    return f"^FO{placed.x},{placed.y}^BY{placed.module},3,{placed.height}^BCN,{placed.height},N,N,N^FH^FD{data}^FS"


def _matrix(placed: PlacedMatrix) -> str:
    side = len(placed.rows) * placed.module
    image = Image.new("1", (side, side), 1)
    pen = ImageDraw.Draw(image)
    for line, row in enumerate(placed.rows):
        paint_cells(pen, (0, line * placed.module), row, placed.module, placed.module)
    return f"^FO{placed.x},{placed.y}{zpl.graphic(image)}"


def native(placed: Placed) -> bytes:
    """The label as one format of native ZPL. Raises LabelError for what only a bitmap can print."""
    body = [_text(text) for text in placed.texts]
    body += [_bars(bars) for bars in placed.bars]
    body += [_matrix(matrix) for matrix in placed.matrices]
    return zpl.label_format("^CI28" + "".join(body), placed.size)


def picture(rendering: bytes) -> Image.Image:
    """The barcodes that a printer makes of `native` ZPL, drawn here from the ZPL alone, for the read-back."""
    text = rendering.decode("ascii")
    size = re.search(r"\^PW(\d+)\^LL(\d+)", text)
    if size is None:
        raise LabelError("this ZPL names no size: render the label again")
    image = Image.new("1", (int(size[1]), int(size[2])), 1)
    pen = ImageDraw.Draw(image)
    for x, y, module, high, data in _BARS.findall(text):
        plain = re.sub(r"_([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), data)
        modules = code128.bars(symbols_of(plain))
        paint_cells(pen, (int(x), int(y)), modules, int(module), int(high))
    for x, y, *fields in _GRAPHIC.findall(text):
        image.paste(zpl.opened(*fields), (int(x), int(y)))
    return image
