"""Stored bars and signals, as strategies read them: a backtest reads two dates, a live signal the newest."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tickercast.domain.bars import BAR_COLUMNS, Bars, Extent
from tickercast.domain.frequency import Frequency
from tickercast.domain.trading.signals import Panel, Signals, before, panel
from tickercast.domain.trading.universe import Members
from tickercast.errors import UsageError
from tickercast.ports import Between, Warehouse

COLUMNS = {
    "steps": "steps",
    "expected": "expected_return",
    "low": "return_lo_80",
    "high": "return_hi_80",
    "prob_up": "prob_up",
    "trend": "prophet_return",
}
"""The columns of the view `signals`, by the names that strategies know."""

_MOST_NAMED = 500  # symbols of a query; of more, all are read, and some kept
_FLAGS = ("backfilled", "simulated", "model_has_seen", "doubtful")
_VERSION = ["model_name", "model_version"]


def stored_panel(
    symbols: Sequence[str],
    first: date,
    last: date,
    frequency: Frequency,
    *,
    warehouse: Warehouse,
    members: Members | None,
    until: datetime | None = None,
    trained_through: Callable[[str, str], date | None] = lambda name, version: None,
) -> Panel:
    """Read the bars and signals of some symbols; a simulated signal counts on simulated bars alone.

    Args:
        symbols: the series; empty: all that have signals, and of these the simulated ones only where there are no
            others.
        first: the first date of a decision; bars of a year before it, or of 250 hours, are read, too.
        last: the last date.
        frequency: the frequency of the bars.
        warehouse: the warehouse of the bars and signals.
        members: the members of the universe over time; None: all of the symbols, always.
        until: a time, UTC: bars that closed later are not looked at, nor signals from them; None: all are.
        trained_through: gives the last date that a version of a model was trained on. A forecast that was requested for
            an old date is stored without that.

    Raises:
        UsageError: none of them has bars and signals there, or none of the bars had closed.
        ModelUnavailable, BundleError: a version that made some of them is missing or damaged.
        WarehouseUnavailable, StoreUnavailable: try again.
    """
    where: dict[str, Any] = {"frequency": frequency.name}
    if symbols:
        where["symbol"] = list(symbols)
    key = frequency.key("cutoff")
    wanted = ["symbol", *frequency.keys("cutoff"), *COLUMNS.values(), *_FLAGS, *_VERSION]
    rows = warehouse.read("signals", {**where, "cutoff": Between(first, last)}, wanted)
    series = stored_series(sorted(set(rows["symbol"])), first - before(frequency), last, frequency, warehouse=warehouse)
    series = series if symbols else _real(series)
    on_bars = {bars.symbol: bars.simulated for bars in series}
    fitting = rows[rows["symbol"].map(on_bars) == rows["simulated"]]
    if fitting.empty:
        left_out = " Simulated ones are left out once a symbol has real bars." if rows["simulated"].any() else ""
        raise UsageError(
            f"No signal of {', '.join(symbols[:8]) or 'any symbol'} is stored from {first} to {last}, and at least one "
            f"was needed.{left_out} Run: tickercast forecast TICKER DATE. A backtest can walk through a "
            "source's bars instead."
        )
    rows = fitting.copy()
    for name, version in rows[_VERSION].drop_duplicates().itertuples(index=False):
        through = trained_through(name, version)
        if through is not None:
            its = (rows[_VERSION] == [name, version]).all(axis=1)
            rows.loc[its & (rows["cutoff"] <= pd.Timestamp(through)), "model_has_seen"] = True
    by_symbol = dict(iter(rows.groupby("symbol")))
    series = [bars for bars in series if bars.symbol in by_symbol]
    series = series if until is None else _closed(series, until, frequency)
    doubts = _doubts(rows, first, last, frequency, warehouse)
    signals = [_signals(by_symbol[bars.symbol], key, frequency, doubts.get(bars.symbol, {})) for bars in series]
    return panel(series, signals, membership(series, members))


def stored_series(
    symbols: Sequence[str] | None,
    first: date,
    last: date,
    frequency: Frequency,
    *,
    warehouse: Warehouse,
    columns: Sequence[str] = BAR_COLUMNS,
) -> list[Bars]:
    """Read the bars of some symbols between two dates; of those that have any, by name.

    Args:
        symbols: the series; None: all, and of these the simulated ones only where there are no others.
        first: the first date.
        last: the last date.
        frequency: the frequency of the bars.
        warehouse: the warehouse of the bars.
        columns: the columns to read, out of `BAR_COLUMNS`, `session_date` among them.

    Raises:
        WarehouseUnavailable: try again.
    """
    where: dict[str, Any] = {"frequency": frequency.name, "session_date": Between(first, last)}
    if symbols is not None and len(symbols) <= _MOST_NAMED:
        where["symbol"] = list(symbols)
    key = frequency.key("session_date")
    names = ["symbol", *columns, "simulated", *([] if frequency.is_daily else [key])]
    held = warehouse.read_arrow("latest_prices", where, names)
    if not held.num_rows:
        return []
    codes = held["symbol"].combine_chunks().dictionary_encode()
    found = {name: held[name].to_numpy() for name in names[1:]}
    found[key] = found[key].astype(f"datetime64[{frequency.unit}]")
    found["session_date"] = found["session_date"].astype("datetime64[D]")
    order = np.lexsort((found[key], codes.indices.to_numpy()))
    found = {name: values[order] for name, values in found.items()}
    starts = np.flatnonzero(np.diff(codes.indices.to_numpy()[order], prepend=-1))
    simulated = found.pop("simulated")
    series = [
        Bars(symbol, Extent(found, int(start), int(end)), bool(simulated[start]))
        for symbol, start, end in zip(codes.dictionary.to_pylist(), starts, [*starts[1:], len(order)], strict=True)
    ]
    named = set(symbols or ())
    wanted = _real(series) if symbols is None else [bars for bars in series if bars.symbol in named]
    return sorted(wanted, key=lambda bars: bars.symbol)


def _closed(series: Sequence[Bars], until: datetime, frequency: Frequency) -> list[Bars]:
    """The bars that had closed by a time; a symbol without any is left out."""
    moment, found = np.datetime64(until.astimezone(UTC).replace(tzinfo=None)), []
    for bars in series:
        closes = frequency.closes([bars.symbol], np.zeros(len(bars), np.int64), bars.ends)
        if count := int(closes.searchsorted(moment, side="right")):
            found.append(bars.rows(0, count))
    if not found:
        raise UsageError(
            f"No bar had closed by {until:%Y-%m-%d %H:%M} UTC, and at least one was needed. Name a later time."
        )
    return found


def _real(series: list[Bars]) -> list[Bars]:
    return [bars for bars in series if not bars.simulated] or series


def membership(series: Sequence[Bars], members: Members | None) -> Mapping[str, Any]:
    """The flags, by symbol, of whether each of its bars is one of a member."""
    return {bars.symbol: members.when(bars.symbol, bars.ends) for bars in series} if members else {}


def _doubts(
    rows: pd.DataFrame, first: date, last: date, frequency: Frequency, warehouse: Warehouse
) -> dict[str, dict[np.datetime64, str]]:
    """The oddities of the bars of doubtful signals, as the ledger has them, by symbol and origin."""
    doubtful = rows[rows["doubtful"]]
    if doubtful.empty:
        return {}
    key = frequency.key("cutoff")
    one = ["symbol", key, "simulated"]
    where = {"frequency": frequency.name, "status": "forecast", "cutoff": Between(first, last)}
    if doubtful["symbol"].nunique() <= _MOST_NAMED:
        where["symbol"] = sorted(doubtful["symbol"].unique())
    said = warehouse.read("ingestions", where, [*one, "findings", "written_at"]).dropna(subset="findings")
    newest = said.sort_values("written_at").drop_duplicates(one, keep="last")
    found = doubtful[one].merge(newest, how="left")
    found["findings"] = found["findings"].fillna("its bars are odd")
    return {
        str(symbol): dict(zip(_ends(each[key], frequency), each["findings"], strict=True))
        for symbol, each in found.groupby("symbol")
    }


def _signals(rows: pd.DataFrame, key: str, frequency: Frequency, doubts: Mapping[np.datetime64, str]) -> Signals:
    symbol = str(rows["symbol"].iloc[0])
    rows = rows[~rows["doubtful"]].sort_values(key)
    values = {name: rows[column].to_numpy(np.float64, na_value=np.nan) for name, column in COLUMNS.items()}
    flags = rows["model_has_seen"].to_numpy(bool), rows["backfilled"].to_numpy(bool)
    return Signals(symbol, _ends(rows[key], frequency), values, *flags, doubts)


def _ends(values: "pd.Series[Any]", frequency: Frequency) -> Any:
    moments = values.dt.tz_convert(None) if getattr(values.dt, "tz", None) is not None else values
    return moments.to_numpy().astype(f"datetime64[{frequency.unit}]")
