"""The page that people open: one symbol, where it may go, how sure that is, and whether that deserves trust."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tickercast.dashboard import state
from tickercast.dashboard.figures import OVERLAYS, PANELS, forecast_figure, histogram_figure
from tickercast.reading import views as data
from tickercast.show import sentences as words
from tickercast.show.tables import MADE_UP, price

RANGES = {"1M": 1, "3M": 3, "6M": 6, "1Y": 12, "5Y": 60, "All": 1200}
"""How far a chart looks back from the cutoff, in months."""

_NEWEST = "newest"
_COLUMNS = ["symbol", "cutoff", "step", "target_date", "last_close", "close_median"]
_LEVELS = ["close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95", "model_name", "model_version", "simulated"]


def show() -> None:
    """Draws the page."""
    known = state.symbols()
    if not known:
        state.first_steps()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        symbol = st.selectbox("Symbol", known, key="symbol", bind="query-params", width=220)
        months = st.segmented_control(
            "Range", list(RANGES), default="3M", required=True, key="range", persist_state="session"
        )
        bars, found = state.bars(symbol), state.forecasts(symbol)
        vintages = data.with_actuals(data.champion_of(found), bars)
        if vintages.empty:
            st.info(f"{symbol} has no forecast by a champion. Forecast it again: python src/main.py {symbol} DATE")
            return
        cutoff = _cutoff(vintages, symbol)
    fan = vintages[vintages["cutoff"] == cutoff].reset_index(drop=True)
    _headline(symbol, fan, bars)
    _scorecards(fan, bars)
    _chart(symbol, fan, vintages, found, bars, RANGES[str(months)])
    left, right = st.columns([3, 2], gap="large")
    with left:
        _table(symbol, fan)
    with right:
        _record(symbol, fan)
        _histogram(symbol, fan)
    st.caption("Not investment advice: the forecast claims no edge on direction, only a well-measured width.")


def _cutoff(vintages: pd.DataFrame, symbol: str) -> pd.Timestamp:
    """The newest, unless an earlier one is asked for; whoever has the page open moves on with what arrives."""
    newest, *earlier = sorted(vintages["cutoff"].unique(), reverse=True)
    labels = {_NEWEST: f"{newest:%Y-%m-%d}, the newest"} | {f"{day:%Y-%m-%d}": f"{day:%Y-%m-%d}" for day in earlier}
    chosen = st.selectbox(
        "Forecast made from",
        list(labels),
        format_func=labels.__getitem__,
        key=f"cutoff-{symbol}",
        persist_state="session",
        width=230,
        help="The last session that the forecast knew. An earlier one is shown with what came true.",
    )
    return pd.Timestamp(newest if chosen == _NEWEST else chosen)


def _headline(symbol: str, fan: pd.DataFrame, bars: pd.DataFrame) -> None:
    first = fan.iloc[0]
    if first["simulated"] or bars["simulated"].any():
        st.error(MADE_UP, icon=":material/science:")
    st.markdown(
        f"## {symbol}\n"
        f"Forecast from {first['cutoff']:%Y-%m-%d} for the ten sessions up to {fan['target_date'].iloc[-1]:%Y-%m-%d}, "
        f"by {first['model_name']} version {first['model_version']}, made {first['created_at']:%Y-%m-%d %H:%M} UTC."
    )


def _scorecards(fan: pd.DataFrame, bars: pd.DataFrame) -> None:
    last, tenth = bars[bars["session_date"] <= fan["cutoff"].iloc[0]].iloc[-1], fan.iloc[-1]
    cards = {
        "Last close": (price(tenth["last_close"]), "Close of the last session that the forecast knew"),
        "In ten sessions, 80 %": (
            words.interval(tenth["close_lo_80"], tenth["close_hi_80"]),
            "Four of five closes are expected to lie between these",
        ),
        "RSI-14": (words.number(last["rsi_14"], ".1f"), "Above 70 is called overbought, below 30 oversold"),
        "MACD": (words.number(last["macd"], "+.3g"), "EMA 12 less EMA 26"),
        "Volatility a year": (words.number(last["volatility_20"], ".1%"), "Of the last 20 sessions' log-returns"),
        "Drawdown": (words.number(last["drawdown"], ".1%"), "Below the highest close that is known"),
    }  # fmt: skip
    with st.container(horizontal=True, key="scorecards"):
        for label, (value, meaning) in cards.items():
            st.metric(label, value, help=meaning, border=True, width="content")


def _chart(
    symbol: str, fan: pd.DataFrame, vintages: pd.DataFrame, found: pd.DataFrame, bars: pd.DataFrame, months: int
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
    kept = data.apart(earlier, cutoff) if ghosts else earlier.iloc[:0]
    walk = found[(found["model_name"] == "random-walk") & (found["cutoff"] == cutoff)]
    figure = forecast_figure(
        shown,
        fan,
        kept,
        state.palette(),
        walk=data.with_actuals(walk, bars) if "Random walk" in overlays else None,
        overlays=overlays,
        panels=panels,
    )
    state.picture(figure, key="chart", alt=_alt(symbol, fan, shown))
    _said(fan, kept)


def _end(fan: pd.DataFrame, bars: pd.DataFrame, cutoff: pd.Timestamp) -> pd.Timestamp:
    """An old forecast is shown with what came true, and not with years that followed."""
    return fan["target_date"].max() if cutoff < bars["session_date"].max() else cutoff


def _alt(symbol: str, fan: pd.DataFrame, shown: pd.DataFrame) -> str:
    tenth = fan.iloc[-1]
    return (
        f"{symbol}: {len(shown)} sessions up to a close of {price(tenth['last_close'])}, then the fan of the forecast. "
        f"At the tenth session its median is {price(tenth['close_median'])}, its 80 % interval "
        f"{words.interval(tenth['close_lo_80'], tenth['close_hi_80'])} and its 95 % interval "
        f"{words.interval(tenth['close_lo_95'], tenth['close_hi_95'])}."
    )


def _said(fan: pd.DataFrame, ghosts: pd.DataFrame) -> None:
    sentences = (
        ("", words.came_true(fan)),
        ("Earlier forecasts in this range, one after the other: ", words.came_true(ghosts)),
    )
    for before, sentence in sentences:
        if sentence:
            st.caption(f"{before}{sentence}")


def _table(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### The ten sessions")
    state.table(words.ten_sessions(fan), "The forecast, one row a session")
    st.download_button(
        "Download as CSV",
        _csv(fan),
        file_name=f"{symbol}-{fan['cutoff'].iloc[0]:%Y-%m-%d}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _csv(fan: pd.DataFrame) -> str:
    columns: Sequence[str] = [*_COLUMNS, *_LEVELS, "actual"]
    dates = {name: fan[name].dt.strftime("%Y-%m-%d") for name in ("cutoff", "target_date")}
    return str(fan.assign(**dates)[columns].to_csv(index=False))


def _record(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### Track record")
    with state.section():
        found = state.skill_of(symbol)
        rows = found[found["step"].isna() & (found["model_name"] == fan["model_name"].iloc[0])]
        if rows.empty:
            st.markdown("No forecast of this symbol has come true yet.")
        for row in rows.to_dict("records"):
            st.markdown(f"**{words.headline(row)}.** {words.verdict(row)}")
            if said := words.after_the_fact(row):
                st.caption(said)


def _histogram(symbol: str, fan: pd.DataFrame) -> None:
    st.markdown("### Where the last 250 closes lay")
    with state.section():
        figure = histogram_figure(state.histogram(symbol), fan, state.palette())
        state.picture(figure, key="histogram", alt=f"Histogram of the last 250 closes of {symbol}")
        st.caption("Shaded: the 80 % interval of the tenth session. Line: the last close.")
