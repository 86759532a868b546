"""Raw prices with adjusted closes are read as bars that are adjusted for splits; dividends stay where they are."""

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.calendar import session_days
from tickercast.domain.files.price_files import Window, read_frame
from tickercast.domain.files.price_splits import later_splits, misfits, splits
from tickercast.errors import InvalidBars

DAYS = session_days("MSFT", np.datetime64("2018-01-02"), np.datetime64("2023-07-21"))
OHLC = ["Open", "High", "Low", "Close"]


def adjusted(seed: int = 1) -> pd.DataFrame:
    """Bars as Yahoo's: a walk with a dividend of half a percent in each quarter."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.015, len(DAYS))))
    opened = close * np.exp(random.normal(0, 0.004, len(DAYS)))
    table = {"Date": DAYS, "Open": opened, "High": np.maximum(opened, close) * 1.01}
    table |= {"Low": np.minimum(opened, close) * 0.99, "Close": close}
    table |= {"Adj Close": close * 0.995 ** (np.arange(len(DAYS), 0, -1) // 63)}
    return pd.DataFrame(table | {"Volume": random.integers(1_000_000, 9_000_000, len(DAYS)) * 100.0})


def raw(bars: pd.DataFrame, ratio: float, row: int) -> pd.DataFrame:
    """The same bars as they were traded, with a split before a row."""
    bars, before = bars.copy(), bars.index < row
    bars.loc[before, OHLC] *= ratio
    bars.loc[before, "Volume"] /= ratio
    return bars


def read(bars: pd.DataFrame, window: Window | None = None) -> Reading:
    return read_frame(bars, symbol="MSFT", window=window or Window())


def assert_same(seen: Bars, wanted: Bars, tolerance: float = 1e-12) -> None:
    for name in BAR_COLUMNS[1:]:
        np.testing.assert_allclose(seen.columns[name], wanted.columns[name], rtol=tolerance)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(4.0, "4:1"), (2.0, "2:1"), (1.5, "3:2"), (7.0, "7:1"), (20.0, "20:1"), (0.1, "1:10"), (1 / 8, "1:8")],
)
@pytest.mark.parametrize("row", [1300, len(DAYS) - 1, len(DAYS) - 3, 200, 2])
def test_raw_prices_with_adjusted_closes_are_read_as_bars_adjusted_for_the_split(
    ratio: float, words: str, row: int
) -> None:
    bars = adjusted()
    reading = read(raw(bars, ratio, row))
    assert_same(reading["MSFT"], read(bars)["MSFT"])
    [found] = reading.findings["MSFT"]
    assert str(found).startswith(f"split: {words} on {DAYS[row]}: Adj Close was adjusted for it, and Close was not")
    assert not found.touches_width


@pytest.mark.parametrize("decimals", [2, 4])
def test_rounded_prices_tell_a_split_as_well(decimals: int) -> None:
    bars = adjusted()
    reading = read(raw(bars, 4.0, 1300).round(dict.fromkeys((*OHLC, "Adj Close"), decimals)))
    assert_same(reading["MSFT"], read(bars)["MSFT"], 10.0 ** (1 - decimals))
    assert [found.check for found in reading.findings["MSFT"]] == ["split"]
    assert_same(read(raw(bars, 1.5, 1300).round({"Adj Close": decimals}))["MSFT"], read(bars)["MSFT"], 1e-3)


def test_several_splits_of_several_symbols_are_each_taken_out() -> None:
    bars, other = adjusted(), adjusted(2)
    twice = raw(raw(raw(bars, 0.1, 1300), 7.0, 900), 4.0, 300)
    table = pd.concat([twice.assign(Symbol="MSFT"), other.assign(Symbol="IBM"), raw(other, 2, 50).assign(Symbol="KO")])
    reading = read_frame(table)
    assert_same(reading["MSFT"], read(bars)["MSFT"])
    for symbol in ("IBM", "KO"):
        assert_same(reading[symbol], read(other)["MSFT"])
    assert list(reading.findings) == ["MSFT", "KO"]
    assert f"4:1 on {DAYS[300]}, 7:1 on {DAYS[900]}, 1:10 on {DAYS[1300]}: " in str(reading.findings["MSFT"][0])


@pytest.mark.parametrize(("ratio", "words"), [(4.0, "4:1"), (2.0, "2:1"), (20.0, "20:1"), (0.1, "1:10")])
def test_a_dividend_on_a_splits_day_hides_no_split(ratio: float, words: str) -> None:
    bars = adjusted()
    bars.loc[bars.index < 1300, "Adj Close"] *= 0.992
    reading = read(raw(bars, ratio, 1300))
    assert_same(reading["MSFT"], read(bars)["MSFT"])
    assert str(reading.findings["MSFT"][0]).startswith(f"split: {words} on {DAYS[1300]}: ")


def test_a_file_is_read_the_same_whatever_date_is_asked_for() -> None:
    bars = raw(adjusted(), 4.0, 1300)
    windows = [Window(last=day) for day in (date(2021, 1, 4), date(2023, 3, 3), date(2023, 7, 21))]
    first, *others = [read(bars, window)["MSFT"] for window in windows]
    for one in others:
        assert_same(one, first, 0)


def test_a_file_whose_bars_are_all_after_the_split_is_read_as_it_is() -> None:
    bars = raw(adjusted(), 4.0, 1200)[1200:]
    reading = read(bars)
    assert not reading.findings
    assert (reading["MSFT"].columns["close"] == bars["Close"]).all()


def test_prices_without_volumes_may_be_raw_too() -> None:
    bars = raw(adjusted(), 4.0, 1300).drop(columns="Volume")
    assert np.isnan(read(bars)["MSFT"].columns["volume"]).all()
    assert read(bars)["MSFT"].columns["close"] == pytest.approx(adjusted()["Close"].to_numpy())


def dividend(share: float) -> pd.DataFrame:
    """A special dividend of a share of the close before it."""
    bars = adjusted()
    bars.loc[bars.index < 1300, OHLC] /= 1 - share
    return bars


def factor_alone() -> pd.DataFrame:
    bars = adjusted()
    bars.loc[bars.index < 1300, "Adj Close"] /= 4
    return bars


def move_alone() -> pd.DataFrame:
    bars = adjusted()
    bars.loc[bars.index < 1300, [*OHLC, "Adj Close"]] *= 2.3
    return bars


LEFT = {f"a dividend of {share:.2%}": dividend(share) for share in (0.02, 0.1, 0.2, 0.25, 0.3, 0.43, 0.51, 0.55, 0.839)}
LEFT |= {
    "a spin-off of nearly a third": dividend(1 - 1 / 1.499982),
    "a factor that jumps alone": factor_alone(),
    "a move of prices and adjusted closes": move_alone(),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_no_split_stays_as_it_is(case: str) -> None:
    bars = LEFT[case]
    seen = read(bars)
    assert not seen.findings
    for name, title in zip(BAR_COLUMNS[1:], [*OHLC, "Adj Close", "Volume"], strict=True):
        assert (seen["MSFT"].columns[name] == bars[title]).all()


def wrong(row: int, columns: list[str], times: float, bars: pd.DataFrame | None = None) -> pd.DataFrame:
    """Bars of which one is wrong, though each price lies between its low and its high."""
    bars = adjusted() if bars is None else bars.copy()
    bars.loc[row, columns] *= times
    bars.loc[row, "Low"], bars.loc[row, "High"] = bars.loc[row, OHLC].min(), bars.loc[row, OHLC].max()
    return bars


PLACES = [(row, columns) for row in (len(DAYS) - 6, 1300, 0) for columns in (["Close"], ["Adj Close"], OHLC)]


@pytest.mark.parametrize(("row", "columns"), PLACES[:-1])  # all prices of the first bar: as before a split
@pytest.mark.parametrize("times", [0.5, 2.0, 30.0])
def test_a_close_that_does_not_fit_its_adjusted_close_is_left_out(columns: list[str], times: float, row: int) -> None:
    reading = read(wrong(row, columns, times))
    assert_same(reading["MSFT"], read(adjusted().drop(index=row))["MSFT"], 0)
    found = [str(one) for one in reading.findings["MSFT"]]
    assert found == [f"left out: 1 zero or impossible bar(s) ({DAYS[row]})"]


@pytest.mark.parametrize("columns", [["Close"], OHLC, ["Adj Close"]])
@pytest.mark.parametrize("times", [0.5, 2.0, 30.0])
@pytest.mark.parametrize("back", [1, 2, 3, 5])
def test_one_of_the_newest_closes_that_does_not_fit_is_refused(columns: list[str], times: float, back: int) -> None:
    row = len(DAYS) - back
    with pytest.raises(InvalidBars) as caught:
        read(wrong(row, columns, times))["MSFT"]
    column = "Adj Close" if columns == ["Adj Close"] else "Close"
    said = rf"MSFT: {column} '[\d.]+' of {DAYS[row]} is ([\d.]+) times the closes around it \(1 of the 75\d bars"
    found = re.match(said, str(caught.value))
    assert found
    assert float(found[1]) == pytest.approx(times, rel=0.1)


@pytest.mark.parametrize("columns", [["Close"], OHLC])
@pytest.mark.parametrize("row", [1300, len(DAYS) - 3, len(DAYS) - 1])
def test_a_close_in_pence_among_pounds_is_refused_whatever_its_adjusted_close(columns: list[str], row: int) -> None:
    with pytest.raises(InvalidBars, match=f"of {DAYS[row]} is 100 times the closes before it"):
        read(wrong(row, columns, 100.0))["MSFT"]


def test_several_closes_in_a_row_that_do_not_fit_are_no_pair_of_splits() -> None:
    bars = adjusted()
    for row in (1300, 1301, 1302):
        bars = wrong(row, OHLC, 2.0, bars)
    reading = read(bars)
    assert_same(reading["MSFT"], read(adjusted().drop(index=[1300, 1301, 1302]))["MSFT"], 0)
    assert "split" not in {one.check for one in reading.findings["MSFT"]}


@pytest.mark.parametrize("row", [1297, 1302])
def test_a_close_that_does_not_fit_hides_no_split_beside_it(row: int) -> None:
    reading = read(wrong(row, ["Close"], 2.0 if row > 1300 else 0.5, raw(adjusted(), 2.0, 1300)))
    assert_same(reading["MSFT"], read(adjusted().drop(index=row))["MSFT"])
    assert [one.check for one in reading.findings["MSFT"]] == ["split", "left out"]


def test_the_closes_of_one_symbol_are_not_compared_with_those_of_the_next() -> None:
    bars = adjusted()
    table = pd.concat([bars.assign(Symbol="MSFT"), raw(bars, 2.0, len(bars)).assign(Symbol="IBM")])
    reading = read_frame(table)
    assert sorted(reading) == ["IBM", "MSFT"]
    assert not reading.findings


def test_coarse_adjusted_closes_tell_no_split() -> None:
    closes = np.array([0.04, 0.04, 0.04, 0.02, 0.02, 0.02])
    at, _ = splits(np.zeros(6, int), closes, np.full(6, 0.01))
    assert not len(at)
    assert not misfits(np.zeros(6, int), closes, closes, np.array([0.01, 0.02, 0.01, 0.01, 0.01, 0.01]))


def test_the_shares_of_one_symbol_are_not_those_of_the_next() -> None:
    later = later_splits(np.array([0, 0, 0, 1, 1, 1]), np.array([1, 2, 5]), np.array([2.0, 3.0, 0.5]))
    assert later.tolist() == [6.0, 3.0, 1.0, 0.5, 0.5, 1.0]
