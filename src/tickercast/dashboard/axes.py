"""Axes of time whose ticks are never finer than the bars, also where there are only one or two of them."""

import pandas as pd
import plotly.graph_objects as go

_DAY, _HOUR = pd.Timedelta(days=1), pd.Timedelta(hours=1)
_LEAST = 14  # bars that an axis spans: Plotly would part the time between fewer into hours or milliseconds
_MOST = 6  # months that a narrow axis has room to name


def by_bar(figure: go.Figure, ends: "pd.Series[pd.Timestamp]") -> None:
    """Span the bars, and at least fourteen of them.

    Args:
        figure: the figure to lay out.
        ends: the end of each bar, in any order; a day or an hour apart.
    """
    gaps = ends.drop_duplicates().sort_values().diff()
    unit = _HOUR if gaps.min() < _DAY else _DAY
    first = min(ends.min(), ends.max() - (_LEAST - 1) * unit)
    figure.update_xaxes(type="date", range=[first - unit / 2, ends.max() + unit / 2])


def by_month(figure: go.Figure, months: "pd.Series[pd.Timestamp]") -> None:
    """Span the months, and name each, or every n-th of many.

    Args:
        figure: the figure to lay out.
        months: the first days of the months, in any order; none leave the axis as it is.
    """
    if months.empty:
        return
    first, last = months.min(), months.max()
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    figure.update_xaxes(
        type="date",
        range=[first - 15 * _DAY, last + 15 * _DAY],
        tick0=first,
        dtick=f"M{-(-count // _MOST)}",
        tickformat="%b %Y",
    )
