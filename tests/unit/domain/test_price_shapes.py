"""One history, written in every shape that people have: read back the same, or refused with the remedy."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import cycle, islice, product

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickercast.domain.bars import Reading
from tickercast.domain.calendar import holidays_known_until, session_days
from tickercast.domain.files import price_rows
from tickercast.domain.files.price_files import WHOLE, Window, read_frame, read_prices
from tickercast.domain.files.refusals import refusals
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.errors import CalendarError, InvalidBars

DAYS = session_days("MSFT", np.datetime64("2023-03-01"), np.datetime64("2023-07-21"))
ORDER = ["Open", "High", "Low", "Close", "Volume"]


def history(seed: int, days: Sequence[np.datetime64] = DAYS, level: float = 100.0) -> pd.DataFrame:
    """A walk with prices of two decimals."""
    random = np.random.default_rng(seed)
    close = np.round(level * np.exp(np.cumsum(random.normal(0, 0.01, len(days)))), 2)
    opened = np.round(close * np.exp(random.normal(0, 0.004, len(days))), 2)
    table = {"Open": opened, "High": np.round(np.maximum(opened, close) * 1.01, 2)}
    table |= {"Low": np.round(np.minimum(opened, close) * 0.99, 2), "Close": close}
    table |= {"Volume": random.integers(1_000_000, 9_000_000, len(days))}
    return pd.DataFrame(table, index=pd.DatetimeIndex(days, name="Date"))


DATES: dict[str, Callable[[pd.Timestamp], str]] = {
    "ISO": lambda day: f"{day:%Y-%m-%d}",
    "compact": lambda day: f"{day:%Y%m%d}",
    "dots": lambda day: f"{day:%Y.%m.%d}",
    "American": lambda day: f"{day:%m/%d/%Y}",
    "European": lambda day: f"{day:%d.%m.%Y}",
    "British": lambda day: f"{day:%d/%m/%y}",
    "words": lambda day: f"{day:%b %d, %Y}",
    "NSE": lambda day: f"{day:%d-%b-%Y}".upper(),
    "midnight": lambda day: f"{day:%Y-%m-%d} 00:00:00-04:00",
    "in UTC": lambda day: f"{day.tz_localize('America/New_York').tz_convert('UTC'):%Y-%m-%dT%H:%M:%SZ}",
    "with hour": lambda day: f"{day:%Y%m%d%H}",
    "with minute": lambda day: f"{day:%Y%m%d%H%M}",
    "with second": lambda day: f"{day:%Y%m%d%H%M%S}",
    "seconds": lambda day: str(int(day.timestamp())),
    "milliseconds": lambda day: str(int(day.timestamp() * 1000)),
    "microseconds": lambda day: str(int(day.timestamp() * 1_000_000)),
}
NUMBERS: dict[str, Callable[[float], str]] = {
    "plain": str,
    "thousands": lambda value: f"{value:,}",
    "dollars": lambda value: f"${value:,}",
    "comma": lambda value: f"{value:,}".translate(str.maketrans(",.", ".,")),
    "Swiss": lambda value: f"{value:,}".replace(",", "'"),
}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "with a mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "CR LF": lambda text: text.replace("\n", "\r\n").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zip": lambda text: _zipped({"bars.csv": text.encode()}),
}
LAYOUTS = (
    "one symbol",
    "unnamed dates",
    "a column",
    "stacked",
    "stacked by ticker",
    "pairs",
    "R",
    "comment",
    "trailing",
)


def _zipped(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()


def _tar_gz(name: str, data: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


def _feather(bars: pd.DataFrame) -> bytes:
    whole = io.BytesIO()
    bars.to_feather(whole)
    return whole.getvalue()


def written(bars: pd.DataFrame, layout: str, dates: str, numbers: str, mark: str) -> str:
    """A CSV of one history."""
    cells = bars.map(lambda value: NUMBERS[numbers](value.item() if hasattr(value, "item") else value))
    cells["Volume"] = cells["Volume"].str.removeprefix("$")
    cells.index = pd.Index([DATES[dates](day) for day in bars.index], name="Date")
    names = list(cells)
    match layout:
        case "unnamed dates":
            cells.index.name = None
        case "a column":
            cells["Ticker"] = "MSFT"
        case "stacked":
            cells.columns = pd.MultiIndex.from_product([names, ["MSFT"]], names=["Price", "Ticker"])
        case "stacked by ticker":
            cells.columns = pd.MultiIndex.from_product([["MSFT"], names], names=["Ticker", "Price"])
        case "pairs":
            cells.columns = pd.Index([str((name, "MSFT")) for name in names])
        case "R":
            cells.columns = pd.Index([f"MSFT.{name}" for name in names])
    text = str(cells.to_csv(sep=mark))
    if layout == "comment":
        text = "https://www.example.org/data\n" + text + "Source: somewhere\n"
    if layout == "trailing":
        head, _, rows = text.partition("\n")
        text = head + "\n" + rows.replace("\n", f"{mark}\n")
    return text


def assert_same(reading: Reading, bars: pd.DataFrame, symbol: str = "MSFT") -> None:
    assert not reading.failures
    found = reading.bars[symbol]
    assert found.columns["session_date"].tolist() == [day.date() for day in bars.index]
    for name in ORDER:
        np.testing.assert_allclose(found.columns[name.lower()], bars[name].to_numpy(float), rtol=1e-12)


CELLS = [shape for shape in product(NUMBERS, ",;\t|") if shape != ("comma", ",")]
DRAWN = 4
"""With so many a layout and spelling of dates, each of these meets each of CELLS."""


def drawn(layout: int, dates: int) -> list[tuple[str, str]]:
    """Spellings of numbers, each with a separator."""
    return [CELLS[(DRAWN * layout + dates + more) % len(CELLS)] for more in range(DRAWN)]


def test_each_layout_and_each_spelling_of_dates_meets_each_of_numbers_and_each_separator() -> None:
    for dates in range(len(DATES)):
        assert {pair for layout in range(len(LAYOUTS)) for pair in drawn(layout, dates)} == {*CELLS}
    for layout in range(len(LAYOUTS)):
        assert {pair for dates in range(len(DATES)) for pair in drawn(layout, dates)} == {*CELLS}


@pytest.mark.slow
@pytest.mark.parametrize(("at", "dates"), list(product(range(len(LAYOUTS)), DATES)))
def test_one_history_is_read_the_same_in_every_shape(at: int, dates: str) -> None:
    bars, number = history(1, level=1500.0), list(DATES).index(dates)
    encodings = islice(cycle(ENCODINGS.values()), at + number, None)
    for (numbers, mark), encode in zip(drawn(at, number), encodings, strict=False):
        assert_same(read_prices(encode(written(bars, LAYOUTS[at], dates, numbers, mark)), symbol="MSFT"), bars)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(0, 1000),
    st.sampled_from(LAYOUTS),
    st.sampled_from(sorted(DATES)),
    st.sampled_from(sorted(NUMBERS)),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(",;\t|"),
    st.sampled_from(["oldest first", "newest first", "shuffled"]),
    st.floats(0.5, 50_000),
    st.permutations(ORDER),
)
def test_any_history_is_read_back(
    seed: int,
    layout: str,
    dates: str,
    numbers: str,
    encoding: str,
    mark: str,
    order: str,
    level: float,
    names: list[str],
) -> None:
    bars = history(seed, level=max(level, 5.0))
    rows = bars[names]
    rows = {"oldest first": rows, "newest first": rows[::-1], "shuffled": rows.sample(frac=1, random_state=seed)}[order]
    if numbers == "comma" and mark == ",":
        mark = ";"
    assert_same(read_prices(ENCODINGS[encoding](written(rows, layout, dates, numbers, mark)), symbol="MSFT"), bars)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
@pytest.mark.parametrize("layout", ["one symbol", "many tickers", "tickers first", "texts"])
def test_parquet_is_read_the_same_in_every_shape(unit: str, zone: str | None, layout: str) -> None:
    bars = history(2)
    made = bars.copy()
    made.index = bars.index.tz_localize(zone).as_unit(unit) if zone else bars.index.as_unit(unit)
    if layout == "many tickers":
        made.columns = pd.Index([str((name, "MSFT")) for name in made])
    elif layout == "tickers first":
        made.columns = pd.Index([str(("MSFT", name)) for name in made])
    elif layout == "texts":
        made = made.astype(str)
    data = io.BytesIO()
    made.to_parquet(data)
    assert_same(read_prices(data.getvalue(), symbol="MSFT"), bars)
    if layout != "tickers first":
        assert_same(read_frame(made.reset_index(), symbol="MSFT"), bars)


@pytest.mark.parametrize("swapped", [False, True])
def test_several_tickers_are_read_from_titles_in_either_order(swapped: bool) -> None:
    first, second = history(1), history(2)[5:]
    wide = pd.concat({"MSFT": first, "META": second}, axis="columns", names=["Ticker", "Price"], sort=True)
    text = (wide if swapped else wide.swaplevel(axis="columns")).to_csv()
    reading = read_prices(text.encode())
    assert_same(reading, first)
    assert_same(reading, second, "META")
    assert not reading.findings


FIELDS = ["Open", "High", "Low", "Close", "Volume"]


def titled(layout: str, tickers: Sequence[str], volume: str = "Volume") -> bytes:
    """One bar a ticker, whose titles stand in one row or in two."""
    pairs = [(field, ticker) for ticker in tickers for field in [*FIELDS[:4], volume]]
    bar = ",".join(["2023-07-21", *["9,12,8,11,4.5"] * len(tickers)])
    if layout.startswith("rows"):
        rows = [",".join(words) for words in zip(("", ""), *pairs, strict=True)]
        return "\n".join([*(rows if layout == "rows" else rows[::-1]), "Date" + "," * len(pairs), bar]).encode()
    titles = [f'"{layout.format(field=field, ticker=ticker)}"' for field, ticker in pairs]
    return "\n".join([",".join(["Date", *titles]), bar]).encode()


OF_TICKERS = ["rows", "rows, tickers first", "('{field}', '{ticker}')", "{ticker}.{field}", "{ticker}_{field}"]


@pytest.mark.parametrize("layout", ["{field} ({ticker})", "{field} [{ticker}]", "{field}({ticker})"])
def test_a_ticker_in_brackets_is_one(layout: str) -> None:
    reading = read_prices(titled(layout, ["MSFT", "META"]))
    assert [reading[name].columns["volume"].tolist() for name in ("MSFT", "META")] == [[4.5], [4.5]]
    alone = titled(layout, ["MSFT"])
    assert list(read_prices(alone, symbol="prices")) == ["MSFT"]
    with pytest.raises(InvalidBars, match="named META, or that was given for it, and its header says MSFT"):
        read_prices(alone, symbol="META")
    scaled = alone.replace(layout.format(field="Volume", ticker="MSFT").encode(), b"Volume (K)")
    assert read_prices(scaled)["MSFT"].columns["volume"].tolist() == [4500]


@pytest.mark.parametrize("layout", [*OF_TICKERS, "{field} {ticker}", "{field}_{ticker}", "{field} ({ticker})"])
def test_the_volumes_of_tickers_have_the_unit_of_their_titles(layout: str) -> None:
    short = read_prices(titled(layout, ["MSFT", "META"], "Vol."))
    assert [short[name].columns["volume"].tolist() for name in ("MSFT", "META")] == [[4.5], [4.5]]
    reading = read_prices(titled(layout, ["MSFT", "META"], "Volume (K)"))
    assert [reading[name].columns["volume"].tolist() for name in ("MSFT", "META")] == [[4500], [4500]]
    assert not reading.findings
    unread = read_prices(titled(layout, ["MSFT", "META"], "Volume (PLN)"))
    for name in ("MSFT", "META"):
        assert np.isnan(unread[name].columns["volume"]).all()
        said = f"volume: the column Volume (PLN) of {name} was left out, since its unit is not known to be shares"
        assert [str(one) for one in unread.findings[name]] == [said]


def test_a_volume_that_is_left_out_is_said_of_its_ticker_alone() -> None:
    text = titled("{ticker}.{field}", ["MSFT", "META"]).replace(b"META.Volume", b"META.Volume ($)")
    reading = read_prices(text)
    assert list(reading.findings) == ["META"]
    assert reading["MSFT"].columns["volume"].tolist() == [4.5]


@pytest.mark.parametrize("layout", OF_TICKERS)
@pytest.mark.parametrize("ticker", ["NOK", "COP"])
def test_the_code_of_a_currency_in_the_place_of_a_ticker_is_one(layout: str, ticker: str) -> None:
    reading = read_prices(titled(layout, [ticker]), symbol="prices")
    assert reading[ticker].columns["volume"].tolist() == [4.5]
    assert not reading.findings


@pytest.mark.parametrize("layout", ["{field} ({ticker})", "{field} {ticker}", "{field}_{ticker}", "{ticker} {field}"])
def test_the_code_of_a_currency_beside_a_title_is_one_of_money(layout: str) -> None:
    reading = read_prices(titled(layout, ["TRY"]), symbol="MSFT")
    assert np.isnan(reading["MSFT"].columns["volume"]).all()
    [said] = map(str, reading.findings["MSFT"])
    assert f"column {layout.format(field='Volume', ticker='TRY')} was left out" in said


def test_klines_without_a_header_are_read() -> None:
    days = np.arange(np.datetime64("2023-02-01"), np.datetime64("2023-07-22"))
    bars = history(3, days)
    for scale in (1000, 1_000_000):
        opened = [int(day.timestamp() * scale) for day in bars.index]
        more = pd.DataFrame({"closed": opened, "quote": 1.0, "trades": 10, "a": 1.0, "b": 1.0, "ignore": 0})
        rows = pd.concat([pd.Series(opened), bars.reset_index(drop=True), more], axis="columns")
        text = rows.to_csv(header=False, index=False)
        assert_same(read_prices(text.encode(), symbol="BTC-USD"), bars, "BTC-USD")


def test_metatrader_has_tick_volume_and_none_other() -> None:
    bars = history(4)
    rows = bars.rename(columns=lambda name: f"<{name.upper()}>" if name != "Volume" else "<TICKVOL>")
    rows = rows.assign(**{"<VOL>": 0, "<SPREAD>": 3}).rename_axis("<DATE>")
    assert_same(read_prices(rows.to_csv(sep="\t", date_format="%Y.%m.%d").encode(), symbol="MSFT"), bars)


def test_volumes_may_be_in_thousands_and_millions() -> None:
    text = b"Date,Price,Open,High,Low,Vol.\n07/20/2023,11,10,12,9,4.95M\n07/21/2023,11,10,12,9,12K\n"
    assert read_prices(text, symbol="MSFT").bars["MSFT"].columns["volume"].tolist() == [4_950_000, 12_000]


def thousands(change: str, rows: str) -> list[float]:
    """The opens and the last close of a file with a column of changes in percent."""
    text = "Date;Open;High;Low;Close;Change %\n" + "".join(f"{row};{change}\n" for row in rows.split())
    columns = read_prices(text.encode(), symbol="^DJI").bars["^DJI"].columns
    return [*columns["open"].tolist(), float(columns["close"][-1])]


@pytest.mark.parametrize(("change", "times"), [("-0,53%", 1000), ("-0.53%", 1), ("-0,53", 1000), (" 1,2 %", 1000)])
def test_another_column_shows_what_a_point_is_where_prices_do_not(change: str, times: int) -> None:
    assert thousands(change, "21.07.2023;13.352;13.380;12.889;13.061") == [13.352 * times, 13.061 * times]
    assert thousands(change, "2023-07-21;13,352;13,380;12,889;13,061") == [13352 / times, 13061 / times]


@pytest.mark.parametrize(
    "text",
    [
        "Date;Open;High;Low;Close\n2023-07-21;139.123;139.380;138.889;139.061\n",
        "Date,Open,High,Low,Close\n21.07.2023,139.123,139.380,138.889,139.061\n",
        "Date;Open;High;Low;Close\n21.07.2023;139.123;139.380;138.889;139.0610\n",
        "Date;Open;High;Low;Close;Change\n21.07.2023;139.123;139.380;138.889;139.061;0.125\n",
    ],
)
def test_prices_of_three_decimals_are_read_where_no_point_can_separate_thousands(text: str) -> None:
    assert read_prices(text.encode(), symbol="JPY=X").bars["JPY=X"].columns["open"].tolist() == [139.123]


def in_points(value: float) -> str:
    return f"{value:,.0f}".replace(",", ".")


SMALL = history(1).assign(Volume=(history(1)["Volume"] // 20).where(lambda volume: volume % 7 > 0, 950))


@pytest.mark.parametrize("mark", [",", ";"])
@pytest.mark.parametrize("dates", ["ISO", "European"])
@pytest.mark.parametrize("bars", [history(1), history(1, level=3000.0), SMALL], ids=["large", "dear", "small"])
@pytest.mark.parametrize("price", [str, lambda value: f"{value:.4f}", NUMBERS["comma"]], ids=["two", "four", "comma"])
def test_volumes_may_have_thousands_points_beside_prices_of_any_kind(
    mark: str, dates: str, bars: pd.DataFrame, price: Callable[[float], str]
) -> None:
    cells = bars.map(lambda value: price(value)).assign(Volume=bars["Volume"].map(in_points))
    cells.index = pd.Index([DATES[dates](day) for day in bars.index], name="Date")
    assert_same(read_prices(cells.to_csv(sep=mark, quoting=1).encode(), symbol="MSFT"), bars)
    if price is not NUMBERS["comma"]:
        assert_same(read_prices(cells.to_csv(sep=mark).encode(), symbol="MSFT"), bars)


@pytest.mark.parametrize("symbol", ["MSFT", "BTC-USD"])
def test_three_decimals_of_volumes_are_none_of_shares_and_some_of_coins(symbol: str) -> None:
    days = np.arange(DAYS[-1] - 60, DAYS[-1] + 1) if symbol == "BTC-USD" else DAYS
    bars = history(2, days).assign(Volume=lambda rows: rows["Volume"] // 20)
    cells = bars.assign(Volume=bars["Volume"].map(in_points))
    volume = bars["Volume"] / (1 if symbol == "MSFT" else 1000)
    for mark in ",;":
        assert_same(read_prices(cells.to_csv(sep=mark).encode(), symbol=symbol), bars.assign(Volume=volume), symbol)
    in_thousands = cells.rename(columns={"Volume": "Volume (M)"}).to_csv().encode()
    assert_same(read_prices(in_thousands, symbol=symbol), bars.assign(Volume=bars["Volume"] * 1000), symbol)


def test_commas_in_volumes_of_shares_are_of_thousands() -> None:
    bars = SMALL.assign(Volume=SMALL["Volume"] // 10)
    text = bars.assign(Volume=bars["Volume"].map("{:,}".format)).to_csv(quoting=1)
    assert_same(read_prices(text.encode(), symbol="MSFT"), bars)


def test_few_volumes_that_happen_to_have_three_decimals_keep_them() -> None:
    assert only(TITLED + BAR.replace("4.5", "278.125"))["volume"] == 278.125
    fractions = history(1).assign(Volume=np.arange(len(DAYS)) / 8)
    assert_same(read_prices(csv(fractions), symbol="MSFT"), fractions)


def test_prices_of_three_decimals_beside_volumes_with_thousands_points_are_refused() -> None:
    row = "349.150;350.300;339.830;343.770;69.368.900"
    assert "decimal point or a thousands point" in reason(f"{TITLED.replace(',', ';')}2023-07-21;{row}\n".encode())
    assert only(f"{TITLED.replace(',', ';')}21.07.2023;{row}\n")["close"] == 343_770
    found = only(f"{TITLED.replace(',', ';').rstrip()};Change\n2023-07-21;{row};-0,53\n")
    assert found["close"] == 343_770


def test_swiss_thousands_that_are_no_32nds_are_read() -> None:
    text = b"Date,Open,High,Low,Close\n2023-07-21,11'140,11'345,11'020,11'080\n"
    assert read_prices(text, symbol="^SSMI").bars["^SSMI"].columns["open"].tolist() == [11140]


@pytest.mark.parametrize("cell", ["1.2K", "3m", "e5", ".e5", "1e", "+", "1.2.3", "1,2,3", "'", "1'", "5KK", "$"])
@pytest.mark.parametrize(("column", "mark"), [("Close", ","), ("Adj Close", ";"), ("Volume", ",")])
def test_an_odd_cell_sinks_no_other_symbol(cell: str, column: str, mark: str) -> None:
    both = pd.concat([history(1)[-2:].assign(Symbol="MSFT"), history(2)[-2:].assign(Symbol="META")])
    both = both.assign(**{"Adj Close": both["Close"]}).astype(str)
    both.iloc[0, both.columns.get_loc(column)] = cell
    reading = read_prices(csv(both, sep=mark))
    assert len(reading.bars["META"]) == 2
    if not (column == "Volume" and cell[0].isdigit() and cell[-1] in "Km"):
        kind = "volume" if column == "Volume" else "price"
        assert f"{column} {cell!r} of {DAYS[-2]} is not a {kind}" in str(reading.failures["MSFT"])


def test_the_midnights_of_tokyo_are_its_own_days_in_whatever_zone() -> None:
    days = session_days("7203.T", np.datetime64("2023-03-01"), np.datetime64("2023-07-21"))
    bars = history(5, days)
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        made = bars.set_axis(bars.index.tz_localize("Asia/Tokyo").tz_convert(zone).rename("Date"))
        assert_same(read_prices(made.to_csv().encode(), symbol="7203.T"), bars, "7203.T")


TITLED = "Date,Open,High,Low,Close,Volume\n"
BAR = "2023-07-21,9,12,8,11,4.5\n"


def only(text: str, symbol: str = "MSFT", frequency: Frequency = DAILY) -> dict[str, object]:
    """The last bar of a file of one symbol, each value by its column."""
    reading = read_prices(text.encode(), symbol=symbol, frequency=frequency)
    assert not reading.failures
    return {name: column[-1] for name, column in reading.bars[symbol].columns.items()}


@pytest.mark.parametrize(
    ("unit", "shares"),
    [
        ("Volume (M)", 4_500_000),
        ("Volume [M]", 4_500_000),
        ("Volume mln", 4_500_000),
        ("Vol. (mil)", 4_500_000),
        ("Volume in millions", 4_500_000),
        ("Volume (000)", 4500),
        ("Volume ('000s)", 4500),
        ("Volume (in thousands)", 4500),
        ("Shares Traded (000)", 4500),
        ("Volume BTC", 4.5),
        ("Volume (shares)", 4.5),
        ("Number of Shares", 4.5),
        ("Volume ($)", np.nan),
        ("Volume (USD m)", np.nan),
        ("Volume (lots)", np.nan),
        ('"Volume (10,000)"', 45_000),
        ("Volume (10K)", 45_000),
        ("Volume (10 thousand)", 45_000),
        ('"Volume (0,000)"', 45_000),
        ("Volume (in lacs)", 450_000),
        ("Volume (No. of shares)", 4.5),
        ("Volume (Stück)", 4.5),
        ("Volume_(BTC)", 4.5),
        ("volume_btc", 4.5),
        ("Volume (Rs. Cr.)", np.nan),
        ("Volume (mln PLN)", np.nan),
        ("Volume (SEK)", np.nan),
        ("Volume (MUSD)", np.nan),
        ("Volume (Euro)", np.nan),
        ("Volume (zł)", np.nan),
        ("VOLUME (YEN)", np.nan),
        ("Volume Money", np.nan),
        ("Volume (20)", np.nan),
        ("Shares Traded (PLN)", np.nan),
    ],
)
@pytest.mark.parametrize("cell", ["4.5", "4.50 "])
def test_a_volume_has_the_unit_of_its_title(unit: str, shares: float, cell: str) -> None:
    found = only(TITLED.replace("Volume", unit) + BAR.replace("4.5", cell))
    np.testing.assert_equal(found["volume"], shares)


def test_a_unit_in_the_cells_counts_and_not_that_of_the_title() -> None:
    assert only(TITLED.replace("Volume", "Volume (M)") + BAR.replace("4.5", "4.5K"))["volume"] == 4500


@pytest.mark.parametrize(("title", "cell"), [("Volume (zł)", "4.5"), ("Volume", "$4.5"), ("Volume", "4.5 EUR")])
def test_a_volume_that_is_no_shares_is_left_out_and_said(title: str, cell: str) -> None:
    reading = read_prices((TITLED.replace("Volume", title) + BAR.replace("4.5", cell)).encode(), symbol="MSFT")
    assert np.isnan(reading.bars["MSFT"].columns["volume"]).all()
    [said] = map(str, reading.findings["MSFT"])
    assert said == f"volume: the column {title} was left out, since its unit is not known to be shares"


def test_a_volume_of_shares_beside_one_of_money_is_read_without_a_word() -> None:
    text = "Date,Open,High,Low,Close,Volume BTC,Volume USDT\n2023-07-21,9,12,8,11,4.5,49.5\n"
    reading = read_prices(text.encode(), symbol="MSFT")
    assert (reading["MSFT"].columns["volume"][-1], reading.findings) == (4.5, {})


@pytest.mark.parametrize(
    ("symbol", "titles"),
    [
        *(("MSFT", title) for title in ("Volume MSFT", "Volume (MSFT)", "volume_msft", "MSFT Volume", "MSFT.Volume")),
        *((symbol, f"Volume {symbol}") for symbol in ("BRK-B", "VOD.L", "600519.SS", "^GSPC", "1INCH-USD")),
        ("BRK-B", "Volume BRK.B"),
        ("MSFT", "Volume MSFT,Volume USD"),
        ("SAND-USD", "VOLUME SAND,VOLUME USDT"),
        ("ETHBTC", "Volume ETH,Volume BTC"),
        ("BTCUSDT", "base_volume,quote_volume"),
    ],
)
def test_a_volume_beside_its_symbol_is_one_of_units(symbol: str, titles: str) -> None:
    for order in (1, -1):
        head, cells = ",".join(titles.split(",")[::order]), ",".join(["4.5", "49.5"][: titles.count(",") + 1][::order])
        reading = read_prices(f"{TITLED.replace('Volume', head)}2023-07-21,9,12,8,11,{cells}\n".encode(), symbol=symbol)
        assert (reading[symbol].columns["volume"].tolist(), reading.findings) == ([4.5], {})


def test_the_volume_of_a_share_class_is_none_in_billions() -> None:
    text = "Date,Symbol,Open,High,Low,Close,Volume BRK-B\n2023-07-21,BRK-B,9,12,8,11,4.5\n"
    assert read_prices(text.encode())["BRK-B"].columns["volume"].tolist() == [4.5]


@pytest.mark.parametrize(
    "title", ["Volume USD MSFT", "Quote Volume", "quote_asset_volume", "Dollar Volume", "Turnover"]
)
def test_a_volume_of_money_alone_is_said(title: str) -> None:
    reading = read_prices((TITLED.replace("Volume", title) + BAR).encode(), symbol="MSFT")
    assert np.isnan(reading["MSFT"].columns["volume"]).all()
    assert f"the column {title} was left out" in str(reading.findings["MSFT"][0])


@pytest.mark.parametrize(
    ("ticker", "titles", "volume", "unread"),
    [
        ("MSFT", "Volume", 4.5, ""),
        ("MSFT", "Volume USD MSFT", np.nan, "Volume USD of MSFT"),
        ("MSFT", "Volume_USD_MSFT", np.nan, "Volume_USD of MSFT"),
        ("MSFT", "Volume USD", np.nan, "Volume USD of MSFT"),
        ("MSFT", "Turnover MSFT", np.nan, "Turnover of MSFT"),
        ("MSFT", "Volume MSFT,Volume USD MSFT", 4.5, ""),
        ("BTC-USD", "Volume BTC,Volume USD", 4.5, ""),
        ("BTC-USD", "Volume BTC BTC-USD,Volume USD BTC-USD", 4.5, ""),
    ],
)
def test_beside_prices_with_a_ticker_no_volume_is_left_out_without_a_word(
    ticker: str, titles: str, volume: float, unread: str
) -> None:
    head = ",".join(["Date", *(f"{field} {ticker}" for field in FIELDS[:4]), titles])
    reading = read_prices(f"{head}\n2023-07-21,9,12,8,11,4.5{',49.5' * titles.count(',')}\n".encode())
    np.testing.assert_equal(reading[ticker].columns["volume"].tolist(), [volume])
    assert [unread in str(each) for each in reading.findings.get(ticker, [])] == [True] * bool(unread)


@pytest.mark.parametrize(
    ("price", "volume", "read"),
    [
        ("345,67\N{NO-BREAK SPACE}€", "20", (345.67, 20)),
        ("R$ 345,67", "2,5 Mio.", (345.67, 2_500_000)),
        ("US$345.67", "2.5\N{NO-BREAK SPACE}M", (345.67, 2_500_000)),
        ("₩ 345.67", "2.5Mn", (345.67, 2_500_000)),
        ("345.67 USD", "2.5Cr", (345.67, 25_000_000)),
        ("Rs. 345.67", "2.5 lakh", (345.67, 250_000)),
        ("1\N{THIN SPACE}345.67", "2\N{FIGURE SPACE}345\N{FIGURE SPACE}678", (1345.67, 2_345_678)),
        ("3,45,680.25", "2,57,83,107", (345_680.25, 25_783_107)),
    ],
)
def test_signs_and_groups_of_many_places_are_read(price: str, volume: str, read: tuple[float, float]) -> None:
    found = only(TITLED.replace(",", ";") + f"2023-07-21;{price};{price};{price};{price};{volume}\n")
    assert (found["close"], found["volume"]) == read


@pytest.mark.parametrize("cell", ["#N/A N/A", "N.A.", "n.a.", "\\N", "–"])
def test_what_vendors_write_for_nothing_is_nothing(cell: str) -> None:
    rows = "".join(f"{day},9,12,8,11,{cell}\n" for day in ("2023-07-20", "2023-07-21"))
    reading = read_prices((TITLED + rows + f"2023-07-24,{cell},{cell},{cell},{cell},\n").encode(), symbol="MSFT")
    assert reading["MSFT"].cutoff == date(2023, 7, 21)


@pytest.mark.parametrize(
    ("titles", "row"),
    [
        ("Date;Open;High;Low;Last;Close", "2023-07-21;9;12;8;10;11"),
        ("Date;Open Price;High Price;Low Price;Last Price;Close Price", "2023-07-21;9;12;8;10;11"),
        ("Exchange Date;Price Open;Price High;Price Low;Price Close", "21-Jul-2023;9;12;8;11"),
        ("timestamp;datetime;Open;High;Low;Close", "1689897600000;2023-07-21T00:00:00.000Z;9;12;8;11"),
        ("Day;Date;Open;High;Low;Close", "Fri;2023-07-21;9;12;8;11"),
        ("Unnamed: 0.1;Unnamed: 0;Date;Open;High;Low;Close", "7;7;2023-07-21;9;12;8;11"),
    ],
)
def test_the_plainer_of_two_titles_counts(titles: str, row: str) -> None:
    found = only(f"{titles}\n{row}\n")
    assert (found["session_date"], found["close"]) == (np.datetime64("2023-07-21"), 11)


@pytest.mark.parametrize(
    ("file", "titles", "row", "symbol"),
    [
        ("batch", "Code,Name", "F,FORD", "F"),
        ("batch", "Name", "FORD", "FORD"),
        ("F", "Name", "FORD", "F"),
        ("MSFT", "NAME", "MICROSOFT CORP", "MSFT"),
        ("VOD.L", "Name", "VOD", "VOD.L"),
        ("MSFT.US", "Ticker", "MSFT.US", "MSFT"),
        ("msft.us", "Ticker", "MSFT", "MSFT"),
        ("700.HK", "Ticker", "00700.HK", "0700.HK"),
        ("00700.HK", "Name", "TENCENT", "0700.HK"),
        ("BTCUSDT-1d-2023-07", "Ticker", "BTCUSDT", "BTCUSDT"),
    ],
)
def test_a_file_has_the_symbol_of_its_code_or_name_in_yahoos_spelling(
    file: str, titles: str, row: str, symbol: str
) -> None:
    text = f"Date,{titles},Open,High,Low,Close\n2023-07-22,{row},9,12,8,11\n"
    assert [*(reading := read_prices(text.encode(), symbol=file)), *reading.failures] == [symbol]


def test_names_of_companies_alone_are_no_symbols_of_a_batch() -> None:
    text = b"Date,Name,Open,High,Low,Close\n2023-07-21,Apple,9,12,8,11\n2023-07-21,Microsoft,9,12,8,11\n"
    with pytest.raises(InvalidBars, match="no column Symbol"):
        read_prices(text, symbol="batch-0001")


@pytest.mark.parametrize(
    "head",
    [
        "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME\n",
        *(f"Date,Open ({unit}),High ({unit}),Low ({unit}),Latest ({unit}),Volume\n" for unit in ("GBX", "BTC", "Adj")),
        "Date,Open USD,High USD,Low USD,Close USD,Volume\n",
        TITLED + ",USD,USD,USD,USD,shares\n",
        "Date,USD_Open,USD_High,USD_Low,USD_Close,Volume\n",
        TITLED + ",$,$,$,$,#\n",
        TITLED + "datetime64[ns],float64,float64,float64,float64,float64\n",
        "Currency,USD,USD,USD,USD,\n" + TITLED,
        "[MSFT] daily prices\n" + TITLED,
    ],
)
def test_a_word_beside_the_titles_that_is_no_ticker_is_passed_over(head: str) -> None:
    assert {name: only(head + BAR)[name] for name in ("open", "close", "volume")} == {
        "open": 9,
        "close": 11,
        "volume": 4.5,
    }


def test_a_row_of_units_says_that_of_the_volumes() -> None:
    assert only(TITLED + ",USD,USD,USD,USD,thousands\n" + BAR)["volume"] == 4500


@pytest.mark.parametrize(("name", "symbol"), [("BTC-USD", "BTC-USD"), ("Bitcoin_2021", None)])
def test_a_name_that_is_a_number_is_no_symbol(name: str, symbol: str | None) -> None:
    text = (TITLED.replace("Volume", "Name") + BAR.replace("4.5", "2781")).encode()
    if symbol:
        assert list(read_prices(text, symbol=name).bars) == [symbol]
    else:
        with pytest.raises(InvalidBars, match="no column Symbol"):
            read_prices(text, symbol=name)


# Times.


@pytest.mark.parametrize("form", ["%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S"])
def test_digits_may_be_a_date_with_its_time(form: str) -> None:
    bars = history(1)
    assert_same(read_prices(csv(bars, date_format=form), symbol="MSFT"), bars)


@pytest.mark.parametrize("times", [1, 1000, 10**9])
def test_numbers_since_1970_are_read_before_it_and_just_after(times: int) -> None:
    days = session_days("MSFT", np.datetime64("1967-06-01"), np.datetime64("1981-12-31"))
    bars = history(1, days)
    since = (bars.index.astype("datetime64[s]").astype(np.int64) * times).rename("Date")
    assert_same(read_prices(csv(bars.set_axis(since)), symbol="MSFT"), bars)


@pytest.mark.parametrize(
    ("day", "clock"),
    [
        ("2023-07-21 23:59:59", "23:59:59"),
        ("2023-07-21 12:00", "12:00"),
        ("1689940800", "12:00"),
        ("1689897600", "16:00"),
        ("2023-07-21", "24:00"),
        ("2023-07-21", "99:99"),
        ("2023-07-21", "16:00-04:00"),
        ("2023-07-21", "after the close"),
        ("2023-07-21", ""),
    ],
)
@pytest.mark.parametrize("symbol", ["MSFT", "BTC-USD"])
def test_no_time_beside_a_date_moves_a_daily_bar(day: str, clock: str, symbol: str) -> None:
    assert only(f"date,time,open,high,low,close\n{day},{clock},9,12,8,11\n", symbol)["session_date"] == date(
        2023, 7, 21
    )


HOURS_AND_TIMES = [
    ("2023-06-01", "13:00", 14),
    ("2023-06-01", "01:00 PM", 14),
    ("2023-06-01", "1 pm", 14),
    ("2023-06-01", "12:00 AM", 1),
    ("2023-06-01", "13:00+02:00", 12),
    ("2023-06-01", "13:00Z", 14),
    ("2023-06-01", "13", 14),
    ("2023-06-01", "1300", 14),
    ("2023-06-01", "130000", 14),
    ("2023-05-31", "24:00", 1),
    ("2023-06-01 13:00", "13:00", 14),
    ("1685624400", "15:00", 14),
]


@pytest.mark.parametrize(("day", "clock", "end"), HOURS_AND_TIMES)
def test_an_hour_is_read_from_a_time_beside_the_date(day: str, clock: str, end: int) -> None:
    found = only(f"date,time,open,high,low,close\n{day},{clock},9,12,8,11\n", "BTCUSDT", HOURLY)
    assert found["closed_at"] == datetime(2023, 6, 1, end)


@pytest.mark.parametrize("clock", ["25:00", "13:60", "13:00 AM", "13h", "noon", "", "24:01"])
def test_an_hour_without_its_time_is_refused_with_the_cell(clock: str) -> None:
    text = f"date,time,open,high,low,close\n2023-06-01,{clock},9,12,8,11\n"
    refused = read_prices(text.encode(), symbol="BTCUSDT", frequency=HOURLY).failures["BTCUSDT"]
    assert f"date '{('2023-06-01 ' + clock).strip()}' is not a date" in str(refused)


@pytest.mark.parametrize("live", ["2023-07-21T19:59:59Z", "2023-07-21T16:00:01-04:00"])
def test_one_live_bar_makes_no_instants_of_dates(live: str) -> None:
    bars = history(1)
    made = bars.set_axis(pd.Index([f"{day:%Y-%m-%d}T00:00:00Z" for day in bars.index[:-1]] + [live], name="Date"))
    assert_same(read_prices(csv(made), symbol="MSFT"), bars)
    seconds = pd.to_datetime(made.index, utc=True).map(lambda moment: int(moment.timestamp())).rename("Date")
    assert_same(read_prices(csv(bars.set_axis(seconds)), symbol="MSFT"), bars)


def test_midnights_at_the_time_of_day_of_other_bars_are_instants() -> None:
    days = session_days("MSFT", np.datetime64("2023-01-03"), np.datetime64("2023-07-21"))
    bars = history(1, days)
    evenings = (bars.index + pd.Timedelta(hours=20)).tz_localize("America/New_York").tz_convert("UTC")
    assert (evenings.hour == 0).any()
    assert_same(read_prices(csv(bars.set_axis(evenings.rename("Date"))), symbol="MSFT"), bars)


# Refused shapes.


def csv(bars: pd.DataFrame, **options: object) -> bytes:
    return str(bars.to_csv(**options)).encode()  # type: ignore[call-overload]


def reason(data: bytes, symbol: str = "MSFT", window: Window = WHOLE) -> str:
    try:
        reading = read_prices(data, symbol=symbol, window=window)
    except InvalidBars as error:
        return str(error)
    assert not reading.bars
    return "; ".join(map(str, reading.failures.values()))


def hourly() -> bytes:
    rows = history(1).loc[lambda bars: bars.index.repeat(7)]
    hours = np.tile(np.arange(10, 17), len(rows) // 7)
    return csv(rows.set_axis(rows.index + pd.to_timedelta(hours, "h")).rename_axis("Date"))


def in_part_swapped(bars: pd.DataFrame) -> pd.DataFrame:
    """Dates as pandas reads 03/07/2023 and 21/07/2023."""
    texts = [f"{day:%Y-%d-%m %H:%M}" if day.day <= 12 else f"{day:%Y-%m-%d %H:%M}" for day in bars.index]
    return bars.set_axis(pd.Index(texts, name="Date"))


def swapped(first: str) -> bytes:
    days = session_days("MSFT", np.datetime64(first), np.datetime64("2023-07-21"))
    return csv(in_part_swapped(history(1, days)))


def weekly() -> bytes:
    return csv(history(1, np.arange(np.datetime64("2022-01-07"), np.datetime64("2023-07-22"), 7)))


def shifted() -> bytes:
    bars = history(1)
    return csv(bars.set_axis((bars.index - pd.Timedelta(days=1)).rename("Date")))


def changed(row: int, factor: float) -> bytes:
    bars = history(1)
    bars.iloc[row, :4] *= factor
    return csv(bars)


def split(ratio: float) -> bytes:
    bars = history(1)
    bars.iloc[:50, :4] *= ratio
    return csv(bars)


REFUSED: dict[str, tuple[Callable[[], bytes], Sequence[str]]] = {
    "hourly": (hourly, ["up to 7 bars a day", "an hour apart", "daily bars"]),
    "weekly": (weekly, ["one bar a week", "daily bars"]),
    "monthly": (lambda: csv(history(1).resample("MS").first()), ["one bar a month", "daily bars"]),
    "swapped": (lambda: swapped("2022-01-01"), ["where it had closed", "day and month are swapped there"]),
    "swapped in a short file": (lambda: swapped("2023-05-15"), ["was closed", "day and month are swapped"]),
    "a day early": (shifted, ["closed", "a day too early"]),
    "crypto's": (
        lambda: csv(history(1, np.arange(np.datetime64("2023-02-01"), np.datetime64("2023-07-22")))),
        ["closed", "crypto", "BTC-USD"],
    ),
    "Tokyo's": (
        lambda: csv(history(1, session_days("7203.T", np.datetime64("2022-01-01"), np.datetime64("2023-07-21")))),
        ["XNYS was closed", "as in 7203.T"],
    ),
    "half missing": (lambda: csv(history(1)[::2]), ["lacks", "sessions"]),
    "pence among pounds": (lambda: changed(60, 100), ["Close", str(DAYS[60]), "100 times", "pence"]),
    "pence, then pounds": (
        lambda: csv(history(1).mul(np.where(np.arange(len(DAYS)) < 80, 100, 1), axis="index").assign(Volume=1)),
        [str(DAYS[80]), "1/100 times", "pence"],
    ),
    "a bad bar at the end": (lambda: changed(-2, 7), [str(DAYS[-2]), "times the closes around it"]),
    "a split": (lambda: split(4.0), [str(DAYS[50]), "4:1", "no adjusted close"]),
    "a small split": (lambda: split(1.5), [str(DAYS[50]), "3:2", "no adjusted close"]),
    "a reverse split": (lambda: split(0.1), [str(DAYS[50]), "1:10", "no adjusted close"]),
    "either order": (
        lambda: csv(history(1).loc["2023-07-03":"2023-07-12"], date_format="%d/%m/%Y"),
        ["day/month or month/day", "YYYY-MM-DD"],
    ),
    "both orders": (
        lambda: b"Date,Open,High,Low,Close\n07/20/2023,1,1,1,1\n21/07/2023,1,1,1,1\n",
        ["'21/07/2023'", "'07/20/2023'", "one order"],
    ),
    "two candidates": (
        lambda: b"Date,Open,High,Low,Close,Close Price\n2023-07-20,1,1,1,1,1\n",
        ["more than one column Close", "Close and Close Price"],
    ),
    "numbered last prices": (
        lambda: b"Date,Open,High,Low,Last,Last.1\n2023-07-20,1,1,1,1,1\n",
        ["more than one column Close", "Last and Last.1"],
    ),
    "numbered titles": (
        lambda: b"Date,Open,High,Low,Close,Open.1,Close.1\n2023-07-20,1,1,1,1,1,1\n",
        ["more than one column Open"],
    ),
    "unquoted thousands": (
        lambda: b"Date,Open,High,Low,Close\n2023-07-20,1,100,1,200,1,100,1,150\n",
        ["has 9 cells", "header has 5"],
    ),
    "another symbol": (lambda: csv(history(1).assign(Ticker="ZZX")), ["named MSFT", "Ticker says ZZX", "ZZX.csv"]),
    "two commas": (
        lambda: b"Date;Open;High;Low;Close\n2023-07-20;1,100;1,200;1,100;1,150\n",
        ["decimal comma or a thousands comma"],
    ),
    "a German sheet by pandas": (
        lambda: TITLED.encode() + b'2023-07-21,"31,741","31,845","30,894","31,252",69368900.0\n',
        ["Open '31,741'", "decimal comma or a thousands comma"],
    ),
    "adjusted by pandas": (
        lambda: TITLED.replace("Volume", "Adj Close").encode() + b'2023-07-21,"1,741","1,845","1,694","1,752",1.75\n',
        ["Open '1,741'", "decimal comma or a thousands comma"],
    ),
    "a sheet with a change by pandas": (
        lambda: TITLED.replace("Volume", "Change").encode() + b'2023-07-21,"1,741","1,845","1,694","1,752",-0.53\n',
        ["Open '1,741'", "decimal comma or a thousands comma"],
    ),
    "commas beside volumes in millions": (
        lambda: TITLED.replace(",", ";").encode() + b"2023-07-21;31,741;31,845;30,894;31,252;20.36M\n",
        ["Open '31,741'", "decimal comma or a thousands comma"],
    ),
    "points beside volumes with a decimal comma": (
        lambda: TITLED.replace(",", ";").encode() + b"2023-07-21;31.741;31.845;30.894;31.252;69368900,0\n",
        ["Open '31.741'", "decimal point or a thousands point"],
    ),
    "two points": (
        lambda: b"Date;Open;High;Low;Close\n21.07.2023;13.352;13.380;12.889;13.061\n",
        ["Open '13.352'", "decimal point or a thousands point", "three decimals with a further 0"],
    ),
    "two points beside volumes without": (
        lambda: b"Date;Open;High;Low;Close;Volume\n21.07.2023;3.352;3.380;2.889;3.061;69368900\n",
        ["Open '3.352'", "decimal point or a thousands point"],
    ),
    "two points in volumes alone": (
        lambda: b"Date;Open;High;Low;Close;Volume\n21.07.2023;3352;3380;2889;3061;7.065\n",
        ["Volume '7.065'", "decimal point or a thousands point"],
    ),
    "32nds": (
        lambda: b"Date,Open,High,Low,Close,Volume\n2023-07-21,118'140,119'270,117'020,117'080,1'234'567\n",
        ['Open "118\'140"', "32nds", "Write the prices with a decimal point"],
    ),
    "prices in thousands": (
        lambda: b"Date,Open,High,Low,Close\n2023-07-21,0.1K,0.1K,0.1K,0.21869K\n",
        ["Open '0.1K'", "is not a price", "a positive number"],
    ),
    "Yahoo's without a header": (
        lambda: csv(history(1)[ORDER[:4]].assign(Adj=history(1)["Close"] - 3, Volume=5000), header=False),
        ["has no header", "column 6", "adjusted or an average price", "first line"],
    ),
    "Kibot's without a header": (
        lambda: b"07/21/2023,349.15,350.3,339.83,343.77,69368900\n",
        ["has no header", "begins with '07/21/2023,349.15,", "such as Date,Open,High,Low,Close,Volume."],
    ),
    "NinjaTrader's without a header": (
        lambda: b"20230721 000000;349.15;350.3;339.83;343.77;69368900\n",
        ["has no header", "such as Date;Open;High;Low;Close;Volume."],
    ),
    "times without a header": (
        lambda: b"07/21/2023\t09:30\t349.15\t350.3\t339.83\t343.77\t5\n",
        ["begins with '07/21/2023 09:30 349.15", "such as Date,Time,Open,High,Low,Close,Volume."],
    ),
    "no volume and no header": (
        lambda: b"2023-07-21,349.15,350.3,339.83,343.77\n",
        ["has no header", "such as Date,Open,High,Low,Close."],
    ),
    "an average without a header": (
        lambda: b"1689897600,9,12,8,11,10.2,431.5,17\n",
        ["has no header", "column 6, such as '10.2'"],
    ),
    "of a bond": (
        lambda: b"Date,BID_OPEN,BID_HIGH,BID_LOW,BID_CLOSE,ASK_OPEN\n",
        ["column Open: BID_OPEN and ASK_OPEN"],
    ),
    "volumes in two units": (
        lambda: titled("{ticker}.{field}", ["MSFT", "META"]).replace(b"META.Volume", b"META.Volume (K)"),
        ["Volume of MSFT and Volume (K) of META", "in one unit"],
    ),
    "prices of thousands": (
        lambda: b"Date,Open (000),High (000),Low (000),Close (000)\n2023-07-21,1,1,1,1\n",
        ["no column Open", "It has Date, Open (000)"],
    ),
    "OpenDocument": (
        lambda: _zipped({"mimetype": b"", "content.xml": b"", "styles.xml": b""}),
        ["a LibreOffice workbook"],
    ),
    "Excel's XML": (
        lambda: b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        ["an Excel workbook"],
    ),
    "JSON with a mark": (lambda: b'\xef\xbb\xbf[{"Date": 1}]', ["is JSON"]),
    "Excel": (
        lambda: _zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}),
        ["Excel", "Save the sheet as CSV"],
    ),
    "bzip2": (lambda: bz2.compress(csv(history(1))), ["is compressed with bzip2", "Unpack it"]),
    "xz": (lambda: lzma.compress(csv(history(1))), ["is compressed with xz", "Unpack it"]),
    "Zstandard in gzip": (
        lambda: gzip.compress(pa.compress(csv(history(1)), "zstd", asbytes=True)),
        ["is compressed with Zstandard"],
    ),
    "LZ4": (lambda: pa.compress(csv(history(1)), "lz4", asbytes=True), ["is compressed with LZ4"]),
    "tar in gzip": (lambda: _tar_gz("MSFT.csv", csv(history(1))), ["is a tar archive", "Unpack it"]),
    "7-Zip": (lambda: b"7z\xbc\xaf\x27\x1c\x00\x04", ["is a 7-Zip archive"]),
    "RAR": (lambda: b"Rar!\x1a\x07\x01\x00", ["is a RAR archive"]),
    "Feather": (lambda: _feather(history(1)), ["is an Arrow or Feather file", "Convert it to CSV or Parquet"]),
    "SQLite": (lambda: b"SQLite format 3\x00\x10\x00", ["is an SQLite database"]),
    "a PDF": (lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", ["is a PDF"]),
    "two files": (lambda: _zipped({"a.csv": b"x", "b.csv": b"y"}), ["2 files", "a.csv, b.csv"]),
    "half a gzip file": (lambda: gzip.compress(csv(history(1)))[:200], ["begins as gzip", "ends too early"]),
    "a page": (lambda: b"<html><body>Too Many Requests</body></html>", ["web page"]),
    "JSON": (lambda: b'{"Date": []}', ["JSON"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_what_it_says_is_refused_with_the_remedy(case: str) -> None:
    made, words = REFUSED[case]
    said = reason(made())
    assert said.isprintable()
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("columns", [ORDER, [*ORDER, "Adj Close"]])
@pytest.mark.parametrize(("first", "step"), [("2021-01-01", 24), ("2022-01-01", 1)])
def test_days_and_months_that_are_swapped_in_whole_years_are_refused(columns: list[str], first: str, step: int) -> None:
    hours = np.arange(np.datetime64(first, "h"), np.datetime64("2023-01-01", "h"), step)
    bars = history(1, hours).assign(**{"Adj Close": lambda made: made["Close"]})[columns]
    frequency = DAILY if step == 24 else HOURLY
    right, wrong = (
        read_prices(csv(made), symbol="BTC-USD", frequency=frequency) for made in (bars, in_part_swapped(bars))
    )
    assert not right.failures
    said = str(wrong.failures["BTC-USD"])
    assert "from where it had closed before" in said
    assert "such as that of 2022-12-11" in said
    assert "if day and month are swapped there" in said


@pytest.mark.parametrize(
    ("symbol", "meant"),
    [
        ("BTCUSDT", "BTC-USDT or BTC-USD"),
        ("EURUSD", "EURUSD=X"),
        ("RELIANCE", "RELIANCE.NS"),
        ("600519", "600519.SS"),
        ("AAPL.US", "AAPL"),
        ("600519.SH", "600519.SS"),
        ("BRK.B", "BRK-B"),
        ("7203", "7203.T"),
    ],
)
def test_the_spelling_of_other_vendors_is_answered_with_yahoos(symbol: str, meant: str) -> None:
    with pytest.raises(CalendarError, match=meant):
        session_days(symbol, DAYS[0], DAYS[-1])


# Rows that are left out, and the findings about them.


def test_an_old_bad_bar_does_not_matter_and_a_newer_one_is_left_out() -> None:
    old = history(1, session_days("MSFT", np.datetime64("1999-01-04"), np.datetime64("1999-04-01")))
    assert len(read_prices(csv(pd.concat([old.assign(Open=0.0), history(2)])), symbol="MSFT")["MSFT"]) == len(DAYS)
    long = history(3, session_days("MSFT", np.datetime64("2021-01-04"), np.datetime64("2023-07-21")))
    long.iloc[300, :4] *= 7
    long.iloc[301, 0] = 0.0
    reading = read_prices(csv(long), symbol="MSFT")
    assert len(reading.bars["MSFT"]) == len(long) - 2
    [found] = reading.findings["MSFT"]
    assert str(found).startswith("left out: 2 zero or impossible bar(s)")


def test_more_faulty_bars_than_one_of_a_hundred_are_too_many() -> None:
    bars = history(1)
    bars.iloc[[20, 40], 1] = 1.0
    assert "2 of the" in reason(csv(bars))


@pytest.mark.parametrize("overshoot", [0.0003, 0.004])
def test_a_close_a_little_above_the_high_widens_the_bar(overshoot: float) -> None:
    bars = history(1)
    bars.iloc[30, 1] = bars.iloc[30][["Open", "Close"]].max() * (1 - overshoot)
    reading = read_prices(csv(bars), symbol="MSFT")
    found = reading.bars["MSFT"]
    assert found.columns["high"][30] == max(found.columns["open"][30], found.columns["close"][30])
    assert [one.check for one in reading.findings["MSFT"]] == ["widened"]


def test_rows_without_prices_and_repeats_are_no_bars() -> None:
    lines = csv(history(1)).decode().splitlines()
    lines[20] = f"{DAYS[19]},null,null,null,null,null"
    reading = read_prices("\n".join([*lines, lines[-1]]).encode(), symbol="MSFT")
    assert len(reading.bars["MSFT"]) == len(DAYS) - 1
    assert [str(one) for one in reading.findings["MSFT"]] == [
        f"left out: 1 row(s) without prices ({DAYS[19]})",
        f"left out: 1 exact repeat(s) ({DAYS[-1]})",
    ]


def test_the_bar_of_an_open_session_is_left_out_and_one_far_ahead_refused() -> None:
    data = csv(history(1))
    during, after = datetime(2023, 7, 21, 19, tzinfo=UTC), datetime(2023, 7, 21, 20, tzinfo=UTC)
    reading = read_prices(data, symbol="MSFT", window=Window(last=date(2023, 7, 21), now=during))
    assert reading.bars["MSFT"].cutoff == date(2023, 7, 20)
    assert "had not closed" in str(reading.findings["MSFT"][0]) or "not closed" in str(reading.findings["MSFT"][0])
    assert read_prices(data, symbol="MSFT", window=Window(now=after)).bars["MSFT"].cutoff == date(2023, 7, 21)
    far = data + b"2099-07-21,1,1,1,1,1\n"
    assert "2099-07-21" in reason(far, window=Window(last=date(2023, 7, 22), now=after))


def dated(rows: Sequence[int], days: Sequence[str], bars: pd.DataFrame | None = None) -> pd.DataFrame:
    """A history with some of its rows once more, of other days."""
    bars = history(1) if bars is None else bars
    more = bars.iloc[list(rows)].set_axis(pd.DatetimeIndex(days, name="Date"))
    return pd.concat([bars, more]).sort_index()


@pytest.mark.parametrize("days", [["2023-07-22"], ["2023-07-22", "2023-07-23"]])
def test_last_bars_of_days_when_the_exchange_was_closed_are_left_out_and_said(days: Sequence[str]) -> None:
    reading = read_prices(csv(dated([-1] * len(days), days)), symbol="MSFT")
    assert (reading.bars["MSFT"].columns["session_date"] == DAYS).all()
    [found] = reading.findings["MSFT"]
    assert str(found) == f"left out: {len(days)} bar(s) of days when the exchange was closed ({', '.join(days)})"


@pytest.mark.parametrize("day", ["2023-07-04", "2023-06-03"])
def test_other_bars_of_such_days_are_kept_and_said_since_a_calendar_may_lack_a_session(day: str) -> None:
    data = csv(dated([60], [day]))
    reading = read_prices(data, symbol="MSFT")
    assert len(reading.bars["MSFT"]) == len(DAYS) + 1
    [found] = reading.findings["MSFT"]
    assert str(found) == f"closed: 1 bar(s) of days when the exchange was closed by its calendar ({day})"
    until = read_prices(data, symbol="MSFT", window=Window(last=date.fromisoformat(day)))
    assert str(until.bars["MSFT"].until(day).cutoff) == {"2023-07-04": "2023-07-03", "2023-06-03": "2023-06-02"}[day]
    assert [found.check for found in until.findings["MSFT"]] == ["left out"]


def test_bars_after_the_date_asked_for_are_of_sessions_too() -> None:
    data = csv(dated([-1], ["2023-07-22"]))
    reading = read_prices(data, symbol="MSFT", window=Window(last=date(2023, 7, 14)))
    assert reading.bars["MSFT"].cutoff == date(2023, 7, 21)
    empty = history(1).assign(Open=np.nan)[-2:]
    bars = pd.concat([history(1)[:-2], empty, history(1)[-1:].set_axis(pd.DatetimeIndex(["2023-07-22"], name="Date"))])
    window = Window(date(2023, 7, 20), date(2023, 7, 21))
    assert read_prices(csv(bars), symbol="MSFT", window=window).bars["MSFT"].cutoff == date(2023, 7, 19)


def test_days_without_any_session_are_refused() -> None:
    assert "2 of 2 bars on days when its exchange XNYS was closed" in reason(csv(history(1, DAYS[-2:] + 2)))


def test_where_holidays_are_not_known_weekends_are() -> None:
    after = np.datetime64(holidays_known_until("600519.SS", date(2100, 1, 1)), "D") + 1
    for first in (np.datetime64("2023-03-01"), after):
        days = session_days("600519.SS", first + 30, first + 200)
        saturday = days[-1] + (5 - days[-1].item().weekday())
        bars = dated([-1], [str(saturday)], history(1, days))
        assert read_prices(csv(bars), symbol="600519.SS")["600519.SS"].ends[-1] == days[-1]


@pytest.mark.parametrize("symbol", ["BTC-USD", "EURUSD=X"])
def test_crypto_has_weekends_and_currencies_have_none(symbol: str) -> None:
    days = session_days(symbol, np.datetime64("2023-03-01"), np.datetime64("2023-07-23"))
    bars = history(1, days)
    reading = read_prices(csv(bars), symbol=symbol)
    assert not reading.findings
    if symbol == "EURUSD=X":
        reading = read_prices(csv(dated([-1], ["2023-07-23"], bars)), symbol=symbol)
        assert reading.findings
    assert (reading[symbol].columns["session_date"] == days).all()


@pytest.mark.parametrize("at_once", [1, 300, 2000])
def test_rows_are_judged_the_same_whatever_part_of_the_file_is_judged_together(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    days = session_days("MSFT", np.datetime64("2020-01-02"), np.datetime64("2023-07-21"))
    frames = []
    for seed, name in enumerate(["MSFT", "AAPL", "IBM", "GE", "KO", "VOD.L", "??"]):
        bars = history(seed, days)
        if name == "AAPL":
            bars.iloc[400, bars.columns.get_loc("Close")] = np.nan
        if name == "IBM":
            bars = pd.concat([bars, bars.tail(3)])
        if name == "GE":
            bars.iloc[-1, bars.columns.get_loc("High")] *= 0.5
        frames.append(bars.assign(Symbol=name))
    whole = read_prices(csv(pd.concat(frames)), symbol="batch")

    monkeypatch.setattr(price_rows, "_AT_ONCE", at_once)
    parts = read_prices(csv(pd.concat(frames)), symbol="batch")

    assert parts.findings == whole.findings
    assert {name: str(error) for name, error in parts.failures.items()} == {
        name: str(error) for name, error in whole.failures.items()
    }
    assert len(whole.failures) >= 2
    assert whole.findings
    assert list(parts.bars) == list(whole.bars)
    for name, bars in whole.bars.items():
        pd.testing.assert_frame_equal(parts.bars[name].frame, bars.frame)


def test_every_refusal_says_what_to_do() -> None:
    assert len(refusals()) > 30
    for name, each in refusals().items():
        assert each.seen.endswith("."), name
        assert each.remedy.endswith("."), name
