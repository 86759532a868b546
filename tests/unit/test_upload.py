"""An upload: which bars go, and under which name."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.price_files import read_prices, to_csv, to_parquet
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
    assert "/BIG." in send_file("big", write(one), AS_OF, store=store).object  # which is refused: it says META
