"""The script that Streamlit runs for every view of a page; `tickercast dashboard` starts it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import streamlit as st

from tickercast.dashboard import (
    access_page,
    address,
    banner,
    forecast_page,
    gate,
    operations_page,
    overview_page,
    portfolio_page,
    record_page,
    state,
    strategies_page,
)
from tickercast.domain.symbols import is_symbol
from tickercast.errors import NotSetUp, TickercastError
from tickercast.plain import markdown

PAGES: dict[str, Callable[[], None]] = {
    "Overview": overview_page.show,
    "Forecast": forecast_page.show,
    "Portfolio": portfolio_page.show,
    "Strategies": strategies_page.show,
    "Track record": record_page.show,
    "Operations": operations_page.show,
}
_STYLE = """<style>
.stMainBlockContainer {padding: 3.8rem 2rem 2rem}
.st-key-top h1, .st-key-headline h2 {padding: 0; line-height: 1.2}
.st-key-top h1 {position: relative; top: -0.5rem}
[data-testid="stCaptionContainer"] {color: inherit; opacity: 0.8}
.stMarkdownBadge {white-space: normal !important}
div.rows {overflow-x: auto}
table.rows {width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums}
table.rows th {text-align: left; font-weight: 600}
table.rows th, table.rows td {padding: 0.35rem 0.9rem 0.35rem 0; border-bottom: 1px solid rgba(128, 128, 128, 0.3)}
table.rows td {vertical-align: top; min-width: max-content; max-width: 44rem}
table.prose td:last-child {min-width: 16rem}
table.rows td:first-child {white-space: nowrap}
@media (max-width: 640px) {
  .stMainBlockContainer {padding: 4.2rem 1rem 2rem}
  .st-key-top h1 {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}
  .st-key-top {gap: 0.5rem 0}
  .st-key-top > :first-child {position: absolute}
  div:has(> .st-key-banner) {order: 1}
  .st-key-banner [data-testid="stMarkdownContainer"] {font-size: 0.8rem}
  .st-key-banner {gap: 0.5rem}
  .st-key-banner button {min-height: 1.8rem; padding: 0 0.5rem}
  .st-key-page button {padding: 0 0.45rem; min-height: 2.2rem}
  .st-key-page button p {font-size: 0.78rem}
  .st-key-refresh {position: fixed; top: 0.7rem; right: 3.5rem; z-index: 999991}
  div:has(> .st-key-pick), .st-key-pick {display: contents}
  div:has(> .st-key-controls) {order: 1}
  .st-key-pick > * {flex: 0 0 auto}
  .st-key-symbol label {display: none}
  table.rows {font-size: 0.8rem}
  table.rows td {min-width: 3.5rem; padding-right: 0.6rem}
}
</style>"""


@st.fragment(run_every=timedelta(days=7))
def _rerun_on_reconnection() -> None:
    """Draw nothing: a page with a part that runs by itself runs anew once its browser has reconnected.

    A server that was restarted beneath a page knows none of its widgets, and would drop the first choice.
    """


st.set_page_config(page_title="tickercast", page_icon=str(Path(__file__).parent / "icon.svg"), layout="wide")
st.html(_STYLE)
try:
    visitor = gate.visitor()
except TickercastError as error:
    st.error(markdown(str(error)), icon=":material/block:")
    st.stop()
if visitor is not None:
    PAGES = {**PAGES, "Access": partial(access_page.show, visitor)}
with st.container(horizontal=True, vertical_alignment="center", key="top"):
    # Not `st.navigation`: a page with its own path makes the browser look for the server below that path first, and
    # each attempt logs an error in its console.
    title = st.container(width="content")
    banner_at = st.container(horizontal=True, vertical_alignment="center", width="stretch", key="banner")
    usual = "Forecast" if "symbol" in st.query_params else "Overview"
    bound = address.bound("page", list(PAGES), usual)
    chosen = st.segmented_control("Page", list(PAGES), required=True, wrap=True, label_visibility="collapsed", **bound)
    page = str(chosen or usual)  # nothing is chosen where the script is imported, without a browser
    if st.button("Refresh", icon=":material/refresh:", key="refresh", help="Read the warehouse again"):
        st.cache_data.clear()
    if visitor is not None:
        st.text(f"{visitor.name} ({visitor.access})", width="content")
        gate.sign_out()
title.title(page, anchor=False)
shown = st.query_params.get("symbol", "").strip().upper()
st.set_page_config(page_title=f"{shown if page == 'Forecast' and is_symbol(shown) else page} · tickercast")
notices = st.container()
try:
    PAGES[page]()
    with banner_at:
        banner.show()
except TickercastError as error:
    st.error(markdown(str(error)), icon=":material/error:")
    if isinstance(error, NotSetUp):
        state.first_steps()
with notices:
    address.say_unknown()
_rerun_on_reconnection()
