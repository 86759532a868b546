"""Results days, as they are stored in the table `events`."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from tickercast.domain.bars import Bars
from tickercast.domain.events import RESULTS, ResultsDay, ResultsDays, expected
from tickercast.domain.frequency import DAILY
from tickercast.ports import Between, Warehouse

_BEFORE, _AFTER = timedelta(days=800), timedelta(days=450)  # the days that count at a cutoff; see `domain.events`


def results_days(symbols: Sequence[str], first: date, last: date, *, warehouse: Warehouse) -> dict[str, ResultsDays]:
    """The results days that matter for cutoffs in a range, by symbol; those without any are left out.

    Raises:
        WarehouseUnavailable: try again.
    """
    if not symbols:
        return {}
    where = {"symbol": list(symbols), "kind": RESULTS, "date": Between(first - _BEFORE, last + _AFTER)}
    return of_rows(warehouse.read_arrow("events", where, ["symbol", "date", "session", "known_at"]))


def expected_days(series: Sequence[Bars], results: Mapping[str, ResultsDays]) -> list[ResultsDay | None]:
    """The next results day inside the horizon of each series of daily bars, as it was known at its last close.

    Raises:
        CalendarError: a symbol's exchange is not known.
    """
    symbols = [bars.symbol for bars in series]
    cutoffs = np.array([bars.cutoff for bars in series], "datetime64[D]")
    closes = DAILY.closes(symbols, np.arange(len(series)), cutoffs)
    return expected([results.get(symbol) for symbol in symbols], cutoffs, closes)


def listed(symbols: Sequence[str], *, warehouse: Warehouse) -> pd.DataFrame:
    """The rows of the table `events` of some symbols, or all, the latest dates first.

    Raises:
        WarehouseUnavailable: try again.
    """
    found = warehouse.read("events", {"symbol": list(symbols)} if symbols else None)
    return found.sort_values(["date", "symbol", "known_at"], ascending=[False, True, False], ignore_index=True)


def of_rows(rows: pa.Table) -> dict[str, ResultsDays]:
    """Rows of events by symbol."""
    symbols = rows["symbol"].combine_chunks().dictionary_encode()
    numbers = symbols.indices.to_numpy()
    order = np.argsort(numbers, kind="stable")
    dates = rows["date"].to_numpy().astype("datetime64[D]")[order]
    sessions = rows["session"].to_numpy().astype("U7")[order]
    known_at = rows["known_at"].to_numpy().astype("datetime64[us]")[order]
    names = symbols.dictionary.to_pylist()
    ends = np.searchsorted(numbers[order], np.arange(len(names) + 1))
    return {
        name: ResultsDays(name, dates[start:end], sessions[start:end], known_at[start:end])
        for name, start, end in zip(names, ends[:-1], ends[1:], strict=True)
    }
