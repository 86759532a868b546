"""Sessions of people who have signed in: what their cookies hold, and which of them have ended.

A cookie holds little, since it comes with every request: who somebody is, what their access comes from, and the number
of the session. The server remembers in its memory who has signed out, as long as their cookies would last.
"""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from tickercast.dashboard.sign_in import SignIn
from tickercast.domain.people import People

LASTS_S = 12 * 3600
"""The seconds that a login lasts; then the provider is asked again, which may know that somebody has left."""

COOKIE = "_streamlit_user"
"""The cookie from which Streamlit reads who somebody is."""

_ended: dict[str, float] = {}


def begin(claims: Mapping[str, Any], people: People, sign_in: SignIn) -> str:
    """Begin a session.

    Args:
        claims: the claims of the ID token, which has been checked.
        people: the access of people.
        sign_in: the provider.

    Returns:
        The value of the cookie, signed.
    """
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    own = {"iat": claims["iat"], "session": secrets.token_urlsafe(16)}
    read = {"origin": sign_in.url, "is_logged_in": True, "provider": "default"}  # the fields that Streamlit reads
    return create_signed_value(
        sign_in.cookie_key, COOKIE, json.dumps({**people.needed(claims), **own, **read})
    ).decode()


def read(cookies: Mapping[str, str], sign_in: SignIn) -> Mapping[str, Any]:
    """The claims that a request's cookie holds; none without one that this dashboard has signed."""
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

    content = decode_signed_value(sign_in.cookie_key, COOKIE, cookies.get(COOKIE, ""))
    try:
        claims = json.loads(content or b"{}")
    except ValueError:  # a part of a cookie, as earlier versions made them
        return {}
    return claims if isinstance(claims, dict) and claims.get("origin") == sign_in.url else {}


def is_open(claims: Mapping[str, Any]) -> bool:
    """Whether a session goes on: it is not too old, and nobody has signed out of it here."""
    number = claims.get("session")
    return bool(number) and number not in _ended and time.time() <= _ends_at(claims)


def end(claims: Mapping[str, Any]) -> None:
    """End a session, whoever has a copy of its cookie and whatever page it has open."""
    now = time.time()
    for number in [number for number, ends_at in _ended.items() if ends_at < now]:
        del _ended[number]
    if is_open(claims):
        _ended[claims["session"]] = _ends_at(claims)


def _ends_at(claims: Mapping[str, Any]) -> float:
    return float(claims.get("iat") or 0) + LASTS_S
