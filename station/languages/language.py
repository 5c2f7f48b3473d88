"""In which language a request is answered. Programs are answered in English; people in theirs."""

from typing import Any

from litestar import Request

from station.auth.session import session_or_none
from station.languages.words import LANGUAGES, Tell, teller

LANGUAGE_COOKIE = "labtrail-language"


def language_of(request: Request[Any, Any, Any]) -> str:
    """What the person chose on this device, else their own language, else (nobody signed in) the browser's."""
    session = session_or_none(request)
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    asked = request.headers.get("accept-language", "")[:2].lower()
    return next((one for one in (chosen, session and session.language, asked) if one in LANGUAGES), "en") or "en"


def teller_of(request: Request[Any, Any, Any]) -> Tell:
    """Translates the server's texts into the language of a request."""
    return teller(language_of(request))
