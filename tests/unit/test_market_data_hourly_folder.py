"""Hourly bars in files: tables of one's own, and those of Binance's archive."""

import gzip
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.hourly import assert_same, make_hours, table, without

from tickercast import engines
from tickercast.backends.market_data.hourly_folder import HourlyFolder
from tickercast.config import Settings
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.hourly.hours import PRICES
from tickercast.errors import InvalidBars, NoRecentBars, UnknownSymbol, UsageError

FIRST, LAST = date(2022, 1, 1), date(2022, 12, 31)


def archive(bars: Bars, unit: int = 1000) -> str:
    """The bars as the archive has them: no header, twelve columns, moments in milli- or microseconds."""
    rows = table(bars)
    rows["date"] = [int(moment.timestamp() * unit) for moment in rows["date"]]
    more = {f"column_{number}": 0 for number in range(6)}
    return rows.assign(**more).to_csv(index=False, header=False)


def fetch(path: Path, *symbols: str, now: datetime = datetime(2023, 1, 1, tzinfo=UTC)) -> Reading:
    return HourlyFolder(path, now=lambda: now).fetch(symbols, FIRST, LAST, advance=lambda _: None)


@pytest.fixture
def bars() -> Bars:
    return make_hours(hours=48)


def test_a_table_of_several_symbols_is_read(tmp_path: Path, bars: Bars) -> None:
    other = make_hours("ETHUSDT", hours=30, seed=1)
    both = pd.concat([table(one).assign(symbol=one.symbol) for one in (bars, other)])
    both.to_parquet(tmp_path / "coins.parquet")
    assert HourlyFolder(tmp_path).symbols() == ["BTCUSDT", "ETHUSDT"]
    found = fetch(tmp_path, "BTCUSDT", "ETHUSDT")
    assert_same(found["BTCUSDT"], bars)
    assert_same(found["ETHUSDT"], other)
    assert_same(fetch(tmp_path / "coins.parquet", "ETHUSDT")["ETHUSDT"], other)


@pytest.mark.parametrize("column", ["date", "Open time", "timestamp"])
def test_a_csv_is_read_by_its_name_and_its_titles(tmp_path: Path, bars: Bars, column: str) -> None:
    content = table(bars, column).to_csv(index=False)
    (tmp_path / "btcusdt.csv.gz").write_bytes(gzip.compress(content.encode()))
    assert_same(fetch(tmp_path, "BTCUSDT")["BTCUSDT"], bars)


@pytest.mark.parametrize("unit", [1000, 1_000_000])
def test_the_archive_is_read_without_a_header_in_any_number_of_files(tmp_path: Path, bars: Bars, unit: int) -> None:
    (tmp_path / "BTCUSDT-1h-2022-02.csv").write_text(archive(bars.rows(20, 48), unit))
    with zipfile.ZipFile(tmp_path / "BTCUSDT-1h-2022-01.zip", "w") as made:
        made.writestr("BTCUSDT-1h-2022-01.csv", archive(bars.rows(0, 24), unit))
    assert_same(fetch(tmp_path, "BTCUSDT")["BTCUSDT"], bars)


def test_of_two_bars_of_an_hour_that_of_the_later_file_counts(tmp_path: Path, bars: Bars) -> None:
    changed = Bars(
        "BTCUSDT", {**bars.columns, "close": bars.columns["close"] * 1.001, "high": bars.columns["high"] * 1.1}
    )
    (tmp_path / "BTCUSDT-1h-2022-01.csv").write_text(archive(bars))
    (tmp_path / "BTCUSDT-1h-2022-02.csv").write_text(archive(changed.rows(40, 48)))
    found = fetch(tmp_path, "BTCUSDT")["BTCUSDT"]
    np.testing.assert_allclose(found.columns["close"][40:], changed.columns["close"][40:])
    np.testing.assert_allclose(found.columns["close"][:40], bars.columns["close"][:40])


def test_an_hour_that_one_file_has_twice_with_other_prices_is_refused(tmp_path: Path, bars: Bars) -> None:
    again = table(bars.rows(40, 41)).assign(close=bars.columns["low"][40])
    pd.concat([table(bars), again]).to_csv(tmp_path / "BTCUSDT.csv", index=False)
    with pytest.raises(InvalidBars, match=r"BTCUSDT\.csv cannot be read .* 1 duplicate hour.*2022-01-04 16:00 UTC"):
        fetch(tmp_path, "BTCUSDT")["BTCUSDT"]


def test_what_is_left_out_of_a_file_and_of_all_together_is_said(tmp_path: Path) -> None:
    bars = make_hours(hours=240)
    rows = table(bars)
    pd.concat([rows[:100], rows[98:99]]).to_csv(tmp_path / "BTCUSDT-1h-2022-01.csv", index=False)
    rows[100:101].assign(**{name: 6.5 * rows[name] for name in PRICES}).to_csv(
        tmp_path / "BTCUSDT-1h-2022-02.csv", index=False
    )
    rows[101:].to_csv(tmp_path / "BTCUSDT-1h-2022-03.csv", index=False)
    found = fetch(tmp_path, "BTCUSDT")
    assert len(found["BTCUSDT"]) == 239
    assert [str(each) for each in found.findings["BTCUSDT"]] == [
        "left out: 1 exact repeat(s) (2022-01-07 02:00 UTC)",
        "left out: 1 zero or impossible bar(s) (2022-01-07 04:00 UTC)",
    ]


def test_an_unfinished_hour_is_left_out(tmp_path: Path, bars: Bars) -> None:
    table(bars).to_parquet(tmp_path / "BTCUSDT.parquet")
    found = fetch(tmp_path, "BTCUSDT", now=datetime(2022, 1, 4, 5, 30, tzinfo=UTC))["BTCUSDT"]
    assert str(found.columns["closed_at"][-1]) == "2022-01-04T05"


def test_gaps_are_left_to_whoever_forecasts(tmp_path: Path, bars: Bars) -> None:
    table(without(bars, 10, 13)).to_parquet(tmp_path / "BTCUSDT.parquet")
    assert not fetch(tmp_path, "BTCUSDT").findings


def test_what_is_not_there_is_a_sentence(tmp_path: Path, bars: Bars) -> None:
    table(bars).to_parquet(tmp_path / "BTCUSDT.parquet")
    found = fetch(tmp_path, "BTC-USD")
    with pytest.raises(UnknownSymbol, match=r"does not hold BTC-USD: it has BTCUSDT\. Name one"):
        found["BTC-USD"]
    early = HourlyFolder(tmp_path).fetch(["BTCUSDT"], date(2021, 1, 1), date(2021, 2, 1), advance=lambda _: None)
    with pytest.raises(NoRecentBars, match="has no finished hour of BTCUSDT from 2021-01-01"):
        early["BTCUSDT"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("open,high\n1,2\n", "The file has no column Date, Low, Close"),
        ("date,open\n2022-01-01T00:00:00Z,1\n", "cannot be read as hourly bars"),
        ("1,2,3\n", "cannot be read as hourly bars"),
        ("", "cannot be read as hourly bars"),
        ("date,open,high,low,close\nyesterday,1,1,1,1\n", "cannot be read as hourly bars"),
        ("5,1,1,1,1,1\n", "The file has no header: it begins with"),
        ("date,open,high,low,close\n2022-01-01T00:30:00Z,1,1,1,1\n", "hourly bars that end on the hour were needed"),
        ("date,open,high,low,close\n2022-01-01T00:00:00Z,1,x,1,1\n", "cannot be read as hourly bars"),
    ],
)
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "BTCUSDT.csv").write_text(content)
    with pytest.raises(InvalidBars, match=message):
        fetch(tmp_path, "BTCUSDT")["BTCUSDT"]


def test_a_zip_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-1h-2022-01.zip").write_bytes(b"no zip")
    with pytest.raises(InvalidBars, match=r"BTCUSDT-1h-2022-01\.zip cannot be read as hourly bars"):
        fetch(tmp_path, "BTCUSDT")["BTCUSDT"]


def test_a_bad_file_does_not_sink_the_other_symbols(tmp_path: Path, bars: Bars) -> None:
    (tmp_path / "BTCUSDT-1h-2022-01.csv").write_text(archive(bars))
    (tmp_path / "BTCUSDT-1h-2022-02.csv").write_text("no bars")
    (tmp_path / "ETHUSDT-1h-2022-01.csv").write_text(archive(bars))
    found = fetch(tmp_path, "BTCUSDT", "ETHUSDT")
    assert len(found["ETHUSDT"]) == len(bars)
    with pytest.raises(InvalidBars, match=r"BTCUSDT-1h-2022-02\.csv cannot be read"):
        found["BTCUSDT"]


def test_a_folder_without_such_files_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file of hourly bars"):
        HourlyFolder(tmp_path).symbols()
    with pytest.raises(UsageError, match="is neither binance, simulated nor a folder or file that can be read"):
        engines.hourly_data(str(tmp_path / "nowhere"), Settings())
