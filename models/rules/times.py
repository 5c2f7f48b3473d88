"""Times: microseconds since 1970, aware datetimes, and the one form in which times are exported."""

from datetime import UTC, datetime, timedelta

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
_FIRST_US = (datetime.min.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND
_LAST_US = (datetime.max.replace(tzinfo=UTC) - EPOCH) // _MICROSECOND


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone: a naive time is an error")
    return (moment - EPOCH) // _MICROSECOND


def moment_of(time_us: int) -> datetime:
    """The UTC datetime of microseconds since 1970; outside the calendar, its first or last one."""
    return EPOCH + timedelta(microseconds=max(_FIRST_US, min(_LAST_US, time_us)))


def utc_text(time_us: int | None) -> str | None:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`, the form of every exported time; None stays None."""
    if time_us is None:
        return None
    return f"{moment_of(time_us).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
