"""Pictures of a backtest, drawn with matplotlib; it is imported when something is drawn."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np


def backtest_png(report: Mapping[str, Any], peers: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The reliability diagram, and the loss by step relative to each peer.

    Args:
        report: of the model that is judged; see `domain.backtest.report`.
        peers: for each peer its measures by step.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    levels = np.array([float(level) for level in report["reliability"]])
    left.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    left.plot(levels, list(report["reliability"].values()), marker="o", color="#0072b2", label=report["model"])
    left.set(title="Reliability: how often the close fell below each quantile", xlabel="quantile", ylabel="share below")
    left.legend(frameon=False)
    steps = [int(step) for step in report["by_step"]]
    right.axhline(1, color="0.7", linewidth=1)
    for name, measures in peers.items():
        ratios = [report["by_step"][step]["sp"] / measures[step]["sp"] for step in report["by_step"]]
        right.plot(steps, ratios, marker="o", label=f"against {name}")
    right.set(title="Loss by step, relative (below 1 is better)", xlabel="step, in sessions", xticks=steps)
    right.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    pyplot.close(figure)
    return file.getvalue()
