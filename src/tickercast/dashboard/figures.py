"""The chart of a forecast: candles, the fan, earlier forecasts as ghosts, and indicators; frames in, figures out."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tickercast.dashboard.palette import Palette, faded
from tickercast.domain.events import ResultsDay
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.odds import Ways

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
"""From this many bars on, a candle is a week of sessions or a day of hours: a screen has too few columns for more."""

_PRICE, _PANEL = 400, 120
_SYMBOLS = {"80%": "circle", "95%": "diamond", "outside": "x"}


def forecast_figure(
    bars: pd.DataFrame,
    fan: pd.DataFrame,
    ghosts: pd.DataFrame,
    palette: Palette,
    *,
    walk: pd.DataFrame | None = None,
    overlays: Sequence[str] = (),
    panels: Sequence[str] = PANELS,
    results: ResultsDay | None = None,
    frequency: Frequency = DAILY,
) -> go.Figure:
    """Draw a forecast at the end of the bars.

    Args:
        bars: the sessions to show, from `views.bars`.
        fan: the ten rows of the forecast, from `views.with_actuals`.
        ghosts: earlier forecasts in the same form, which must not overlap; empty for none.
        palette: the colours.
        walk: the random walk's ten rows, to draw its interval too.
        overlays: names of `OVERLAYS`.
        panels: names of `PANELS`.
        results: the results day that the forecast expected, to mark the session on which it acts.
        frequency: of the bars.
    """
    shown = [panel for panel in PANELS if panel in panels and (panel != "Volume" or bars["volume"].notna().any())]
    heights = [_PRICE, *[_PANEL] * len(shown)]
    figure = make_subplots(rows=len(heights), cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.03)
    many = len(bars) >= WEEKLY_FROM
    unit, longer = ("week", "W") if frequency.is_daily else ("day", "D")
    candles = aggregated(bars, longer) if many else bars
    figure.add_traces([*_earlier(ghosts, palette), *_fan(fan, palette), *_walk(walk, palette)])
    figure.add_trace(_candles(candles, palette, unit if many else frequency.noun))
    figure.add_traces([*_overlays(candles, overlays, palette), *_followed(pd.concat([fan, ghosts]), palette)])
    if results:
        _mark_results(figure, results, palette)
    for row, panel in enumerate(shown, start=2):
        _PANELS[panel](figure, row, candles, palette)
    if not many and frequency.is_daily:
        figure.update_xaxes(rangebreaks=_breaks(bars, fan))
    figure.update_xaxes(rangeslider_visible=False, showgrid=False)
    figure.update_yaxes(side="right", automargin=True)
    return _laid_out(figure, sum(heights))


def _mark_results(figure: go.Figure, results: ResultsDay, palette: Palette) -> None:
    at = results.effect.isoformat()
    line = {"color": palette.walk, "width": 1.5, "dash": "dot"}
    figure.add_shape(type="line", xref="x", yref="y domain", x0=at, x1=at, y0=0, y1=1, line=line)
    text = f"results {results.day}{', predicted' if results.is_predicted else ''}"
    figure.add_annotation(xref="x", yref="y domain", x=at, y=1, text=text, showarrow=False, yanchor="bottom")


def aggregated(bars: pd.DataFrame, period: str = "W") -> pd.DataFrame:
    """Aggregate bars to weeks or days: first open, last close, highest high, lowest low; indicators of the last bar.

    Args:
        bars: from `views.bars`.
        period: `W` for weeks, `D` for days.
    """
    named = bars["session_date"] - pd.Timedelta(hours=1 if period == "D" else 0)  # an hour is named by its end
    span = named.dt.to_period(period)
    aggregations = dict.fromkeys(bars.columns, "last") | {"open": "first", "high": "max", "low": "min", "volume": "sum"}
    return bars.groupby(span).agg(aggregations).reset_index(drop=True)


def histogram_figure(bins: pd.DataFrame, fan: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the distribution of a year's closes, and the 80% interval of the tenth session."""
    figure = go.Figure(
        go.Bar(
            x=(bins["close_from"] + bins["close_to"]) / 2,
            y=bins["sessions"],
            width=bins["close_to"] - bins["close_from"],
            marker={"color": palette.ghost, "line": {"width": 0}},
            customdata=bins[["close_from", "close_to"]],
            hovertemplate="%{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y} closes<extra></extra>",
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
        titles: what each of the three is called.
        palette: the colours.
    """
    figure = go.Figure()
    styles = {"touches": (palette.down, "dot"), "closes": (palette.model, "solid"), "ends": (palette.ghost, "dash")}
    for name, (colour, dash) in styles.items():
        figure.add_scatter(
            x=_days(chances["target_date"]),
            y=chances[name],
            name=getattr(titles, name),
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate="%{y:.1%}",
        )
    figure.update_yaxes(title="chance", tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(type="category", tickangle=0, nticks=6)
    return _laid_out(figure, 300)


def gains_figure(gains: pd.DataFrame, currency: str, palette: Palette) -> go.Figure:
    """Draw the distribution of a portfolio's gain by session.

    Args:
        gains: `target_date`, `median`, and `lo_80`, `hi_80`, `var_95`, `var_99`, in currency.
        currency: of the values.
        palette: the colours.
    """
    days = _days(gains["target_date"])
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


def _fan(fan: pd.DataFrame, palette: Palette) -> Iterator[go.Scatter]:
    for level, opacity in ((95, 0.16), (80, 0.3)):
        yield _band([fan], level, palette.model, opacity, f"{level}% interval")
    start = fan.iloc[0]
    columns = ["close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95"]
    yield go.Scatter(
        x=_days([start["cutoff"], *fan["target_date"]]),
        y=np.array([start["last_close"], *fan["close_median"]]),
        customdata=np.vstack([[start["last_close"]] * 4, fan[columns].to_numpy()]),
        name="median",
        mode="lines",
        line={"color": palette.model, "width": 2.5},
        hovertemplate=(
            "%{y:,.2f}<br>80%: %{customdata[0]:,.2f} … %{customdata[1]:,.2f}"
            "<br>95%: %{customdata[2]:,.2f} … %{customdata[3]:,.2f}"
        ),
    )


def _walk(walk: pd.DataFrame | None, palette: Palette) -> Iterator[go.Scatter]:
    if walk is None or walk.empty:
        return
    x, y = _outline(walk, 80)
    line = {"color": palette.walk, "width": 1.5, "dash": "dash"}
    yield go.Scatter(x=x, y=y, name="random walk, 80%", mode="lines", line=line, hoverinfo="skip")


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
    yield go.Scatter(x=x, y=y, name="earlier medians", mode="lines", line=line, legendgroup="ghosts", hoverinfo="skip")


def _followed(vintages: pd.DataFrame, palette: Palette) -> Iterator[go.Scatter]:
    """The closes that followed, by interval; each has its own marker, for readers who cannot tell colours apart."""
    colours = {"80%": palette.up, "95%": palette.model, "outside": palette.down}
    for where, symbol in _SYMBOLS.items():
        rows = vintages[vintages["inside"] == where]
        if len(rows):
            label = "outside both intervals" if where == "outside" else f"inside {where}"
            yield go.Scatter(
                x=_days(rows["target_date"]),
                y=rows["actual"].to_numpy(),
                name=f"actual, {label}",
                mode="markers",
                marker={"symbol": symbol, "size": 5, "color": colours[where]},
                hovertemplate=f"actual, {label}<extra></extra>",
            )


def _overlays(bars: pd.DataFrame, names: Sequence[str], palette: Palette) -> Iterator[go.Scatter]:
    for colour, (name, columns) in zip(palette.lines, OVERLAYS.items(), strict=False):
        for number, column in enumerate(columns if name in names else ()):
            yield go.Scatter(
                x=_days(bars["session_date"]),
                y=bars[column].to_numpy(dtype=float),
                name=name,
                mode="lines",
                line={"color": colour, "width": 1.3, "dash": "dot" if len(columns) > 1 else "solid"},
                legendgroup=name,
                showlegend=number == 0,
                hovertemplate="%{y:,.2f}",
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
    figure.add_trace(_line(bars, "rsi_14", "RSI-14", palette.model), row=row, col=1)
    for level in (30, 70):
        figure.add_hline(y=level, line={"color": palette.rule, "width": 1, "dash": "dot"}, row=row, col=1)
    figure.update_yaxes(title="RSI", range=[0, 100], tickvals=[30, 70], row=row, col=1)


def _macd(figure: go.Figure, row: int, bars: pd.DataFrame, palette: Palette) -> None:
    values = bars["macd_histogram"].to_numpy(dtype=float)
    marker = {"color": np.where(values >= 0, palette.up, palette.down), "opacity": 0.55, "line": {"width": 0}}
    days = _days(bars["session_date"])
    figure.add_trace(go.Bar(x=days, y=values, marker=marker, name="histogram", showlegend=False), row=row, col=1)
    figure.add_trace(_line(bars, "macd", "MACD", palette.model), row=row, col=1)
    figure.add_trace(_line(bars, "macd_signal", "signal", palette.lines[0]), row=row, col=1)
    figure.update_yaxes(title="MACD", row=row, col=1)


_PANELS = {"Volume": _volume, "RSI": _rsi, "MACD": _macd}


def _line(bars: pd.DataFrame, column: str, name: str, colour: str) -> go.Scatter:
    values = bars[column].to_numpy(dtype=float)
    line = {"color": colour, "width": 1.3}
    return go.Scatter(
        x=_days(bars["session_date"]), y=values, name=name, mode="lines", line=line, showlegend=False,
        hovertemplate="%{y:,.2f}",
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
    """The outline of an interval: from the last close along its upper end, and back along its lower end."""
    start = rows.iloc[0]
    days = _days([start["cutoff"], *rows["target_date"]])
    upper = [start["last_close"], *rows[f"close_hi_{level}"]]
    lower = [start["last_close"], *rows[f"close_lo_{level}"]]
    return [*days, *days[::-1]], [*upper, *lower[::-1]]


def _days(dates: Iterable[pd.Timestamp]) -> list[str]:
    return [
        f"{end:%Y-%m-%d}" if end == end.normalize() else f"{end:%Y-%m-%d %H:%M}" for end in map(pd.Timestamp, dates)
    ]


def _breaks(bars: pd.DataFrame, fan: pd.DataFrame) -> list[dict[str, object]]:
    """The days without a session, to hide them: the axis has no gaps where the exchange was closed."""
    sessions = pd.DatetimeIndex([*bars["session_date"], *fan["target_date"]])
    closed = pd.date_range(sessions.min(), sessions.max()).difference(sessions)
    if (sessions.dayofweek >= 5).any():
        return []  # the symbol trades every day, so a gap is a missing bar
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
