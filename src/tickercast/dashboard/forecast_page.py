"""The forecast page: one symbol, its forecast, and the record behind it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tickercast import plain
from tickercast.dashboard import state
from tickercast.dashboard.figures import OVERLAYS, PANELS, forecast_figure, histogram_figure
from tickercast.domain.events import ResultsDay
from tickercast.reading import views
from tickercast.show import sentences
from tickercast.show.sentences import NOT_ADVICE, SIMULATED, price
from tickercast.show.tables import forecast_frame

RANGES = {"1M": 1, "3M": 3, "6M": 6, "1Y": 12, "5Y": 60, "All": 1200}
"""The months before the cutoff that a chart shows."""

_NEWEST = "newest"
_COLUMNS = ["symbol", "cutoff", "step", "target_date", "last_close", "close_median"]
_LEVELS = ["close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95", "model_name", "model_version", "simulated"]


def show() -> None:
    """Draw the page."""
    known = state.symbols()
    if not known:
        state.first_steps()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        symbol = st.selectbox("Symbol", known, key="symbol", bind="query-params", width=220)
        months = st.segmented_control(
            "Range", list(RANGES), default="3M", required=True, key="range", persist_state="session"
        )
        bars = state.bars(symbol)
        vintages = views.with_actuals(state.champion_forecasts(symbol), bars)
        if vintages.empty:
            st.info(f"{symbol} has no forecast by a champion. Forecast it again: python src/main.py {symbol} DATE")
            return
        cutoff = _cutoff(vintages, symbol)
    fan = vintages[vintages["cutoff"] == cutoff].reset_index(drop=True)
    first = fan.iloc[0]
    said = state.remarks(symbol, first["object"], first["generation"], list(fan["target_date"]))
    _headline(symbol, fan, bars, said)
    _scorecards(fan, bars)
    _chart(symbol, fan, vintages, bars, RANGES[str(months)], said.results)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _table(symbol, fan)
    with right:
        _record(symbol, fan)
        _histogram(symbol, fan)
    st.caption(NOT_ADVICE)


def _cutoff(vintages: pd.DataFrame, symbol: str) -> pd.Timestamp:
    """The newest cutoff, unless an earlier one is chosen; an open page follows new forecasts."""
    newest, *earlier = sorted(vintages["cutoff"].unique(), reverse=True)
    labels = {_NEWEST: f"{newest:%Y-%m-%d}, the newest"} | {f"{day:%Y-%m-%d}": f"{day:%Y-%m-%d}" for day in earlier}
    chosen = st.selectbox(
        "Forecast made from",
        list(labels),
        format_func=labels.__getitem__,
        key=f"cutoff-{symbol}",
        persist_state="session",
        width=230,
        help="The last session that the forecast knew. An earlier one is shown with the closes that followed.",
    )
    return pd.Timestamp(newest if chosen == _NEWEST else chosen)


def _headline(symbol: str, fan: pd.DataFrame, bars: pd.DataFrame, said: views.Remarks) -> None:
    first = fan.iloc[0]
    if first["simulated"] or bars["simulated"].any():
        st.error(SIMULATED, icon=":material/science:")
    if said.findings:
        st.warning(
            plain.markdown(sentences.doubt(said.findings, doubtful=bool(first["doubtful"]))),
            icon=":material/report:",
        )
    if said.results:
        st.info(f"{sentences.results(said.results).capitalize()}.", icon=":material/event:")
    st.markdown(
        f"## {symbol}\n"
        f"Forecast from {first['cutoff']:%Y-%m-%d} for the {len(fan)} sessions up to "
        f"{fan['target_date'].iloc[-1]:%Y-%m-%d}, "
        f"by {first['model_name']} version {first['model_version']}, made {first['created_at']:%Y-%m-%d %H:%M} UTC."
    )


def _scorecards(fan: pd.DataFrame, bars: pd.DataFrame) -> None:
    last, target = bars[bars["session_date"] <= fan["cutoff"].iloc[0]].iloc[-1], fan.iloc[-1]
    cards = {
        "Last close": (price(target["last_close"]), "Close of the last session that the forecast knew"),
        f"In {len(fan)} sessions, 80%": (
            sentences.interval(target["close_lo_80"], target["close_hi_80"]),
            "Four of five closes should lie between these",
        ),
        "RSI-14": (sentences.number(last["rsi_14"], ".1f"), "Above 70 is called overbought, below 30 oversold"),
        "MACD": (sentences.number(last["macd"], "+.3g"), "EMA 12 less EMA 26"),
        "Volatility a year": (sentences.number(last["volatility_20"], ".1%"), "Of the last 20 sessions' log-returns"),
        "Drawdown": (sentences.number(last["drawdown"], ".1%"), "Below the highest close that is known"),
    }  # fmt: skip
    with st.container(horizontal=True, key="scorecards"):
        for label, (value, meaning) in cards.items():
            st.metric(label, value, help=meaning, border=True, width="content")


def _chart(
    symbol: str,
    fan: pd.DataFrame,
    vintages: pd.DataFrame,
    bars: pd.DataFrame,
    months: int,
    results: ResultsDay | None,
) -> None:
    cutoff = fan["cutoff"].iloc[0]
    with st.container(horizontal=True):
        overlays = st.pills(
            "Overlays",
            [*OVERLAYS, "Random walk"],
            selection_mode="multi",
            default=["SMA 20"],
            key="overlays",
            persist_state="session",
        )
        panels = st.pills(
            "Panels", list(PANELS), selection_mode="multi", default=list(PANELS), key="panels", persist_state="session"
        )
        ghosts = st.toggle("Earlier forecasts", value=True, key="ghosts", persist_state="session")
    first = cutoff - pd.DateOffset(months=months)
    shown = bars[(bars["session_date"] >= first) & (bars["session_date"] <= _end(fan, bars, cutoff))]
    earlier = vintages[(vintages["cutoff"] < cutoff) & (vintages["cutoff"] >= first)]
    shown_ghosts = views.apart(earlier, cutoff) if ghosts else earlier.iloc[:0]
    figure = forecast_figure(
        shown,
        fan,
        shown_ghosts,
        state.palette(),
        walk=_walk(symbol, cutoff, bars) if "Random walk" in overlays else None,
        overlays=overlays,
        panels=panels,
        results=results,
    )
    state.picture(figure, key="chart", alt=_alt(symbol, fan, shown, results))
    _captions(fan, shown_ghosts)


def _walk(symbol: str, cutoff: pd.Timestamp, bars: pd.DataFrame) -> pd.DataFrame:
    found = state.random_walk(symbol)
    return views.with_actuals(found[found["cutoff"] == cutoff].sort_values("step"), bars)


def _end(fan: pd.DataFrame, bars: pd.DataFrame, cutoff: pd.Timestamp) -> pd.Timestamp:
    """The end of the chart: an earlier forecast is shown with the closes of its own sessions, no later ones."""
    return fan["target_date"].max() if cutoff < bars["session_date"].max() else cutoff


def _alt(symbol: str, fan: pd.DataFrame, shown: pd.DataFrame, results: ResultsDay | None) -> str:
    target = fan.iloc[-1]
    mark = f" A dotted line stands at {results.effect}, where results act." if results else ""
    return (
        f"{symbol}: {len(shown)} sessions up to a close of {price(target['last_close'])}, then the forecast's fan. "
        f"At the last session its median is {price(target['close_median'])}, its 80% interval "
        f"{sentences.interval(target['close_lo_80'], target['close_hi_80'])} and its 95% interval "
        f"{sentences.interval(target['close_lo_95'], target['close_hi_95'])}.{mark}"
    )


def _captions(fan: pd.DataFrame, ghosts: pd.DataFrame) -> None:
    captions = (
        ("", sentences.came_true(fan)),
        ("Earlier forecasts in this range, one after the other: ", sentences.came_true(ghosts)),
    )
    for prefix, sentence in captions:
        if sentence:
            st.caption(f"{prefix}{sentence}")


def _table(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### The forecast")
    state.table(forecast_frame(fan), "The forecast, one row a session")
    st.download_button(
        "Download as CSV",
        _csv(fan),
        file_name=plain.file_name(f"{symbol}-{fan['cutoff'].iloc[0]:%Y-%m-%d}.csv"),
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _csv(fan: pd.DataFrame) -> str:
    columns: Sequence[str] = [*_COLUMNS, *_LEVELS, "actual"]
    dates = {name: fan[name].dt.strftime("%Y-%m-%d") for name in ("cutoff", "target_date")}
    return plain.csv(fan.assign(**dates)[columns])


def _record(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### Track record")
    with state.section():
        found = state.champion_skill(symbol)
        rows = found[found["step"].isna() & (found["model_name"] == fan["model_name"].iloc[0])]
        if rows.empty:
            st.markdown("No forecast of this symbol has come true yet.")
        for row in rows.to_dict("records"):
            st.markdown(f"**{sentences.headline(row)}.** {sentences.verdict(row)}")
            if note := sentences.after_the_fact(row):
                st.caption(note)


def _histogram(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### Where the last 250 closes lay")
    with state.section():
        figure = histogram_figure(state.histogram(symbol), fan, state.palette())
        state.picture(figure, key="histogram", alt=f"Histogram of the last 250 closes of {symbol}")
        st.caption("Shaded: the 80% interval of the last session. Line: the last close.")
