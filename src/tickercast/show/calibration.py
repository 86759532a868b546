"""The calibration of intervals, symbol by symbol, as sentences, a table and JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.measures.calibration import TOO_EARLY, Calibration
from tickercast.reading.track_record import Seen
from tickercast.show.fitting import Table
from tickercast.show.sentences import had_seen, had_seen_of, symbols

_BY_CHANCE = 0.06  # the share of symbols with right intervals that are flagged after a year, and fewer later: simulated


def sentence(found: Calibration) -> str:
    """A sentence on the calibration of a symbol's 80% intervals.

    >>> sentence(Calibration("NVDA", 7_430, 0.69, 0.64, 0.74, 39, "too narrow"))
    'too narrow: the 80% intervals held 69% (64% to 74%) of 7,430 closes in 39 blocks of 28 days'
    """
    return f"{found.calibration}: the 80% intervals held {found.coverage_80:.0%}{_ends(found)} of {found.closes}"


def calibration_table(rows: Sequence[Calibration], seen: Sequence[Seen] = ()) -> RenderableType:
    """One row a symbol, those that are flagged first; then how many chance alone would flag.

    Args:
        rows: the calibrations.
        seen: the records among them that rest on dates that the champion was trained on.
    """
    table = Table()
    for heading in ("symbol", "held", "95% interval", "closes", "28-day blocks", "80% intervals"):
        left = heading in ("symbol", "80% intervals")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (not row.flagged, row.symbol)):
        verdict = Text(row.calibration, style="yellow" if row.flagged else "")
        ends = _ends(row).strip(" ()") or "–"
        table.add_row(row.symbol, f"{row.coverage_80:.0%}", ends, f"{row.n:,}", str(row.blocks), verdict)
    return Group(table, Text(among(rows)), *(Text(each, style="yellow") for each in had_seen(seen)))


def among(rows: Sequence[Calibration]) -> str:
    """A sentence on the number of flagged symbols, and on the number that chance alone would flag."""
    judged = sum(row.calibration != TOO_EARLY for row in rows)
    flagged = sum(row.flagged for row in rows)
    line = f"{flagged:,} of {symbols(len(rows))} flagged; chance alone would flag up to {_BY_CHANCE * judged:.1f}."
    return line if judged else f"Too early to judge {symbols(len(rows))}."


def calibration_json(rows: Sequence[Calibration], seen: Sequence[Seen] = ()) -> list[dict[str, Any]]:
    """The same, in a stable machine-readable form: shares are null where it is too early for an interval."""
    return [
        {name: None if value != value else value for name, value in asdict(row).items()}
        | {"seen_in_training": had_seen_of(seen, symbol=row.symbol)}
        for row in rows
    ]


def _ends(found: Calibration) -> str:
    if found.calibration == TOO_EARLY:
        return ""
    return f" ({found.coverage_80_lo:.0%} to {found.coverage_80_hi:.0%})"
