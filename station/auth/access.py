"""How a route states who may call it: `access=requires(...)`, `access=api(...)` or `access=public()`.

`station/auth/guard.py` enforces it; a route that states nothing is not served (`station/app.py` refuses to start).
"""

from typing import Literal

from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from models.people.users import Role

Scope = Literal["none", "site", "specimen", "manifest", "event", "alert", "order"]
_ENDINGS = (".png", ".pdf", ".zpl")


class Access(Struct, frozen=True):
    """What a route requires of its caller.

    `roles` empty: anybody. `scope`: what the call is about, so what must belong to a site of the session.
    `people`: a person must be signed in; a program's token or an open API is not enough.
    `read`: what the audit trail says of a call that went through; empty: it is not about a patient.
    """

    roles: frozenset[str]
    scope: Scope = "none"
    people: bool = True
    read: str = ""
    touch: bool = True


def requires(*roles: str, scope: Scope = "none", read: str = "", touch: bool = True) -> Access:
    """A person signed in with one of these roles (none named: any)."""
    return Access(_known(roles), scope, people=True, read=read, touch=touch)


def api(*roles: str, scope: Scope = "none", read: str = "") -> Access:
    """As `requires`, and programs with a token, and anybody where the API is open (LABTRAIL_API_OPEN)."""
    return Access(_known(roles), scope, people=False, read=read)


def public() -> Access:
    """Anybody: health, metrics, the sign-in itself."""
    return Access(frozenset(), people=False)


def _known(roles: tuple[str, ...]) -> frozenset[str]:
    assert set(roles) <= set(Role), f"unknown role among {roles}"
    return frozenset(roles or Role)


def access_of(handler: BaseRouteHandler) -> Access | None:
    """What a route states; None: nothing."""
    stated = handler.opt.get("access")
    return stated if isinstance(stated, Access) else None


def without_ending(file: str) -> str:
    """`S2600012334` of `S2600012334.png`."""
    return file[:-4] if file.endswith(_ENDINGS) else file
