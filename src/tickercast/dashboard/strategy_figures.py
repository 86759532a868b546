"""The figures of strategies: equity, drawdown and positions of simulated accounts."""

import pandas as pd
import plotly.graph_objects as go

from tickercast.dashboard import axes
from tickercast.dashboard.palette import Palette


def equity_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the equity of each strategy after costs, and dashed before them, relative to its beginning.

    Args:
        accounts: from `show.strategies.accounts`.
        palette: the colours.
    """
    figure = go.Figure()
    for number, (name, rows) in enumerate(accounts.groupby("strategy", sort=False)):
        colour = palette.lines[number % len(palette.lines)]
        for column, label, dash in (("equity", str(name), "solid"), ("gross_equity", f"{name}, before costs", "dot")):
            if rows[column].isna().all():  # an account at a venue has no other
                continue
            figure.add_scatter(
                x=rows["bar"], y=rows[column] / rows[column].iloc[0] - 1, name=label, mode="lines",
                line={"color": colour, "width": 2, "dash": dash}, hovertemplate="%{y:+.1%}",
            )  # fmt: skip
    return _laid_out(figure, accounts, "since the beginning", 380)


def drawdown_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the loss of each strategy since its former peak."""
    figure = go.Figure()
    for number, (name, rows) in enumerate(accounts.groupby("strategy", sort=False)):
        figure.add_scatter(
            x=rows["bar"], y=-rows["drawdown"], name=str(name), mode="lines", hovertemplate="%{y:.1%}",
            line={"color": palette.lines[number % len(palette.lines)], "width": 2},
        )  # fmt: skip
    return _laid_out(figure, accounts, "since the last peak", 280)


def positions_figure(accounts: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw what is long and what is short of each strategy, in shares of equity."""
    figure = go.Figure()
    weights = [column for column in accounts if str(column).startswith("weight_")]
    for number, (name, rows) in enumerate(accounts.groupby("strategy", sort=False)):
        line = {"color": palette.lines[number % len(palette.lines)], "width": 2}
        held = {"long": rows[weights].clip(lower=0).sum(axis=1), "short": rows[weights].clip(upper=0).sum(axis=1)}
        for side, values in held.items():
            if side == "short" and not values.any():
                continue
            figure.add_scatter(
                x=rows["bar"], y=values, name=f"{name}, {side}", mode="lines", hovertemplate="%{y:.0%}",
                line={**line, "shape": "hv"},
            )  # fmt: skip
    return _laid_out(figure, accounts, "share of equity", 280)


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
