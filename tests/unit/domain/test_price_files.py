"""A price file: what is read, what is refused and in which words, and what is written."""

import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.calendar import sessions_between
from tickercast.domain.files.price_files import Window, read_prices, to_csv
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import InvalidBars, NoRecentBars, UsageError

SHARED = Path(__file__).parents[4] / "shared" / "data"
HEADER = "Date,Open,High,Low,Close,Adj Close,Volume\n"
GOOD = "2023-07-20,10,12,9,11,10.5,100\n2023-07-21,11,13,10,12,11.5,200\n"


def only(text: str) -> Bars:
    return read_prices(text.encode(), symbol="MSFT").bars["MSFT"]


# Accepted files.


@pytest.mark.parametrize("columns", [["close"], ["close", "adj_close"], ["close", "volume"]])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_file_that_ends_inside_its_last_number_is_refused(
    make_bars: Callable[..., Bars], columns: list[str], quoted: bool
) -> None:
    bars = make_bars(sessions=60)
    frame = bars.frame.assign(**{name: bars.columns[name].round(4) for name in ("open", "high", "low")})
    frame["close"] = frame["adj_close"] = (bars.columns["low"] + bars.columns["high"]).round(1) / 2 + 0.0123
    text = frame[["session_date", "open", "high", "low", *columns]].to_csv(index=False).rstrip("\n")
    text = text.replace("session_date", '"session_date"') if quoted else text
    assert len(only(text)) == 60
    *_, last = text.rpartition(",")
    for kept in range(1, len(last) - 2):
        cut = text[: len(text) - len(last) + kept]
        with pytest.raises(InvalidBars, match=r"without a line end, and '.*' is shorter than all others above it|MSFT"):
            read_prices(cut.encode(), symbol="MSFT")["MSFT"]


def test_a_short_number_of_another_symbol_is_no_end_of_a_file(make_bars: Callable[..., Bars]) -> None:
    large, small = (make_bars(name, sessions=60).frame.assign(symbol=name) for name in ("AAPL", "MSFT"))
    small["volume"] = 7.0
    both = pd.concat([large, small]).sort_values(["session_date", "symbol"])
    columns = ["symbol", *(name for name in both.columns if name != "symbol")]
    read = read_prices(both[columns].to_csv(index=False).rstrip("\n").encode())
    assert {name: len(bars) for name, bars in read.bars.items()} == {"AAPL": 60, "MSFT": 60}


@pytest.mark.parametrize("kept", ["", "M", "MSF"])
def test_a_file_that_ends_inside_its_last_symbol_is_refused(kept: str) -> None:
    text = "Date,Open,High,Low,Close,Symbol\n2023-07-20,10,12,9,11,MSFT\n2023-07-21,11,13,10,12," + kept
    with pytest.raises(InvalidBars, match=rf"without a line end, and '{kept}' may be the beginning of MSFT"):
        read_prices(text.encode(), symbol="MSFT")


def test_the_last_symbol_of_a_day_may_be_the_beginning_of_another_ones() -> None:
    text = "Date,Open,High,Low,Close,Symbol\n2023-07-21,10,12,9,11,MSFT\n2023-07-21,11,13,10,12,MS"
    assert list(read_prices(text.encode())) == ["MSFT", "MS"]


def test_a_file_that_ends_inside_its_last_date_is_refused(make_bars: Callable[..., Bars]) -> None:
    text = make_bars(sessions=60).frame[["open", "high", "low", "close", "session_date"]].to_csv(index=False)
    with pytest.raises(InvalidBars, match="without a line end, and '2023-07-2' is shorter than all others above it"):
        read_prices(text.rstrip("\n")[:-1].encode(), symbol="MSFT")


def test_dividends_and_splits_between_the_bars_of_yahoos_page_are_no_bars() -> None:
    text = (HEADER + GOOD).replace(",", "\t") + "2023-05-17\t0.68 Dividend\n2022-05-17\t4:1 Stock Splits\n"
    reading = read_prices(text.encode(), symbol="MSFT")
    assert len(reading["MSFT"]) == 2
    assert str(reading.findings["MSFT"][0]).startswith("left out: 2 row(s) without prices")


@pytest.mark.parametrize("row", ["2023-07-24,11,13", "Source: Vendor, all prices are delayed, without warranty"])
def test_a_row_that_is_cut_off_or_a_note_is_said_to_be_one(row: str) -> None:
    said = "has 3 cells and the header has 7: whole rows were needed. Export or download it again if .* remove the row"
    with pytest.raises(InvalidBars, match=said):
        only(HEADER + GOOD + row)


@pytest.mark.parametrize("header", [HEADER, HEADER.replace(",Close", ', "Close "')])
def test_the_header_of_a_joined_file_is_no_bar(header: str) -> None:
    first, second = GOOD.splitlines(keepends=True)
    reading = read_prices((header + first + header + second).encode(), symbol="MSFT")
    assert len(reading["MSFT"]) == 2
    assert not reading.findings


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("10.5", "").replace("11.5", ""),
        GOOD.replace(",100", ",").replace(",200", ",NaN"),
        GOOD.replace("12,9", " 12 ,9.00").replace(",100", ",1e2"),
        GOOD.replace("10,12", "10.123456789012345678,12"),
    ],
)
def test_a_file_is_read_the_same_as_numbers_and_as_texts(text: str) -> None:
    quoted = HEADER.replace("Date", '"Date"')  # quotes keep a file from being read as numbers
    pd.testing.assert_frame_equal(only(HEADER + text).frame, only(quoted + text).frame, check_exact=True)


def test_one_bad_symbol_among_good_ones_is_refused_in_the_words_of_the_file() -> None:
    lines = (
        HEADER.strip()
        + ",Symbol\n"
        + GOOD.replace("\n", ",MSFT\n")
        + GOOD.replace(",13,", ",-1,").replace("\n", ",BAD\n")
    )
    reading = read_prices(lines.encode())
    assert list(reading.bars) == ["MSFT"]
    assert "High '-1' of 2023-07-21" in str(reading.failures["BAD"])


@pytest.mark.parametrize(
    "text",
    [
        HEADER + GOOD,
        (HEADER + GOOD).replace("\n", "\r\n"),
        "\ufeff" + HEADER + GOOD,
        (HEADER + GOOD).rstrip("\n"),
        HEADER.upper() + GOOD,
        "date, open ,HIGH,low,Close,adj_close,VOLUME\n" + GOOD,
        "Date,Open,High,Low,Close,Adj__Close,Volume\n" + GOOD,
        "session_date,open,high,low,close,adjclose,volume\n" + GOOD,
        HEADER + "".join(reversed(GOOD.splitlines(keepends=True))),
        HEADER + GOOD.replace("-20,", "-20 00:00:00,").replace("-21,", "-21 00:00:00,"),
        HEADER + GOOD.replace("-20,", "-20 00:00:00-04:00,").replace("-21,", "-21 00:00:00-05:00,"),
    ],
)
def test_a_csv_is_read_whatever_its_spelling(text: str) -> None:
    bars = only(text)

    assert bars.symbol == "MSFT"
    assert tuple(bars.frame.columns) == BAR_COLUMNS
    assert bars.frame["session_date"].dt.date.tolist() == [date(2023, 7, 20), date(2023, 7, 21)]
    assert bars.frame[list(BAR_COLUMNS[1:])].values.tolist() == [
        [10, 12, 9, 11, 10.5, 100],
        [11, 13, 10, 12, 11.5, 200],
    ]
    assert len(bars) == 2
    assert (bars.cutoff, bars.last_close, bars.simulated) == (date(2023, 7, 21), 12.0, False)


def test_columns_may_come_in_any_order_and_with_others() -> None:
    assert only("Close,Dividends,Low,Date,High,Open\n11,0,9,2023-07-20,12,10\n").frame["high"].tolist() == [12.0]


def test_without_adjusted_close_and_volume_the_close_stands_in_and_the_volume_is_unknown() -> None:
    bars = only("Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n").frame

    assert bars["adj_close"].tolist() == [11.0]
    assert bars["volume"].isna().all()


def test_a_high_that_misses_the_close_by_rounding_is_accepted() -> None:
    assert len(only(HEADER + "2023-07-20,10,11.9999,9,12,12,100\n")) == 1


def test_a_symbol_column_names_what_the_file_name_does_not() -> None:
    text = b"Date,Open,High,Low,Close,Symbol\n2023-07-20,10,12,9,11, brk-b\n"

    assert list(read_prices(text).bars) == ["BRK-B"]


def test_a_file_of_many_symbols_loses_only_the_bad_one() -> None:
    rows = [
        "AAPL,2023-07-21,1,2,1,2",
        "MSFT,2023-07-21,1,2,1,-2",
        "VOD.L,2023-07-21,3,4,3,4",
        "AAPL,2023-07-20,1,2,1,2",
    ]

    reading = read_prices("\n".join(["Symbol,Date,Open,High,Low,Close", *rows]).encode())

    assert {symbol: len(bars) for symbol, bars in reading.bars.items()} == {"AAPL": 2, "VOD.L": 1}
    assert list(reading.failures) == ["MSFT"]
    assert "MSFT: Close '-2' of 2023-07-21" in str(reading.failures["MSFT"])


# Refused files, and the words of the refusal.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["empty", "header"]),
        (b"\n\n", ["empty"]),
        (HEADER.encode(), ["no bar", "one row"]),
        (b"PK\x03\x04\x00\x00", ["begins as zip", "CSV"]),
        (b"\x01\x00\x02", ["binary", "CSV"]),
        (b"D\xe4te,Open", ["UTF-8"]),
        (b"\xff\xfeD", ["UTF-16"]),
        (b"Date,Open,High,Low\n2023-07-20,10,12,9\n", ["no column Close", "It has"]),
        (b"Date,Open,High,Low,Close,close\n2023-07-20,10,12,9,11,11\n", ["more than one column Close"]),
        (b'Date,Open,High,Low,Close\n"2023-07-20,10,12,9,11\n', ["does not parse"]),
        (b"hello\n", ["no column Date, Open, High, Low, Close"]),
        (b"symbol,date,session\nMSFT,2023-07-25,after\n", ["results days", "tickercast events fetch"]),
        (b"Date,Volume\n2023-07-25,5\n", ["no column Open, High, Low, Close"]),
    ],
)
def test_a_file_without_any_use_is_refused(data: bytes, words: list[str]) -> None:
    with pytest.raises(InvalidBars) as refused:
        read_prices(data, symbol="MSFT")

    assert all(word in str(refused.value) for word in words)
    assert "\n" not in str(refused.value)


def test_a_file_that_names_no_symbol_is_refused() -> None:
    with pytest.raises(InvalidBars, match=r"no column Symbol.*SYMBOL\.csv"):
        read_prices((HEADER + GOOD).encode())
    with pytest.raises(InvalidBars, match=r"Rename the file to AAPL\.csv"):
        read_prices((HEADER + GOOD).encode(), symbol="AAPL_data")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("NASDAQ_MSFT, 1D", "MSFT"),
        ("LSE_DLY_VOD, 1D", "VOD.L"),
        ("BATS_BRK.B, 1D", "BRK-B"),
        ("BINANCE_BTCUSDT, 1D", "SYMBOL"),
        ("CME_MINI_ES1!, 1D", "SYMBOL"),
        ("VOD_L", "SYMBOL"),
    ],
)
def test_no_file_is_to_be_renamed_to_another_listing(name: str, advice: str) -> None:
    with pytest.raises(InvalidBars, match=rf"Rename the file to {advice}\.csv"):
        read_prices((HEADER + GOOD).encode(), symbol=name)


def test_no_file_is_to_be_renamed_to_what_is_no_symbol() -> None:
    titled = HEADER.replace("\n", ",Symbol\n")
    rows = "".join(f"{row},../../X\n" for row in GOOD.splitlines())
    reading = read_prices((titled + rows).encode(), symbol="MSFT")
    [said] = map(str, reading.failures.values())
    assert said.startswith("'../../X' is not a symbol: up to 20 letters")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("2023-07-20,10,12,9,eleven,11,100", ["Close 'eleven' of 2023-07-20", "a positive number up to 1e15"]),
        ("2023-07-20,10,12,9,,11,100", ["1 row(s), and none has all of Open, High, Low, Close"]),
        ("2023-07-20,10,12,9,nan,11,100", ["none has all"]),
        ("2023-07-20,10,inf,9,11,11,100", ["High 'inf'"]),
        ("2023-07-20,-10,12,9,11,11,100", ["Open '-10'"]),
        ("2023-07-20,10,12,0,11,11,100", ["Low '0'"]),
        ("2023-07-20,10,9,12,11,11,100", ["2023-07-20", "does not fit", "low ≤ open, close ≤ high"]),
        ("2023-07-20,10,12,9,11,0,100", ["Adj Close '0'"]),
        ("now,10,12,9,11,11,100", ["Date 'now'"]),
        ("2023-02-30,10,12,9,11,11,100", ["Date '2023-02-30'"]),
        ("2023,10,12,9,11,11,100", ["Date '2023'"]),
        ("2023-07-20,10,12,9,11,11,100\n2023-07-20,10,12,9,12,11,1", ["1 duplicate date(s)", "first 2023-07-20"]),
        ("2023-07-20,10,12,9,1x,11,100\n2023-07-21,10,12,9,1x,11,100", ["2 of the 2 bars"]),
    ],
)
def test_a_bad_bar_is_quoted_with_its_date_and_what_was_needed(rows: str, words: list[str]) -> None:
    reading = read_prices((HEADER + rows).encode(), symbol="MSFT")

    assert not reading.bars
    assert isinstance(reading.failures["MSFT"], InvalidBars)
    assert all(word in str(reading.failures["MSFT"]) for word in ["MSFT", *words])


@pytest.mark.parametrize("layout", ["{isin}.{field}", "{field}_{isin}", "('{field}', '{isin}')", "{field}"])
def test_an_isin_is_no_symbol(layout: str) -> None:
    isin = "US5949181045"
    titles = [layout.format(field=field, isin=isin) for field in ("Open", "High", "Low", "Close")]
    rows = [["2023-07-20", 10, 12, 9, 11, isin], ["2023-07-21", 11, 13, 10, 12, isin]]
    text = pd.DataFrame(rows, columns=["Date", *titles, "Symbol"]).to_csv(index=False)
    reading = read_prices(text.encode(), symbol="MSFT" if layout == "{field}" else "prices")
    assert str(reading.failures[isin]).startswith(f"'{isin}' is an ISIN: a symbol was needed, as Yahoo spells it")
    with pytest.raises(InvalidBars, match=r"its name is no symbol.*Rename the file to SYMBOL\.csv"):
        read_prices((HEADER + GOOD).encode(), symbol=isin)


def test_what_is_written_as_an_isin_and_fails_its_check_is_a_symbol() -> None:
    assert parse_symbol("us5949181046") == "US5949181046"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "'; DROP TABLE prices; --", "MSFT/..", "", "A" * 60, "MS FT", "MSFT\u200b"]
)
def test_a_symbol_that_could_be_something_else_is_refused(name: str) -> None:
    rows = pd.DataFrame([["2023-07-20", 10, 12, 9, 11, name], ["2023-07-20", 10, 12, 9, 11, "AAPL"]])
    text = rows.to_csv(index=False, header=["Date", "Open", "High", "Low", "Close", "Symbol"])

    reading = read_prices(text.encode())

    assert list(reading.bars) == ["AAPL"]
    [(key, failure)] = reading.failures.items()
    assert len(key) <= 40
    assert "is not a symbol" in str(failure)
    with pytest.raises(UsageError):
        parse_symbol(name)


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("msft", "MSFT"),
        (" brk-b ", "BRK-B"),
        ("vod.l", "VOD.L"),
        ("^gspc", "^GSPC"),
        ("eurusd=x", "EURUSD=X"),
        ("0700.hk",) * 2,
    ],
)
def test_a_symbol_is_spelt_in_upper_case(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol.upper()


# Written files are read back equal.


LONG = sessions_between("MSFT", date(2015, 1, 1), date(2023, 7, 21))


@st.composite
def series(draw: st.DrawFn) -> Bars:
    count = draw(st.integers(1, 30))
    first = draw(st.integers(0, len(LONG) - count))
    close = 10 ** draw(st.floats(-4, 6)) * np.cumprod(draw(nst.arrays(np.float64, count, elements=st.floats(0.6, 1.6))))
    bars = pd.DataFrame({"session_date": pd.to_datetime(LONG[first : first + count]).astype("datetime64[s]")})
    bars["open"] = close * draw(nst.arrays(np.float64, count, elements=st.floats(0.9, 1.1)))
    bars["close"], bars["adj_close"] = close, close * draw(st.floats(0.5, 1.0))
    bars["high"] = bars[["open", "close"]].max(axis=1) * 1.01
    bars["low"] = bars[["open", "close"]].min(axis=1) / 1.01
    bars["volume"] = draw(nst.arrays(np.float64, count, elements=st.sampled_from([0.0, 1.0, 1e12, np.nan])))
    symbol = draw(st.sampled_from(["MSFT", "BRK-B", "^GSPC", "NAN", "NULL"]))
    return Bars(symbol, bars[list(BAR_COLUMNS)], draw(st.booleans()))


@settings(deadline=None, max_examples=50)
@given(st.lists(series(), min_size=1, max_size=3, unique_by=lambda bars: bars.symbol))
def test_what_is_written_is_read_again(written: list[Bars]) -> None:
    reading = read_prices(to_csv(written))

    assert not reading.failures
    assert list(reading.bars) == [bars.symbol for bars in written]
    for bars in written:
        read = reading.bars[bars.symbol]
        assert read.simulated == bars.simulated
        pd.testing.assert_frame_equal(read.frame, bars.frame, rtol=1e-12)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_file_whatever_breaks_the_reader(data: bytes) -> None:
    with contextlib.suppress(InvalidBars):
        reading = read_prices(data, symbol="MSFT")
        assert reading.bars or reading.failures


NOON = datetime(2023, 7, 21, 12, tzinfo=UTC)
CELLS = st.sampled_from(
    [
        "",
        "2023-07-21",
        "2023-07-21 12:00",
        "9999-12-31 23:00",
        "2023-07-21 00:00:00-04:00",
        "2023-01-20T00:00Z",
        "now",
        "1",
        "-1",
        "1e400",
        '"',
    ]
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(CELLS, min_size=4, max_size=7), min_size=1, max_size=5), st.sampled_from([DAILY, HOURLY]))
def test_no_row_whatever_breaks_the_reader(rows: list[list[str]], frequency: Frequency) -> None:
    content = "\n".join([HEADER.strip(), *map(",".join, rows)]).encode()
    with contextlib.suppress(InvalidBars):
        reading = read_prices(content, symbol="MSFT", window=Window(now=NOON), frequency=frequency)
        assert reading.bars or reading.failures


GOOD_ROW = {
    "Date": "",
    "Open": "10",
    "High": "12",
    "Low": "9",
    "Close": "11",
    "Adj Close": "10.5",
    "Volume": "100",
    "Source": "",
}
FAULTS = {
    "Date": ["now", "", "2023-02-30", "9999-12-31", "2023-07-03"],
    "Open": ["x", "", "-1", "0", "inf", "1e300"],
    "Close": ["nan", "13", "1_0"],
    "Adj Close": ["", "-1"],
    "Volume": ["", "-5", "lots", "nan"],
    "Source": ["simulated"],
}


@st.composite
def mixed_files(draw: st.DrawFn) -> pd.DataFrame:
    """Rows of several symbols in any order, good ones and bad ones."""
    rows = []
    for symbol in draw(st.lists(st.sampled_from(["MSFT", " brk-b", "VOD.L", "ETH-USD", "a b", ""]), min_size=1)):
        row = GOOD_ROW | {"Date": f"2023-07-{draw(st.integers(1, 28)):02}", "Symbol": symbol}
        if draw(st.integers(0, 5)) == 0:
            column = draw(st.sampled_from(sorted(FAULTS)))
            row[column] = draw(st.sampled_from(FAULTS[column]))
        rows.append(row)
    return pd.DataFrame(rows)


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(mixed_files())
def test_a_symbol_is_read_from_among_others_as_it_is_alone(rows: pd.DataFrame) -> None:
    together = read_prices(rows.to_csv(index=False).encode())

    assert [*together.bars, *together.failures]
    for symbol, alone in rows.groupby(rows["Symbol"].str.strip().str.upper(), sort=False):
        reading = read_prices(alone.to_csv(index=False).encode())
        assert {symbol} == {*reading.bars, *reading.failures}
        if reading.failures:
            assert str(together.failures[str(symbol)]) == str(reading.failures[str(symbol)])
        else:
            bars = together.bars[str(symbol)]
            assert bars.simulated == reading.bars[str(symbol)].simulated
            pd.testing.assert_frame_equal(bars.frame, reading.bars[str(symbol)].frame)


# Bars that are cut off.


def test_until_a_saturday_the_bars_end_on_friday() -> None:
    bars = only(HEADER + GOOD)

    assert bars.until(date(2023, 7, 22)).cutoff == date(2023, 7, 21)
    assert bars.until(date(2023, 7, 20)).cutoff == date(2023, 7, 20)
    assert len(bars.since(date(2023, 7, 21))) == 1
    assert len(bars.since(date(2023, 7, 24))) == 0


@pytest.mark.parametrize(
    ("as_of", "words"),
    [
        (date(2023, 7, 19), ["no bar on or before 2023-07-19", "2023-07-20"]),
        (date(2023, 7, 29), ["stale", "2023-07-28"]),
    ],
)
def test_a_date_without_recent_bars_is_answered_with_one_that_would_do(as_of: date, words: list[str]) -> None:
    with pytest.raises(NoRecentBars) as refused:
        only(HEADER + GOOD).until(as_of)

    assert all(word in str(refused.value) for word in ["MSFT", *words])


@pytest.mark.skipif(not SHARED.exists(), reason="the shared market data is not here")
def test_every_real_csv_keeps_the_contract() -> None:
    for path in (SHARED / "yahoo_csv").glob("*.csv"):
        reading = read_prices(path.read_bytes())
        assert list(reading.bars) == [path.stem]


def rows(**changes: str) -> bytes:
    bar = {"Date": "2023-07-21", "Open": "10", "High": "12", "Low": "9", "Close": "11"} | changes
    return f"{','.join(bar)}\n{','.join(bar.values())}\n".encode()


@pytest.mark.parametrize("volume", ["lots", "inf", "-5", "1e400"])
def test_an_unreadable_volume_is_a_reason_and_not_a_silent_gap(volume: str) -> None:
    failures = read_prices(rows(Volume=volume), symbol="MSFT").failures
    assert "is not a volume" in str(failures["MSFT"])


@pytest.mark.parametrize("volume", ["", "nan", "NULL"])
def test_no_volume_is_no_fault(volume: str) -> None:
    assert read_prices(rows(Volume=volume), symbol="MSFT").bars["MSFT"].frame["volume"].isna().all()


def test_an_adjusted_close_that_is_empty_throughout_counts_as_absent() -> None:
    bars = read_prices(rows(**{"Adj Close": ""}), symbol="MSFT").bars["MSFT"].frame
    assert list(bars["adj_close"]) == [11.0]


def test_a_bar_that_lacks_its_adjusted_close_is_said_to_lack_that(make_bars: Callable[..., Bars]) -> None:
    table = make_bars(sessions=200).frame.rename(columns={"session_date": "Date", "adj_close": "Adj Close"}).astype(str)
    table.loc[30, "Adj Close"] = ""
    reading = read_prices(table.to_csv(index=False).encode(), symbol="MSFT")
    day = table["Date"][30][:10]
    assert [str(found) for found in reading.findings["MSFT"]] == [f"left out: 1 bar(s) without Adj Close ({day})"]


@pytest.mark.parametrize(("source", "simulated"), [("Yahoo Finance", False), ("", False), ("simulated", True)])
def test_only_the_word_simulated_says_that_bars_are_simulated(source: str, simulated: bool) -> None:
    assert read_prices(rows(Source=source), symbol="MSFT").bars["MSFT"].simulated is simulated


def test_rows_without_any_value_are_passed_over() -> None:
    reading = read_prices(rows(Symbol="MSFT") + b",,,,,\n")
    assert list(reading.bars) == ["MSFT"]
    assert not reading.failures


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_year_that_no_market_knows_is_a_reason(day: str) -> None:
    assert "1900 to 2100" in str(read_prices(rows(Date=day), symbol="MSFT").failures["MSFT"])


def test_bars_of_such_a_year_before_those_that_are_judged_are_left_out_and_said() -> None:
    text = HEADER + "1789-05-01,0.5,0.5,0.5,0.5,0.5,\n" + GOOD
    reading = read_prices(text.encode(), symbol="^SPX")
    assert reading["^SPX"].first == date(2023, 7, 20)
    assert [str(one) for one in reading.findings["^SPX"]] == ["left out: 1 bar(s) of years before 1900 (1789-05-01)"]


def test_a_price_beyond_all_prices_is_a_reason() -> None:
    text = HEADER + GOOD.replace("10,12,9,11,10.5", "1e300,1e300,1e300,1e300,1e300")
    refused = str(read_prices(text.encode(), symbol="MSFT").failures["MSFT"])
    assert "Open '1e300' of 2023-07-20 is not a price" in refused
    assert "a positive number up to 1e15 was needed" in refused


def test_a_close_that_no_market_makes_is_a_reason() -> None:
    text = b"Date,Open,High,Low,Close\n2023-07-20,1,1,1,1\n2023-07-21,1,8,1,7.3\n"
    refused = str(read_prices(text, symbol="MSFT").failures["MSFT"])
    assert "Close '7.3' of 2023-07-21 is 7.3 times the closes around it" in refused


@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_the_separator_may_be_another_one(mark: str) -> None:
    assert read_prices(rows().replace(b",", mark.encode()), symbol="MSFT").bars["MSFT"].last_close == 11.0


@pytest.mark.parametrize("text", ["ß", "ﬁ", "A" * 21, "A.B.C.D.E.F.G.H.I.J.K.L"])
def test_what_yahoo_would_not_spell_is_no_symbol(text: str) -> None:
    with pytest.raises(UsageError, match="is not a symbol"):
        parse_symbol(text)
