"""SIGTERM ends a command as Ctrl-C does, by KeyboardInterrupt; what is open is closed.

Python drops an exception that a signal handler raises in a callback, as they run at the end of an import: code that
starts something that runs until a signal calls `heed` first.
"""

import signal
from typing import Any

_asked = False


def listen() -> None:
    """Take SIGTERM from now on."""
    signal.signal(signal.SIGTERM, _stop)


def heed() -> None:
    """Raise KeyboardInterrupt if SIGTERM has come by now."""
    if _asked:
        raise KeyboardInterrupt


def _stop(_number: int, _frame: Any) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
