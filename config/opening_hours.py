"""Opening hours of a lab, as the column `open` of sites.csv has them."""

import re
from functools import lru_cache

from msgspec import Struct


class Opening(Struct, frozen=True):
    """When a lab is open. Each period: weekday (0: Monday), first and last minute, which may lie after midnight."""

    periods: tuple[tuple[int, int, int], ...]


_DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
_DAY = "(?:mo|tu|we|th|fr|sa|su)"
_RULE = re.compile(rf"(?:({_DAY}(?:-{_DAY})?(?:,{_DAY}(?:-{_DAY})?)*)\s+)?([0-9:,\-\s]+|off|closed)", re.IGNORECASE)
_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
MINUTES = 24 * 60


@lru_cache(256)
def opening(text: str | None) -> Opening | None:
    """`Mo-Fr 06:00-20:00; Sa 08:00-12:00` as periods; None: always open. Raises ValueError for what it can't read.

    The form is that of OpenStreetMap's opening hours: days, then times; without days every day; a later rule
    replaces an earlier one for its days; a period may run past midnight (`22:00-06:00`).
    """
    if text is None or text.strip().lower() in ("", "24/7"):
        return None
    by_day: dict[int, list[tuple[int, int]]] = {}
    for rule in text.split(";"):
        match = _RULE.fullmatch(rule.strip())
        if match is None:
            raise ValueError(f"{rule.strip()!r} is not like Mo-Fr 06:00-20:00")
        spans = [] if match[2].lower() in ("off", "closed") else [_span(one) for one in match[2].split(",")]
        for day in _days(match[1]):
            by_day[day] = spans
    periods = tuple((day, start, end) for day in sorted(by_day) for start, end in sorted(by_day[day]))
    if not periods:
        raise ValueError(f"{text!r} is never open")
    return Opening(periods)


def _span(text: str) -> tuple[int, int]:
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} is not like 06:00-20:00")
    hours, minutes, until_hours, until_minutes = map(int, match.groups())
    start, end = hours * 60 + minutes, until_hours * 60 + until_minutes
    if minutes > 59 or until_minutes > 59 or start >= MINUTES or end > MINUTES or start == end:
        raise ValueError(f"{text.strip()!r} is no period of a day")
    return start, end if end > start else end + MINUTES


def _days(text: str | None) -> set[int]:
    if text is None:
        return set(range(7))
    found: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        start = _DAYS.index(first)
        found |= {(start + n) % 7 for n in range((_DAYS.index(last or first) - start) % 7 + 1)}
    return found
