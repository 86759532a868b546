"""An upload: which bars go, and under which name."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from tests.support.hourly import make_hours

from tickercast.backends.market_data.folder import Folder
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.files.hour_files import hours_csv, hours_parquet
from tickercast.domain.files.price_files import read_prices, to_csv, to_parquet
from tickercast.domain.findings import Finding, sentence
from tickercast.domain.frequency import HOURLY
from tickercast.domain.learning.market import FetchedBars
from tickercast.errors import UnknownSymbol, UsageError
from tickercast.jobs.requests.send_file import send_file
from tickercast.jobs.requests.upload import BATCH, batches, upload

AS_OF = date(2023, 7, 22)
NOW = datetime(2023, 8, 31, tzinfo=UTC)
MakeBars = Callable[..., Bars]


class Source:
    name = "table"

    def __init__(self, *series: Bars) -> None:
        self.bars = {bars.symbol: bars for bars in series}
        self.calls: list[Sequence[str]] = []

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        self.calls.append(symbols)
        advance(len(symbols))
        known = {symbol: self.bars[symbol] for symbol in symbols if symbol in self.bars}
        return Reading(known, {symbol: UnknownSymbol(symbol) for symbol in symbols if symbol not in known})


@pytest.fixture
def store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "bucket")


def test_one_symbol_goes_under_its_own_name(store: LocalObjectStore, make_bars: MakeBars) -> None:
    sent = upload(["MSFT"], AS_OF, source=Source(make_bars()), store=store, now=NOW)
    assert sent.object == "ohlc/2023-07-22/MSFT.csv"
    assert sent.generation == store.generation(sent.object)


def test_thousands_of_symbols_go_in_batches_and_none_is_left_out() -> None:
    symbols = [f"S{number}" for number in range(2 * BATCH + 1)]
    parts = list(batches(symbols))
    assert [len(part) for part in parts] == [BATCH, BATCH, 1]
    assert [symbol for part in parts for symbol in part] == symbols
    assert list(batches([])) == []


def test_eight_symbols_are_one_download_and_one_object(store: LocalObjectStore, make_bars: MakeBars) -> None:
    symbols = [f"S{number}" for number in range(8)]
    source = Source(*(make_bars(symbol) for symbol in symbols))
    sent = upload(symbols, AS_OF, source=source, store=store, now=NOW)
    assert source.calls == [symbols]
    assert store.names("ohlc/") == [sent.object] == ["ohlc/2023-07-22/batch-0001.parquet"]
    assert set(read_prices(store.read(sent.object)).bars) == set(symbols)


def test_a_second_batch_of_the_day_takes_the_next_number(store: LocalObjectStore, make_bars: MakeBars) -> None:
    source = Source(make_bars("MSFT"), make_bars("META"))
    names = [upload(["MSFT", "META"], AS_OF, source=source, store=store, now=NOW).object for _ in range(2)]
    assert names == ["ohlc/2023-07-22/batch-0001.parquet", "ohlc/2023-07-22/batch-0002.parquet"]


def test_what_the_source_has_after_the_date_is_not_sent(store: LocalObjectStore, make_bars: MakeBars) -> None:
    sent = upload(["MSFT"], AS_OF, source=Source(make_bars(last=date(2023, 8, 4))), store=store, now=NOW)
    assert read_prices(store.read(sent.object)).bars["MSFT"].cutoff == date(2023, 7, 21)


def test_unknown_and_stale_symbols_are_reasons_and_the_others_go(store: LocalObjectStore, make_bars: MakeBars) -> None:
    source = Source(make_bars("MSFT"), make_bars("OLD", last=date(2023, 7, 3)))
    sent = upload(["MSFT", "OLD", "NONE"], AS_OF, source=source, store=store, now=NOW)
    assert sent.symbols == ("MSFT",)
    assert set(sent.failures) == {"OLD", "NONE"}
    assert "stale" in str(sent.failures["OLD"])


def test_with_nothing_to_send_nothing_is_written(store: LocalObjectStore) -> None:
    sent = upload(["NONE"], AS_OF, source=Source(), store=store, now=NOW)
    assert sent.object == ""
    assert store.names("") == []


@pytest.mark.parametrize(("hour", "cutoff"), [(19, date(2023, 7, 20)), (20, date(2023, 7, 21))])
def test_the_bar_of_a_session_that_has_not_closed_is_left_out(
    store: LocalObjectStore, make_bars: MakeBars, hour: int, cutoff: date
) -> None:
    now = datetime(2023, 7, 21, hour, tzinfo=UTC)
    sent = upload(["MSFT"], now.date(), source=Source(make_bars()), store=store, now=now)
    assert read_prices(store.read(sent.object)).bars["MSFT"].cutoff == cutoff


def test_what_a_source_found_and_mended_is_said_by_the_file_that_is_sent(
    store: LocalObjectStore, make_bars: MakeBars, tmp_path: Path
) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    for symbol in ("MSFT", "META"):
        raw = pd.read_csv(io.BytesIO(to_csv([make_bars(symbol)])))
        raw.loc[:299, ["Open", "High", "Low", "Close"]] *= 4
        raw.loc[350, "Low"] = 0
        raw.to_csv(folder / f"{symbol}.csv", index=False)
    source = Folder(folder, now=lambda: NOW)
    wanted = {
        symbol: sentence(read_prices((folder / f"{symbol}.csv").read_bytes(), symbol=symbol).findings[symbol])
        for symbol in ("MSFT", "META")
    }
    assert wanted["MSFT"].startswith("split: 4:1 on ")
    assert "; left out: 1 zero or impossible bar(s)" in wanted["MSFT"]
    one = upload(["MSFT"], AS_OF, source=source, store=store, now=NOW)
    both = upload(["MSFT", "META"], AS_OF, source=source, store=store, now=NOW)
    for sent in (one, both):
        reading = read_prices(store.read(sent.object))
        assert {symbol: sentence(found) for symbol, found in reading.findings.items()} == {
            symbol: wanted[symbol] for symbol in sent.symbols
        }
        assert len(reading["MSFT"]) == 399


def test_hours_say_what_their_source_found() -> None:
    bars = make_hours()
    found = Finding(bars.symbol, "left out", "2 exact repeat(s), one of them twice")
    for data in (hours_csv([bars], {bars.symbol: [found]}), hours_parquet([bars], {bars.symbol: [found]})):
        assert list(read_prices(data, frequency=HOURLY).findings[bars.symbol]) == [found]


def test_what_a_sender_says_is_a_note_and_is_not_repeated(make_bars: MakeBars) -> None:
    table = pd.read_csv(io.BytesIO(to_csv([make_bars("MSFT"), make_bars("META")])))
    table["Findings"] = ""
    table.loc[5, "Findings"], table.loc[6, "Findings"] = "  seen\x1b[2J\ntwice " + "x" * 2000, "not read"
    table = pd.concat([table, table.tail(1)])
    said = "left out: 1 exact repeat(s) (2023-07-21)"
    table.loc[table["Symbol"] == "META", "Findings"] = said
    found = read_prices(table.to_csv(index=False).encode()).findings
    assert [str(one) for one in found["META"]] == [said]
    [note] = found["MSFT"]
    assert str(note).startswith("note: seen")
    assert "\x1b" not in note.text
    assert "\n" not in note.text
    assert len(note.text) <= 1000
    assert not note.touches_width


@pytest.mark.parametrize("write", [to_csv, to_parquet])
def test_a_file_of_several_symbols_is_a_batch_whatever_its_name(
    store: LocalObjectStore, make_bars: MakeBars, write: Callable[[Sequence[Bars]], bytes]
) -> None:
    several, one = [make_bars("MSFT"), make_bars("META")], [make_bars("META")]
    assert "/batch-0001." in send_file("big", write(several), AS_OF, store=store).object
    by_day = pd.concat([pd.read_csv(io.BytesIO(to_csv([bars]))) for bars in several]).sort_values("Date")
    assert "/batch-" in send_file("us.csv", by_day.to_csv(index=False).encode(), AS_OF, store=store).object
    with pytest.raises(UsageError, match="several symbols, such as MSFT and META, and KO was given for it"):
        send_file("big", write(several), AS_OF, symbol="KO", store=store)
    assert "/META." in send_file("META", write(one), AS_OF, store=store).object
    assert "/META." in send_file("meta.us", write(one), AS_OF, store=store).object
    assert "/BIG." in send_file("big", write(one), AS_OF, store=store).object  # which is refused: it says META


def test_fetched_bars_keep_what_their_source_found_of_series_that_are_served_to_their_end(make_bars: MakeBars) -> None:
    bars, found = make_bars("MSFT"), [Finding("MSFT", "left out", "1 exact repeat(s) (2023-07-20)")]
    held = FetchedBars("table", False, Reading({"MSFT": bars}, findings={"MSFT": found}))
    for last, wanted in ((AS_OF, {"MSFT": found}), (date(2023, 7, 14), {})):
        assert held.fetch(["MSFT"], bars.first, last, advance=lambda _: None).findings == wanted
