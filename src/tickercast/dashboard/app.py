"""What Streamlit runs, from top to bottom for every look at a page: `tickercast dashboard` starts it."""

from pathlib import Path

import streamlit as st

from tickercast.dashboard import forecast_page, operations_page, record_page, state
from tickercast.errors import TickercastError

PAGES = {"Forecast": forecast_page.show, "Track record": record_page.show, "Operations": operations_page.show}
_STYLE = "<style>.stMainBlockContainer {padding: 3.2rem 2rem 2rem} td:first-child * {white-space: nowrap}</style>"

st.set_page_config(page_title="tickercast", page_icon=str(Path(__file__).parent / "icon.svg"), layout="wide")
st.html(_STYLE)
with st.container(horizontal=True, vertical_alignment="center", key="top"):
    # Not `st.navigation`: a page with a path of its own makes the browser look for the server below that path first,
    # and each look fails aloud in its console.
    title = st.container(width="stretch")
    page = str(st.segmented_control(
        "Page", list(PAGES), default="Forecast", required=True, key="page", bind="query-params",
        label_visibility="collapsed",
    ))  # fmt: skip
    if st.button("Refresh", icon=":material/refresh:", help="Ask the warehouse again"):
        st.cache_data.clear()
title.title(page)
try:
    PAGES[page]()
except TickercastError as error:
    st.error(str(error), icon=":material/error:")
    state.first_steps()
