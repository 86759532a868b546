"""What the pages say of the numbers, in sentences; pure, so that each can be tested."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from tickercast.show.tables import price

_MEANS = {
    "better": "Better than the random walk",
    "no edge": "No edge over the random walk",
    "worse": "Worse than the random walk",
    "too early": "Too early for a verdict",
}

_WHERE = {"better": "lies wholly below 1", "no edge": "includes 1", "worse": "lies wholly above 1"}
_BY_CHANCE = 0.025


def verdict(row: Mapping[str, Any]) -> str:
    """What a row of `forecast_skill` means, with its numbers.

    Args:
        row: of one model, over all steps.
    """
    scored = f"{row['n']:,} forecast closes have come true, in {row['blocks']} blocks of 28 days"
    if row["verdict"] == "too early":
        return f"{scored}; eight blocks are needed. {_held(row)}"
    ratio = f"The loss is {row['pinball_ratio']:.3f} of the random walk's"
    interval = f"{row['pinball_ratio_lo']:.3f} to {row['pinball_ratio_hi']:.3f}"
    where = _WHERE[row["verdict"]]
    return f"{ratio}, and its 95 % interval, {interval}, {where}. {scored}. {_held(row)}"


def headline(row: Mapping[str, Any]) -> str:
    """The verdict in a row of `forecast_skill`, said aloud."""
    return _MEANS[row["verdict"]]


def _held(row: Mapping[str, Any]) -> str:
    return f"The 80 % intervals held {row['coverage_80']:.1%} of them, the 95 % intervals {row['coverage_95']:.1%}."


def among(verdicts: Sequence[str]) -> str:
    """How many symbols have which verdict, and how many would have one by chance alone."""
    counts = {name: sum(seen == name for seen in verdicts) for name in _MEANS}
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    judged = len(verdicts) - counts["too early"]
    chance = _BY_CHANCE * judged
    if not judged:
        return f"Of {_symbols(len(verdicts))}: {listed}."
    return (
        f"Of {_symbols(len(verdicts))}: {listed}. Chance alone would call about {chance:.1f} of them better "
        f"and as many worse."
    )


def _symbols(count: int) -> str:
    return f"{count:,} symbol{'s' * (count != 1)}"


def after_the_fact(row: Mapping[str, Any]) -> str:
    """Says how many of the scored forecasts were made when what they forecast was known; empty where none was."""
    if not row["n_backfilled"]:
        return ""
    share = "All" if row["n_backfilled"] == row["n"] else f"{row['n_backfilled']:,} of the {row['n']:,}"
    return (
        f"{share} scored forecasts were made after their target was known: they saw only the bars up to their cutoff, "
        "but nobody could have used them."
    )


def had_seen(version: str, through: date, first_cutoff: date) -> str:
    """Says that a model was trained on dates that it forecast; empty where it was not."""
    if first_cutoff > through:
        return ""
    return (
        f"Version {version} was trained on dates up to {through} and has forecast from {first_cutoff} on: what it says "
        "of dates that it was trained on shows how it works, and not how good it is."
    )


def came_true(vintages: pd.DataFrame) -> str:
    """Counts the closes that followed forecasts inside their intervals; empty where none has followed.

    Args:
        vintages: from `data.with_actuals`.
    """
    inside = vintages["inside"]
    known = int((inside != "").sum())
    if not known:
        return ""
    in_80 = int((inside == "80 %").sum())
    in_95 = in_80 + int((inside == "95 %").sum())
    return (
        f"Of {known} closes that followed, {in_80} ({in_80 / known:.0%}) lay inside the 80 % interval "
        f"and {in_95} ({in_95 / known:.0%}) inside the 95 % interval."
    )


def interval(low: float, high: float) -> str:
    """An interval of prices.

    >>> interval(28.786, 31.691)
    '28.79 … 31.69'
    """
    return f"{price(low)} … {price(high)}"


def number(value: float | None, form: str) -> str:
    """A number by a format, and a dash where there is none.

    >>> number(0.1234, ".1%"), number(float("nan"), ".1%")
    ('12.3%', '–')
    """
    return "–" if value is None or pd.isna(value) else format(value, form)


def ten_sessions(fan: pd.DataFrame) -> pd.DataFrame:
    """The table of a forecast for people: text, one row a session.

    Args:
        fan: from `data.with_actuals`.
    """
    table = {
        "session": [f"{day:%a %Y-%m-%d}" for day in fan["target_date"]],
        "median": [price(close) for close in fan["close_median"]],
        "change": [f"{ratio - 1:+.2%}" for ratio in fan["close_median"] / fan["last_close"]],
        **{
            f"{level} % interval": [
                interval(low, high)
                for low, high in zip(fan[f"close_lo_{level}"], fan[f"close_hi_{level}"], strict=True)
            ]
            for level in (80, 95)
        },
    }
    if fan["actual"].notna().any():
        table["came true"] = ["–" if pd.isna(close) else price(close) for close in fan["actual"]]
        table["inside"] = list(fan["inside"])
    return pd.DataFrame(table)


def up_to_date(cutoffs: pd.Series) -> str:
    """How many symbols were forecast from the newest session that any of them was."""
    newest = cutoffs.max()
    fresh = int((cutoffs == newest).sum())
    behind = len(cutoffs) - fresh
    said = f"{fresh:,} of {_symbols(len(cutoffs))} were last forecast from {newest:%Y-%m-%d}, the newest session here"
    return f"{said}; {behind:,} lag behind." if behind else f"{said}."
