"""An account that is traded after every bar is its backtest, to the cent, whatever calendars its symbols have."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.trading_accounts import BEFORE, Trading, drawn_bars
from tests.support.trading_faults import Killed, chance

from tickercast.domain.bars import Bars

CENT = 0.005
SUSPENDED = [date(2024, 7, 1) + timedelta(days) for days in range(9)]


def drawn(day: date, symbols: Sequence[str], held: Any) -> Any:
    """Long, short or nothing, now and then as it is; half of it follows what is held."""
    draws = np.array([chance(day, symbol) for symbol in symbols])
    wanted = (draws - 0.5) * 1.8 / len(symbols) + 0.05 * held
    return np.where(draws < 0.1, np.nan, np.where(draws > 0.85, 0.0, wanted))


def without(bars: Bars, missing: Sequence[date]) -> Bars:
    keep = ~np.isin(bars.ends, np.array(missing, "datetime64[D]"))
    return Bars(bars.symbol, {name: np.asarray(values)[keep] for name, values in bars.columns.items()})


@pytest.mark.parametrize(
    ("symbols", "first", "missing"),
    [
        # Independence Day, on which currencies and coins trade, and two weekends
        (("BTC-USD", "CL=F", "EURUSD=X", "MSFT"), date(2024, 6, 27), {}),
        # Sydney opens on the evening before, and is closed on 26 January, New York on 15 January
        (("ETH-USD", "GC=F", "^AXJO"), date(2024, 1, 11), {}),
        # Futures beside a currency alone, and bars that are missing
        (("CL=F", "GBPUSD=X"), date(2024, 7, 1), {"CL=F": [date(2024, 7, 3), date(2024, 7, 11)]}),
        # A stock that is suspended for longer than its orders wait: on its own, and beside another
        (("MSFT",), date(2024, 6, 26), {"MSFT": SUSPENDED}),
        (("AAPL", "MSFT"), date(2024, 6, 26), {"MSFT": SUSPENDED}),
    ],
)
def test_an_account_of_several_calendars_is_its_backtest_to_the_cent(
    tmp_path: Path, symbols: Sequence[str], first: date, missing: dict[str, list[date]]
) -> None:
    rng, last = np.random.default_rng(3), first + timedelta(days=16)
    series = [drawn_bars(symbol, first - BEFORE, last, rng, quiet=0.3) for symbol in symbols]
    made = Trading(tmp_path, [without(bars, missing.get(bars.symbol, [])) for bars in series], first, drawn)
    for day in made.days:
        done = made.trade(day)
        assert (done.halt, list(done.met)) == (None, [])
    assert set(made.warehouse.read("fills")["symbol"]) == set(symbols)
    assert made.equity() == pytest.approx(made.backtest(), abs=CENT)


@pytest.mark.parametrize("again", [True, False])
def test_a_position_that_a_killed_run_has_closed_to_turn_it_round_is_turned_by_the_next_run(
    tmp_path: Path, again: bool
) -> None:
    friday, rng = date(2024, 3, 15), np.random.default_rng(7)
    weights = {14: (0.3, 0.4), 15: (0.2, -0.4), 16: (0.3, 0.1), 17: (0.1, 0.2), 18: (-0.2, 0.3), 19: (0.0, 0.0)}
    series = [drawn_bars(symbol, friday - BEFORE, friday + timedelta(4), rng) for symbol in ("BTC-USD", "MSFT")]
    made = Trading(tmp_path, series, friday - timedelta(1), lambda day, *_: np.array(weights[day.day]))

    class Dying:
        """A warehouse whose process ends before it stores the entry of the stock."""

        def __getattr__(self, name: str) -> Any:
            return getattr(made.warehouse, name)

        def append(self, table: str, rows: Any, *, key: str) -> bool:
            if table == "orders" and (rows["symbol"] + rows["leg"] == "MSFTentry").any():
                raise Killed
            stored: bool = made.warehouse.append(table, rows, key=key)
            return stored

    for day in made.days:
        if day == friday:
            with pytest.raises(Killed):
                made.trade(day, Dying())
        if day != friday or again:  # or else Saturday's run is the next
            made.trade(day)
    equity, expected = made.equity(), made.backtest()
    assert equity == pytest.approx(expected, abs=CENT)
    orders = made.warehouse.read("orders", {"symbol": "MSFT"})
    assert orders["leg"][orders["cutoff"].dt.date == friday].to_list() == ["exit", "entry"]
