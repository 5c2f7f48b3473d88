"""SIGTERM and Ctrl-C end a command by KeyboardInterrupt; what is open is closed.

Python drops an exception that a signal handler raises in a callback, as they run at the end of an import: code that
starts something that runs until a signal calls `heed` first, and a loop that waits calls it each time.
"""

import signal
from typing import Any

_asked = False


def listen() -> None:
    """Take SIGTERM from now on, and SIGINT where a shell does not ignore it, as for what runs in the background."""
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def heed() -> None:
    """Raise KeyboardInterrupt if either signal has come by now."""
    if _asked:
        raise KeyboardInterrupt


def _stop(_number: int, _frame: Any) -> None:
    global _asked
    _asked = True
    raise KeyboardInterrupt
