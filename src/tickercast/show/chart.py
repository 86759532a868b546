"""Charts of forecasts and evaluations, drawn with matplotlib, which is imported only for drawing."""

import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tickercast.domain.frequency import frequency_of
from tickercast.reading.track_record import ForecastDetails
from tickercast.show.sentences import SIMULATED, evaluated, moment

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import ScalarFormatter

COLOURS = {
    "paper": "#fdfdfc",
    "ink": "#1f2328",
    "muted": "#59636e",
    "grid": "#e4e7eb",
    "band-95": "#d3e4f3",
    "band-80": "#9cc3e4",
    "median": "#0b5394",
    "actual": "#b4460f",
    "results": "#7a3e9d",
}
"""The colours of a chart by part; on a page each becomes the CSS variable of that name."""

_TALL, _WIDE, _NARROW = 4.4, 9.6, 4.2  # inches
_NARROW_SESSIONS = 40
_DPI = 150
_PAD = 8  # points between the axis and its dates, so that the lowest price stands apart from the last one
_WHOLE = re.compile(r"(?<![.\d])\d+")  # the digits before the point
_DATES, _HOURS = ("%Y-%m-%d", "%m-%d"), ("%m-%d %H:%M", "%d %H:%M")  # formats of ticks


@dataclass(frozen=True)
class _Positions:
    """Positions on the axis of sessions: bars to the left of the cutoff at 0, forecasts to its right."""

    bars: "np.ndarray[Any, np.dtype[np.int64]]"
    steps: "np.ndarray[Any, np.dtype[np.int64]]"
    dates: Mapping[int, date]
    form: str
    short_form: str


def forecast_png(shown: Sequence[ForecastDetails]) -> bytes:
    """Draw the fans of several forecasts below each other, with the bars before them and the closes that followed."""
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(_WIDE, _TALL * len(shown)), layout="constrained", facecolor=COLOURS["paper"])
        for axes, each in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
            _draw(axes, each, len(each.bars))
            made = each.made
            simulated = f" ({SIMULATED.partition(':')[0]})" if made.simulated else ""
            axes.set_title(
                f"{made.symbol}, {made.horizon} {made.frequency.noun}s from {moment(made)}{simulated}",
                loc="left",
                fontsize=11 if made.frequency.is_daily else 9.5,  # the legend stands beside it
            )
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=5, borderaxespad=0)
        return _saved(figure, format="png", dpi=_DPI)


def forecast_svg(each: ForecastDetails, *, name: str, alt: str, narrow: bool = False) -> str:
    """Draw the fan of one forecast as an element for a page, without a legend; the narrow form fits a phone.

    Args:
        each: the forecast, its bars and the closes that followed.
        name: a prefix for its ids, so that several can stand on one page.
        alt: the alternative text.
        narrow: whether to draw the narrow form, with fewer bars.
    """
    from matplotlib.figure import Figure

    with _style():
        figure = Figure(figsize=(_NARROW if narrow else _WIDE, _TALL), layout="constrained")
        axes = figure.subplots()
        _draw(axes, each, _NARROW_SESSIONS if narrow else len(each.bars))
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        drawn = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
    return _element(drawn.decode(), name, alt)


def accounts_svg(accounts: pd.DataFrame, *, name: str, alt: str, narrow: bool = False) -> str:
    """Draw equity after costs, dotted before them, and drawdown of simulated accounts as an element for a page.

    The narrow form fits a phone.

    Args:
        accounts: rows from `show.strategies.accounts`; four strategies have colours of their own.
        name: a prefix for the ids of the element's parts.
        alt: the alternative text.
        narrow: whether to draw the narrow form.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    with _style():
        figure = Figure(figsize=(_NARROW if narrow else _WIDE, _TALL * 1.4), layout="constrained")
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(2, 1))
        for number, (strategy, rows) in enumerate(accounts.groupby("strategy", sort=False)):
            colour = COLOURS[_ACCOUNTS[number % len(_ACCOUNTS)]]
            first = rows["equity"].iloc[0]
            upper.plot(
                rows["bar"], 100 * (rows["equity"] / first - 1), color=colour, linewidth=1.4, label=str(strategy)
            )
            upper.plot(
                rows["bar"], 100 * (rows["gross_equity"] / first - 1), color=colour, linewidth=0.9, linestyle=":"
            )
            lower.plot(rows["bar"], -100 * rows["drawdown"], color=colour, linewidth=1.2)
        for axes in (upper, lower):
            axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.8)
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.spines["bottom"].set_color(COLOURS["grid"])
            axes.tick_params(length=0)
            axes.yaxis.tick_right()
            axes.yaxis.set_major_formatter(PercentFormatter())
            axes.patch.set_visible(False)
        upper.legend(loc="upper left", frameon=False)
        figure.patch.set_visible(False)
        drawn = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
    return _element(drawn.decode(), name, alt)


_ACCOUNTS = ("median", "actual", "results", "muted")  # the colours of strategies, in their order


def _draw(axes: "Axes", each: ForecastDetails, sessions: int) -> None:
    bars = each.bars.tail(sessions)
    positions = _positions(bars, each)
    _draw_bars(axes, bars, positions)
    _draw_fan(axes, each, positions)
    _draw_actual(axes, each, positions)
    _draw_results(axes, each)
    axes.axvline(0, color=COLOURS["muted"], linewidth=0.8, linestyle=(0, (2, 3)), zorder=1)
    axes.set_facecolor(COLOURS["paper"])
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(COLOURS["grid"])
    axes.tick_params(length=0)
    axes.tick_params(axis="x", pad=_PAD)
    axes.yaxis.tick_right()
    axes.yaxis.set_major_formatter(_prices())
    axes.margins(x=0.02)
    _label_dates(axes, positions, sessions)


def _prices() -> "ScalarFormatter":
    """The labels of prices: as many decimals as all of them need, and thousands apart as in every table."""
    from matplotlib.ticker import ScalarFormatter

    class Apart(ScalarFormatter):
        def __call__(self, value: float, position: int | None = None) -> str:
            return _WHOLE.sub(lambda digits: f"{int(digits[0]):,}", super().__call__(value, position))

    return Apart()


def _positions(bars: pd.DataFrame, each: ForecastDetails) -> _Positions:
    left = np.arange(len(bars)) - (len(bars) - 1)
    right = np.array([step.step for step in each.made.steps])
    daily = each.made.frequency.is_daily
    ends = bars["session_date"].dt.date if daily else bars["closed_at"]
    dates = {int(position): end for position, end in zip(left, ends, strict=True)}
    ahead = {int(position): step.end for position, step in zip(right, each.made.steps, strict=True)}
    return _Positions(left, right, {0: each.made.end} | dates | ahead, *(_DATES if daily else _HOURS))


def _draw_bars(axes: "Axes", bars: pd.DataFrame, positions: _Positions) -> None:
    """Draw candles that need no colour: hollow where the close is above the open, filled where not."""
    if bars.empty:
        return
    rose = (bars["close"] >= bars["open"]).to_numpy()
    bottom = bars[["open", "close"]].min(axis=1).to_numpy()
    top = bars[["open", "close"]].max(axis=1).to_numpy()
    ink, paper = COLOURS["ink"], COLOURS["paper"]
    axes.vlines(positions.bars, bars["low"], bars["high"], color=ink, linewidth=0.7, zorder=3)
    for which, fill in ((rose, paper), (~rose, ink)):
        axes.bar(
            positions.bars[which],
            (top - bottom)[which],
            0.62,
            bottom=bottom[which],
            color=fill,
            edgecolor=ink,
            linewidth=0.7,
            zorder=4,
        )


def _draw_fan(axes: "Axes", each: ForecastDetails, positions: _Positions) -> None:
    x = np.concatenate([[0], positions.steps])

    def from_the_last_close(name: str) -> list[float]:
        return [each.made.last_close, *(float(getattr(step, name)) for step in each.made.steps)]

    for level in (95, 80):
        low, high = (from_the_last_close(f"close_{end}_{level}") for end in ("lo", "hi"))
        axes.fill_between(
            x, low, high, color=COLOURS[f"band-{level}"], linewidth=0, zorder=2, label=f"{level}% interval"
        )
    axes.plot(x, from_the_last_close("close_median"), color=COLOURS["median"], linewidth=1.8, zorder=5, label="median")


def _draw_actual(axes: "Axes", each: ForecastDetails, positions: _Positions) -> None:
    followed = each.actual or {}
    known = [
        (int(position), followed[step.end])
        for position, step in zip(positions.steps, each.made.steps, strict=True)
        if step.end in followed
    ]
    if known:
        x, closes = zip(*known, strict=True)
        colour, edge = COLOURS["actual"], COLOURS["paper"]
        axes.plot(
            *(x, closes),
            linestyle="none",
            marker="D",
            markersize=5,
            markeredgecolor=edge,
            color=colour,
            zorder=6,
            label="actual",
        )


def _draw_results(axes: "Axes", each: ForecastDetails) -> None:
    """Mark the session on which results act."""
    expected = each.made.results
    steps = [step.step for step in each.made.steps if expected and step.target_date == expected.effect]
    for step in steps:
        colour = COLOURS["results"]
        axes.axvline(step, color=colour, linewidth=1.2, linestyle=(0, (1, 2)), zorder=2, label="results")


def _label_dates(axes: "Axes", positions: _Positions, sessions: int) -> None:
    first, last = min(positions.dates), max(positions.dates)
    every, form = (20, positions.form) if sessions > _NARROW_SESSIONS else (15, positions.short_form)
    ticks = [at for at in range(0, first - 1, -every) if at - first >= every / 3 or at == 0] + [last]
    axes.set_xticks(ticks, [f"{positions.dates[at]:{form}}" for at in ticks])


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(
        {
            "axes.formatter.limits": (-12, 16),  # no power of ten in the corner: prices are written whole
            "axes.formatter.useoffset": False,
            "date.converter": "concise",
            "font.size": 9,
            "svg.fonttype": "none",
            "svg.hashsalt": "tickercast",
            "text.color": COLOURS["ink"],
            "text.parse_math": False,
            "xtick.labelcolor": COLOURS["muted"],
            "ytick.labelcolor": COLOURS["muted"],
        }
    ):
        yield


def _saved(figure: "Figure", **options: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, **options)
    return file.getvalue()


def _element(drawn: str, name: str, alt: str) -> str:
    """Turn an SVG file of matplotlib into an element: no prologue, no size, its own ids, the page's colours."""
    inner = drawn[drawn.index("<svg") :]
    inner = re.sub(r"<(metadata|style)\b.*?</\1>", "", inner, flags=re.DOTALL)  # both would apply to the whole page
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    inner = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", inner)
    inner = re.sub(r"font-family: [^;\"]+", "font-family: inherit", inner)
    for colour, value in COLOURS.items():
        inner = inner.replace(value, f"var(--{colour})")
    box = re.search(r'viewBox="[^"]+"', inner)
    shape = f'{box and box[0]} stroke-linejoin="round"'
    opening = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{html.escape(alt)}" {shape}>'
    return opening + inner[inner.index(">") + 1 :].rstrip()


def evaluation_png(report: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Draw the reliability diagram, and the loss by step relative to each baseline.

    Args:
        report: the report on the evaluated model; see `domain.measures.evaluation.evaluation_report`.
        baselines: the measures of each baseline by step.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    figure.suptitle(evaluated(report), x=0.01, ha="left", fontsize=11)
    levels = np.array([float(level) for level in report["reliability"]])
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    left.plot(levels, list(report["reliability"].values()), marker="o", color="#0072b2", label=report["model"])
    left.set(title="Reliability: how often the close fell below each quantile", xlabel="quantile", ylabel="share below")
    left.legend(frameon=False)
    steps, noun = [int(step) for step in report["by_step"]], frequency_of(report["frequency"]).noun
    right.axhline(1, color="0.7", linewidth=1)
    for name, measures in baselines.items():
        ratios = [report["by_step"][step]["sp"] / measures[step]["sp"] for step in report["by_step"]]
        right.plot(steps, ratios, marker="o", label=f"against {name}")
    right.set(title="Loss by step, relative (below 1 is better)", xlabel=f"step, in {noun}s", xticks=steps)
    right.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    pyplot.close(figure)
    return file.getvalue()
