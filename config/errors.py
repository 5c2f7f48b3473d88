"""The one base class of errors that a person is meant to read."""


class LabtrailError(Exception):
    """Something a person can mend. The message is one line that says what to do."""
