"""The forecast page: one symbol, its forecast, and the record behind it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tickercast import plain
from tickercast.dashboard import odds_section, state
from tickercast.dashboard.figures import OVERLAYS, PANELS, forecast_figure, histogram_figure
from tickercast.domain.events import ResultsDay
from tickercast.domain.frequency import Frequency, frequency_of
from tickercast.reading import views
from tickercast.show import sentences
from tickercast.show.sentences import NOT_ADVICE, SIMULATED, price
from tickercast.show.tables import forecast_frame

RANGES = {"1M": 1, "3M": 3, "6M": 6, "1Y": 12, "5Y": 60, "All": 1200}
"""The months before the cutoff that a chart of sessions shows."""

HOURLY_RANGES = {"1D": 1, "3D": 3, "1W": 7, "1M": 31, "All": 36500}
"""The days before the cutoff that a chart of hours shows."""

CHAMPION = "champion"
_NEWEST = "newest"
_FILE_FORMS = {"1d": "%Y-%m-%d", "1h": "1h-%Y-%m-%dT%H"}
_COLUMNS = ["symbol", "cutoff", "step", "target_date", "last_close", "close_median"]
_LEVELS = ["close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95", "model_name", "model_version", "simulated"]


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        frequency = frequency_of(state.every())
        every = frequency.name
        symbol = st.selectbox(
            "Symbol",
            state.symbols(every),
            key="symbol" if frequency.is_daily else "coin",
            bind="query-params",
            width=220,
        )
        back = _back(frequency)
        bars = state.bars(symbol, every)
        made = state.champion_forecasts(symbol, every)
        companions = state.companion_forecasts(symbol, every)
        model = _model(companions, frequency)
        if model != CHAMPION:
            made = companions[companions["model_name"] == model]
        vintages = views.with_actuals(made, bars)
        if vintages.empty:
            st.info(f"{symbol} has no forecast by a champion. Forecast it again: python src/main.py {symbol} DATE")
            return
        cutoff = _cutoff(vintages, symbol, frequency)
    fan = vintages[vintages["cutoff"] == cutoff].reset_index(drop=True)
    if model == CHAMPION:
        state.stands_in(str(fan["model_name"].iloc[0]))
    first = fan.iloc[0]
    said = state.remarks(symbol, first["object"], first["generation"], list(fan["target_date"]))
    _headline(symbol, fan, bars, said, frequency)
    _scorecards(fan, bars, frequency)
    _chart(symbol, fan, vintages, bars, cutoff - back, said.results, frequency)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _table(symbol, fan, frequency)
        if frequency.is_daily and model == CHAMPION:
            odds_section.show(symbol, fan)
    with right:
        _record(symbol, fan, frequency, is_champion=model == CHAMPION)
        _histogram(symbol, fan, frequency)
    st.caption(NOT_ADVICE)


def _back(frequency: Frequency) -> pd.DateOffset:
    """How far before the cutoff the chart begins."""
    ranges, usual = (RANGES, "3M") if frequency.is_daily else (HOURLY_RANGES, "3D")
    key = "range" if frequency.is_daily else "hours"
    chosen = ranges[
        str(st.segmented_control("Range", list(ranges), default=usual, required=True, key=key, persist_state="session"))
    ]
    return pd.DateOffset(months=chosen) if frequency.is_daily else pd.DateOffset(days=chosen)


def _model(companions: pd.DataFrame, frequency: Frequency) -> str:
    """Whose forecast is shown: there is a choice where models beside the champion have forecast the symbol."""
    names = [CHAMPION, *sorted(companions["model_name"].unique())]
    if len(names) == 1:
        return CHAMPION
    chosen = st.selectbox(
        "Model",
        names,
        key=f"model-{frequency}",
        persist_state="session",
        width=200,
        help="The champion's forecast is the one that counts; the others are made beside it, and scored.",
    )
    return str(chosen)


def _cutoff(vintages: pd.DataFrame, symbol: str, frequency: Frequency) -> pd.Timestamp:
    """The newest cutoff, unless an earlier one is chosen; an open page follows new forecasts."""
    newest, *earlier = sorted(vintages["cutoff"].unique(), reverse=True)
    form = _form(frequency)
    labels = {_NEWEST: f"{newest:{form}}, the newest"} | {f"{end:{form}}": f"{end:{form}}" for end in earlier}
    chosen = st.selectbox(
        "Forecast made from",
        list(labels),
        format_func=labels.__getitem__,
        key=f"cutoff-{symbol}-{frequency}",
        persist_state="session",
        width=230,
        help=f"The last {frequency.noun} that the forecast knew. An earlier one is shown with what followed.",
    )
    return pd.Timestamp(newest if chosen == _NEWEST else chosen)


def _form(frequency: Frequency) -> str:
    return "%Y-%m-%d" if frequency.is_daily else "%Y-%m-%d %H:%M"


def _headline(symbol: str, fan: pd.DataFrame, bars: pd.DataFrame, said: views.Remarks, frequency: Frequency) -> None:
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
    form, zone = _form(frequency), "" if frequency.is_daily else " UTC"
    st.markdown(
        f"## {symbol}\n"
        f"Forecast from {first['cutoff']:{form}} for the {len(fan)} {frequency.noun}s up to "
        f"{fan['target_date'].iloc[-1]:{form}}{zone}, "
        f"by {first['model_name']} version {first['model_version']}, made {first['created_at']:%Y-%m-%d %H:%M} UTC."
    )


def _scorecards(fan: pd.DataFrame, bars: pd.DataFrame, frequency: Frequency) -> None:
    last, target = bars[bars["session_date"] <= fan["cutoff"].iloc[0]].iloc[-1], fan.iloc[-1]
    cards = {
        "Last close": (price(target["last_close"]), f"Close of the last {frequency.noun} that the forecast knew"),
        f"In {len(fan)} {frequency.noun}s, 80%": (
            sentences.interval(target["close_lo_80"], target["close_hi_80"]),
            "Four of five closes should lie between these",
        ),
        "RSI-14": (sentences.number(last["rsi_14"], ".1f"), "Above 70 is called overbought, below 30 oversold"),
        "MACD": (sentences.number(last["macd"], "+.3g"), "EMA 12 less EMA 26"),
        "Volatility a year": (sentences.number(last["volatility_20"], ".1%"), f"Of 20 {frequency.noun}s' log-returns"),
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
    first: pd.Timestamp,
    results: ResultsDay | None,
    frequency: Frequency,
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
    shown = bars[(bars["session_date"] >= first) & (bars["session_date"] <= _end(fan, bars, cutoff))]
    earlier = vintages[(vintages["cutoff"] < cutoff) & (vintages["cutoff"] >= first)]
    shown_ghosts = views.apart(earlier, cutoff) if ghosts else earlier.iloc[:0]
    figure = forecast_figure(
        shown,
        fan,
        shown_ghosts,
        state.palette(),
        walk=_walk(symbol, cutoff, bars, frequency) if "Random walk" in overlays else None,
        overlays=overlays,
        panels=panels,
        results=results,
        frequency=frequency,
    )
    state.picture(figure, key="chart", alt=_alt(symbol, fan, shown, results, frequency))
    _captions(fan, shown_ghosts)


def _walk(symbol: str, cutoff: pd.Timestamp, bars: pd.DataFrame, frequency: Frequency) -> pd.DataFrame:
    found = state.random_walk(symbol, frequency.name)
    return views.with_actuals(found[found["cutoff"] == cutoff].sort_values("step"), bars)


def _end(fan: pd.DataFrame, bars: pd.DataFrame, cutoff: pd.Timestamp) -> pd.Timestamp:
    """The end of the chart: an earlier forecast is shown with the closes of its own sessions, no later ones."""
    return fan["target_date"].max() if cutoff < bars["session_date"].max() else cutoff


def _alt(symbol: str, fan: pd.DataFrame, shown: pd.DataFrame, results: ResultsDay | None, frequency: Frequency) -> str:
    target = fan.iloc[-1]
    mark = f" A dotted line stands at {results.effect}, where results act." if results else ""
    return (
        f"{symbol}: {len(shown)} {frequency.noun}s up to a close of {price(target['last_close'])}, then the fan. "
        f"At the last {frequency.noun} its median is {price(target['close_median'])}, its 80% interval "
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


def _table(symbol: str, fan: pd.DataFrame, frequency: Frequency) -> None:
    st.markdown("### The forecast")
    state.table(forecast_frame(fan, frequency), f"The forecast, one row a {frequency.noun}")
    st.download_button(
        "Download as CSV",
        _csv(fan, frequency),
        file_name=plain.file_name(f"{symbol}-{fan['cutoff'].iloc[0]:{_FILE_FORMS[frequency.name]}}.csv"),
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


def _csv(fan: pd.DataFrame, frequency: Frequency) -> str:
    columns: Sequence[str] = [*_COLUMNS, *_LEVELS, "actual"]
    dates = {name: fan[name].dt.strftime(_form(frequency)) for name in ("cutoff", "target_date")}
    return plain.csv(fan.assign(**dates)[columns])


def _record(symbol: str, fan: pd.DataFrame, frequency: Frequency, *, is_champion: bool) -> None:
    st.markdown("### Track record")
    with state.section():
        found = (state.champion_skill if is_champion else state.companion_skill)(symbol, frequency.name)
        rows = found[found["step"].isna() & (found["model_name"] == fan["model_name"].iloc[0])]
        if rows.empty:
            st.markdown("No forecast of this symbol has come true yet.")
        for row in rows.to_dict("records"):
            st.markdown(f"**{sentences.headline(row)}.** {sentences.verdict(row)}")
            if note := sentences.after_the_fact(row):
                st.caption(note)


def _histogram(symbol: str, fan: pd.DataFrame, frequency: Frequency) -> None:
    st.markdown("### Where the last 250 closes lay")
    with state.section():
        figure = histogram_figure(state.histogram(symbol, frequency.name), fan, state.palette())
        state.picture(figure, key="histogram", alt=f"Histogram of the last 250 closes of {symbol}")
        st.caption(f"Shaded: the 80% interval of the last {frequency.noun}. Line: the last close.")
