"""The figures of strategies: equity, drawdown and positions of simulated accounts."""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from tickercast.dashboard import axes
from tickercast.dashboard.palette import SHAPES, Palette

_MARKS = 12  # the most marks of a line, among hundreds of bars


def equity_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the equity of each strategy after costs, and dotted before them, relative to its beginning.

    Args:
        accounts: rows from `show.strategies.accounts`.
        palette: the colours.
    """
    figure = go.Figure()
    for name, rows, style in _styled(accounts, palette):
        for column, label, dash in (("equity", name, "solid"), ("gross_equity", f"{name}, before costs", "dot")):
            if rows[column].isna().all():  # an account at a venue has no other
                continue
            figure.add_scatter(
                x=rows["bar"], y=rows[column] / rows[column].iloc[0] - 1, name=label, hovertemplate="%{y:+.1%}",
                line_dash=dash, **style,
            )  # fmt: skip
    return _laid_out(figure, accounts, "since the beginning", 380)


def drawdown_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the loss of each strategy since its former peak."""
    figure = go.Figure()
    for name, rows, style in _styled(accounts, palette):
        figure.add_scatter(x=rows["bar"], y=-rows["drawdown"], name=name, hovertemplate="%{y:.1%}", **style)
    return _laid_out(figure, accounts, "since the last peak", 280)


def positions_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw what is long and what is short of each strategy, in shares of equity."""
    figure = go.Figure()
    weights = [column for column in accounts if str(column).startswith("weight_")]
    for name, rows, style in _styled(accounts, palette):
        held = {"long": rows[weights].clip(lower=0).sum(axis=1), "short": rows[weights].clip(upper=0).sum(axis=1)}
        for side, values in held.items():
            if side == "short" and not values.any():
                continue
            figure.add_scatter(
                x=rows["bar"], y=values, name=f"{name}, {side}", hovertemplate="%{y:.0%}", line_shape="hv", **style
            )
    return _laid_out(figure, accounts, "share of equity", 280)


def _styled(accounts: pd.DataFrame, palette: Palette) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    """Each strategy with its rows, and how its lines look: a colour and a mark of its own."""
    groups = accounts.groupby("strategy", sort=False)
    for colour, shape, (name, rows) in zip(cycle(palette.series), cycle(SHAPES), groups, strict=False):
        marker = {"symbol": shape, "size": 8, "maxdisplayed": _MARKS}
        yield str(name), rows, {"mode": "lines+markers", "marker": marker, "line_color": colour, "line_width": 2}


def _laid_out(figure: go.Figure, accounts: pd.DataFrame, unit: str, height: int) -> go.Figure:
    axes.by_bar(figure, accounts["bar"])
    figure.update_yaxes(title=unit, tickformat=".1%")
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 30},
        hovermode="x unified",
        dragmode="pan",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0},
    )
    return figure
