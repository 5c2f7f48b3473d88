"""The one error of the label package."""

from config.errors import LabtrailError


class LabelError(LabtrailError):
    """A label that can't be made, read back or sent. The message is one line that says what to do."""
