"""The door of the dashboard: who is there, and what shows while nobody has signed in."""

from collections.abc import Mapping
from typing import Any

import streamlit as st
from starlette.requests import HTTPConnection

from tickercast import config
from tickercast.config import Settings
from tickercast.dashboard import iap, sessions
from tickercast.dashboard.sign_in import people_of, sign_in_of
from tickercast.dashboard.sign_in_routes import FAILED, FAILURES
from tickercast.domain.people import Visitor, name_of
from tickercast.errors import TickercastError
from tickercast.plain import markdown

_VISITOR = "visitor"


def visitor() -> Visitor | None:
    """The person who is signed in; None without a login, on this machine.

    Whoever has no access sees why, and nothing else.

    Raises:
        AccessDenied: IAP has not let them in.
        Transient: the keys of IAP cannot be read; try again.
    """
    settings = config.load()
    if settings.iap_audience:
        return _admitted(settings, _iap_claims(settings.iap_audience))
    if not settings.oidc_issuer:
        return None
    claims: Mapping[str, Any] = st.user.to_dict()
    if not claims.get("is_logged_in") or not sessions.is_open(claims):
        _ask_to_sign_in(settings, ended=bool(claims.get("is_logged_in")))
    return _admitted(settings, claims)


def admits(request: HTTPConnection) -> bool:
    """Whether a request comes from somebody who may open the dashboard; anybody may without a login, on this machine.

    Args:
        request: a request with its cookies and headers.
    """
    settings = config.load()
    if settings.iap_audience:
        try:
            claims = iap.claims(request.headers.get(iap.HEADER, ""), settings.iap_audience)
        except TickercastError:
            return False
    elif sign_in := sign_in_of(settings, st.get_option("server.port")):
        claims = sessions.read(request.cookies, sign_in)
        if not sessions.is_open(claims):
            return False
    else:
        return True
    return people_of(settings).visitor(claims) is not None


def _admitted(settings: Settings, claims: Mapping[str, Any]) -> Visitor:
    found = people_of(settings).visitor(claims)
    if found is None:
        st.title("tickercast")
        st.error(
            markdown(
                f"{name_of(claims)} may not open this dashboard: an address or claim on its list of viewers or "
                "operators was needed, and an address that the provider has verified. Ask an operator, or sign in as "
                "somebody else."
            ),
            icon=":material/block:",
        )
        sign_out()
        st.stop()
    return found


def sign_out() -> None:
    """A button that ends the session here and at the provider; behind IAP there is none."""
    if not config.load().iap_audience and st.button("Sign out", icon=":material/logout:"):
        st.logout()


def _ask_to_sign_in(settings: Settings, *, ended: bool) -> None:
    st.title("tickercast")
    st.write("Your session has ended. Sign in again." if ended else "Sign in to see the forecasts.")
    if failure := FAILURES.get(st.query_params.get(FAILED, "")):
        st.error(markdown(failure.format(issuer=settings.oidc_issuer)), icon=":material/error:")
    if st.button("Sign in", type="primary", icon=":material/login:"):
        st.login()
    st.caption(markdown(f"Your account at {settings.oidc_issuer} is asked for; no password is kept here."))
    st.stop()


def _iap_claims(audience: str) -> Mapping[str, Any]:
    """The claims of IAP for this connection, whose signature ends while a page is open."""
    if _VISITOR not in st.session_state:
        st.session_state[_VISITOR] = iap.claims(st.context.headers.get(iap.HEADER) or "", audience)
    held: Mapping[str, Any] = st.session_state[_VISITOR]
    return held
