"""A Parquet file of prices: what is read, what is refused and in which words, and what is written."""

import io
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.files import price_limits
from tickercast.domain.files.price_files import first_lines, read_prices, to_csv, to_parquet
from tickercast.domain.frequency import HOURLY
from tickercast.errors import InvalidBars

MakeBars = Callable[..., Bars]

DAYS = [date(2023, 7, 20), date(2023, 7, 21)]
GOOD: dict[str, Any] = {
    "Date": DAYS,
    "Open": [10.0, 11.0],
    "High": [12.0, 13.0],
    "Low": [9.0, 10.0],
    "Close": [11.0, 12.0],
    "Volume": [100.0, None],
    "Symbol": ["MSFT", "MSFT"],
}


def parquet(columns: pd.DataFrame | dict[str, Any], **options: Any) -> bytes:
    table = pa.Table.from_pandas(columns) if isinstance(columns, pd.DataFrame) else pa.table(columns)
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def repeated(columns: dict[str, Any], groups: Sequence[int], **options: Any) -> bytes:
    """A file of the first row of some columns over and over, in groups of so many."""
    row, file = pa.table({name: values[:1] for name, values in columns.items()}), io.BytesIO()
    with pq.ParquetWriter(file, row.schema, compression="zstd", **options) as writer:
        for rows in groups:
            writer.write_table(row.take(np.zeros(rows, np.int64)))
    return file.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(InvalidBars) as refused:
        read_prices(data)
    assert str(refused.value).isprintable()
    return str(refused.value)


def test_what_is_written_is_read_again_to_the_bit(make_bars: MakeBars) -> None:
    simulated = Bars("ETH-USD", make_bars(sessions=9, seed=1).columns, simulated=True)
    unknown = Bars("PEG", make_bars(sessions=5, seed=2).frame.assign(volume=np.nan))
    written = [make_bars(), simulated, unknown]
    reading = read_prices(to_parquet(written))
    assert not reading.failures
    assert [(bars.symbol, bars.simulated) for bars in reading.bars.values()] == [
        ("MSFT", False),
        ("ETH-USD", True),
        ("PEG", False),
    ]
    for bars in written:
        pd.testing.assert_frame_equal(reading.bars[bars.symbol].frame, bars.frame, check_exact=True)


def test_csv_and_parquet_say_the_same(make_bars: MakeBars) -> None:
    written = [make_bars(), make_bars("META", seed=1)]
    csv, other = read_prices(to_csv(written)), read_prices(to_parquet(written))
    for symbol, bars in csv.bars.items():
        pd.testing.assert_frame_equal(other.bars[symbol].frame, bars.frame, rtol=1e-15)


@pytest.mark.parametrize(
    "columns",
    [
        GOOD,
        GOOD | {"Date": ["2023-07-20", "2023-07-21 00:00:00-04:00"]},
        GOOD | {"Date": pd.to_datetime(DAYS)},
        GOOD | {"Symbol": pa.array([" msft", "MSFT"]).dictionary_encode()},
        GOOD | {"Symbol": pa.array(["MSFT"] * 2, pa.large_string())},
        GOOD | {"Close": [Decimal("11"), Decimal("12")], "Open": [10, 11]},
        GOOD | {"Close": np.array([11, 12], np.float32)},
        GOOD | {"Dividends": [{"a": 1}, None], "Adj Close": pa.nulls(2)},
        GOOD | {"Date": pd.to_datetime(DAYS).tz_localize("America/New_York")},
        GOOD | {"Date": pd.to_datetime(DAYS).tz_localize("UTC")},
        GOOD | {"Date": pd.to_datetime(DAYS).tz_localize("America/New_York").as_unit("ns")},
        GOOD | {"Date": [20230720, 20230721]},
        GOOD | {"Date": [1689825600000, 1689912000000]},
        GOOD | {"Close": ["11", "12"]},
        pd.DataFrame(GOOD).set_index("Date"),
        pd.DataFrame(GOOD).astype({"Symbol": "category"}),
        {name: values[::-1] for name, values in GOOD.items()},
    ],
    ids=lambda columns: "",
)
def test_parquet_is_read_whatever_its_types(columns: Any) -> None:
    bars = read_prices(parquet(columns)).bars["MSFT"]
    assert bars.columns["session_date"].tolist() == DAYS
    assert bars.columns["close"].tolist() == bars.columns["adj_close"].tolist() == [11.0, 12.0]
    np.testing.assert_array_equal(bars.columns["volume"], [100.0, np.nan])


def test_several_row_groups_are_one_file(make_bars: MakeBars) -> None:
    table = pq.read_table(io.BytesIO(to_parquet([make_bars(), make_bars("META", seed=1)])))
    reading = read_prices(parquet({name: table[name] for name in table.column_names}, row_group_size=150))
    assert {symbol: len(bars) for symbol, bars in reading.bars.items()} == {"MSFT": 400, "META": 400}


def test_without_a_symbol_the_name_of_the_file_counts() -> None:
    columns = {name: values for name, values in GOOD.items() if name != "Symbol"}
    assert list(read_prices(parquet(columns), symbol="BRK-B").bars) == ["BRK-B"]
    assert "no column Symbol" in refusal(parquet(columns))


def test_one_bad_symbol_does_not_sink_the_others() -> None:
    columns = GOOD | {"Symbol": ["MSFT", "BAD"], "High": [12.0, -1.0]}
    reading = read_prices(parquet(columns))
    assert list(reading.bars) == ["MSFT"]
    assert "BAD: High '-1.0' of 2023-07-21 is not a price" in str(reading.failures["BAD"])


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")])
def test_a_time_of_day_may_be_of_its_own_type(kind: pa.DataType) -> None:
    hours = {"Date": DAYS, "Time": pa.array([time(13), time(14)]).cast(kind)}
    data = parquet(GOOD | hours)
    assert len(read_prices(data, symbol="MSFT").bars["MSFT"]) == 2
    bars = read_prices(parquet(GOOD | hours | {"Date": [DAYS[0]] * 2}), frequency=HOURLY)
    assert [str(end) for end in bars.bars["MSFT"].columns["closed_at"]] == ["2023-07-20T14", "2023-07-20T15"]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (GOOD | {"Close": [[11.0], [12.0]]}, "Close has the type list"),
        (GOOD | {"Close": [time(11), time(12)]}, "Close has the type time64"),
        ({name: values[:0] for name, values in (GOOD | {"Date": pa.array(DAYS)}).items()}, "no bar"),
        ({"Close": [1.0]}, "no column Date, Open, High, Low"),
        (GOOD | {"close": [11.0, 12.0]}, "more than one column Close"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(columns: Any, words: str) -> None:
    assert words in refusal(parquet(columns))


def test_a_file_that_is_small_only_because_it_is_compressed_is_refused_unread() -> None:
    bomb = repeated(GOOD | {"Volume": [1.0]}, [price_limits.MOST_ROWS // 10] * 10 + [1])
    assert len(bomb) < 1_000_000
    assert "3,000,001 rows" in refusal(bomb)
    long = repeated(GOOD | {"Symbol": ["M" * 10_000]}, [2_985] * 10, use_dictionary=False)
    assert len(long) < 1_000_000
    assert "300 MB uncompressed" in refusal(long)


def test_a_damaged_file_gives_bars_or_is_refused(make_bars: MakeBars) -> None:
    whole, chance = to_parquet([make_bars(sessions=40), make_bars("META", sessions=40, seed=1)]), random.Random(7)
    for _ in range(300):
        data = bytearray(whole[: chance.choice([len(whole), chance.randrange(4, len(whole))])])
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        with suppress(InvalidBars):
            reading = read_prices(bytes(data))
            assert reading.bars or reading.failures


def test_a_file_that_lacks_its_end_is_said_to_be_cut_off(make_bars: MakeBars) -> None:
    assert "it is cut off" in refusal(to_parquet([make_bars()])[:-100])


@pytest.mark.parametrize("index", [pd.DatetimeIndex(["2023-07-20", "2023-07-21"]), pd.Index([1689811200, 1689897600])])
def test_an_index_without_a_name_is_that_of_the_dates(index: "pd.Index[Any]") -> None:
    file = io.BytesIO()
    pd.DataFrame({"Open": [1, 1], "High": [1, 1], "Low": [1, 1], "Close": [1, 1]}, index=index).to_parquet(file)
    assert read_prices(file.getvalue(), symbol="MSFT")["MSFT"].cutoff == date(2023, 7, 21)


def test_the_first_lines_of_any_file_can_be_looked_at(make_bars: MakeBars) -> None:
    whole = to_parquet([make_bars()])
    lines = first_lines(whole, 3)
    assert lines[0] == "Date,Open,High,Low,Close,Adj Close,Volume,Symbol"
    assert len(lines) == 3
    assert lines[1].endswith(",MSFT")
    assert first_lines(to_csv([make_bars()]), 3)[0] == lines[0]
    assert first_lines(whole[:-9], 3) == []


def test_a_written_file_says_which_columns_are_whole_and_repeats_no_price(make_bars: MakeBars) -> None:
    bars = make_bars()
    gaps = Bars("PEG", bars.frame.assign(volume=np.nan))
    file = pq.ParquetFile(io.BytesIO(to_parquet([bars, gaps])))
    nullable = {field.name for field in file.schema_arrow if field.nullable}
    assert nullable == {"Volume"}
    chunks = [file.metadata.row_group(0).column(at) for at in range(file.metadata.num_columns)]
    repeated = {chunk.path_in_schema for chunk in chunks if "RLE_DICTIONARY" in chunk.encodings}
    assert repeated == {"Date", "Symbol", "Open", "High", "Low", "Close"}


@pytest.mark.parametrize("kind", ["bool", "int64", "str"])
def test_bars_that_an_export_says_are_simulated_stay_so(kind: str) -> None:
    days = pd.bdate_range("2023-07-10", periods=4).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"symbol": ["A", "A", "B", "B"], "session_date": days, "close": [10.0, 10.1, 30.0, 30.3]})
    frame = frame.assign(open=frame["close"], high=frame["close"], low=frame["close"])
    frame["simulated"] = pd.Series([False, False, True, True]).astype(kind)
    for data in (frame.to_csv(index=False).encode(), frame.to_parquet()):
        found = read_prices(data).bars
        assert {symbol: bars.simulated for symbol, bars in found.items()} == {"A": False, "B": True}
