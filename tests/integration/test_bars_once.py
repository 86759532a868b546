"""Files of bars in any order, doubled and at once: each bar is stored once, and a series is on one basis."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tickercast.backends.warehouse.duckdb import DuckDBWarehouse
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.objects import backfill
from tickercast.jobs.serving.store_bars import News, news, spans
from tickercast.jobs.serving.stored_rows import File, Stored
from tickercast.ports import Warehouse

AT = datetime(2023, 7, 22, 12, tzinfo=UTC)
PRICES = ["open", "high", "low", "close", "adj_close"]


@dataclass(frozen=True)
class Sent:
    """A file that was sent."""

    file: File
    series: Sequence[Bars]


def store(sent: Sent, warehouse: Warehouse, now: datetime = AT) -> News:
    """Does what an event does with bars."""
    key = f"{sent.file.object}#{sent.file.generation}"

    def named(rows, **more):
        return rows.to_pandas().assign(**sent.file.columns, **more)

    warehouse.append("spans", named(spans(sent.series), announced_at=now), key=f"spans/{key}")
    found = news(sent.file, sent.series, Stored(sent.file, sent.series, warehouse), now=now)
    rows = {"prices": named(found.prices, ingested_at=now), "digests": named(found.digests)}
    warehouse.append_together(rows, key=key)
    finish(sent, warehouse, now)
    return found


def finish(sent: Sent, warehouse: Warehouse, now: datetime = AT) -> None:
    entry = {
        "frequency": "1d", "status": "forecast", "origin": "live", "rows": 1, "rows_new": 1, "received_at": now,
        "duration_ms": 1.0,
    }  # fmt: skip
    ledger = pd.DataFrame([{**entry, **sent.file.columns, "symbol": bars.symbol} for bars in sent.series])
    warehouse.append("ingestions", ledger, key=f"{sent.file.object}#{sent.file.generation}")


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = DuckDBWarehouse(tmp_path / "warehouse.duckdb", resource("sql"))
    made.provision()
    return made


def walk(sessions: int = 300, seed: int = 1, symbol: str = "MSFT") -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, sessions)))
    dates = pd.DatetimeIndex(sessions_between("MSFT", date(2018, 1, 1), date(2023, 7, 21))[-sessions:])
    prices = {
        "open": close * 0.999,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "adj_close": close * 0.9,
    }
    return pd.DataFrame({"session_date": dates, **prices, "volume": random.integers(1e5, 1e6, sessions).astype(float)})


def part(bars: pd.DataFrame, first: int, last: int, *, split: float = 1, dividend: float = 1) -> pd.DataFrame:
    """Rows of a walk, on the basis after a split and a dividend."""
    rows = bars.iloc[first:last].copy()
    rows[PRICES] *= split
    rows["adj_close"] *= dividend
    rows["volume"] /= split
    return rows


def sent(number: int, *frames: pd.DataFrame, symbols: Sequence[str] = ("MSFT",), name: str = "") -> Sent:
    name = name or f"ohlc/2023-07-22/batch-{number:04d}.csv"
    series = [Bars(symbol, frame) for symbol, frame in zip(symbols, frames, strict=True)]
    return Sent(File(name, str(number), AT + timedelta(minutes=number)), series)


def latest(warehouse: Warehouse, symbol: str = "MSFT") -> pd.DataFrame:
    rows = warehouse.read("latest_prices", {"symbol": symbol}).sort_values("session_date", ignore_index=True)
    return rows[["session_date", *PRICES, "volume"]]


def equal(seen: pd.DataFrame, wanted: pd.DataFrame) -> bool:
    wanted = wanted.reset_index(drop=True)
    same_days = seen["session_date"].astype("datetime64[s]").equals(wanted["session_date"].astype("datetime64[s]"))
    names = [*PRICES, "volume"]
    return same_days and np.allclose(seen[names], wanted[names], rtol=1e-9, equal_nan=True)


def test_a_daily_file_of_three_years_adds_one_row_a_symbol(warehouse: Warehouse) -> None:
    bars, other = walk(), walk(seed=2)
    symbols = ("MSFT", "AAPL")
    counts = []
    for day in range(5):
        found = store(sent(day, *(part(one, day, 200 + day) for one in (bars, other)), symbols=symbols), warehouse)
        counts.append(dict(found.counts))
    assert counts == [dict.fromkeys(symbols, 200), *([dict.fromkeys(symbols, 1)] * 4)]
    assert len(warehouse.read("prices")) == 2 * 204
    assert equal(latest(warehouse), bars.iloc[:204])


def test_noise_in_the_last_digits_is_no_change_and_a_correction_is_one_row(warehouse: Warehouse) -> None:
    bars = walk()
    store(sent(1, bars), warehouse)
    noisy = bars.copy()
    noisy[PRICES] *= 1 + np.random.default_rng(3).normal(0, 1e-8, (len(bars), 1))
    noisy["adj_close"] *= 1 + np.random.default_rng(4).normal(0, 1e-8, len(bars))
    assert store(sent(2, noisy), warehouse).counts == {"MSFT": 0}
    corrected = bars.copy()
    corrected.loc[100, ["high", "close"]] *= 1.02
    corrected.loc[200, "volume"] = np.nan
    assert store(sent(3, corrected), warehouse).counts == {"MSFT": 2}
    assert equal(latest(warehouse), corrected)


def test_a_correction_of_the_only_stored_bar_of_a_month_does_not_reach_older_bars(warehouse: Warehouse) -> None:
    bars = walk()
    month = bars["session_date"].dt.to_period("M")
    firsts = np.flatnonzero((month != month.shift()).to_numpy())
    begins, only = firsts[2], firsts[5]
    store(sent(1, bars.iloc[: only + 1]), warehouse)
    corrected = bars.copy()
    corrected.loc[only, PRICES] *= 0.995
    assert store(sent(2, part(corrected, begins, only + 2)), warehouse).counts == {"MSFT": 2}
    assert equal(latest(warehouse), corrected.iloc[: only + 2])


def test_a_live_file_makes_the_bars_of_a_backfill_its_own(warehouse: Warehouse) -> None:
    bars, other = walk(), walk()
    other.loc[100, ["high", "close"]] *= 1.02
    old = backfill(date(2023, 7, 21), ["MSFT"])
    store(sent(1, bars, name=old), warehouse)
    assert store(sent(2, bars), warehouse).counts == {"MSFT": len(bars)}
    assert store(sent(3, bars), warehouse).counts == {"MSFT": 0}
    store(sent(4, other, name=old), warehouse)
    assert equal(latest(warehouse), bars)


@pytest.mark.parametrize("change", [{"split": 0.25}, {"dividend": 0.98}, {"split": 2.0, "dividend": 0.99}])
def test_a_split_or_dividend_stores_the_bars_once_and_older_bars_follow(
    warehouse: Warehouse, change: Mapping[str, float]
) -> None:
    bars = walk()
    store(sent(1, part(bars, 0, 200)), warehouse)
    store(sent(2, part(bars, 50, 250)), warehouse)
    assert store(sent(3, part(bars, 90, 260, **change)), warehouse).counts == {"MSFT": 170}
    assert equal(latest(warehouse), part(bars, 0, 260, **change))
    assert store(sent(4, part(bars, 90, 261, **change)), warehouse).counts == {"MSFT": 1}
    longer = store(sent(5, part(bars, 0, 261, **change)), warehouse)
    assert longer.counts == {"MSFT": 0}
    assert equal(latest(warehouse), part(bars, 0, 261, **change))


def test_a_file_for_an_old_date_that_is_the_first_after_a_split_takes_later_bars_along(warehouse: Warehouse) -> None:
    bars = walk()
    store(sent(1, part(bars, 0, 200)), warehouse)
    assert store(sent(2, part(bars, 20, 180, split=0.25, dividend=0.98)), warehouse).counts == {"MSFT": 160}
    assert equal(latest(warehouse), part(bars, 0, 200, split=0.25, dividend=0.98))
    assert store(sent(3, part(bars, 20, 201, split=0.25, dividend=0.98)), warehouse).counts == {"MSFT": 1}


@pytest.mark.parametrize("middle", [True, False])
@pytest.mark.parametrize(("first", "last"), [(0, 180), (50, 180), (120, 180), (50, 250)])
def test_a_split_that_was_stored_as_a_move_is_taken_out_of_the_bars_before_it_alone(
    warehouse: Warehouse, first: int, last: int, middle: bool
) -> None:
    bars = walk()
    month = bars["session_date"].dt.to_period("M")
    split = 150 if middle else int(np.flatnonzero((month != month.shift()).to_numpy())[7])
    before = part(bars, 0, split, split=4).assign(adj_close=bars["adj_close"][:split])
    store(sent(1, pd.concat([before, part(bars, split, 200)])), warehouse)
    found = store(sent(2, part(bars, first, last)), warehouse)
    assert found.counts == {"MSFT": split - first + max(last - 200, 0)}
    assert equal(latest(warehouse), bars.iloc[: max(last, 200)])
    sessions = found.changed.dates.astype(date).tolist()
    assert sessions == bars["session_date"].dt.date[split:last].tolist(), "their moves from before the split are others"


def files() -> list[Sent]:
    """Six files of a symbol: sliding windows, a correction, a split, a dividend, and a backfill of an older past."""
    bars = walk(260)
    corrected = bars.copy()
    corrected.loc[150, "close"] *= 1.005
    return [
        sent(1, part(bars, 60, 200)),
        sent(2, part(corrected, 65, 205)),
        sent(3, part(corrected, 70, 206, split=0.5)),
        sent(4, part(corrected, 75, 207, split=0.5, dividend=0.97)),
        sent(5, part(corrected, 75, 207, split=0.5, dividend=0.97)),
        sent(6, part(bars, 0, 180, split=0.5), name=backfill(date(2023, 5, 2), ["MSFT"])),
    ]


@pytest.mark.parametrize("seed", range(8))
def test_files_in_any_order_and_doubled_come_to_the_same(tmp_path: Path, seed: int) -> None:
    def outcome(name: str, order: Sequence[Sent]) -> pd.DataFrame:
        made = DuckDBWarehouse(tmp_path / name, resource("sql"))
        made.provision()
        for one in order:
            store(one, made)
        return latest(made)

    order = files()
    wanted = outcome("in_order.duckdb", order)
    random = np.random.default_rng(seed)
    mixed = [order[number] for number in random.permutation(len(order))]
    mixed += [order[number] for number in random.permutation(len(order))[:3]]
    assert equal(outcome("mixed.duckdb", mixed), wanted)
    after_split = wanted["close"].pct_change().abs().max()
    assert after_split < 0.2, "a jump stays where the basis changed"


class Interleaved:
    """A warehouse whose caller is held before each of its calls until it is its turn."""

    def __init__(self, warehouse: Warehouse, turn: Callable[[], None]) -> None:
        self._warehouse, self._turn = warehouse, turn

    def __getattr__(self, name: str):
        found = getattr(self._warehouse, name)

        def call(*given, **named):
            self._turn()
            return found(*given, **named)

        return call


CALLS = 7


def schedules() -> list[tuple[int, ...]]:
    """Which of two callers makes the next call: a sample of all interleavings."""
    random = np.random.default_rng(1)
    return [tuple(random.permutation([0] * CALLS + [1] * CALLS)) for _ in range(25)]


@pytest.mark.parametrize("schedule", schedules())
def test_two_files_of_a_symbol_at_once_come_to_the_same(tmp_path: Path, schedule: Sequence[int]) -> None:
    bars = walk(260)
    changed = bars.copy()
    changed.loc[120:180, PRICES] *= 1.01
    base, older, newer = sent(1, part(bars, 0, 200)), sent(2, part(changed, 0, 201)), sent(3, part(bars, 10, 202))
    warehouse = DuckDBWarehouse(tmp_path / "at_once.duckdb", resource("sql"))
    warehouse.provision()
    store(base, warehouse)
    order, condition, left = list(schedule), threading.Condition(), [CALLS, CALLS]

    def turn(who: int) -> Callable[[], None]:
        def wait() -> None:
            with condition:
                condition.wait_for(lambda: not order or order[0] == who or not left[1 - who], timeout=20)
                if who in order:
                    order.remove(who)
                condition.notify_all()

        return wait

    def run(who: int, one: Sent) -> None:
        store(one, Interleaved(warehouse, turn(who)))
        with condition:
            left[who] = 0
            order[:] = [other for other in order if other != who]
            condition.notify_all()

    threads = [threading.Thread(target=run, args=both) for both in enumerate((older, newer))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert equal(latest(warehouse), pd.concat([changed.iloc[:10], bars.iloc[10:202]]))
