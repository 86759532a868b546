"""The charts of the track record and of operations: functions from frames to figures."""

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tickercast.dashboard import axes
from tickercast.dashboard.palette import SHAPES, Palette
from tickercast.domain.forecast import Role

_DAY_MS = 86_400_000


def coverage_figure(coverage: pd.DataFrame, model: str, palette: Palette) -> go.Figure:
    """Draw the coverage of a model's intervals by month, beside the nominal coverage.

    Args:
        coverage: rows from `views.coverage`.
        model: the name in `model_name`.
        palette: the colours.
    """
    rows = coverage[coverage["model_name"] == model]
    figure = go.Figure()
    for level, colour, shape in ((95, palette.walk, "diamond"), (80, palette.model, "circle")):
        figure.add_hline(y=level / 100, line={"color": colour, "width": 1, "dash": "dot"})
        figure.add_scatter(
            x=rows["month"].dt.strftime("%Y-%m-%d").tolist(),
            y=rows[f"coverage_{level}"].to_numpy(),
            customdata=rows["n"].to_numpy(),
            name=f"{level}% intervals",
            mode="lines+markers",
            line={"color": colour},
            marker={"symbol": shape, "size": 7},
            hovertemplate="%{y:.1%} of %{customdata:,}",
        )
    figure.update_yaxes(tickformat=".0%", rangemode="tozero" if rows.empty else "normal")
    axes.by_month(figure, rows["month"])
    return _laid_out(figure)


def steps_figure(skill: pd.DataFrame, palette: Palette, noun: str = "session") -> go.Figure:
    """Draw each model's loss by step relative to the random walk's, with 95% intervals.

    Args:
        skill: rows of `forecast_skill` with a step and no symbol.
        palette: the colours.
        noun: the noun for a step.
    """
    figure = go.Figure()
    figure.add_hline(y=1, line={"color": palette.rule, "width": 1.5}, name="random walk", showlegend=True)
    groups = skill.groupby(["model_name", "role"])
    for colour, shape, ((name, role), rows) in zip(cycle(palette.series), cycle(SHAPES), groups, strict=False):
        ordered = rows.sort_values("step")
        figure.add_scatter(
            x=ordered["step"].astype(int).to_numpy(),
            y=ordered["pinball_ratio"].to_numpy(dtype=float),
            error_y={"array": (ordered["pinball_ratio_hi"] - ordered["pinball_ratio"]).to_numpy(dtype=float)},
            name=str(name) if role == Role.CHAMPION else f"{name} ({role})",
            mode="lines+markers",
            line={"color": colour},
            marker={"symbol": shape, "size": 8},
            hovertemplate="%{y:.4f}",
        )
    figure.update_xaxes(title=f"{noun}s ahead", dtick=1 if noun == "session" else 3)
    figure.update_yaxes(title="loss / random walk's", tickformat=".3f")
    return _laid_out(figure)


def symbols_figure(skill: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the loss by symbol relative to the random walk's, with 95% intervals, the best on top.

    Args:
        skill: rows of `forecast_skill` of one model with a symbol and no step, the best first.
        palette: the colours.
    """
    figure = go.Figure()
    figure.add_vline(x=1, line={"color": palette.rule, "width": 1.5})
    verdicts = {
        "better": (palette.up, "circle"),
        "no edge": (palette.ghost, "diamond"),
        "worse": (palette.down, "x"),
        "too early": (palette.ghost, "circle-open"),
    }
    for verdict, (colour, shape) in verdicts.items():
        rows = skill[skill["verdict"] == verdict]
        if len(rows):
            figure.add_scatter(
                x=rows["pinball_ratio"].to_numpy(dtype=float),
                y=rows["symbol"].tolist(),
                error_x={"array": (rows["pinball_ratio_hi"] - rows["pinball_ratio"]).to_numpy(dtype=float)},
                name=verdict,
                mode="markers",
                marker={"color": colour, "symbol": shape, "size": 9},
                hovertemplate="%{y}: %{x:.4f}<extra></extra>",
            )
    figure.update_yaxes(categoryorder="array", categoryarray=skill["symbol"].tolist()[::-1], automargin=True)
    figure.update_xaxes(title="loss / random walk's (below 1 is better)", tickformat=".3f")
    figure.update_layout(hovermode="closest")
    return _laid_out(figure, height=90 + 26 * max(len(skill), 4))


def health_figure(health: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the entries of the ledger by day and status, with the latency of events below.

    Args:
        health: rows from `views.health`.
        palette: the colours.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.55, 0.45], vertical_spacing=0.08)
    days = health["day"].dt.strftime("%Y-%m-%d").tolist()
    statuses = (
        ("forecast", palette.up, ""),
        ("rejected", palette.down, "/"),
        ("superseded", palette.ghost, "."),
    )
    for name, colour, pattern in statuses:
        marker = {"color": colour, "pattern": {"shape": pattern}}
        figure.add_trace(go.Bar(x=days, y=health[name].to_numpy(), name=name, marker=marker), row=1, col=1)
    quantiles = (
        ("p50", "median", palette.model, "circle"),
        ("p95", "95% quantile", palette.walk, "diamond"),
    )
    for quantile, name, colour, shape in quantiles:
        figure.add_trace(
            go.Scatter(
                x=days,
                y=health[f"duration_ms_{quantile}"].to_numpy(dtype=float),
                name=name,
                mode="lines+markers",
                line={"color": colour},
                marker={"symbol": shape, "size": 7},
                hovertemplate="%{y:,.0f} ms",
            ),
            row=2,
            col=1,
        )
    figure.update_yaxes(title="symbols", row=1, col=1)
    figure.update_yaxes(title="ms", rangemode="tozero", row=2, col=1)
    axes.by_bar(figure, health["day"])
    figure.update_traces(width=0.8 * _DAY_MS, selector={"type": "bar"})
    figure.update_layout(barmode="stack")
    return _laid_out(figure, height=420)


def drift_figure(drift: pd.DataFrame, palette: Palette) -> go.Figure:
    """Draw the share of inputs, predictions and measures that drifted, by day.

    Args:
        drift: rows from `views.drift`.
        palette: the colours.
    """
    figure = go.Figure()
    for colour, shape, (kind, rows) in zip(palette.series, SHAPES, drift.groupby("kind"), strict=False):
        figure.add_scatter(
            x=rows["day"].dt.strftime("%Y-%m-%d").tolist(),
            y=rows["share_drifted"].to_numpy(dtype=float),
            customdata=rows[["n_drifted", "n", "furthest", "furthest_score", "furthest_threshold"]].to_numpy(),
            name=str(kind),
            mode="lines+markers",
            line={"color": colour},
            marker={"symbol": shape, "size": 8},
            hovertemplate=(
                "%{customdata[0]} of %{customdata[1]}; furthest: %{customdata[2]} "
                "at %{customdata[3]:.3g}, threshold %{customdata[4]:.3g}"
            ),
        )
    figure.update_yaxes(title="share drifted", tickformat=".0%", range=[-0.03, 1.05])
    axes.by_bar(figure, drift["day"])
    return _laid_out(figure)


def _laid_out(figure: go.Figure, height: int = 320) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        hovermode=figure.layout.hovermode or "x unified",
        dragmode="pan",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0},
    )
    return figure
