"""The fan of a forecast drawn with characters, for a terminal: closes in Braille dots, intervals in shades.

A character holds two closes side by side and four dots above each other, so the closes are finer than the fan.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby, pairwise
from operator import itemgetter
from statistics import fmean

from rich.text import Text

from tickercast.domain.forecast import LEVELS, Forecast
from tickercast.domain.text import price

NARROWEST = 72
"""The narrowest terminal that a fan fits on, in characters."""

_ROWS, _DOTS, _PER_STEP, _MOST_FAN, _MOST_COLUMNS = 9, 4, 3, 36, 45
_BLANK = 0x2800  # the first of Unicode's Braille patterns, in which each dot is a bit
_LEFT, _RIGHT = (0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80)
_SHADES = {95: ("░", "cyan"), 80: ("▒", "cyan")}

Grid = list[list[tuple[str, str]]]


def fan(made: Forecast, closes: Sequence[float], actual: Mapping[date, float] | None, width: int = NARROWEST) -> Text:
    """Draw the closes up to the cutoff and the fan of the forecast.

    Args:
        made: the forecast.
        closes: the closes up to the cutoff, oldest first; none leaves the left side empty.
        actual: the closes that followed, as far as they are known, by the ends of their bars.
        width: the width of the terminal, in characters; at least `NARROWEST`.
    """
    followed = [(actual or {}).get(step.end) for step in made.steps]
    shown = closes[-2 * _MOST_COLUMNS :]
    scale = _Scale([*shown, *_bounds(made), *(close for close in followed if close is not None)])
    labels = {row: price(scale.value(row), made.last_close) for row in (0, _ROWS // 2, _ROWS - 1)}
    gutter = max(map(len, labels.values()))
    room = width - gutter - 2 - _per_step(made) * len(made.steps)
    left = [row[-room:] for row in _dots(shown, scale)]
    right = _fan(made, followed, scale)
    text = Text(no_wrap=True, overflow="crop")
    for row in range(_ROWS):
        text.append(f"{labels.get(row, ''):>{gutter}} ", style="dim")
        for style, cells in groupby([*left[row], ("┊", "dim"), *right[row]], key=itemgetter(1)):
            text.append("".join(letter for letter, _ in cells), style=style)
        text.append("\n")
    legend = "━ median  ▒ 80%  ░ 95%" + "  ◆ actual" * any(followed)
    text.append(_axis(made, gutter + 1 + len(left[0]), legend), style="dim")
    return text


def _per_step(made: Forecast) -> int:
    """The columns of a step: three, or fewer so that the fan of many steps leaves room for the closes."""
    return max(_MOST_FAN // len(made.steps), 1) if len(made.steps) * _PER_STEP > _MOST_FAN else _PER_STEP


class _Scale:
    """Prices to rows, the highest on top."""

    def __init__(self, prices: Sequence[float]) -> None:
        self._low, self._high = min(prices), max(prices)
        self._reach = (self._high - self._low) or 1.0

    def row(self, value: float, rows: int = _ROWS) -> int:
        return min(int((self._high - value) / self._reach * rows), rows - 1)

    def value(self, row: int) -> float:
        return self._high - self._reach * row / (_ROWS - 1)


def _bounds(made: Forecast) -> list[float]:
    return [end for step in made.steps for end in step.interval(95)]


def _dots(closes: Sequence[float], scale: _Scale) -> Grid:
    """Two closes a column, joined by dots from one to the next."""
    heights = [scale.row(close, _ROWS * _DOTS) for close in closes]
    bits = [[0] * ((len(heights) + 1) // 2) for _ in range(_ROWS)]
    offset = len(heights) % 2  # the last close stands at the right edge
    for number, height in enumerate(heights):
        before = heights[max(number - 1, 0)]
        for dot in range(min(height, before + (height > before)), max(height, before - (height < before)) + 1):
            column, right = divmod(number + offset, 2)
            bits[dot // _DOTS][column] |= (_RIGHT if right else _LEFT)[dot % _DOTS]
    return [[(chr(_BLANK + pattern) if pattern else " ", "") for pattern in row] for row in bits]


def _fan(made: Forecast, followed: Sequence[float | None], scale: _Scale) -> Grid:
    columns: list[list[tuple[str, str]]] = []
    before, parts = dict.fromkeys(LEVELS, made.last_close), _per_step(made)
    for step, close in zip(made.steps, followed, strict=True):
        levels = {name: float(getattr(step, name)) for name in LEVELS}
        for part in range(1, parts + 1):
            between = {name: before[name] + (levels[name] - before[name]) * part / parts for name in LEVELS}
            columns.append(_column(between, scale, close if part == parts else None))
        before = levels
    return [[column[row] for column in columns] for row in range(_ROWS)]


def _column(levels: Mapping[str, float], scale: _Scale, close: float | None) -> list[tuple[str, str]]:
    cells = [(" ", "")] * _ROWS
    for level, cell in _SHADES.items():
        top, bottom = (scale.row(levels[f"close_{end}_{level}"]) for end in ("hi", "lo"))
        cells[top : bottom + 1] = [cell] * (bottom + 1 - top)
    cells[scale.row(levels["close_median"])] = ("━", "bold")
    if close is not None:
        cells[scale.row(close)] = ("◆", "bold yellow")
    return cells


def _axis(made: Forecast, at: int, legend: str) -> str:
    """The cutoff under its line, the last session under the fan, and the legend beside them or, without room, below."""
    form = "%m-%d" if made.frequency.is_daily else "%m-%d %H:%M"
    cutoff, last = f"{made.end:{form}}", f"{made.steps[-1].end:{form}}"
    start = max(at - len(cutoff) // 2, 0)
    fits = len(legend) + 2 <= start
    beside = f"{legend if fits else ''}  ".rjust(start)
    dates = f"{beside}{cutoff}".ljust(at + 1 + _per_step(made) * len(made.steps) - len(last)) + last
    return dates if fits else f"{dates}\n{legend}"


_BARS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int = 20) -> str:
    """Means of equal parts of a series as bars, from its lowest to its highest.

    >>> spark([1, 1, 2, 2, 5, 5], 3)
    '▁▃█'
    """
    parts = min(width, len(values))
    edges = [len(values) * number // parts for number in range(parts + 1)]
    means = [fmean(values[start:end]) for start, end in pairwise(edges)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[round((mean - low) / span * (len(_BARS) - 1))] for mean in means)
