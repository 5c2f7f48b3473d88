"""Which role records which events. A table, so that it can be read, tested and argued about."""

from collections.abc import Mapping

from models.people.users import Role
from models.rules.event_types import TYPES

_CUSTODY_ANYWHERE = ("specimen.missing", "specimen.found")
_SHELF = (
    "supply.received",
    "supply.used",
    "supply.wasted",
    "supply.counted",
    "supply.transferred",
    "supply.sent",
    "supply.ordered",
    "supply.order-closed",
)

STAFF = (Role.MA, Role.COURIER, Role.LAB, Role.MANAGER)
"""Who handles specimens: every role but the administrator's."""
ACTS: Mapping[str, frozenset[str]] = {
    Role.MA: frozenset(
        {
            "order.placed",
            "order.cancelled",
            "specimen.collected",
            "specimen.not-collected",
            "specimen.labeled",
            "specimen.relabeled",
            "specimen.dispatched",
            "specimen.received",
            "specimen.test-added",
            "specimen.stored",
            "result.acknowledged",
            *_CUSTODY_ANYWHERE,
            *_SHELF,
        }
    ),
    Role.COURIER: frozenset({"specimen.picked-up", "specimen.received", "specimen.dispatched", *_CUSTODY_ANYWHERE}),
    Role.LAB: frozenset(
        {
            "order.placed",
            "order.cancelled",
            "specimen.collected",
            "specimen.not-collected",
            "specimen.labeled",
            "specimen.relabeled",
            "specimen.dispatched",
            "specimen.received",
            "specimen.rejected",
            "specimen.aliquoted",
            "specimen.test-added",
            "specimen.stored",
            "specimen.disposed",
            "result.reported",
            "result.acknowledged",
            *_CUSTODY_ANYWHERE,
            *_SHELF,
        }
    ),
    Role.MANAGER: frozenset(TYPES) - {"specimen.picked-up"},
    Role.ADMIN: frozenset(),
}
"""A manager may void and recall. An administrator manages people and devices, and records nothing."""


def acts_of(role: str) -> frozenset[str]:
    """The event types that a role may record; none for an unknown role."""
    return ACTS.get(role, frozenset())
