"""The error of people and devices."""

from config.errors import LabtrailError


class PeopleError(LabtrailError):
    """Something about users or devices can't be done; the message says what to do."""
