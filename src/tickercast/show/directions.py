"""Directions of the next hour as tables, sentences and JSON."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.text import price
from tickercast.reading.directions import Directions
from tickercast.show.fitting import Table
from tickercast.show.sentences import SIMULATED

NO_MONEY = (
    "A direction that is known a little better than by a coin earns nothing once fees are paid: look at the hits by "
    "the size of the move that followed."
)

_VERDICTS = {
    "better": "better than a coin",
    "no edge": "not shown to be better than a coin",
    "worse": "worse than a coin",
    "too early": "too early for a verdict, which needs 28 days",
}
MOVES = ("up to .08%", ".08 to .2%", ".2 to .5%", ".5 to 1%", "above 1%")
"""The groups of `jobs.training.train_direction.SIZES`, in words, the smallest moves first."""


def record_sentence(row: Mapping[str, Any]) -> str:
    """The record of a model, a row of `direction_skill`, with its verdict."""
    judged = not pd.isna(row["brier_lo"])
    ends = f" [{row['brier_lo']:.4f}, {row['brier_hi']:.4f}]" if judged else ""
    right = f" [{row['accuracy_lo']:.1%}, {row['accuracy_hi']:.1%}]" if judged else ""
    return (
        f"{_whose(row['symbol'])}: {_VERDICTS[row['verdict']]}. Brier score {row['brier']:.4f}{ends}, and a coin has "
        f".25; log loss {row['log_loss']:.4f}; right in {row['accuracy']:.1%}{right} of {row['n']:,} hours on "
        f"{row['days']:,} days, where always saying up would be in {row['always_up']:.1%}."
    )


def newest_rows(newest: pd.DataFrame) -> list[dict[str, str]]:
    """One row a symbol: the hour, its probability, and by which model."""
    return [
        {
            "symbol": row["symbol"],
            "hour (UTC)": f"{row['cutoff_at']:%Y-%m-%d %H:%M} to {row['target_at']:%H:%M}",
            "last close": price(row["last_close"]),
            "closes higher": f"{row['prob_up']:.1%}",
            "by": f"{row['model_name']} version {row['model_version']}{_remark(row)}",
        }
        for row in newest.to_dict("records")
    ]


def _remark(row: Mapping[Any, Any]) -> str:
    if row["model_has_seen"]:
        return ", which was trained on this hour"
    return ", from odd bars" if row["doubtful"] else ""


def hit_rows(groups: pd.DataFrame) -> list[dict[str, str]]:
    """The share of right directions by the size of the move that followed."""
    return [
        {
            "move that followed": MOVES[int(row["place"]) - 1],
            "hours": f"{row['n']:,}",
            "right": f"{row['observed']:.1%}",
        }
        for row in groups[groups["grouped_by"] == "move"].to_dict("records")
    ]


def reliability_rows(groups: pd.DataFrame) -> list[dict[str, str]]:
    """Stated and observed frequency in ten groups of equal size."""
    return [
        {"stated": f"{row['stated']:.1%}", "closed higher": f"{row['observed']:.1%}", "hours": f"{row['n']:,}"}
        for row in groups[groups["grouped_by"] == "probability"].to_dict("records")
    ]


def directions_table(found: Directions) -> RenderableType:
    """The newest directions, then the record."""
    parts: list[RenderableType] = [_table(newest_rows(found.newest))]
    if found.newest["simulated"].any():
        parts.append(Text(SIMULATED, style="bold red"))
    parts += [Text(line) for line in record_sentences(found)]
    for symbol, groups in found.groups.groupby("symbol", dropna=False):
        whose = _whose(symbol)
        parts += [
            _table(hit_rows(groups), f"{whose}, by the size of the move"),
            _table(reliability_rows(groups), f"{whose}, by the stated probability"),
        ]
    parts += [Text(NO_MONEY, style="dim")] if len(found.groups) else []
    return Group(*parts)


def record_sentences(found: Directions) -> Iterator[str]:
    """The record of all symbols together or of each one, then the symbols that have none yet."""
    for row in found.skill.to_dict("records"):
        yield record_sentence({str(name): value for name, value in row.items()})
    missing = sorted(set(found.newest["symbol"]) - set(found.skill["symbol"]))
    if missing:
        yield f"No direction of {', '.join(missing)} has come true on an hour that counts yet."


def _whose(symbol: Any) -> str:
    return "all symbols" if pd.isna(symbol) else str(symbol)


def _table(rows: list[dict[str, str]], title: str = "") -> Table:
    table = Table(title=title or None)
    for name in rows[0] if rows else ():
        table.add_column(name)
    for row in rows:
        table.add_row(*row.values())
    return table


def directions_json(found: Directions) -> str:
    """The same in a stable machine-readable form."""
    names = ("symbol", "cutoff_at", "target_at", "last_close", "prob_up", "model_name", "model_version", "simulated")
    measures = ("brier", "brier_lo", "brier_hi", "log_loss", "accuracy", "accuracy_lo", "accuracy_hi", "always_up")
    return json.dumps(
        {
            "newest": [{name: _plain(row[name]) for name in names} for row in found.newest.to_dict("records")],
            "record": [
                {name: _plain(row[name]) for name in ("model_name", "symbol", "n", "days", *measures, "verdict")}
                for row in found.skill.to_dict("records")
            ],
            "groups": [
                {
                    name: _plain(row[name])
                    for name in ("model_name", "symbol", "grouped_by", "place", "n", "stated", "observed")
                }
                for row in found.groups.to_dict("records")
            ],
        },
        indent=2,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return None if pd.isna(value) else value
