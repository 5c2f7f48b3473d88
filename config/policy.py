"""Policy: the limits a medical director sets. Plain values, passed to the pure modules as an argument."""

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    label_minutes_max: float = 10.0
    """A collected tube must be labeled within this time (NPSG.01.01.01: label in the patient's presence)."""
    clock_skew_minutes: float = 5.0
    """Two devices' clocks may differ by this much before their times contradict each other."""
    critical_ack_minutes_max: float = 60.0
    """A critical result must be acknowledged with read-back within this time."""
    expiring_days: float = 30.0
    """Stock is reported as expiring this long before its date."""
    at_risk_fraction: float = 0.75
    """A tube is at risk when this part of its stability limit has passed before receipt at a lab."""
    use_rate_days: int = 14
    """Days of cover rest on the use of this many days."""
    refrigerated_min_c: float = 2.0
    refrigerated_max_c: float = 8.0
    """The band of a refrigerated leg; the container's own band holds as well."""
    frozen_max_c: float = -10.0
    """A frozen leg must be at or below this; the container's band does not hold for it."""
