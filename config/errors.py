"""The one base class of errors that a person is meant to read."""

from config.messages import as_message


class LabtrailError(Exception):
    """Something a person can fix. The message is one line that says what to do.

    A text that a page may show is a `Message`, so that it is translated there; what only the command line and the log
    show may be plain text.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.message = as_message(text)
