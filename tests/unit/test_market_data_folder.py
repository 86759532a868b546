"""Market data in a folder of files."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tickercast.backends.market_data import folder as market_data_folder
from tickercast.backends.market_data.folder import Folder
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.price_files import to_csv
from tickercast.errors import InvalidBars, NoRecentBars, UnknownSymbol, UsageError

SHARED = Path(__file__).parents[3] / "shared" / "data"
FIRST, LAST = date(2022, 7, 1), date(2023, 7, 22)

Make = Callable[..., Bars]


def fetch(path: Path, symbols: Sequence[str], first: date = FIRST, last: date = LAST) -> Reading:
    return Folder(path).fetch(symbols, first, last, advance=lambda _: None)


def write_parquet(path: Path, frame: pd.DataFrame) -> None:
    with duckdb.connect() as connection:
        connection.register("bars", frame)
        connection.execute(f"COPY bars TO '{path}' (FORMAT parquet)")


def table(*series: Bars) -> pd.DataFrame:
    parts = [bars.frame.assign(symbol=bars.symbol) for bars in series]
    return pd.concat(parts).rename(columns={"session_date": "date"})


def assert_read(reading: Reading, written: Bars) -> None:
    bars = reading.bars[written.symbol]
    expected = written.since(FIRST).frame.reset_index(drop=True)
    pd.testing.assert_frame_equal(bars.frame, expected, rtol=1e-12)


@pytest.mark.parametrize("file", ["MSFT.csv", "msft.CSV", "batch-0001.csv", "MSFT.parquet", "us_daily.parquet"])
def test_a_symbol_is_found_in_a_file_of_its_own_and_in_a_common_one(tmp_path: Path, make_bars: Make, file: str) -> None:
    bars = make_bars("MSFT")
    if file.endswith(".parquet"):
        write_parquet(tmp_path / file, table(bars))
    else:
        (tmp_path / file).write_bytes(to_csv([bars]))

    for source in (tmp_path, tmp_path / file):
        assert_read(fetch(source, ["MSFT"]), bars)


@pytest.mark.parametrize("file", ["MSFT.csv", "MSFT.parquet"])
def test_a_file_named_after_its_symbol_needs_no_symbol_column(tmp_path: Path, make_bars: Make, file: str) -> None:
    frame = table(make_bars("MSFT")).drop(columns="symbol")
    if file.endswith(".parquet"):
        write_parquet(tmp_path / file, frame)
    else:
        frame.to_csv(tmp_path / file, index=False)

    assert_read(fetch(tmp_path, ["MSFT"]), make_bars("MSFT"))


@pytest.mark.parametrize("file", ["batch-0001.csv", "us_daily.parquet"])
def test_a_common_file_holds_many_symbols(tmp_path: Path, make_bars: Make, file: str) -> None:
    series = [make_bars(symbol, seed=seed) for seed, symbol in enumerate(["AAPL", "BRK-B", "MSFT"])]
    if file.endswith(".parquet"):
        write_parquet(tmp_path / file, table(*series))
    else:
        (tmp_path / file).write_bytes(to_csv(series))

    reading = fetch(tmp_path, ["MSFT", "AAPL"])

    assert set(reading.bars) == {"MSFT", "AAPL"}
    assert_read(reading, series[0])


def test_only_the_files_that_can_hold_a_symbol_are_read(
    price_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = price_folder(["AAPL", "MSFT", "NVDA"])
    read: list[str] = []
    really = market_data_folder._open
    monkeypatch.setattr(market_data_folder, "_open", lambda path, *rest: read.append(path.name) or really(path, *rest))

    fetch(folder, ["MSFT"])
    fetch(folder, ["TSLA"])

    assert read == ["MSFT.csv"]


def test_symbols_of_a_parquet_file_are_found_whatever_their_case(tmp_path: Path, make_bars: Make) -> None:
    write_parquet(tmp_path / "us_daily.parquet", table(make_bars("MSFT")).assign(symbol=" msft"))

    assert list(fetch(tmp_path, ["MSFT"]).bars) == ["MSFT"]


def test_titles_and_types_of_a_parquet_file_may_be_those_of_yahoo(tmp_path: Path, make_bars: Make) -> None:
    yahoo = pd.read_csv(io.BytesIO(to_csv([make_bars("MSFT")])))
    assert {"Date", "Adj Close", "Symbol"} < set(yahoo)
    write_parquet(tmp_path / "us_daily.parquet", yahoo)  # the dates are text

    assert_read(fetch(tmp_path, ["MSFT"]), make_bars("MSFT"))


def test_a_file_name_may_contain_what_a_pattern_would(tmp_path: Path, make_bars: Make) -> None:
    write_parquet(tmp_path / "us[1]*?.parquet", table(make_bars("MSFT")))

    assert "MSFT" in fetch(tmp_path, ["MSFT"]).bars


def test_subfolders_and_other_files_are_left_alone(price_folder: Callable[..., Path]) -> None:
    folder = price_folder(["MSFT"])
    (folder / "notes.txt").write_text("nothing")
    (folder / "old").mkdir()
    (folder / "old" / "AAPL.csv").write_text("nothing")

    reading = fetch(folder, ["MSFT", "AAPL"])

    assert set(reading.bars) == {"MSFT"}
    assert isinstance(reading.failures["AAPL"], UnknownSymbol)


def test_an_unknown_symbol_is_told_what_there_is_and_what_it_may_have_meant(tmp_path: Path, make_bars: Make) -> None:
    for symbol in ("AAPL", "MSFT"):
        (tmp_path / f"{symbol}.csv").write_bytes(to_csv([make_bars(symbol)]))
    write_parquet(tmp_path / "more_bars.parquet", table(*(make_bars(f"SYM{number}") for number in range(10))))

    failure = fetch(tmp_path, ["MSTF"]).failures["MSTF"]

    assert isinstance(failure, UnknownSymbol)
    assert all(word in str(failure) for word in (str(tmp_path), "AAPL", "SYM5", "4 more", "mean MSFT?", "--source"))
    assert "SYM6" not in str(failure)


@pytest.mark.parametrize("file", ["MSFT.csv", "us_daily.parquet"])
def test_a_range_without_a_bar_is_told_which_range_there_is(tmp_path: Path, make_bars: Make, file: str) -> None:
    bars = make_bars("MSFT", last=date(2023, 7, 21), sessions=10)
    if file.endswith(".parquet"):
        write_parquet(tmp_path / file, table(bars))
    else:
        (tmp_path / file).write_bytes(to_csv([bars]))

    failure = fetch(tmp_path, ["MSFT"], date(2024, 1, 1), date(2024, 7, 22)).failures["MSFT"]

    assert isinstance(failure, NoRecentBars)
    assert all(word in str(failure) for word in ("MSFT", "2023-07-10", "2023-07-21", "2024-07-22"))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("MSFT.csv", b"", ["MSFT.csv", "empty"]),
        ("MSFT.csv", b"\x00\x01", ["MSFT.csv", "binary"]),
        ("MSFT.csv", b"Date,Open\n2023-07-21,1\n", ["MSFT.csv", "High"]),
        ("MSFT.csv", b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,x\n", ["MSFT.csv", "Close 'x'"]),
        (
            "MSFT.csv",
            b"Date,Open,High,Low,Close,Symbol\n2023-07-21,1,1,1,1,AAPL\n",
            ["is named MSFT", "AAPL"],
        ),
        ("MSFT.parquet", b"PAR1 but no more", ["MSFT.parquet", "arquet"]),
        ("some_bars.parquet", b"PAR1 but no more", ["some_bars.parquet", "arquet"]),
        ("some_bars.csv", b"Date,Open,High,Low,Close\n2023-07-21,1,1,1,1\n", ["some_bars.csv", "Symbol"]),
        ("some_bars.csv", b"\xff\xfe\xfa", ["some_bars.csv", "UTF-8"]),
    ],
)
def test_a_bad_file_costs_only_the_symbols_that_it_might_hold(
    price_folder: Callable[..., Path], file: str, content: bytes, words: list[str]
) -> None:
    folder = price_folder(["AAPL"])
    (folder / file).write_bytes(content)

    reading = fetch(folder, ["AAPL", "MSFT"])

    assert set(reading.bars) == {"AAPL"}
    assert isinstance(reading.failures["MSFT"], InvalidBars | UnknownSymbol)
    assert all(word in str(reading.failures["MSFT"]) for word in words)
    assert "\n" not in str(reading.failures["MSFT"])


def test_a_symbol_in_two_files_is_refused_and_both_are_named(tmp_path: Path, make_bars: Make) -> None:
    for file in ("batch-0001.csv", "batch-0002.csv"):
        (tmp_path / file).write_bytes(to_csv([make_bars("MSFT")]))

    failure = fetch(tmp_path, ["MSFT"]).failures["MSFT"]

    assert isinstance(failure, InvalidBars)
    assert all(word in str(failure) for word in ("MSFT", "batch-0001.csv", "batch-0002.csv"))


@pytest.mark.parametrize(
    ("made", "words"), [(None, "does not exist"), ("folder", "no file of prices"), ("file.txt", "no file of prices")]
)
def test_a_source_that_holds_nothing_is_a_mistake_in_the_command(tmp_path: Path, made: str | None, words: str) -> None:
    path = tmp_path / (made or "nowhere")
    if made == "folder":
        path.mkdir()
    elif made:
        path.write_text("nothing")

    with pytest.raises(UsageError, match=words) as refused:
        fetch(path, ["MSFT"])

    assert str(path) in str(refused.value)


def test_the_source_is_called_by_its_path_and_counts_every_symbol_once(price_folder: Callable[..., Path]) -> None:
    folder = price_folder(["AAPL", "MSFT"])
    advanced: list[int] = []

    Folder(folder).fetch(["MSFT", "TSLA", "AAPL"], FIRST, LAST, advance=advanced.append)

    assert Folder(folder).name == str(folder)
    assert sum(advanced) == 3


@pytest.mark.skipif(not SHARED.exists(), reason="the shared market data is not here")
@pytest.mark.parametrize("source", ["", "us_daily_2000_2022.parquet", "yahoo_csv"])
def test_the_shared_market_data_can_be_named_as_a_source(source: str) -> None:
    reading = fetch(SHARED / source, ["MSFT", "MSTF"], date(2019, 7, 22), date(2022, 7, 22))

    assert reading.bars["MSFT"].cutoff == date(2022, 7, 22)
    assert len(reading.bars["MSFT"]) == 758
    assert "mean MSFT?" in str(reading.failures["MSTF"])


def test_parquet_with_zoned_dates_is_read_on_the_days_of_the_exchange(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT TIMESTAMPTZ '2023-07-21 00:00:00+01' AS Date, 10 AS Open, 12 AS High, 9 AS Low, 11 AS Close) "
            f"TO '{tmp_path}/VOD.L.parquet'"
        )
    reading = Folder(tmp_path).fetch(["VOD.L"], date(2023, 1, 1), date(2023, 12, 31), advance=lambda _: None)
    assert reading["VOD.L"].cutoff == date(2023, 7, 21)


def test_a_file_of_another_ending_counts_where_it_is_named_after_the_symbol(tmp_path: Path, make_bars: Make) -> None:
    (tmp_path / "MSFT.txt").write_bytes(to_csv([make_bars("MSFT")]).replace(b",", b"\t"))
    (tmp_path / "META.xlsx").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "AAPL_data.csv").write_bytes(to_csv([make_bars("AAPL")]).replace(b",Symbol", b",Note", 1))
    reading = fetch(tmp_path, ["MSFT", "META", "AAPL"])
    assert list(reading.bars) == ["MSFT"]
    assert "META.xlsx cannot be used: The file is an Excel workbook" in str(reading.failures["META"])
    assert "AAPL_data.csv cannot be used" in str(reading.failures["AAPL"])
    assert "Rename the file to AAPL.csv" in str(reading.failures["AAPL"])


@pytest.mark.parametrize("file", ["prices.txt", "prices.tsv"])
def test_a_text_of_several_symbols_is_read_and_one_of_none_is_passed_over(
    tmp_path: Path, make_bars: Make, file: str
) -> None:
    (tmp_path / file).write_bytes(to_csv([make_bars("MSFT"), make_bars("META")]).replace(b",", b"\t"))
    (tmp_path / "README.txt").write_text("These are prices.\n")
    (tmp_path / "notes.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    reading = fetch(tmp_path, ["MSFT", "META", "IBM"])
    assert list(reading.bars) == ["MSFT", "META"]
    assert "it has META, MSFT" in str(reading.failures["IBM"])
    assert Folder(tmp_path).symbols() == ["META", "MSFT"]


def test_a_folder_of_texts_without_prices_is_refused_with_what_was_needed(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("These are no prices.\n")
    with pytest.raises(UsageError, match=r"holds no file of prices: .* a \.txt or \.tsv with Date, Open"):
        fetch(tmp_path, ["MSFT"])


@pytest.mark.parametrize("file", ["MSFT.US.csv", "msft.us.txt"])
def test_a_file_may_be_named_in_the_spelling_of_another_vendor(tmp_path: Path, make_bars: Make, file: str) -> None:
    (tmp_path / file).write_bytes(to_csv([make_bars("X")]).replace(b",Symbol", b",Note", 1))
    assert list(fetch(tmp_path, ["MSFT"]).bars) == ["MSFT"]


def test_bars_of_days_that_have_not_been_are_refused(tmp_path: Path, make_bars: Make) -> None:
    (tmp_path / "MSFT.csv").write_bytes(to_csv([make_bars("MSFT")]))
    early = Folder(tmp_path, now=lambda: datetime(2023, 7, 6, tzinfo=UTC))
    reading = early.fetch(["MSFT"], FIRST, LAST, advance=lambda _: None)
    assert "MSFT has 11 bar(s) of days that have not been, the first of 2023-07-07: bars up to 2023-07-06 were" in str(
        reading.failures["MSFT"]
    )


def test_parquet_may_spell_symbols_as_numbers(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT DATE '2023-07-21' AS Date, 10 AS Open, 12 AS High, 9 AS Low, 11 AS Close, 700 AS Symbol) "
            f"TO '{tmp_path}/many.parquet'"
        )
    reading = Folder(tmp_path).fetch(["700", "0700.HK"], date(2023, 1, 1), date(2023, 12, 31), advance=lambda _: None)
    assert list(reading.bars) == ["700"]
    assert isinstance(reading.failures["0700.HK"], UnknownSymbol)
