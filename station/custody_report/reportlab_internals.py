"""The private name of reportlab that Labtrail uses; no other module does. Read in reportlab 5.1.0.

`Canvas._startPage` begins a page without writing the one before it: what was drawn is kept in the canvas's
attributes, and put back when the page is written.
"""

from collections.abc import Callable
from typing import Any

from reportlab.pdfgen.canvas import Canvas


class CountedPages(Canvas):
    """Draws the head and foot of each page once it is known how many there are."""

    def __init__(self, *arguments: Any, frame: Callable[[Canvas, int, int], None], **options: Any) -> None:
        """`frame(canvas, number, count)` draws them, the pages counted from 1."""
        super().__init__(*arguments, **options)
        self._draw_frame = frame
        self._done: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._done.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]  # not in the stubs

    def save(self) -> None:
        for number, state in enumerate(self._done, 1):
            self.__dict__.update(state)
            self._draw_frame(self, number, len(self._done))
            super().showPage()
        super().save()
