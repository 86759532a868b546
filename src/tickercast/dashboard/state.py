"""State shared by the pages: cached answers of the warehouse, the theme, and messages instead of charts."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from rich.text import Text

from tickercast.app import App, variants_of
from tickercast.dashboard import address
from tickercast.dashboard.palette import DARK, LIGHT, Palette
from tickercast.domain import freshness as domain
from tickercast.domain.alerts import Alert
from tickercast.domain.forecast import Forecast, Role
from tickercast.domain.frequency import DAILY, HOURLY, frequency_of
from tickercast.domain.freshness import Freshness
from tickercast.domain.learning.width import Width
from tickercast.domain.trading.strategy import Targets
from tickercast.domain.trading.strategy_backtest import Backtest, Costs
from tickercast.errors import TickercastError
from tickercast.plain import markdown
from tickercast.ports import Warehouse
from tickercast.reading import calibration, track_record, views
from tickercast.reading import directions as directions_of
from tickercast.reading.holdings import PortfolioOutlook
from tickercast.reading.overview import Row
from tickercast.reading.portfolio_record import PortfolioRecord
from tickercast.reading.queries import ask
from tickercast.reading.track_record import Seen, demotion
from tickercast.reading.trading import TradingStatus
from tickercast.show import answers, sentences

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_SHORT_S, _MEDIUM_S, _LONG_S = 10, 60, 300
"""Seconds for which an answer is cached: about a symbol, about all symbols, and one that scores every forecast."""

_ALERTS_S = 900
"""Seconds for which the open alerts are cached: they read more than a page does, and last for days."""


@st.cache_resource(show_spinner=False)
def _app() -> App:
    return App()


def application() -> App:
    """The application over the settings, one for all users."""
    return _app()


def _cached(
    question: Callable[Concatenate[Warehouse, Arguments], Result], seconds: int, wait: str
) -> Callable[Arguments, Result]:
    """Cache the answers to a question, for all users; failures are not cached."""

    def ask(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        return question(_app().tables, *arguments, **options)

    ask.__qualname__ = question.__qualname__  # the cache tells functions apart by this name
    cached: Callable[Arguments, Result] = st.cache_data(ttl=seconds, show_spinner=wait, max_entries=64)(ask)
    return cached


frequencies = _cached(views.frequencies, _SHORT_S, "Looking for symbols …")
symbols = _cached(views.symbols, _SHORT_S, "Looking for symbols …")
bars = _cached(views.bars, _SHORT_S, "Reading prices and indicators …")
champion_forecasts = _cached(views.champion_forecasts, _SHORT_S, "Reading forecasts …")
companion_forecasts = _cached(views.companion_forecasts, _SHORT_S, "Reading forecasts …")
quantiles = _cached(views.quantiles, _SHORT_S, "Reading forecasts …")
remarks = _cached(views.remarks, _SHORT_S, "Reading the ledger …")
random_walk = _cached(views.random_walk, _SHORT_S, "Reading forecasts …")
histogram = _cached(views.histogram, _SHORT_S, "Counting closes …")
champion_skill = _cached(views.champion_skill, _SHORT_S, "Scoring the symbol's forecasts …")
companion_skill = _cached(views.companion_skill, _SHORT_S, "Scoring the symbol's forecasts …")
skill = _cached(views.skill, _LONG_S, "Scoring every forecast …")
uncounted = _cached(views.uncounted, _LONG_S, "Counting closes …")
coverage = _cached(views.coverage, _LONG_S, "Measuring coverage …")
models = _cached(views.models, _LONG_S, "Looking at every version's forecasts …")
calibrations = _cached(calibration.calibrations, _LONG_S, "Reading how intervals have held …")
health = _cached(views.health, _SHORT_S, "Reading the ledger …")
not_forecast = _cached(views.not_forecast, _SHORT_S, "Reading the ledger …")
decisions = _cached(views.decisions, _SHORT_S, "Reading decisions …")
directions = _cached(directions_of.directions, _LONG_S, "Scoring directions …")
drift = _cached(views.drift, _SHORT_S, "Reading drift …")


@st.cache_data(ttl=_LONG_S, show_spinner="Reading the report …", max_entries=4)
def report(name: str) -> bytes:
    """Read an object of the bucket.

    Raises:
        ObjectNotFound: the object does not exist.
        StoreUnavailable: try again.
    """
    return _app().silent_store.read(name)


@st.cache_data(ttl=_LONG_S, show_spinner=False, max_entries=64)
def seen_in_training(symbol: str, every: str, role: Role) -> list[Seen]:
    """The records that rest on dates that the model was trained on: of one symbol, or of all where it is empty."""
    app, frequency, symbols = _app(), frequency_of(every), [symbol] if symbol else None
    return track_record.seen_in_training(
        symbols, frequency, warehouse=app.tables, models=app.store_of(frequency), role=role
    )


@st.cache_data(ttl=_SHORT_S, show_spinner="Drawing paths …", max_entries=64)
def odds(symbol: str, cutoff: date, level: float, last_close: float) -> tuple[pd.DataFrame, list[Text]]:
    """The chances that a symbol reaches a price, `target_date`, `ends`, `closes`, `touches`, and the remarks on them.

    Args:
        symbol: the series.
        cutoff: the origin of its forecast.
        level: the price.
        last_close: the close at the cutoff in the same prices, which a split since may have rebased.

    Raises:
        UsageError, TooFewSessions: they cannot be answered from what is stored.
        Transient: an engine does not answer.
    """
    found = _app().odds(symbol, cutoff)
    asked = answers.Question(level=level / last_close * found.made.last_close, below=level < last_close)
    rows = answers.odds_rows(found, asked, len(found.outlook.dates))
    names = ["ends", "closes", "touches"]
    chances = pd.DataFrame([(each.ends, each.closes, each.touches) for each in rows], columns=names)
    return chances.assign(target_date=pd.to_datetime(found.outlook.dates)), list(answers.notes(found.outlook))


@st.cache_data(ttl=_MEDIUM_S, show_spinner="Reading every symbol's forecast …")
def overview() -> list[Row]:
    """One row a symbol; see `reading.overview`."""
    return _app().overview()


@st.cache_data(ttl=_ALERTS_S, show_spinner=False)
def alerts() -> list[Alert]:
    """The open alerts, the most urgent first, by the rules by which they are sent."""
    return list(_app().open_alerts(only_reads=True))


@st.cache_data(ttl=_MEDIUM_S, show_spinner=False)
def currency() -> pd.DataFrame:
    """The age of each symbol's newest forecast: `views.freshness` with `state`, `missed` and `sentence`."""
    found = views.freshness(_app().tables)
    now = _app().now()
    each = [_current(row, now) for row in found.to_dict("records")]
    return found.assign(**{name: [getattr(one, name) for one in each] for name in ("state", "missed", "sentence")})


def _current(row: Mapping[Any, Any], now: datetime) -> Freshness:
    if row["frequency"] == DAILY.name:
        return domain.freshness(row["symbol"], row["cutoff"].date(), now)
    return domain.hourly_freshness(row["cutoff_at"].to_pydatetime().astimezone(UTC), now)


def freshness(made: Forecast) -> Freshness:
    """The age of a forecast, the newest of its symbol or an earlier one."""
    return domain.freshness_of(made, _app().now())


def current(symbol: str, every: str) -> Mapping[str, Any] | None:
    """The row of `currency` of a symbol; None where it is not known."""
    found = currency()
    rows = found[(found["symbol"] == symbol) & (found["frequency"] == every)].to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


@st.cache_data(ttl=_LONG_S, show_spinner="Explaining the width …", max_entries=64)
def why(symbol: str, cutoff: date, model: str) -> tuple[Forecast, Width]:
    """A stored forecast, the champion's if no model is named, and why it is as wide as it is.

    Raises:
        ObjectNotFound: no such forecast is stored.
        TooFewSessions: too few of the symbol's bars are stored.
        Transient: an engine does not answer.
    """
    made = _app().stored_forecast(symbol, model=model, cutoff=cutoff).made
    return made, _app().why(made)


def portfolio(text: str, name: str) -> PortfolioOutlook:
    """The distribution of a portfolio's value, from the content of a file; see `App.portfolio`."""
    return _app().portfolio_of(text, name)


def portfolio_record(text: str, name: str) -> PortfolioRecord:
    """The record of a portfolio, as far as it is stored; see `App.portfolio_record_of`."""
    return _app().portfolio_record_of(text, name)


@st.cache_data(ttl=_LONG_S, show_spinner=False)
def forecast_span(every: str) -> tuple[date, date]:
    """The first and last cutoff of the champion's forecasts, two years of them at most."""
    found = ask(_app().tables, "forecast_span", frequency=every)
    first, last = (found[name].item().date() for name in ("first_cutoff", "last_cutoff"))
    return max(first, last - timedelta(days=730)), last


@st.cache_data(ttl=_LONG_S, show_spinner="Trading on paper …", max_entries=16)
def strategy_backtest(
    names: tuple[str, ...], symbols: tuple[str, ...], first: date, last: date, every: str, fees: float, slippage: float
) -> Backtest:
    """Built-in strategies on stored forecasts; see `App.strategy_backtest`.

    Raises:
        UsageError: nothing is stored then.
        WarehouseUnavailable: try again.
    """
    costs = Costs(fees_bps=fees, slippage_bps=slippage)
    return _app().strategy_backtest(variants_of(names), first, last, symbols=symbols, frequency=every, costs=costs)


@st.cache_data(ttl=_SHORT_S, show_spinner="Reading signals …", max_entries=16)
def strategy_targets(names: tuple[str, ...], symbols: tuple[str, ...], every: str, as_of: date | None) -> Targets:
    """The wanted weights of built-in strategies as of a date, today where there is none; see `App.strategy_targets`.

    Raises:
        UsageError: nothing is stored.
        WarehouseUnavailable: try again.
    """
    return _app().strategy_targets(variants_of(names), symbols, as_of, frequency=every)


@st.cache_data(ttl=_SHORT_S, show_spinner="Reading accounts …", max_entries=2)
def trading_status() -> TradingStatus:
    """The holdings and orders of accounts on paper; see `App.trading_status`.

    Raises:
        WarehouseUnavailable: try again.
    """
    return _app().trading_status()


@st.cache_data(ttl=_SHORT_S, show_spinner="Reading accounts …", max_entries=2)
def paper_equity() -> pd.DataFrame:
    """The equity of every account on paper, as the figures of strategies draw it.

    Raises:
        WarehouseUnavailable: try again.
    """
    rows = _app().tables.read("equity").sort_values(["account", "cutoff_at"])
    return rows.assign(strategy=rows["account"], bar=rows["cutoff_at"], gross_equity=float("nan"))


EVERY = {DAILY.name: "Daily", HOURLY.name: "Hourly"}
"""The frequencies, as the pages call them."""


def every() -> str:
    """The frequency that a page shows: there is a choice where more than one has been forecast."""
    known = frequencies()
    if not known:
        return DAILY.name
    asked = st.query_params.get("symbol", "")
    usual = next((each for each in known if address.among(symbols(each), asked)), known[0])
    bound = address.bound("every", known, usual, drops=["cutoff"])
    if len(known) == 1:
        return known[0]
    return str(st.segmented_control("Bars", known, format_func=EVERY.__getitem__, required=True, wrap=True, **bound))


def palette() -> Palette:
    """The palette that fits the theme of the page in the browser."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def picture(figure: go.Figure, *, key: str, alt: str) -> None:
    """Show a figure at the full width of the page, with an alternative text."""
    st.plotly_chart(figure, key=key, alt=alt, config={"displaylogo": False, "displayModeBar": False})


def table(rows: pd.DataFrame, label: str, *, prose: bool = False) -> None:
    """Show rows as an HTML table, whose text can be copied and which scrolls with the keyboard.

    Args:
        rows: the cells; they are escaped.
        label: the alternative text.
        prose: whether the last column holds sentences.
    """
    cells = rows.to_html(index=False, border=0, classes="rows prose" if prose else "rows", escape=True)
    st.html(f'<div class="rows" role="region" tabindex="0" aria-label="{html.escape(label)}">{cells}</div>')


@contextmanager
def section() -> Iterator[None]:
    """Show a part of a page; if it fails, show the error in its place and go on with the other parts."""
    try:
        yield
    except TickercastError as error:
        st.error(markdown(str(error)), icon=":material/error:")


def notes(remarks: Iterable[Text]) -> None:
    """Show the remarks on an answer; that its bars were simulated, a page says at its top."""
    for remark in remarks:
        if str(remark) != sentences.SIMULATED:
            st.caption(markdown(str(remark)))


def stands_in(model: str) -> None:
    """Say so if a model that forecast in the champion's role is a baseline, and why."""
    with section():
        by = demotion(model, decisions())
        if by is not None:
            st.warning(markdown(sentences.stands_in(by)), icon=":material/swap_vert:")


def first_steps() -> None:
    """The first steps, shown while nothing has been forecast."""
    st.info("No forecast yet. Type one of these in a terminal, then press Refresh:", icon=":material/info:")
    st.code("make demo\npython src/main.py MSFT 2023-07-22", language=None)
    st.caption(f"Warehouse: {markdown(_app().settings.warehouse)}")
