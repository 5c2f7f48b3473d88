"""How well labels scan when they are damaged, and how fast they are made: `python -m bench.labels [LABELS]`.

Each label is damaged as a thermal printer and a cold, wet, round tube damage it, photographed at 16 pixels per
millimetre and read by zxing-cpp. Ours are compared with python-barcode's own writer, with its default module width
and with the one that fills the same 50.8 mm label. Identifiers are the same for all; the seed is printed.
"""

import math
import random
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median, quantiles

import barcode
import zxingcpp
from barcode.writer import ImageWriter
from PIL import Image, ImageChops, ImageFilter
from rich.console import Console
from rich.table import Table

from labels.drawing.code128 import modules
from labels.drawing.examples import another
from labels.drawing.label import paint, place
from labels.drawing.layouts import layout_named
from labels.drawing.render import FORMATS, render
from models.rules.identifiers import make_identifier

SEED = 20261121
LABELS = 300
CAMERA_PIXELS_PER_MM = 16
TUBE_MM = 13.0
LABEL_MM = 50.8
Damage = Callable[[Image.Image], Image.Image]


def eroded(dots: Image.Image) -> Image.Image:
    """Every bar one dot narrower: a worn or cold print head. At the printer's resolution."""
    shifted = Image.new("L", dots.size, 255)
    shifted.paste(dots, (1, 0))
    return ImageChops.lighter(dots, shifted)


def photographed(dots: Image.Image, dpi: int) -> Image.Image:
    """The label as the camera's pixels."""
    scale = CAMERA_PIXELS_PER_MM * 25.4 / dpi
    size = (round(dots.width * scale), round(dots.height * scale))
    return dots.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR)


def blurred(photo: Image.Image) -> Image.Image:
    """Out of focus or smeared by 0.15 mm (standard deviation of the Gaussian)."""
    return photo.filter(ImageFilter.GaussianBlur(0.15 * CAMERA_PIXELS_PER_MM))


def rotated(photo: Image.Image) -> Image.Image:
    """Stuck on 3 degrees askew."""
    return photo.rotate(3, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def faded(photo: Image.Image) -> Image.Image:
    """40% of the contrast is left, around a grey."""
    return photo.point(lambda level: round(77 + level * 0.4))


def on_a_tube(photo: Image.Image) -> Image.Image:
    """Wrapped round a tube of 13 mm with the barcode along it, seen from the front: the far sides are lost."""
    radius = TUBE_MM / 2 * CAMERA_PIXELS_PER_MM
    middle, seen = photo.height / 2, round(2 * radius)
    out = Image.new("L", (photo.width, seen), 255)
    for y in range(seen):
        along = (y + 0.5 - radius) / radius
        source = round(middle + radius * math.asin(along))
        if 0 <= source < photo.height:
            out.paste(photo.crop((0, source, photo.width, source + 1)), (0, y))
    return out


DAMAGES: dict[str, tuple[bool, tuple[Damage, ...]]] = {
    "none": (False, ()),
    "blur of 0.15 mm": (False, (blurred,)),
    "one dot of erosion": (True, ()),
    "rotated by 3°": (False, (rotated,)),
    "40% contrast": (False, (faded,)),
    "round a 13 mm tube": (False, (on_a_tube,)),
    "all of these together": (True, (on_a_tube, blurred, rotated, faded)),
}
"""Whether the dots are eroded, and what happens to the photograph."""


def damaged(label: Image.Image, dpi: int, damage: str) -> Image.Image:
    """The photograph of a damaged label. `label`: its dots, black on white."""
    erode, steps = DAMAGES[damage]
    dots = label.convert("L")
    # the camera sees some of the tube or table around the label
    photo = photographed(eroded(dots) if erode else dots, dpi)
    margin = 2 * CAMERA_PIXELS_PER_MM
    scene = Image.new("L", (photo.width + 2 * margin, photo.height), 255)
    scene.paste(photo, (margin, 0))
    for step in steps:
        scene = step(scene)
    return scene


def reads(photo: Image.Image, value: str) -> bool:
    """Whether a reader finds exactly this value."""
    found = zxingcpp.read_barcodes(photo, formats=zxingcpp.BarcodeFormat.Code128)
    return [bytes(code.bytes) for code in found] == [value.encode()]


GROUPS: dict[str, Callable[[random.Random], str]] = {
    "our own identifiers": lambda chance: make_identifier("S", chance.randrange(100), chance.randrange(10**6)),
    "digits that begin with 99": lambda chance: f"99{chance.randrange(10**6):06d}",
    "from outside, longer: the narrower module": lambda chance: (
        f"{chance.choice('ABCDEFGH')}{chance.randrange(10**4):04d}-{chance.choice('ABCDEFGH')}{chance.randrange(100):02d}"
    ),
}


def identifiers(group: str, count: int, seed: int = SEED) -> list[str]:
    """Values of one group, the same for the same seed."""
    chance = random.Random(seed)
    return [GROUPS[group](chance) for _ in range(count)]


def ours(value: str, dpi: int) -> Image.Image:
    """Our specimen label."""
    return paint(place(layout_named("specimen"), another(value), dpi))


def theirs(value: str, dpi: int, module_mm: float) -> Image.Image:
    """python-barcode's own picture of the value, with quiet zones of ten modules and bars of 10.2 mm."""
    made = barcode.get_barcode_class("code128")(value, writer=ImageWriter())
    sizes = {"module_width": module_mm, "quiet_zone": 10 * module_mm, "module_height": 10.2}
    options = {**sizes, "dpi": dpi, "write_text": False}
    picture: Image.Image = made.render(options).convert("L")
    return picture


def fitting_mm(value: str) -> float:
    """The module width with which the symbol and its quiet zones fill the label."""
    return LABEL_MM / (len(modules(value)) + 20)


MAKERS: dict[str, Callable[[str, int], Image.Image]] = {
    "Labtrail": ours,
    "python-barcode, fitted": lambda value, dpi: theirs(value, dpi, fitting_mm(value)),
    "python-barcode, default": lambda value, dpi: theirs(value, dpi, 0.2),
}


def share_read(maker: str, dpi: int, damage: str, values: list[str]) -> float:
    """The part of the labels that are read."""
    make = MAKERS[maker]
    return sum(reads(damaged(make(value, dpi), dpi, damage), value) for value in values) / len(values)


def degradation(group: str, values: list[str]) -> Table:
    """Labels read, in percent, by damage, maker and resolution."""
    headers = (f"{maker}\n{dpi} dpi" for dpi in (203, 300) for maker in MAKERS)
    table = Table("damage", *headers, title=f"{len(values)} labels: {group}, like {values[0]}")
    for damage in DAMAGES:
        cells = [f"{share_read(maker, dpi, damage, values):.1%}" for dpi in (203, 300) for maker in MAKERS]
        table.add_row(damage, *cells)
    return table


def lengths(values: list[str]) -> tuple[float, float]:
    """Mean modules of a symbol: ours, python-barcode's."""
    own = [len(modules(value)) for value in values]
    other = [len(barcode.get_barcode_class("code128")(value).build()[0]) for value in values]
    return sum(own) / len(own), sum(other) / len(other)


def rates(values: list[str]) -> Table:
    """Milliseconds and labels per second, read-back included; every label is drawn from scratch."""
    table = Table("format", "dpi", "median ms", "p99 ms", "labels/s", "bytes")
    for dpi in (203, 300, 600):
        for fmt in FORMATS:
            taken, sizes = [], []
            for value in values[:200]:
                content = another(value)
                began = time.perf_counter()
                sizes.append(len(render(content, fmt, dpi)))
                taken.append((time.perf_counter() - began) * 1000)
            p99 = quantiles(taken, n=100)[98]
            cells = (
                f"{median(taken):.1f}",
                f"{p99:.1f}",
                f"{1000 * len(taken) / sum(taken):.0f}",
                f"{median(sizes):.0f}",
            )
            table.add_row(fmt, str(dpi), *cells)
    return table


def main() -> None:
    """Print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else LABELS
    console = Console(width=150)
    console.print(f"seed {SEED}; read by zxing-cpp {version('zxing-cpp')}")
    for group in GROUPS:
        values = identifiers(group, count)
        console.print(degradation(group, values))
        own, other = lengths(values)
        console.print(f"modules of a symbol, mean: Labtrail {own:.1f}, python-barcode {other:.1f}\n")
    console.print(rates(identifiers("our own identifiers", count)))


if __name__ == "__main__":
    main()
