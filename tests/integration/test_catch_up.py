"""The sessions that the daily run fetches and sends: closed, not forecast from yet, and not refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.support.trading import Evening

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain import objects
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.price_files import read_prices
from tickercast.domain.findings import Finding
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.jobs.daily.catch_up import CaughtUp, catch_up
from tickercast.jobs.daily.fetch import fetch
from tickercast.show.day import day_lines, task_line

MakeBars = Callable[..., Bars]
CLOSED = datetime(2023, 7, 21, 20, tzinfo=UTC)
DAY = date(2023, 7, 21)


# ---------------------------------------------------------------- fetch


class Given:
    """A source of one symbol, and the closes that are stored of it, half as high."""

    name = "given"

    def __init__(self, bars: Bars, *, stored_simulated: bool = False) -> None:
        self.simulated, self._bars, self._stored_simulated = bars.simulated, bars, stored_simulated

    def fetch(self, *_: Any, **__: Any) -> Reading:
        return Reading({"MSFT": self._bars})

    def read(self, name: str, where: Any, columns: list[str]) -> pd.DataFrame:
        columns_of = {name: self._bars.columns[name] for name in ("session_date", "close")}
        rows = pd.DataFrame({"symbol": "MSFT", **columns_of, "simulated": self._stored_simulated})
        return rows.assign(close=rows["close"] / 2)[rows["simulated"] == where["simulated"]][columns]


def fetched(given: Any, now: datetime = CLOSED) -> Market:
    return fetch(["MSFT"], date(2020, 1, 1), DAY, source=given, warehouse=given, now=now)


@pytest.mark.parametrize(("now", "day"), [(CLOSED, 21), (CLOSED - timedelta(minutes=1), 20)])
def test_a_session_that_has_not_closed_is_left_out(make_bars: MakeBars, now: datetime, day: int) -> None:
    market = fetched(Given(make_bars()), now)
    assert market.day == date(2023, 7, day)
    assert market.source.reading.bars["MSFT"].cutoff == market.day


@pytest.mark.parametrize(("simulated", "stored", "rebased"), [(False, False, {"MSFT"}), (True, False, set())])
def test_real_bars_are_compared_with_stored_real_ones_alone(
    make_bars: MakeBars, simulated: bool, stored: bool, rebased: set[str]
) -> None:
    bars = Bars("MSFT", make_bars().columns, simulated=simulated)
    assert fetched(Given(bars, stored_simulated=stored)).rebased() == rebased


# ---------------------------------------------------------------- catch up


class Ledger:
    """The rows of one symbol."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self._rows = rows

    def read(self, name: str, where: Any, columns: list[str]) -> pd.DataFrame:
        found = pd.DataFrame(list(self._rows), columns=columns)
        return found.astype({"cutoff": "datetime64[us]", "simulated": object})


def forecast(day: str, *, simulated: bool = False) -> dict[str, Any]:
    made = {"symbol": "MSFT", "status": "forecast", "cutoff": pd.Timestamp(day), "simulated": simulated}
    return made | {"object": f"ohlc/{day}/MSFT.csv"}


def rejected(name: str) -> dict[str, Any]:
    return {"symbol": "MSFT", "status": "rejected", "cutoff": pd.NaT, "simulated": None, "object": name}


def caught_up(store: LocalObjectStore, bars: Bars, *rows: dict[str, Any], rebased: bool = False) -> CaughtUp:
    odd = [Finding("MSFT", "rebased", "a split")] if rebased else []
    market = Market(FetchedBars("given", bars.simulated, Reading({"MSFT": bars})), DAY, findings=odd)
    warehouse: Any = Ledger(*rows)
    return catch_up(market, store=store, warehouse=warehouse, now=datetime(2023, 7, 21, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("rows", "rebased", "days"),
    [
        ([], False, [21]),
        ([forecast("2023-07-18")], False, [19, 20, 21]),
        ([forecast("2023-07-21")], False, []),
        ([forecast("2023-07-21", simulated=True)], False, [21]),
        ([forecast("2023-07-18"), rejected("ohlc/2023-07-20/MSFT.csv"), rejected("ohlc/x.csv")], False, [19, 21]),
        ([forecast("2022-07-18")], False, [10, 11, 12, 13, 14, 17, 18, 19, 20, 21]),
        ([forecast("2023-07-21")], True, [21]),
        ([forecast("2023-07-19")], True, [20, 21]),
    ],
)
def test_the_sessions_since_the_last_forecast_are_sent_but_those_that_were_refused(
    tmp_path: Path, make_bars: MakeBars, rows: list[dict[str, Any]], rebased: bool, days: list[int]
) -> None:
    made = caught_up(LocalObjectStore(tmp_path), make_bars(), *rows, rebased=rebased)
    sent = [objects.parse(upload.object).as_of for upload in made.uploads]
    assert sent == [date(2023, 7, day) for day in days]
    assert made.sessions == sent


def test_forecasts_are_counted_and_not_the_symbols_that_have_them(tmp_path: Path) -> None:
    evening = Evening(tmp_path, may_train=False)
    evening.begin(1.0)
    for day, said in (
        (date(2024, 6, 10), "8 made of 8 symbols, from 2024-06-10"),
        (date(2024, 6, 13), "24 made of 8 symbols, from 2024-06-11 to 2024-06-13"),  # after an outage of two days
        (date(2024, 6, 13), "none to make: all of that day exist"),
    ):
        evening.day = day
        done = evening.run()
        [line] = [line for line in day_lines(done) if line.startswith("forecasts")]
        assert line == f"forecasts   {said}"
        if day.day == 13 and done.caught_up.uploads:
            assert "8 symbols and 3 sessions sent in 3 files" in task_line("catch_up", done.caught_up, 1)
            assert "24 forecasts, 0 failures" in task_line("collect_results", (done.results, done.lost), 1)


def test_simulated_bars_are_sent_although_real_ones_were_forecast(tmp_path: Path, make_bars: MakeBars) -> None:
    simulated = Bars("MSFT", make_bars().columns, simulated=True)
    assert caught_up(LocalObjectStore(tmp_path), simulated, forecast("2023-07-21")).uploads


@pytest.mark.parametrize("rebased", [False, True])
def test_the_whole_series_is_sent_where_a_split_has_rebased_it(
    tmp_path: Path, make_bars: MakeBars, rebased: bool
) -> None:
    store, bars = LocalObjectStore(tmp_path), make_bars(sessions=900)
    [sent] = caught_up(store, bars, forecast("2023-07-20"), rebased=rebased).uploads
    held = read_prices(store.read(sent.object), symbol="MSFT").bars["MSFT"]
    assert (len(held) == len(bars)) == rebased
