"""The script that Streamlit runs for every view of a page; `tickercast dashboard` starts it."""

from pathlib import Path

import streamlit as st

from tickercast.dashboard import forecast_page, operations_page, portfolio_page, record_page, state, strategies_page
from tickercast.errors import TickercastError
from tickercast.plain import markdown

PAGES = {
    "Forecast": forecast_page.show,
    "Portfolio": portfolio_page.show,
    "Strategies": strategies_page.show,
    "Track record": record_page.show,
    "Operations": operations_page.show,
}
_STYLE = """<style>
.stMainBlockContainer {padding: 3.2rem 2rem 2rem}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 0.8}
div.rows {overflow-x: auto}
table.rows {width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums}
table.rows th {text-align: left; font-weight: 600}
table.rows th, table.rows td {padding: 0.35rem 0.9rem 0.35rem 0; border-bottom: 1px solid rgba(128, 128, 128, 0.3)}
table.rows td {vertical-align: top; min-width: max-content; max-width: 44rem}
table.prose td:last-child {min-width: 16rem}
table.rows td:first-child {white-space: nowrap}
@media (max-width: 640px) {
  .stMainBlockContainer {padding: 3.2rem 1rem 2rem}
  table.rows {font-size: 0.8rem}
  table.rows td {min-width: 3.5rem; padding-right: 0.6rem}
}
</style>"""

st.set_page_config(page_title="tickercast", page_icon=str(Path(__file__).parent / "icon.svg"), layout="wide")
st.html(_STYLE)
with st.container(horizontal=True, vertical_alignment="center", key="top"):
    # Not `st.navigation`: a page with its own path makes the browser look for the server below that path first, and
    # each attempt logs an error in its console.
    title = st.container(width="stretch")
    page = str(st.segmented_control(
        "Page", list(PAGES), default="Forecast", required=True, key="page", bind="query-params",
        label_visibility="collapsed",
    ))  # fmt: skip
    if st.button("Refresh", icon=":material/refresh:", help="Read the warehouse again"):
        st.cache_data.clear()
title.title(page)
try:
    PAGES[page]()
except TickercastError as error:
    st.error(markdown(str(error)), icon=":material/error:")
    state.first_steps()
