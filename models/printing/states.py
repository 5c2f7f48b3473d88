"""The states of a print job, and which may follow which."""

from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.SENDING, JobState.FAILED, JobState.CANCELLED}),
    # back to queued only where nothing was sent, because the printer was not ready
    JobState.SENDING: frozenset(
        {JobState.QUEUED, JobState.SENT, JobState.CONFIRMED, JobState.UNCONFIRMED, JobState.FAILED}
    ),
    JobState.SENT: frozenset({JobState.CONFIRMED, JobState.UNCONFIRMED}),
    # a person checked: it printed, or it did not
    JobState.UNCONFIRMED: frozenset({JobState.CONFIRMED, JobState.FAILED}),
    # a person asks for a retry
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CONFIRMED: frozenset(),
    JobState.CANCELLED: frozenset(),
}
"""Which state may follow which."""
IN_HAND = (JobState.SENDING, JobState.SENT)
WAITING = (JobState.QUEUED, *IN_HAND)
"""States of a job that is not yet printed."""
MAYBE_PRINTED = (*WAITING, JobState.CONFIRMED, JobState.UNCONFIRMED)
