"""The page of the API's tokens: operators make and revoke them, and everybody sees the usage of their own."""

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, time

import pandas as pd
import streamlit as st

from tickercast.app import App
from tickercast.dashboard import state
from tickercast.domain.people import Access, Visitor
from tickercast.domain.tokens import Scope, Token
from tickercast.plain import markdown

log = logging.getLogger(__name__)

_MADE = "made token"


def show(visitor: Visitor) -> None:
    """Draw the page.

    Args:
        visitor: the person who looks at the page.
    """
    with state.section():
        _show(state.application(), visitor)


def _show(app: App, visitor: Visitor) -> None:
    is_operator = visitor.access is Access.OPERATOR
    tokens = [one for one in app.tokens().tokens if is_operator or one.owner.lower() == visitor.address != ""]
    if is_operator:
        with state.section():
            _made_token()
            _make(app, visitor)
    st.subheader("Tokens" if is_operator else "Your tokens")
    if tokens:
        with state.section():
            state.table(_rows(app, tokens), "Tokens of the API, with the calls of this month and the last")
    elif is_operator:
        st.info("There is no token yet.", icon=":material/info:")
    else:
        st.info(
            f"No token was made for {markdown(visitor.address or visitor.name)}. Ask an operator for one.",
            icon=":material/info:",
        )
    if is_operator:
        with state.section():
            _revoke(app, visitor, tokens)


def _made_token() -> None:
    """The text of the token that was just made, until its maker has copied it."""
    text = st.session_state.get(_MADE)
    if not text:
        return
    st.success("This token is shown this once; only its SHA-256 is stored. Copy it now.", icon=":material/key:")
    st.code(text, language=None)
    if st.button("I have copied it"):
        del st.session_state[_MADE]
        st.rerun()


def _make(app: App, visitor: Visitor) -> None:
    with st.form("make", clear_on_submit=True):
        owner = st.text_input("Owner", help="Any name; an e-mail address lets that person see its usage.")
        scopes = st.multiselect("Scopes", [str(scope) for scope in Scope], default=[Scope.READ.value])
        limit = st.number_input("Calls a month", min_value=0, value=1000, step=100, help="0: no limit.")
        ends = st.date_input("Ends", value=None, min_value=app.now().date(), help="Refused from this day on, UTC.")
        is_asked = st.form_submit_button("Make a token", icon=":material/add:")
    if not is_asked:
        return
    token, text = app.create_token(
        owner, [Scope(scope) for scope in scopes], per_month=int(limit) or None, expires_at=_midnight(ends)
    )
    log.info("%s made token %s of %s", visitor.name, token.id, token.owner)
    st.session_state[_MADE] = text
    st.rerun()


def _revoke(app: App, visitor: Visitor, tokens: Iterable[Token]) -> None:
    valid = {token.id: token for token in tokens if token.state(app.now()) == "valid"}
    if not valid:
        return
    st.subheader("Revoke a token")
    with st.form("revoke"):
        number = st.selectbox(
            "Token",
            list(valid),
            index=None,
            format_func=lambda one: f"{valid[one].owner} ({one})",
            placeholder="Choose",
        )
        is_sure = st.checkbox("Calls with it are refused within five seconds, for good.")
        is_asked = st.form_submit_button("Revoke", icon=":material/delete:")
    if not is_asked:
        return
    if number is None or not is_sure:
        st.warning("Choose a token and tick the box.", icon=":material/warning:")
        return
    app.revoke_token(number)
    log.info("%s revoked token %s of %s", visitor.name, number, valid[number].owner)
    st.rerun()


def _rows(app: App, tokens: Iterable[Token]) -> pd.DataFrame:
    """A row a token, the newest first."""
    now = app.now()
    used = app.usage_by_owner().set_index("token_id")
    return pd.DataFrame(
        [
            {
                "Token": token.id,
                "Owner": token.owner,
                "Scopes": ", ".join(token.scopes),
                "State": token.state(now),
                "Made": f"{token.created_at:%Y-%m-%d}",
                "Ends": f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never",
                "Calls a month": f"{token.per_month:,}" if token.per_month else "no limit",
                "Taken this month": f"{app.leased_calls(token):,}" if token.per_month else "",
                "Calls since last month": f"{int(used['calls'].get(token.id, 0)):,}",
                "Last call": f"{used['last_at'][token.id]:%Y-%m-%d %H:%M}" if token.id in used.index else "",
            }
            for token in sorted(tokens, key=lambda one: one.created_at, reverse=True)
        ]
    )


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
