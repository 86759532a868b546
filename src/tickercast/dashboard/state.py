"""State shared by the pages: cached answers of the warehouse, the theme, and messages instead of charts."""

import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Concatenate, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tickercast.app import App
from tickercast.dashboard.palette import DARK, LIGHT, Palette
from tickercast.errors import TickercastError
from tickercast.ports import Warehouse
from tickercast.reading import views

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_SOON, _LATER = 10, 300
"""Seconds that an answer is cached: one about a symbol, and one that scores every forecast."""


@st.cache_resource(show_spinner=False)
def _app() -> App:
    return App()


def _kept(
    question: Callable[Concatenate[Warehouse, Given], Answer], seconds: int, wait: str
) -> Callable[Given, Answer]:
    """Cache the answer of a question for a while, for all users; a failure is not cached."""

    def asked(*words: Given.args, **more: Given.kwargs) -> Answer:
        return question(_app().tables, *words, **more)

    asked.__qualname__ = question.__qualname__  # answers are kept by the name of what was asked
    kept: Callable[Given, Answer] = st.cache_data(ttl=seconds, show_spinner=wait, max_entries=64)(asked)
    return kept


symbols = _kept(views.symbols, _SOON, "Looking for symbols …")
bars = _kept(views.bars, _SOON, "Reading prices and indicators …")
champion_forecasts = _kept(views.champion_forecasts, _SOON, "Reading forecasts …")
random_walk = _kept(views.random_walk, _SOON, "Reading forecasts …")
histogram = _kept(views.histogram, _SOON, "Counting closes …")
champion_skill = _kept(views.champion_skill, _SOON, "Scoring the symbol's forecasts …")
skill = _kept(views.skill, _LATER, "Scoring every forecast …")
coverage = _kept(views.coverage, _LATER, "Counting how often the intervals held …")
models = _kept(views.models, _LATER, "Looking at every version's forecasts …")
health = _kept(views.health, _SOON, "Reading the ledger …")
not_forecast = _kept(views.not_forecast, _SOON, "Reading the ledger …")
freshness = _kept(views.freshness, _SOON, "Reading the ledger …")
decisions = _kept(views.decisions, _SOON, "Reading decisions …")
drift = _kept(views.drift, _SOON, "Reading drift …")


@st.cache_data(ttl=_LATER, show_spinner="Reading the report …", max_entries=4)
def report(name: str) -> bytes:
    """An object of the bucket.

    Raises:
        ObjectNotFound: it is gone.
        StoreUnavailable: try again.
    """
    return _app().silent_store.read(name)


@st.cache_data(ttl=_LATER, show_spinner=False)
def trained_through(name: str, version: str) -> date:
    """The last date that a published version was trained on.

    Raises:
        ModelUnavailable, BundleError: it is not there, or damaged.
        StoreUnavailable: try again.
    """
    return _app().models.read(name, version).card.trained_through


def palette() -> Palette:
    """The colours that fit the page as the browser shows it."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def picture(figure: go.Figure, *, key: str, alt: str) -> None:
    """Show a figure across the page, with an alternative text."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "displayModeBar": False})


def table(rows: pd.DataFrame, label: str, *, prose: bool = False) -> None:
    """Show rows of text that can be read, copied, and scrolled with the keyboard.

    Args:
        rows: the cells; they are escaped.
        label: the alternative text.
        prose: whether the last column holds sentences.
    """
    cells = rows.to_html(index=False, border=0, classes="rows prose" if prose else "rows", escape=True)
    st.html(f'<div class="rows" role="region" tabindex="0" aria-label="{html.escape(label)}">{cells}</div>')


@contextmanager
def section() -> Iterator[None]:
    """A part of a page: if it cannot be read it says why, and the other parts are shown all the same."""
    try:
        yield
    except TickercastError as error:
        st.error(str(error), icon=":material/error:")


def first_steps() -> None:
    """The first steps, shown while nothing has been forecast."""
    st.info("No forecast yet. Type one of these in a terminal, then press Refresh:", icon=":material/info:")
    st.code("make demo\npython src/main.py MSFT 2023-07-22", language=None)
    st.caption(f"Warehouse: {_app().settings.warehouse}")
