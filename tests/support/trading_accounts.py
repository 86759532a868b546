"""Accounts of the simulated exchange on drawn bars of several calendars, traded after every bar, and their backtests.

What is stored lies in memory, so that many accounts take little time.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tickercast.backends.brokers.paper import Paper
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import session_closes, sessions_between
from tickercast.domain.frequency import DAILY
from tickercast.domain.trading.limits import Limits
from tickercast.domain.trading.paper import Terms
from tickercast.domain.trading.signals import Panel, panel
from tickercast.domain.trading.strategy import Decision, Targets, Variant, variant
from tickercast.domain.trading.strategy_backtest import Costs, simulate
from tickercast.jobs.trading.trade import Traded, trade
from tickercast.ports import Between, Warehouse

BEFORE = timedelta(days=100)
"""The span of the bars before the first decision."""

_TYPES = {
    "STRING": "object",
    "FLOAT64": "float64",
    "BOOL": "bool",
    "DATE": "datetime64[us]",
    "TIMESTAMP": "datetime64[us, UTC]",
}


class Memory:
    """The `Warehouse` port as far as trading uses it, with the bars of `latest_prices`."""

    def __init__(self, prices: pd.DataFrame) -> None:
        self._keys: set[str] = set()
        self._frames: dict[str, pd.DataFrame] = {"latest_prices": prices}

    @contextmanager
    def session(self, *, together: bool = False) -> Iterator[bool]:
        yield True

    def append(self, table: str, rows: pd.DataFrame, *, key: str) -> bool:
        if key in self._keys:
            return False
        self._keys.add(key)
        known = self._table(table)
        added = rows.reindex(columns=known.columns).astype(dict(known.dtypes))
        self._frames[table] = added if known.empty else pd.concat([known, added], ignore_index=True)
        return True

    def read(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        rows = self._table(name)
        for column, wanted in (where or {}).items():
            if isinstance(wanted, Between):
                rows = rows[rows[column].between(pd.Timestamp(wanted.first), pd.Timestamp(wanted.last))]
            else:
                rows = rows[rows[column].isin(wanted if isinstance(wanted, list) else [wanted])]
        return rows[list(columns) if columns else list(rows.columns)].reset_index(drop=True)

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            text = (resource("sql") / "tables" / f"{name}.sql").read_text(encoding="utf-8")
            types = re.findall(r"^  (\w+) (\w+)", text, re.MULTILINE)
            self._frames[name] = pd.DataFrame({column: pd.Series(dtype=_TYPES[kind]) for column, kind in types})
        return self._frames[name]


def drawn_bars(symbol: str, first: date, last: date, rng: np.random.Generator, quiet: float = 0.0) -> Bars:
    """Bars of every session between two dates.

    Args:
        symbol: the series.
        first: the first date.
        last: the last date.
        rng: draws the prices.
        quiet: the part of the bars whose volume bounds orders; no volumes of a currency are reported.
    """
    days = sessions_between(symbol, first, last)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, len(days))))
    opened = close * np.exp(rng.normal(0, 0.01, len(days)))
    volume = np.where(rng.random(len(days)) < quiet, rng.uniform(500, 20_000, len(days)), 1e8)
    columns = {
        "session_date": np.array(days, "datetime64[D]"),
        "open": opened,
        "high": np.maximum(opened, close) * 1.003,
        "low": np.minimum(opened, close) * 0.997,
        "close": close,
        "adj_close": close,
        "volume": np.zeros(len(days)) if symbol.endswith("=X") else volume,
    }
    return Bars(symbol, columns)


Weigh = Callable[[date, Sequence[str], NDArray[np.float64]], NDArray[np.float64]]
"""The wanted weights at a date, from the symbols and the weights that are held."""


@dataclass
class Trading:
    """An account of the simulated exchange.

    Args:
        folder: an empty one.
        series: the bars of its symbols.
        first: the date of the first decision.
        weigh: the wanted weights.
        costs: the costs of trading.
    """

    folder: Path
    series: Sequence[Bars]
    first: date
    weigh: Weigh
    costs: Costs = field(default_factory=Costs)

    def __post_init__(self) -> None:
        self.panel = panel(self.series)
        self.warehouse: Any = Memory(pd.concat([_stored(bars) for bars in self.series], ignore_index=True))
        self._store = LocalObjectStore(self.folder / "bucket")
        self.start = int(self.panel.ends.searchsorted(np.datetime64(self.first)))
        self.days: list[date] = self.panel.ends[self.start :].tolist()
        self.variant: Variant = variant("drawn", self._decide)

    def _decide(self, known: Any) -> Decision:
        return Decision(self.weigh(known.cutoff, known.symbols, known.held), str)

    def moment(self, day: date) -> datetime:
        """The time at which the bars of a day have closed everywhere."""
        end = np.array([day], "datetime64[D]")
        at: datetime = max(session_closes(symbol, end)[0] for symbol in self.panel.symbols).item()
        return at.replace(tzinfo=UTC)

    def trade(self, day: date, warehouse: Warehouse | None = None) -> Traded:
        """Trade after a day's bars."""
        moment, stored = self.moment(day), warehouse or self.warehouse
        seen = self._seen(moment)

        def decide(held: Mapping[str, float]) -> Targets:
            weights = np.array([held.get(symbol, 0.0) for symbol in seen.symbols])
            found = self.variant(seen.known_at(moment, weights))
            return Targets(seen, [(self.variant, [(float(each), "drawn") for each in found.weights])])

        return trade(
            self.variant,
            decide,
            broker=Paper("paper://a", "a", stored, moment, DAILY, Terms(self.costs)),
            warehouse=stored,
            store=self._store,
            frequency=DAILY,
            limits=Limits(stop=0.99, turnover=1e6, orders=10**6),
            now=lambda: moment,
            symbols=self.panel.symbols,
            sleep=lambda _: None,
        )

    def _seen(self, moment: datetime) -> Panel:
        at = np.datetime64(moment.replace(tzinfo=None))
        closed = [bars.columns["session_date"][session_closes(bars.symbol, bars.ends) <= at] for bars in self.series]
        cut = [
            Bars(bars.symbol, {name: values[: len(days)] for name, values in bars.columns.items()})
            for bars, days in zip(self.series, closed, strict=True)
        ]
        return panel([bars for bars in cut if len(bars.ends)])

    def equity(self) -> NDArray[np.float64]:
        """The account after each bar."""
        return self.warehouse.read("account_states").sort_values("cutoff")["equity"].to_numpy()

    def backtest(self) -> NDArray[np.float64]:
        """The account of the backtest of the same days."""
        return simulate(
            self.panel,
            lambda row, held: self.variant(self.panel.known(row, held)).weights,
            self.costs,
            start=self.start,
        ).equity


def _stored(bars: Bars) -> pd.DataFrame:
    closes = pd.DatetimeIndex(session_closes(bars.symbol, bars.ends)).tz_localize("UTC")
    made = pd.DataFrame({name: np.asarray(values) for name, values in bars.columns.items()})
    days = pd.to_datetime(bars.ends).astype("datetime64[us]")
    return made.assign(symbol=bars.symbol, frequency=DAILY.name, session_date=days, closed_at=closes)
