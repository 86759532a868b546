"""The overview as tables for a terminal, and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.freshness import State
from tickercast.domain.measures.calibration import Calibration
from tickercast.domain.text import price
from tickercast.plain import first_of
from tickercast.reading.overview import KEPT_FOR, TITLES, Row, frame
from tickercast.reading.track_record import Seen
from tickercast.show.calibration import sentence
from tickercast.show.fan import spark
from tickercast.show.fitting import Table, Widest
from tickercast.show.sentences import SIMULATED, doubt, had_seen, had_seen_of, interval, number, symbols

STATES: Mapping[State, str] = {"fresh": "green", "due": "cyan", "stale": "yellow", "expired": "red", "unknown": "red"}
"""The colours of the states."""

_LESS_AND_LESS = ("cutoff", "width in its year", "verdict", "findings", "held 80%", "higher", "80% range", "day")
_NARROWER = [_LESS_AND_LESS[:count] for count in range(len(_LESS_AND_LESS) + 1)]
"""The columns that are left out, the narrower the terminal is."""


def overview_table(
    rows: Sequence[Row], calibrations: Sequence[Calibration] = (), as_of: str = "", seen: Sequence[Seen] = ()
) -> RenderableType:
    """One row a symbol, as wide as the terminal lets it be; then what has to be said about some of them.

    Args:
        rows: rows from `reading.overview`.
        calibrations: the calibrations of the symbols' intervals; those that are flagged are mentioned.
        as_of: the last cutoff that was asked for; empty for the newest.
        seen: the records among them that rest on dates that the champion was trained on.
    """
    flagged = {found.symbol: found for found in calibrations if found.flagged}
    cells = [_cells(row, is_flagged=row.symbol in flagged) for row in rows]
    columns = [name for name in TITLES if name != "findings" or any(row.findings for row in rows)]
    tables = [_table(cells, [name for name in columns if name not in left_out]) for left_out in _NARROWER]
    notes = [Text(SIMULATED, style="bold red")] if any(row.simulated for row in rows) else []
    if as_of:
        notes.append(
            Text(f"The record is that of today: closes that came true after {as_of} count in it.", style="dim")
        )
    shown = {(row.symbol, row.model_name) for row in rows}
    counted = [each for each in seen if (each.symbol, each.model_name) in shown]
    notes += [Text(each, style="yellow") for each in had_seen(counted)]
    return Group(Widest(tables), *notes, *_doubts(rows), *_flags(rows, flagged), *_states(rows))


def left_out_sentence(names: Sequence[str]) -> str:
    """A sentence on the symbols that the overview of all leaves out, with the reason.

    >>> left_out_sentence(["AMZN"])
    '1 symbol without a forecast of the 100 days up to the newest is left out: AMZN.'
    """
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{symbols(len(names))} without a forecast of the {KEPT_FOR.days} days up to the newest {verb} left out: "
        f"{first_of(names, _MOST_NAMED)}."
    )


def overview_json(rows: Sequence[Row], seen: Sequence[Seen] = ()) -> str:
    """The same rows in full, with the widths of the year and `seen_in_training`; see `overview_frame`."""
    said = [asdict(row) | {"seen_in_training": _seen(row, seen)} for row in rows]
    return json.dumps(said, indent=2, default=date.isoformat)


def overview_frame(rows: Sequence[Row], seen: Sequence[Seen] = ()) -> pd.DataFrame:
    """The rows for CSV, with `seen_in_training`: what it means that dates of the training count in the record.

    Args:
        rows: rows from `reading.overview`.
        seen: as in `overview_table`.
    """
    return frame(rows).assign(seen_in_training=[_seen(row, seen) for row in rows])


def _seen(row: Row, seen: Sequence[Seen]) -> str:
    return had_seen_of(seen, symbol=row.symbol, model_name=row.model_name)


def _table(rows: Sequence[Mapping[str, Text]], names: Sequence[str]) -> Table:
    table = Table()
    for name in names:
        left = name in ("symbol", "cutoff", "width in its year", "verdict", "findings", "state")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for cells in rows:
        table.add_row(*(cells[name] for name in names))
    return table


def _cells(row: Row, *, is_flagged: bool) -> dict[str, Text]:
    rank = (
        Text.assemble(spark(row.widths, _BARS), f" {row.width_rank:.0%}") if row.width_rank is not None else Text("–")
    )
    held = f"{row.coverage_80:.0%} of {row.n:,}" if row.coverage_80 is not None else "–"
    return {
        "symbol": Text(row.symbol, style="bold"),
        "cutoff": Text(f"{row.cutoff}"),
        "close": Text(price(row.last_close)),
        "day": Text(number(row.change, "+.1%")),
        "80% range": Text(interval(row.close_lo_80, row.close_hi_80, row.last_close)),
        "±": Text(f"{row.width_80 / 2:.1%}"),
        "higher": Text(number(row.chance_higher, ".0%")),
        "width in its year": rank,
        "held 80%": Text(held, style="yellow" if is_flagged else ""),
        "verdict": Text(row.verdict),
        "findings": Text("doubtful" if row.doubtful else "odd bars" if row.findings else "", style="yellow"),
        "state": Text(row.state, style=STATES[row.state]),
    }


def _doubts(rows: Sequence[Row]) -> list[Text]:
    return [
        Text(f"{row.symbol}: {doubt(row.findings, doubtful=row.doubtful)}", style="yellow")
        for row in rows
        if row.findings
    ]


def _flags(rows: Sequence[Row], flagged: Mapping[str, Calibration]) -> list[Text]:
    shown = (flagged[row.symbol] for row in rows if row.symbol in flagged)
    return [Text(f"{found.symbol}: {sentence(found)}", style="yellow") for found in shown]


def _states(rows: Sequence[Row]) -> list[Text]:
    """The reasons why forecasts are not fresh, each sentence once."""
    said: dict[str, list[Row]] = {}
    for row in rows:
        if row.state != "fresh":
            said.setdefault(row.freshness, []).append(row)
    return [
        Text(f"{_named([row.symbol for row in found], len(rows))}: {why}", style=STATES[found[0].state])
        for why, found in said.items()
    ]


def _named(names: Sequence[str], count: int) -> str:
    if len(names) == count and count > 1:
        return "All"
    return first_of(names, _MOST_NAMED)


_MOST_NAMED, _BARS = 8, 12
