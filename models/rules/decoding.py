"""The JSON decoder's complaints about invalid data, as messages."""

from config.foreign_texts import recognized
from config.messages import N_, Message

_SAYS = (
    N_("Expected {what}, got {other} - at {where}"),
    N_("Expected {what}, got {other}"),
    N_("Expected {what} - at {where}"),
    N_("Expected {what}"),
    N_("Invalid enum value {value} - at {where}"),
    N_("Invalid {what} - at {where}"),
    N_("JSON is malformed: {what}"),
    N_("Object missing required field {field} - at {where}"),
    N_("Object missing required field {field}"),
)
"""msgspec's sentences; the more specific ones first."""


def fault_message(fault: Exception) -> Message:
    """The message of an exception of the decoder."""
    return recognized(str(fault), _SAYS)
