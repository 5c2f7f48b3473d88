"""How `labtrail publish` cuts its input into lines: every byte of a line stays as it is."""

import io
import random
from collections.abc import Callable

import pytest

from labtrail.commands.service.publish import LINE_BYTES_MAX, Lines, read_lines


def _dribble(content: bytes, seed: int) -> Callable[[int], bytes]:
    """A reader that gives a few bytes at a time, as a pipe may."""
    chance, source = random.Random(seed), io.BytesIO(content)
    return lambda size: source.read(min(size, chance.choice((1, 2, 7, 4096, 70_000))))


def _all(parts: list[Lines]) -> list[bytes]:
    return [line for part in parts for line in part.lines]


@pytest.mark.parametrize("seed", range(8))
def test_lines_are_the_same_however_the_input_dribbles_in(seed: int) -> None:
    chance = random.Random(seed)
    lines = [chance.randbytes(chance.randrange(1, 3000)).replace(b"\n", b"").replace(b"\r", b"") for _ in range(200)]
    lines = [line for line in lines if line.strip()]
    content = b"".join(line + chance.choice((b"\n", b"\r\n", b"\n\n", b"\n  \t \n")) for line in lines)
    assert _all(list(read_lines(_dribble(content, seed)))) == lines, f"seed {seed}"


def test_a_line_keeps_its_bytes_even_when_they_are_no_utf_8() -> None:
    content = b'{"a": "\xff\xfe"}\n  {"indented": 1}  \n\x00\x01\nlast without an end'
    expected = [b'{"a": "\xff\xfe"}', b'  {"indented": 1}  ', b"\x00\x01", b"last without an end"]
    assert _all(list(read_lines(io.BytesIO(content).read))) == expected


def test_blank_lines_are_left_out_and_an_empty_input_has_no_lines() -> None:
    assert _all(list(read_lines(io.BytesIO(b"\n\r\n   \n\t\n").read))) == []
    assert list(read_lines(io.BytesIO(b"").read)) == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_of_the_greatest_length_is_taken_and_one_byte_more_is_named(end: bytes) -> None:
    fits, too_long = b"x" * LINE_BYTES_MAX, b"y" * (LINE_BYTES_MAX + 1)
    parts = list(read_lines(_dribble(b"first\n" + too_long + b"\n" + fits + end, 1)))
    assert _all(parts) == [b"first", fits]
    assert [number for part in parts for number in part.too_long] == [2]
    parts = list(read_lines(_dribble(b"first\n" + too_long + end, 2)))
    assert _all(parts) == [b"first"]
    assert [number for part in parts for number in part.too_long] == [2]


def test_memory_stays_bounded_by_two_reads_whatever_the_length_of_a_line() -> None:
    longest = 0
    left = 40

    def read(size: int) -> bytes:
        nonlocal left
        left -= 1
        return b"z" * size if left > 0 else b"\nafter" if left == 0 else b""

    for part in read_lines(read):
        longest = max(longest, sum(map(len, part.lines)))
    assert longest <= LINE_BYTES_MAX
