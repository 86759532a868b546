"""The overview: every symbol in one row."""

import streamlit as st

from tickercast.dashboard import state


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    st.write("")
