"""Alertmanager's webhooks, and whether its view of what is wrong agrees with Labtrail's."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from litestar import get, post
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from models.alerts.notifications import Alerting, Told, alerting, record_told
from models.people.users import Role
from models.rules.times import microseconds
from station.auth.access import api
from station.problems import Refusal
from station.services import Station

RECEIVERS = ("lab-supervisor", "clinic-lead", "supply-manager", "on-call", "heartbeat")
"""The receivers of config/alertmanager/alertmanager.yml."""
PATHS = frozenset(f"/api/v1/notifications/{receiver}" for receiver in RECEIVERS)
Text = Annotated[str, Meta(max_length=2000)]
Labels = Annotated[dict[Annotated[str, Meta(max_length=128)], Text], Meta(max_length=64)]


class Alert(Struct, frozen=True, rename="camel"):
    """One alert of Alertmanager's webhook, version 4; what else it says is not needed."""

    status: Literal["firing", "resolved"]
    labels: Labels
    starts_at: datetime
    fingerprint: Annotated[str, Meta(min_length=1, max_length=64)]
    annotations: Labels = {}

    def told(self) -> Told:
        """As it is stored. Raises Refusal for a time without an offset."""
        if self.starts_at.tzinfo is None:
            raise Refusal(400, "startsAt has no offset: Alertmanager writes one")
        return Told(
            fingerprint=self.fingerprint,
            alert=self.labels.get("alertname", ""),
            severity=self.labels.get("severity", ""),
            site=self.labels.get("site"),
            summary=self.annotations.get("summary", ""),
            status=self.status,
            starts_us=microseconds(self.starts_at),
        )


class Webhook(Struct, frozen=True):
    """What Alertmanager posts."""

    version: Literal["4"]
    alerts: Annotated[tuple[Alert, ...], Meta(max_length=5000)]


@post(
    "/api/v1/notifications/{receiver:str}",
    access=api(Role.MANAGER),
    status_code=200,
    tags=["alerts"],
    summary="Alertmanager tells a receiver",
)
async def post_notifications(
    station: Station,
    receiver: Annotated[str, PathParameter(description="A receiver of alertmanager.yml.", max_length=64)],
    data: JSONBody[Webhook],
) -> dict[str, int]:
    """For Alertmanager's `webhook_configs`. Kept, so that its view and Labtrail's can be compared."""
    if receiver not in RECEIVERS:
        raise Refusal(404, "there is no receiver {name!r}: use one of {names}", name=receiver, names=RECEIVERS)
    told = {alert.fingerprint: alert.told() for alert in data.alerts}
    await station.write(record_told, receiver, list(told.values()), station.clock())
    return {"alerts": len(told)}


@get(
    "/api/v1/notifications",
    access=api(Role.LAB, Role.MANAGER),
    tags=["alerts"],
    summary="Whether alerts reach people",
)
async def get_notifications(station: Station) -> Alerting:
    """Who is told of what now, when the heartbeat last arrived, and where the two views have differed for long."""
    return await station.read(alerting, station.clock())


ROUTES: Sequence[Any] = (post_notifications, get_notifications)
