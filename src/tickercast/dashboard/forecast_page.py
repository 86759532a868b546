"""The forecast page: one symbol, its forecast, and the record behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from tickercast import plain
from tickercast.dashboard import address, banner, odds_section, state, width_section
from tickercast.dashboard.figures import (
    OVERLAYS,
    PANELS,
    Beside,
    as_change,
    forecast_figure,
    has_volume,
    histogram_figure,
)
from tickercast.domain.distribution import expected_move
from tickercast.domain.forecast import RANDOM_WALK, Role
from tickercast.domain.frequency import Frequency, frequency_of
from tickercast.domain.symbols import is_symbol
from tickercast.domain.text import price
from tickercast.plain import markdown
from tickercast.reading import views
from tickercast.reading.track_record import uncounted
from tickercast.show import calibration, sentences
from tickercast.show.sentences import NOT_ADVICE, SIMULATED
from tickercast.show.tables import forecast_frame

RANGES = {"1M": 1, "3M": 3, "6M": 6, "1Y": 12, "5Y": 60, "All": 1200}
"""The months before the cutoff that a chart of sessions shows."""

HOURLY_RANGES = {"1D": 1, "3D": 3, "1W": 7, "1M": 31, "All": 36500}
"""The days before the cutoff that a chart of hours shows."""

CHAMPION = "champion"
_NEWEST = "newest"
_NOTHING = "nothing"
_OFFERED = 8
_FILE_FORMS = {"1d": "%Y-%m-%d", "1h": "1h-%Y-%m-%dT%H"}
_COLUMNS = ["symbol", "cutoff", "step", "target_date", "last_close", "close_median"]
_LEVELS = ["close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95", "model_name", "model_version", "simulated"]


@dataclass(frozen=True)
class _Shown:
    """The forecast that the page shows, with its bars.

    Attributes:
        symbol: the series.
        frequency: the frequency of the bars.
        bars: all of its bars, from `views.bars`.
        vintages: the model's forecasts, from `views.with_actuals`.
        fan: the one that is shown.
        said: the remarks of the ledger about the forecast.
        is_champion: whether the model is the champion.
    """

    symbol: str
    frequency: Frequency
    bars: pd.DataFrame
    vintages: pd.DataFrame
    fan: pd.DataFrame
    said: views.Remarks
    is_champion: bool

    @property
    def cutoff(self) -> pd.Timestamp:
        """The forecast origin."""
        return pd.Timestamp(self.fan["cutoff"].iloc[0])


def show() -> None:
    """Draw the page."""
    if not state.frequencies():
        state.first_steps()
        return
    with st.container(key="first"):
        shown = _first()
    if shown:
        _details(shown)


def _first() -> _Shown | None:
    """Draw what is seen first: the symbol, what its forecast says, the chart. On a phone, controls follow the chart."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="pick"):
        frequency = frequency_of(state.every())
        known = state.symbols(frequency.name)
        bound = address.bound_symbol(known)
        symbol = st.selectbox(
            "Symbol",
            known,
            index=0 if st.session_state["symbol"] else None,
            placeholder="Pick a symbol",
            width=200,
            **bound,
        )
        with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
            span = st.container(width="content")
            options = st.popover("Options", icon=":material/tune:")
    if symbol is None:
        _not_here(st.query_params["symbol"], known, frequency)
        return None
    with options:
        shown = _shown(symbol, frequency)
    if shown is None:
        st.info(
            markdown(f"{symbol} has no forecast by a champion. Forecast it again: python src/main.py {symbol} DATE")
        )
        return None
    if shown.is_champion:
        state.stands_in(str(shown.fan["model_name"].iloc[0]))
    flags = _headline(shown)
    _chart(shown, options, span)
    with flags:
        _flags(shown)
    return shown


def _not_here(asked: str, known: Sequence[str], frequency: Frequency) -> None:
    """Say that a symbol has no forecast, and offer those that are spelt like it."""
    name, every = asked.strip().upper(), "" if frequency.is_daily else frequency.name
    if is_symbol(name):
        said = f"{name} has no {state.EVERY[frequency.name].lower()} forecast here. Pick another symbol, or run: "
        said += f"tickercast forecast {name}{f' --every {every}' if every else ''}"
    else:
        said = f"{plain.printable(asked[:40])!r} is not a symbol. Pick one from the list."
    st.warning(markdown(said), icon=":material/search_off:")
    near = address.alike(known, asked)
    st.markdown("Did you mean one of these?" if near else "Some that have one:")
    with st.container(horizontal=True):
        for symbol in near or known[:_OFFERED]:
            st.button(symbol, key=f"near-{symbol}", on_click=address.to_symbol, args=(symbol, every))


def _shown(symbol: str, frequency: Frequency) -> _Shown | None:
    """Read what the address asks for; None if the champion has no forecast."""
    every = frequency.name
    bars = state.bars(symbol, every)
    made = state.champion_forecasts(symbol, every)
    companions = state.companion_forecasts(symbol, every)
    model = _model(companions)
    if model != CHAMPION:
        made = companions[companions["model_name"] == model]
    vintages = views.with_actuals(made, bars)
    if vintages.empty:
        return None
    cutoff = _cutoff(vintages, frequency)
    fan = vintages[vintages["cutoff"] == cutoff].reset_index(drop=True)
    first = fan.iloc[0]
    said = state.remarks(symbol, first["object"], first["generation"], list(fan["target_date"]))
    return _Shown(symbol, frequency, bars, vintages, _with_quantiles(symbol, fan, every), said, model == CHAMPION)


def _with_quantiles(symbol: str, fan: pd.DataFrame, every: str) -> pd.DataFrame:
    """The forecast with a column `quantiles`, thirteen prices a step; None where they were not stored."""
    first = fan.iloc[0]
    made = (str(first["object"]), str(first["generation"]), str(first["model_name"]))
    found = state.quantiles(symbol, made, first["cutoff"].date(), every).set_index("step")["quantiles"]
    moves = {step: np.asarray(each, float) for step, each in found.items()}
    closes = [first["last_close"] * np.exp(moves[step]) if step in moves else None for step in fan["step"]]
    return fan.assign(quantiles=pd.Series(closes, index=fan.index, dtype=object))


def _span(frequency: Frequency) -> pd.DateOffset:
    """The span before the cutoff that the chart shows."""
    ranges, usual, name = (RANGES, "3M", "range") if frequency.is_daily else (HOURLY_RANGES, "3D", "hours")
    bound = address.bound(name, list(ranges), usual)
    chosen = ranges[str(st.segmented_control("Range", list(ranges), required=True, wrap=True, **bound))]
    return pd.DateOffset(months=chosen) if frequency.is_daily else pd.DateOffset(days=chosen)


def _model(companions: pd.DataFrame) -> str:
    """The chosen model: there is a choice where models beside the champion have forecast the symbol."""
    names = [CHAMPION, *sorted(companions["model_name"].unique())]
    bound = address.bound("model", names, CHAMPION, drops=["cutoff"])
    if len(names) == 1:
        return CHAMPION
    chosen = st.selectbox(
        "Model",
        names,
        help="The champion's forecast is the one that counts; the others are made beside it, and scored.",
        **bound,
    )
    return str(chosen)


def _cutoff(vintages: pd.DataFrame, frequency: Frequency) -> pd.Timestamp:
    """The newest cutoff, unless an earlier one is chosen; an open page follows new forecasts."""
    newest, *earlier = sorted(vintages["cutoff"].unique(), reverse=True)
    form = _form(frequency)
    labels = {_NEWEST: f"{newest:{form}}, the newest"} | {f"{end:{form}}": f"{end:{form}}" for end in earlier}
    if st.query_params.get("cutoff") == f"{newest:{form}}":
        labels |= {f"{newest:{form}}": f"{newest:{form}}"}  # an address that was kept while it was the newest
    chosen = st.selectbox(
        "Forecast made from",
        list(labels),
        format_func=labels.__getitem__,
        help=f"The last {frequency.noun} that the forecast knew. An earlier one is shown with what followed.",
        **address.bound("cutoff", list(labels), _NEWEST),
    )
    return pd.Timestamp(newest if chosen == _NEWEST else chosen)


def _form(frequency: Frequency) -> str:
    return "%Y-%m-%d" if frequency.is_daily else "%Y-%m-%d %H:%M"


def _zone(frequency: Frequency) -> str:
    return "" if frequency.is_daily else " UTC"


def _headline(shown: _Shown) -> st.delta_generator.DeltaGenerator:
    """The symbol with what its forecast says, in one line, and what stands against it; the place for its flags."""
    first, last = shown.fan.iloc[0], shown.fan.iloc[-1]
    low, high = (last[name] / last["last_close"] - 1 for name in ("close_lo_80", "close_hi_80"))
    range_80 = sentences.interval(last["close_lo_80"], last["close_hi_80"], last["last_close"])
    parts = [
        f"last close **{price(last['last_close'])}**",
        f"80% in {len(shown.fan)} {shown.frequency.noun}s **{range_80}** ({low:+.1%} to {high:+.1%})",
    ]
    if last["quantiles"] is not None:
        moves = np.log(last["quantiles"] / last["last_close"])
        parts.append(f"expected move **±{float(expected_move(moves)):.1%}**")
    with st.container(key="headline", horizontal=True, vertical_alignment="bottom"):
        st.markdown(f"## {markdown(shown.symbol)}\n{' · '.join(parts)}", width="content")
        flags = st.container(horizontal=True, width="content")
    if first["simulated"] or shown.bars["simulated"].any():
        st.error(SIMULATED, icon=":material/science:")
    if shown.said.findings:
        st.warning(
            plain.markdown(sentences.doubt(shown.said.findings, doubtful=bool(first["doubtful"]))),
            icon=":material/report:",
        )
    if shown.said.results:
        st.info(f"{sentences.results(shown.said.results).capitalize()}.", icon=":material/event:")
    return flags


def _flags(shown: _Shown) -> None:
    """Say how fresh the forecast is, or that there is a newer one; flag intervals that have not held."""
    frequency = shown.frequency
    with state.section():
        if current := state.current(shown.symbol, frequency.name):
            newest = current[frequency.key("cutoff")].tz_localize(None)
            if shown.cutoff < newest:
                said = f"An earlier forecast: the newest is from {newest:{_form(frequency)}}{_zone(frequency)}"
                st.badge(said, icon=":material/history:", color="gray")
            else:
                banner.badge(current["sentence"].rstrip("."), current["state"])
        for found in state.calibrations([shown.symbol], frequency) if shown.is_champion else ():
            if found.flagged:
                said = calibration.sentence(found)
                st.badge(said[0].upper() + said[1:], icon=":material/straighten:", color="orange")


def _chart(shown: _Shown, options: st.delta_generator.DeltaGenerator, span: st.delta_generator.DeltaGenerator) -> None:
    notes = st.container()
    with span:
        first = shown.cutoff - _span(shown.frequency)
    bars = shown.bars
    bars = bars[(bars["session_date"] >= first) & (bars["session_date"] <= _end(shown))]
    with options:
        beside = _beside(shown, bars["session_date"].min(), notes)
        overlays = st.pills(
            "Overlays",
            list(OVERLAYS),
            selection_mode="multi",
            wrap=True,
            **address.bound_several("overlays", list(OVERLAYS), ["SMA 20"]),
        )
        panels = st.pills(
            "Panels",
            list(PANELS),
            selection_mode="multi",
            wrap=True,
            **address.bound_several("panels", list(PANELS), ["Volume"]),
        )
        ghosts = st.toggle("Earlier forecasts", **address.bound_switch("ghosts", usual=True))
    vintages = shown.vintages
    earlier = vintages[(vintages["cutoff"] < shown.cutoff) & (vintages["cutoff"] >= first)]
    earlier = views.apart(earlier, shown.cutoff) if ghosts else earlier.iloc[:0]
    fan, other = shown.fan, beside
    if beside and beside.bars is not None:
        fan, bars, earlier, other = _as_changes(shown, bars, earlier, beside)
    figure = forecast_figure(
        bars,
        fan,
        earlier,
        state.palette(),
        beside=other,
        overlays=overlays,
        panels=panels,
        results=shown.said.results,
        frequency=shown.frequency,
        is_change=bool(beside and beside.bars is not None),
    )
    state.picture(figure, key="chart", alt=_alt(shown, len(bars), beside))
    _captions(shown, earlier, beside)
    if "Volume" in panels and not has_volume(bars):
        st.caption("No volume is reported for these bars.")


def _beside(shown: _Shown, first: pd.Timestamp, notes: st.delta_generator.DeltaGenerator) -> Beside | None:
    """The chosen comparison: another model's forecast from the same cutoff, or another symbol.

    Args:
        shown: the forecast that the page shows.
        first: the first bar of the chart.
        notes: the place for a note that there is nothing to compare.
    """
    every = shown.frequency.name
    companions = state.companion_forecasts(shown.symbol, every)
    own = str(shown.fan["model_name"].iloc[0])
    models = [name for name in (RANDOM_WALK, CHAMPION, *sorted(companions["model_name"].unique())) if name != own]
    models = [name for name in models if not (name == CHAMPION and shown.is_champion)]
    others = [symbol for symbol in state.symbols(every) if symbol != shown.symbol]
    chosen = st.selectbox(
        "Compare with",
        [_NOTHING, *models, *others],
        help="Another model's forecast from the same cutoff, or another symbol, both in percent from that day.",
        **address.bound("compare", [_NOTHING, *models, *others], _NOTHING),
    )
    if chosen == _NOTHING:
        return None
    if chosen in others:
        return _other_symbol(chosen, shown, first, notes)
    found = {RANDOM_WALK: state.random_walk, CHAMPION: state.champion_forecasts}.get(chosen, state.companion_forecasts)
    rows = found(shown.symbol, every)
    rows = rows[(rows["cutoff"] == shown.cutoff) & (rows["model_name"].eq(chosen) | (chosen == CHAMPION))]
    if rows.empty:
        notes.info(f"{chosen} has no forecast of {shown.symbol} from {shown.cutoff:{_form(shown.frequency)}}.")
        return None
    return Beside(chosen, views.with_actuals(rows.sort_values("step"), shown.bars))


def _other_symbol(
    symbol: str, shown: _Shown, first: pd.Timestamp, notes: st.delta_generator.DeltaGenerator
) -> Beside | None:
    """Another symbol's bars in the range of the chart, and its last forecast up to the cutoff that reaches into it."""
    every, form = shown.frequency.name, _form(shown.frequency)
    bars = state.bars(symbol, every)
    made = views.with_actuals(state.champion_forecasts(symbol, every), bars)
    made = made[made["cutoff"] <= shown.cutoff]
    made = made[(made["cutoff"] == made["cutoff"].max()) & (made["target_date"].max() >= first)]
    bars = bars[bars["session_date"] <= shown.cutoff]
    if bars.empty:
        notes.info(f"{symbol} has no bars up to {shown.cutoff:{form}} to compare.")
        return None
    last = bars["session_date"].iloc[-1]
    if last < first:
        notes.info(
            f"{symbol} has no bars from {first:{form}} to {shown.cutoff:{form}} to compare: its last one before is of "
            f"{last:{form}}. A longer range may reach it."
        )
        return None
    return Beside(symbol, made, bars[bars["session_date"] >= first])


def _as_changes(
    shown: _Shown, bars: pd.DataFrame, earlier: pd.DataFrame, beside: Beside
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, Beside]:
    """Everything in changes: from the close at the cutoff, of the one beside it from its last close up to there."""
    base = float(shown.fan["last_close"].iloc[0])
    closes = shown.fan["quantiles"].map(lambda each: None if each is None else each / base - 1)
    fan = as_change(shown.fan, base).assign(quantiles=closes)
    history = beside.bars if beside.bars is not None else shown.bars
    other = float(history["close"].iloc[-1])
    drawn = Beside(beside.name, as_change(beside.fan, other), as_change(history, other))
    return fan, as_change(bars, base), as_change(earlier, base), drawn


def _end(shown: _Shown) -> pd.Timestamp:
    """The end of the chart: an earlier forecast is shown with the closes of its own sessions, no later ones."""
    is_earlier = shown.cutoff < shown.bars["session_date"].max()
    return shown.fan["target_date"].max() if is_earlier else shown.cutoff


def _alt(shown: _Shown, count: int, beside: Beside | None) -> str:
    target, noun, results = shown.fan.iloc[-1], shown.frequency.noun, shown.said.results
    close = target["last_close"]
    mark = f" A dotted line stands at {results.effect}, where results act." if results and results.effect else ""
    compared = f" {beside.name} is drawn beside it." if beside else ""
    return (
        f"{shown.symbol}: {count} {noun}s up to a close of {price(close)}, then the fan. "
        f"At the last {noun} its median is {price(target['close_median'], close)}, its 80% interval "
        f"{sentences.interval(target['close_lo_80'], target['close_hi_80'], close)} and its 95% interval "
        f"{sentences.interval(target['close_lo_95'], target['close_hi_95'], close)}.{mark}{compared}"
    )


def _captions(shown: _Shown, ghosts: pd.DataFrame, beside: Beside | None) -> None:
    first, frequency = shown.fan.iloc[0], shown.frequency
    form, zone = _form(frequency), _zone(frequency)
    by = markdown(f"{first['model_name']} version {first['model_version']}")
    st.caption(
        f"Forecast from {first['cutoff']:{form}} for the {len(shown.fan)} {frequency.noun}s up to "
        f"{shown.fan['target_date'].iloc[-1]:{form}}{zone}, by {by}, "
        f"made {first['created_at']:%Y-%m-%d %H:%M} UTC."
    )
    if beside and beside.bars is not None:
        made = f" Its forecast, dashed, is from {beside.fan['cutoff'].iloc[0]:{form}}." if len(beside.fan) else ""
        base = beside.bars["session_date"].iloc[-1]
        of_both = f"Both symbols in percent from their closes on {base:{form}}; {beside.name} as a line."
        of_each = (
            f"{shown.symbol} in percent from its close on {shown.cutoff:{form}}; {beside.name}, as a line, from its "
            f"last before, on {base:{form}}."
        )
        st.caption(markdown(f"{of_both if base == shown.cutoff else of_each}{made}"))
    captions = (
        ("", sentences.came_true(shown.fan)),
        ("Earlier forecasts in this range, one after the other: ", sentences.came_true(ghosts)),
    )
    for prefix, sentence in captions:
        if sentence:
            st.caption(f"{prefix}{sentence}")


def _details(shown: _Shown) -> None:
    symbol, fan, frequency = shown.symbol, shown.fan, shown.frequency
    left, right = st.columns([3, 2], gap="large")
    with left:
        _table(symbol, fan, frequency)
        if frequency.is_daily and shown.is_champion:
            odds_section.show(symbol, fan)
    with right:
        _record(shown)
        if frequency.is_daily:
            width_section.show(symbol, fan, is_champion=shown.is_champion)
        _histogram(symbol, fan, frequency)
    _scorecards(fan, shown.bars, frequency)
    st.caption(NOT_ADVICE)


def _scorecards(fan: pd.DataFrame, bars: pd.DataFrame, frequency: Frequency) -> None:
    last = bars[bars["session_date"] <= fan["cutoff"].iloc[0]].iloc[-1]
    cards = {
        "Last close": (price(fan["last_close"].iloc[0]), f"Close of the last {frequency.noun} that the forecast knew"),
        "RSI-14": (sentences.number(last["rsi_14"], ".1f"), "Above 70 is called overbought, below 30 oversold"),
        "MACD": (sentences.number(last["macd"], "+.3g"), "EMA 12 less EMA 26"),
        "Volatility a year": (sentences.number(last["volatility_20"], ".1%"), f"Of 20 {frequency.noun}s' log-returns"),
        "Drawdown": (sentences.number(last["drawdown"], ".1%"), "Below the highest close that is known"),
    }  # fmt: skip
    st.markdown("### Indicators")
    with st.container(horizontal=True, key="scorecards"):
        for label, (value, meaning) in cards.items():
            st.metric(label, value, help=meaning, border=True, width="content")


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


def _record(shown: _Shown) -> None:
    st.markdown("### Track record")
    with state.section():
        found = (state.champion_skill if shown.is_champion else state.companion_skill)(
            shown.symbol, shown.frequency.name
        )
        model = shown.fan["model_name"].iloc[0]
        rows = found[found["step"].isna() & (found["model_name"] == model)]
        if rows.empty:
            followed = shown.vintages[(shown.vintages["inside"] != "") & (shown.vintages["model_name"] == model)]
            said = sentences.uncounted(uncounted(followed))
            st.markdown(f"{said or 'No close after a forecast of this symbol by this model is stored yet'}.")
        for row in rows.to_dict("records"):
            st.markdown(f"**{sentences.headline(row)}.** {sentences.verdict(row)}")
            if note := sentences.after_the_fact(row):
                st.caption(note)
            role = Role.CHAMPION if shown.is_champion else Role.COMPANION
            seen = state.seen_in_training(shown.symbol, shown.frequency.name, role)
            if said := sentences.had_seen_of(seen, model_name=model):
                st.warning(markdown(said), icon=":material/school:")


def _histogram(symbol: str, fan: pd.DataFrame, frequency: Frequency) -> None:
    st.markdown("### Where the last 250 closes lay")
    with state.section():
        figure = histogram_figure(state.histogram(symbol, frequency.name), fan, state.palette())
        state.picture(figure, key="histogram", alt=f"Histogram of the last 250 closes of {symbol}")
        st.caption(f"Shaded: the 80% interval of the last {frequency.noun}. Line: the close at the cutoff.")
