"""The chart of a forecast: candles, the fan, earlier forecasts as ghosts, and indicators; frames in, figures out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tickercast.dashboard.palette import Palette, faded
from tickercast.domain.events import ResultsDay
from tickercast.domain.forecast import LEVELS
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.learning.width import Width
from tickercast.domain.outlook.odds import Ways
from tickercast.domain.text import decimals, price
from tickercast.show import sentences

OVERLAYS = {
    "SMA 20": ("sma_20",),
    "SMA 50": ("sma_50",),
    "EMA 12": ("ema_12",),
    "EMA 26": ("ema_26",),
    "Bollinger": ("bollinger_lower", "bollinger_upper"),
}
"""The overlays on the candles, by label: columns of `indicators`."""

PANELS = ("Volume", "RSI", "MACD")
"""The panels below the candles."""

WEEKLY_FROM = 550
"""The number of bars from which candles are weeks of sessions or days of hours: a screen has too few columns."""

_PRICE, _PANEL = 400, 90
_MARKS = {"80%": ("circle", 5), "95%": ("diamond", 7), "outside": ("x", 11)}
"""The shape and the size of a close that followed, by where it lay; the last is seen on any candle."""

_PRICES = ("open", "high", "low", "close", "last_close", "actual", *LEVELS, *sum(OVERLAYS.values(), ()))
"""The columns that are prices; those of indicators' panels are not."""

_DASHES = ("solid", "dash", "dashdot", "longdash", "dot")
"""The dashes of overlays, in their order: each has its own beside its colour."""


@dataclass(frozen=True)
class Beside:
    """A comparison with the forecast, on the same chart.

    Attributes:
        name: the name of the model or of the symbol.
        fan: the forecast, from `views.with_actuals`.
        bars: the closes of another symbol, from `views.bars`; None for a model.
    """

    name: str
    fan: pd.DataFrame
    bars: pd.DataFrame | None = None


def has_volume(bars: pd.DataFrame) -> bool:
    """Whether any volume is reported: sources without one, as of currencies, leave it out or write 0."""
    return bool((bars["volume"] > 0).any())


def as_change(rows: pd.DataFrame, base: float) -> pd.DataFrame:
    """Bars or forecasts whose prices are changes from a price, as shares."""
    return rows.assign(**{name: rows[name] / base - 1 for name in _PRICES if name in rows})


def forecast_figure(
    bars: pd.DataFrame,
    fan: pd.DataFrame,
    ghosts: pd.DataFrame,
    palette: Palette,
    *,
    beside: Beside | None = None,
    overlays: Sequence[str] = (),
    panels: Sequence[str] = PANELS,
    results: ResultsDay | None = None,
    frequency: Frequency = DAILY,
    is_change: bool = False,
) -> go.Figure:
    """Draw a forecast at the end of the bars.

    Args:
        bars: the sessions to show, from `views.bars`.
        fan: the ten rows of the forecast, from `views.with_actuals`; with a column `quantiles`, all of them are shaded.
        ghosts: earlier forecasts in the same form, which must not overlap; empty for none.
        palette: the colours.
        beside: another model, or another symbol, to draw with it.
        overlays: names of `OVERLAYS`.
        panels: names of `PANELS`; that of volumes is left out where none is reported.
        results: the results day that the forecast expected, to mark the session on which it acts.
        frequency: the frequency of the bars.
        is_change: whether prices are changes, from `as_change`.
    """
    shown = [panel for panel in PANELS if panel in panels and (panel != "Volume" or has_volume(bars))]
    heights = [_PRICE, *[_PANEL] * len(shown)]
    figure = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.03)
    many = len(bars) >= WEEKLY_FROM
    unit, longer = ("week", "W") if frequency.is_daily else ("day", "D")
    candles = aggregated(bars, longer) if many else bars
    followed = pd.concat([fan, ghosts])
    form = _change if is_change else partial(price, beside=fan["last_close"].iloc[0])
    figure.add_traces([*_earlier(ghosts, palette), *_fan(fan, palette, frequency, form), *_beside(beside, palette)])
    figure.add_trace(_candles(candles, palette, unit if many else frequency.noun))
    figure.add_traces([*_overlays(candles, overlays, palette)])
    figure.add_traces([*_followed(thinned(followed, longer) if many else followed, palette, form)])
    for row, panel in enumerate(shown, start=2):
        _PANELS[panel](figure, row, candles, palette)
    if not many and frequency.is_daily:
        figure.update_xaxes(rangebreaks=_breaks(bars, fan, ghosts, beside))
    figure.update_xaxes(rangeslider_visible=False, showgrid=False)
    figure.update_yaxes(side="right", automargin=True)
    places = decimals(fan["last_close"].iloc[0])
    whole = {"exponentformat": "none", "separatethousands": True}  # 65,000 rather than 65k
    read = {"tickformat": "+.0%", "hoverformat": "+.1%"} if is_change else {"hoverformat": f",.{places}f", **whole}
    figure.update_yaxes(**read, row=1, col=1)
    _laid_out(figure, sum(heights) + _LEGEND)
    legend = {"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "xanchor": "left", "x": 0}
    figure.update_layout(legend=legend, margin={"b": 30 + _LEGEND})
    if results:
        _mark_results(figure, results, palette)
    return figure


_LEGEND = 50  # pixels below the axis
_LABEL = 30  # pixels above the candles, for the label of the results day


def thinned(followed: pd.DataFrame, period: str = "W") -> pd.DataFrame:
    """The closes that followed, one a week or day: the one that was furthest out, so that no miss is lost.

    Args:
        followed: rows from `views.with_actuals`.
        period: `W` for weeks, `D` for days.
    """
    order = {"outside": 0, "95%": 1, "80%": 2, "": 3}
    ordered = followed.iloc[followed["inside"].map(order).argsort(kind="stable")]
    named = ordered["target_date"] - pd.Timedelta(hours=1 if period == "D" else 0)
    return ordered[~named.dt.to_period(period).duplicated()].sort_values("target_date")


def _change(share: float) -> str:
    return f"{share:+.1%}"


def _mark_results(figure: go.Figure, results: ResultsDay, palette: Palette) -> None:
    if not results.effect:
        return
    at = results.effect.isoformat()
    line = {"color": palette.walk, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", xref="x", yref="y domain", x0=at, x1=at, y0=0, y1=1, line=line)
    text = f"results {results.day}{', predicted' if results.is_predicted else ''}"
    label = {"x": at, "y": 1, "text": text, "showarrow": False, "xanchor": "right", "yanchor": "bottom"}
    figure.add_annotation(xref="x", yref="y domain", **label)
    figure.update_layout(margin={"t": _LABEL})


def aggregated(bars: pd.DataFrame, period: str = "W") -> pd.DataFrame:
    """Aggregate bars to weeks or days: first open, last close, highest high, lowest low; indicators of the last bar.

    Args:
        bars: bars from `views.bars`.
        period: `W` for weeks, `D` for days.
    """
    named = bars["session_date"] - pd.Timedelta(hours=1 if period == "D" else 0)  # an hour is named by its end
    span = named.dt.to_period(period)
    aggregations = dict.fromkeys(bars.columns, "last") | {"open": "first", "high": "max", "low": "min", "volume": "sum"}
    return bars.groupby(span).agg(aggregations).reset_index(drop=True)


def histogram_figure(bins: pd.DataFrame, fan: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the distribution of a year's closes, and the 80% interval of the tenth session."""
    places = decimals(fan["last_close"].iloc[0])
    figure = go.Figure(
        go.Bar(
            x=(bins["close_from"] + bins["close_to"]) / 2,
            y=bins["sessions"],
            width=bins["close_to"] - bins["close_from"],
            marker={"color": palette.ghost, "line": {"width": 0}},
            customdata=bins[["close_from", "close_to"]],
            hovertemplate=(
                f"%{{customdata[0]:,.{places}f}} to %{{customdata[1]:,.{places}f}}: %{{y}} closes<extra></extra>"
            ),
        )
    )
    last = fan.iloc[-1]
    figure.add_vrect(x0=last["close_lo_80"], x1=last["close_hi_80"], fillcolor=faded(palette.model, 0.25), line_width=0)
    figure.add_vline(x=last["last_close"], line={"color": palette.model, "width": 2})
    figure.update_yaxes(title="closes")
    figure.update_layout(bargap=0.05, showlegend=False)
    return _laid_out(figure, 300)


def odds_figure(chances: pd.DataFrame, titles: Ways[str], palette: Palette) -> go.Figure:
    """Draw the chances of a price by session.

    Args:
        chances: `target_date`, and `ends`, `closes` and `touches`, shares.
        titles: the titles of the three chances.
        palette: the colours.
    """
    figure = go.Figure()
    styles = {"touches": (palette.down, "dot"), "closes": (palette.model, "solid"), "ends": (palette.ghost, "dash")}
    for name, (colour, dash) in styles.items():
        figure.add_scatter(
            x=_short(chances["target_date"]),
            y=chances[name],
            name=getattr(titles, name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate="%{y:.1%}",
        )
    figure.update_yaxes(title="chance", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(type="category", tickangle=0, nticks=6)
    return _laid_out(figure, 300)


def width_figure(found: Width, palette: Palette) -> go.Figure:
    """Draw the factors of an interval's width: what is usual, what the symbol did lately, and what the model adds."""
    parts = {
        "usual for its year": found.usual,
        f"lately: × {found.now:.2f}": found.usual * found.now,
        f"the model: × {found.model:.2f}": found.width,
    }
    figure = go.Figure(
        go.Bar(
            x=list(parts.values()),
            y=list(parts),
            orientation="h",
            marker={"color": [palette.ghost, palette.walk, palette.model]},
            text=[f"{width:.1%}" for width in parts.values()],
            textposition="inside",
            insidetextfont={"color": palette.page},
            hoverinfo="skip",
        )
    )
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_xaxes(visible=False, rangemode="tozero")
    figure.update_layout(bargap=0.25, showlegend=False)
    return _laid_out(figure, 150)


def gains_figure(gains: pd.DataFrame, currency: str, palette: Palette) -> go.Figure:
    """Draw the distribution of a portfolio's gain by session.

    Args:
        gains: `target_date`, `median`, and `lo_80`, `hi_80`, `var_95`, `var_99`, in currency.
        currency: the currency of the values.
        palette: the colours.
    """
    days = _short(gains["target_date"])
    figure = go.Figure()
    figure.add_scatter(
        x=[*days, *days[::-1]], y=[*gains["hi_80"], *gains["lo_80"][::-1]], fill="toself", mode="lines",
        fillcolor=faded(palette.model, 0.3), line={"width": 0}, name="80% interval", hoverinfo="skip",
    )  # fmt: skip
    lines = {"median": (gains["median"], palette.model), "95% loss": (-gains["var_95"], palette.down)}
    lines |= {"99% loss, extrapolated": (-gains["var_99"], palette.ghost)}
    for name, (values, colour) in lines.items():
        figure.add_scatter(
            x=days, y=values, name=name, mode="lines", line={"color": colour, "width": 2}, hovertemplate="%{y:,.0f}"
        )
    figure.update_yaxes(title=f"gain, {currency}", tickformat=",.0f")
    figure.update_xaxes(type="category", tickangle=0, nticks=6)
    return _laid_out(figure, 420)


def record_figure(rows: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw what a portfolio gained in single sessions, and what it was said to lose at most in 95% of them.

    Args:
        rows: `step`, `target_date`, `currency`, `gain`, `value_at_risk_95`.
        palette: the colours.
    """
    rows = rows[rows["step"] == 1].sort_values("target_date")
    days = np.array(_days(rows["target_date"]))
    breached = (rows["gain"] < -rows["value_at_risk_95"]).to_numpy(bool)
    figure = go.Figure()
    figure.add_bar(x=days, y=rows["gain"], name="gain", marker_color=faded(palette.model, 0.6))
    figure.add_scatter(
        x=days, y=-rows["value_at_risk_95"], name="95% loss", mode="lines", line={"color": palette.down, "width": 2}
    )
    figure.add_scatter(
        x=days[breached], y=rows["gain"][breached], name="exceeded", mode="markers",
        marker={"color": palette.down, "symbol": "x", "size": 9},
    )  # fmt: skip
    figure.update_traces(hovertemplate="%{y:,.0f}")
    figure.update_yaxes(title=f"gain, {rows['currency'].iloc[0]}", tickformat=",.0f")
    figure.update_xaxes(type="category", tickangle=0, nticks=6)
    return _laid_out(figure, 360)


def _candles(bars: pd.DataFrame, palette: Palette, unit: str) -> go.Candlestick:
    return go.Candlestick(
        x=_days(bars["session_date"]),
        **{name: bars[name].to_numpy() for name in ("open", "high", "low", "close")},
        name=f"one candle a {unit}",
        increasing={"line": {"color": palette.up, "width": 1}, "fillcolor": "rgba(0, 0, 0, 0)"},
        decreasing={"line": {"color": palette.down, "width": 1}, "fillcolor": palette.down},
        showlegend=False,
    )


def _fan(
    fan: pd.DataFrame, palette: Palette, frequency: Frequency, form: Callable[[float], str]
) -> Iterator[go.Scatter]:
    yield from _shades(fan, palette)
    start = fan.iloc[0]
    words = [sentences.close_in_words(row, frequency, form) for row in fan.to_dict("records")]
    yield go.Scatter(
        x=_days([start["cutoff"], *fan["target_date"]]),
        y=np.array([start["last_close"], *fan["close_median"]]),
        text=[f"Last close {form(start['last_close'])}", *(text.replace("; ", "<br>") for text in words)],
        name="median",
        mode="lines",
        line={"color": palette.model, "width": 2.5},
        hovertemplate="%{text}<extra></extra>",
    )


def _shades(fan: pd.DataFrame, palette: Palette) -> Iterator[go.Scatter]:
    """The fan, darker where the close is likelier: two intervals, or six where thirteen quantiles are stored."""
    named = {(0, 12): "95% interval", (2, 10): "80% interval"}
    if "quantiles" not in fan or fan["quantiles"].isna().any():
        for level, opacity in ((95, 0.16), (80, 0.3)):
            yield _band([fan], level, palette.model, opacity, f"{level}% interval")
        return
    closes = np.stack([np.asarray(each, float) for each in fan["quantiles"]])
    start = fan.iloc[0]
    for low in range(closes.shape[1] // 2):
        high = closes.shape[1] - 1 - low
        edges = fan.assign(low=closes[:, low], high=closes[:, high])
        days, outline = _outline_of(edges, "low", "high", start)
        name = named.get((low, high), "")
        line = {"color": palette.model, "width": 1 if name else 0, "dash": "dot" if low == 0 else "solid"}
        yield go.Scatter(
            x=days, y=outline, fill="toself", fillcolor=faded(palette.model, 0.11), line=line, mode="lines",
            name=name or f"quantile {low}", showlegend=bool(name), legendgroup=name or "80% interval",
            hoverinfo="skip",
        )  # fmt: skip


def _beside(beside: Beside | None, palette: Palette) -> Iterator[go.Scatter]:
    if beside is None:
        return
    fan, x, y = beside.fan, list[str | None](), list[float | None]()
    if beside.bars is not None:
        x, y = [*_days(beside.bars["session_date"])], [*beside.bars["close"]]
    if len(fan):
        days, outline = _outline(fan, 80)
        line = {"color": palette.walk, "width": 1.5, "dash": "dash"}
        yield go.Scatter(
            x=days, y=outline, name=f"{beside.name}, 80%", mode="lines", line=line, hoverinfo="skip",
            legendgroup="beside",
        )  # fmt: skip
        x += [None, *_days([fan["cutoff"].iloc[0], *fan["target_date"]])]  # bars may reach beyond its cutoff
        y += [None, fan["last_close"].iloc[0], *fan["close_median"]]
    yield go.Scatter(
        x=x,
        y=y,
        name=beside.name if beside.bars is not None else f"{beside.name}, median",
        mode="lines",
        line={"color": palette.walk, "width": 1.5},
        legendgroup="beside",
        hovertemplate="%{y}",
    )


def _earlier(ghosts: pd.DataFrame, palette: Palette) -> Iterator[go.Scatter]:
    if ghosts.empty:
        return
    vintages = [rows for _, rows in ghosts.groupby("cutoff")]
    yield _band(vintages, 80, palette.ghost, 0.22, "earlier 80% intervals", group="ghosts")
    x: list[str | None] = []
    y: list[float | None] = []
    for rows in vintages:
        x += [*_days([rows["cutoff"].iloc[0], *rows["target_date"]]), None]
        y += [rows["last_close"].iloc[0], *rows["close_median"], None]
    line = {"color": palette.ghost, "width": 1.5, "dash": "dot"}
    yield go.Scatter(
        x=x, y=y, name="earlier medians", mode="lines", line=line, legendgroup="ghosts", showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip


def _followed(vintages: pd.DataFrame, palette: Palette, form: Callable[[float], str]) -> Iterator[go.Scatter]:
    """The closes that followed, by interval, each with a shape, a size and a colour of its own; a miss stands out."""
    colours = {"80%": palette.up, "95%": palette.model, "outside": palette.miss}
    for where, (symbol, size) in _MARKS.items():
        rows = vintages[vintages["inside"] == where]
        if len(rows):
            label = "outside both intervals" if where == "outside" else f"inside {where}"
            line = {"color": palette.page, "width": 1.5 if where == "outside" else 0}
            yield go.Scatter(
                x=_days(rows["target_date"]),
                y=rows["actual"].to_numpy(),
                text=[form(close) for close in rows["actual"]],
                name=f"actual, {label}",
                mode="markers",
                marker={"symbol": symbol, "size": size, "color": colours[where], "line": line},
                hovertemplate=f"actual %{{text}}, {label}<extra></extra>",
            )


def _overlays(bars: pd.DataFrame, names: Sequence[str], palette: Palette) -> Iterator[go.Scatter]:
    for colour, dash, (name, columns) in zip(palette.lines, _DASHES, OVERLAYS.items(), strict=False):
        for number, column in enumerate(columns if name in names else ()):
            yield go.Scatter(
                x=_days(bars["session_date"]),
                y=bars[column].to_numpy(dtype=float),
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.3, "dash": dash},
                legendgroup=name,
                showlegend=number == 0,
                hovertemplate="%{y}",
            )


def _volume(figure: go.Figure, row: int, bars: pd.DataFrame, palette: Palette) -> None:
    colours = np.where(bars["close"] >= bars["open"], palette.up, palette.down)
    marker = {"color": colours, "opacity": 0.55, "line": {"width": 0}}
    trace = go.Bar(
        x=_days(bars["session_date"]), y=bars["volume"].to_numpy(dtype=float), marker=marker, name="volume",
        showlegend=False,
    )  # fmt: skip
    figure.add_trace(trace, row=row, col=1)
    figure.update_yaxes(title="Volume", row=row, col=1)


def _rsi(figure: go.Figure, row: int, bars: pd.DataFrame, palette: Palette) -> None:
    figure.add_trace(_line(bars, "rsi_14", "RSI-14", palette.model, ".1f"), row=row, col=1)
    for level in (30, 70):
        figure.add_hline(y=level, line={"color": palette.rule, "width": 1, "dash": "dot"}, row=row, col=1)
    figure.update_yaxes(title="RSI", range=[0, 100], tickvals=[30, 70], row=row, col=1)


def _macd(figure: go.Figure, row: int, bars: pd.DataFrame, palette: Palette) -> None:
    values = bars["macd_histogram"].to_numpy(dtype=float)
    marker = {"color": np.where(values >= 0, palette.up, palette.down), "opacity": 0.55, "line": {"width": 0}}
    days = _days(bars["session_date"])
    histogram = go.Bar(x=days, y=values, marker=marker, name="histogram", showlegend=False, hovertemplate="%{y:+.3g}")
    figure.add_trace(histogram, row=row, col=1)
    figure.add_trace(_line(bars, "macd", "MACD", palette.model, "+.3g"), row=row, col=1)
    figure.add_trace(_line(bars, "macd_signal", "signal", palette.lines[0], "+.3g"), row=row, col=1)
    figure.update_yaxes(title="MACD", row=row, col=1)


_PANELS = {"Volume": _volume, "RSI": _rsi, "MACD": _macd}


def _line(bars: pd.DataFrame, column: str, name: str, colour: str, form: str) -> go.Scatter:
    values = bars[column].to_numpy(dtype=float)
    line = {"color": colour, "width": 1.3}
    return go.Scatter(
        x=_days(bars["session_date"]), y=values, name=name, mode="lines", line=line, showlegend=False,
        hovertemplate=f"%{{y:{form}}}",
    )  # fmt: skip


def _band(
    vintages: Sequence[pd.DataFrame], level: int, colour: str, opacity: float, name: str, group: str = ""
) -> go.Scatter:
    x: list[str | None] = []
    y: list[float | None] = []
    for rows in vintages:
        days, closes = _outline(rows, level)
        x += [*days, None]
        y += [*closes, None]
    return go.Scatter(
        x=x, y=y, fill="toself", fillcolor=faded(colour, opacity), line={"width": 0}, mode="lines", name=name,
        legendgroup=group or name, hoverinfo="skip",
    )  # fmt: skip


def _outline(rows: pd.DataFrame, level: int) -> tuple[list[str], list[float]]:
    return _outline_of(rows, f"close_lo_{level}", f"close_hi_{level}", rows.iloc[0])


def _outline_of(rows: pd.DataFrame, low: str, high: str, start: pd.Series) -> tuple[list[str], list[float]]:
    """The outline of an interval: from the last close along its upper end, and back along its lower end."""
    days = _days([start["cutoff"], *rows["target_date"]])
    upper = [start["last_close"], *rows[high]]
    lower = [start["last_close"], *rows[low]]
    return [*days, *days[::-1]], [*upper, *lower[::-1]]


def _days(dates: Iterable[pd.Timestamp]) -> list[str]:
    return [
        f"{end:%Y-%m-%d}" if end == end.normalize() else f"{end:%Y-%m-%d %H:%M}" for end in map(pd.Timestamp, dates)
    ]


def _short(dates: Iterable[pd.Timestamp]) -> list[str]:
    """Sessions as categories of a narrow axis."""
    return [f"{end.day} {end:%b}" for end in map(pd.Timestamp, dates)]


def _breaks(
    bars: pd.DataFrame, fan: pd.DataFrame, ghosts: pd.DataFrame, beside: Beside | None
) -> list[dict[str, object]]:
    """The days on which nothing is drawn, to hide them: the axis has no gaps where every exchange was closed."""
    drawn = [bars["session_date"], *(each[name] for each in (fan, ghosts) for name in ("cutoff", "target_date"))]
    if beside:
        drawn += [beside.fan["cutoff"], beside.fan["target_date"]]
        drawn += [beside.bars["session_date"]] if beside.bars is not None else []
    sessions = pd.DatetimeIndex(pd.concat(drawn))
    closed = pd.date_range(sessions.min(), sessions.max()).difference(sessions)
    if (sessions.dayofweek >= 5).any():
        return []  # one symbol trades every day, so a gap of its line is a missing bar
    holidays = closed[closed.dayofweek < 5]
    return [{"bounds": ["sat", "mon"]}, {"values": _days(holidays)}]


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 30},
        hovermode="x unified",
        dragmode="pan",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0},
    )
    return figure
