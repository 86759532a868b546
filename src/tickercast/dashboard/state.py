"""What the pages share: questions that are asked once for everybody, the theme, and states that are no chart."""

import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Concatenate, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.dashboard.palette import DARK, LIGHT, Palette
from tickercast.errors import TickercastError
from tickercast.jobs.champion.model_store import read_version
from tickercast.ports import Warehouse
from tickercast.reading import views as data

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_SOON, _LATER = 10, 300
"""Seconds that an answer is kept: one about a symbol, and one that scores every forecast there is."""


@st.cache_resource(show_spinner=False)
def _warehouse() -> Warehouse:
    return bootstrap.warehouse(config.load())


def _kept(
    question: Callable[Concatenate[Warehouse, Given], Answer], seconds: int, wait: str
) -> Callable[Given, Answer]:
    """Asks a question once in a while and keeps its answer, for all who look; a failure is not kept."""

    def asked(*words: Given.args, **more: Given.kwargs) -> Answer:
        return question(_warehouse(), *words, **more)

    asked.__qualname__ = question.__qualname__  # answers are kept by the name of what was asked
    kept: Callable[Given, Answer] = st.cache_data(ttl=seconds, show_spinner=wait, max_entries=64)(asked)
    return kept


symbols = _kept(data.symbols, _SOON, "Looking for symbols …")
bars = _kept(data.bars, _SOON, "Reading prices and indicators …")
forecasts = _kept(data.forecasts, _SOON, "Reading forecasts …")
histogram = _kept(data.histogram, _SOON, "Counting closes …")
skill_of = _kept(data.skill_of, _SOON, "Scoring the symbol's forecasts …")
skill = _kept(data.skill, _LATER, "Scoring every forecast …")
coverage = _kept(data.coverage, _LATER, "Counting how often the intervals held …")
models = _kept(data.models, _LATER, "Looking at every version's forecasts …")
health = _kept(data.health, _SOON, "Reading the ledger …")
not_forecast = _kept(data.not_forecast, _SOON, "Reading the ledger …")
freshness = _kept(data.freshness, _SOON, "Reading the ledger …")
decisions = _kept(data.decisions, _SOON, "Reading decisions …")
drift = _kept(data.drift, _SOON, "Reading drift …")


@st.cache_data(ttl=_LATER, show_spinner="Reading the report …", max_entries=4)
def report(name: str) -> bytes:
    """An object of the bucket.

    Raises:
        ObjectNotFound: it is gone.
        StoreUnavailable: try again.
    """
    return bootstrap.object_store(config.load(), announce=False).read(name)


@st.cache_data(ttl=_LATER, show_spinner=False)
def trained_through(name: str, version: str) -> date:
    """The last date that a published version was trained on.

    Raises:
        ModelUnavailable, BundleError: it is not there, or damaged.
        StoreUnavailable: try again.
    """
    return read_version(bootstrap.model_store(config.load()), name, version).card.trained_through


def palette() -> Palette:
    """The colours that fit the page as the browser shows it."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def picture(figure: go.Figure, *, key: str, alt: str) -> None:
    """Shows a figure across the page, with words for those who cannot see it."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "displayModeBar": False})


def table(rows: pd.DataFrame, label: str, *, prose: bool = False) -> None:
    """Shows rows of text that can be read, copied and, on a phone, reached and scrolled with the keyboard.

    Args:
        rows: what to show; it is escaped.
        label: what it is, for those who cannot see it.
        prose: whether the last column holds sentences.
    """
    cells = rows.to_html(index=False, border=0, classes="rows prose" if prose else "rows", escape=True)
    st.html(f'<div class="rows" role="region" tabindex="0" aria-label="{html.escape(label)}">{cells}</div>')


@contextmanager
def section() -> Iterator[None]:
    """One part of a page: where it cannot be read it says why, and the other parts are shown all the same."""
    try:
        yield
    except TickercastError as error:
        st.error(str(error), icon=":material/error:")


def first_steps() -> None:
    """What to do where nothing has been forecast yet."""
    st.info("No forecast yet. Type one of these in a terminal, then press Refresh:", icon=":material/info:")
    st.code("make demo\npython src/main.py MSFT 2023-07-22", language=None)
    st.caption(f"Warehouse: {config.load().warehouse}")
