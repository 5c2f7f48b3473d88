"""Policy: the limits a medical director sets. Plain values, passed to the pure modules as an argument.

Every field is also a setting (`config/settings.py`), and `docs/settings.md` describes it.
"""

from typing import Annotated

import msgspec
from msgspec import Meta


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    label_minutes_max: Annotated[
        float,
        Meta(
            gt=0,
            description="A collected tube must be labeled within this many minutes "
            "(NPSG.01.01.01: label in the patient's presence).",
        ),
    ] = 10.0
    clock_skew_minutes: Annotated[
        float,
        Meta(
            ge=0,
            description="Two devices' clocks may differ by this many minutes "
            "before their times contradict each other.",
        ),
    ] = 5.0
    critical_ack_minutes_max: Annotated[
        float,
        Meta(
            gt=0,
            description="A critical result must be acknowledged with read-back within this many minutes.",
        ),
    ] = 60.0
    collect_stat_hours_max: Annotated[
        float,
        Meta(
            gt=0, description="A STAT order, or recollection, must have a tube for each test within this many hours."
        ),
    ] = 1.0
    collect_routine_hours_max: Annotated[
        float,
        Meta(gt=0, description="The same for a routine one; from the wanted time where the order has one."),
    ] = 24.0
    expiring_days: Annotated[
        float, Meta(ge=0, description="Stock is reported as expiring this many days before its date.")
    ] = 30.0
    at_risk_fraction: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="A tube is at risk when this part of its stability limit has passed before receipt at a lab.",
        ),
    ] = 0.75
    use_rate_days: Annotated[
        int, Meta(ge=1, le=366, description="Days of cover rest on the use of this many days.")
    ] = 14
    escalate_minutes: Annotated[
        float,
        Meta(gt=0, description="A critical alert that nobody acknowledges is escalated after this many minutes."),
    ] = 30.0
    refrigerated_min_c: Annotated[
        float,
        Meta(description="Lowest temperature of a refrigerated leg; the container's own band holds as well."),
    ] = 2.0
    refrigerated_max_c: Annotated[
        float,
        Meta(description="Highest temperature of a refrigerated leg; the container's own band holds as well."),
    ] = 8.0
    frozen_max_c: Annotated[
        float,
        Meta(description="A frozen leg must be at or below this; the container's band does not hold for it."),
    ] = -10.0
