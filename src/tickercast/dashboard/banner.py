"""The banner of every page: the open alerts, and how many forecasts are fresh."""

from collections.abc import Sequence

import streamlit as st

from tickercast.dashboard import state
from tickercast.plain import markdown
from tickercast.show import sentences

COLOURS = {"fresh": "green", "due": "blue", "stale": "orange", "expired": "red", "unknown": "gray"}
"""The colour of each state of `domain.freshness`."""

ICONS = {"fresh": "check_circle", "due": "schedule", "stale": "history", "expired": "event_busy", "unknown": "help"}
"""The icon of each state, for readers who cannot tell colours apart."""

_SEVERITIES = {"failure": ":material/error:", "warning": ":material/warning:", "info": ":material/info:"}


def show() -> None:
    """Draw it."""
    with state.section():
        found = state.alerts()
        if found:
            with st.popover(f"{len(found):,} open alert{'s' * (len(found) != 1)}", icon=_SEVERITIES[found[0].severity]):
                for alert in found:
                    st.markdown(f"{_SEVERITIES[alert.severity]} **{markdown(alert.title)}.** {markdown(alert.text)}")
        else:
            badge("No open alert", "fresh")
        currency(list(state.currency()["state"]))


def currency(states: Sequence[str]) -> None:
    """Say how many forecasts are fresh, by their states of `domain.freshness`, in the colour of the oldest."""
    if states:
        oldest = next(each for each in ("expired", "stale", "unknown", "due", "fresh") if each in states)
        badge(sentences.currency(states), oldest)


def badge(text: str, current: str) -> None:
    """Say something in the colour of a state of `domain.freshness`."""
    st.badge(text, icon=f":material/{ICONS[current]}:", color=COLOURS[current])  # type: ignore[arg-type]
