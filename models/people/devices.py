"""Devices: enrolled browsers and programs, known by a token of which only the hash is stored."""

from typing import Any, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, insert, select, update

from models.people.errors import PeopleError
from models.people.sessions import end_sessions
from models.people.tables import devices, sessions


class Device(Struct, frozen=True):
    """An enrolled browser (`station`) or program (`service`). `site` may be `*`."""

    id: int
    name: str
    kind: Literal["station", "service"]
    site: str
    role: str | None
    enrolled_us: int
    enrolled_by: str
    revoked_us: int | None


def enroll(connection: Connection, device: Device, token_hash: bytes) -> Device:
    """Put a device on record with the hash of its token; returns it with its number."""
    values = msgspec.structs.asdict(device)
    del values["id"]
    made = connection.execute(insert(devices).values(**values, token_hash=token_hash).returning(devices.c.id))
    return msgspec.structs.replace(device, id=int(made.scalar_one()))


def find_device(connection: Connection, token_hash: bytes) -> Device | None:
    """The device whose token this is; None when there is none or it was revoked."""
    d = devices.c
    row = connection.execute(select(devices).where(d.token_hash == token_hash, d.revoked_us.is_(None))).first()
    return None if row is None else _device(row)


def list_devices(connection: Connection) -> list[Device]:
    """All devices, revoked ones too, by number."""
    return [_device(row) for row in connection.execute(select(devices).order_by(devices.c.id))]


def revoke_device(connection: Connection, device_id: int, now_us: int) -> None:
    """Invalidate the device's token and end its sessions. Raises PeopleError."""
    change = update(devices).where(devices.c.id == device_id, devices.c.revoked_us.is_(None))
    if connection.execute(change.values(revoked_us=now_us)).rowcount == 0:
        raise PeopleError(f"no device {device_id} is enrolled: see labtrail devices list")
    end_sessions(connection, sessions.c.device_id == device_id, "device revoked", now_us)


def _device(row: Row[Any]) -> Device:
    return Device(**{name: getattr(row, name) for name in Device.__struct_fields__})
