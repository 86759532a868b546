"""No file takes the function down: what costs too much is refused before the work, whatever shape it has."""

import gc
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from benchmarks.adversarial import SHAPES
from tests.support.place import Place

from tickercast.domain import objects
from tickercast.domain.files import price_limits
from tickercast.domain.files.price_files import read_prices
from tickercast.errors import InvalidBars
from tickercast.jobs.serving.handle_event import Limits, Outcome
from tickercast.ports import ObjectFinalized

BATCH = "ohlc/2023-07-22/batch-0001.csv"
BAR = "2023-07-21,1,1,1,1\n"
TITLES = "Symbol,Date,Open,High,Low,Close\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def refusal(data: bytes, largest: int = price_limits.LARGEST, symbol: str = "MSFT") -> str:
    with pytest.raises(InvalidBars) as error:
        read_prices(data, symbol=symbol, largest=largest)
    return str(error.value)


# ---------------------------------------------------------------- limits before the work


def test_symbols_are_counted_before_any_of_them_is_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from tickercast.domain.files import price_arrow

    monkeypatch.setattr(price_arrow, "read_rows", lambda *_: pytest.fail("the rows were judged"))
    data = TITLES + "".join(f"S{number},{BAR}" for number in range(price_limits.MOST_SYMBOLS + 1))
    assert refusal(data.encode(), symbol="").startswith("The file has 5,001 symbols, and at most 5,000 are read.")


def test_thousands_of_symbols_are_read() -> None:
    data = TITLES + "".join(f"S{number},{BAR}" for number in range(price_limits.MOST_SYMBOLS))
    assert len(read_prices(data.encode()).bars) == 5_000


def test_a_file_of_many_symbols_is_read_for_the_few_that_are_wanted() -> None:
    data = TITLES + "".join(f"S{number},{BAR}" for number in range(price_limits.MOST_SYMBOLS + 1))
    assert list(read_prices(data.encode(), symbols=["S7"]).bars) == ["S7"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (("Date,Open,High,Low,Close\n" + BAR * 21_000).encode(), "21,001 rows of 4 columns, and at most 20,833 rows"),
        (b"Date,Open,High,Low,Close," + b",".join(b"%d" % n for n in range(900)) + b"\n" + (b"," * 904 + b"\n") * 300,
         "301 rows of 905 columns, and at most 20,833 rows and 249,996 cells"),
        (SHAPES["parquet_constant"](21_000), "21,000 rows of 4 columns, and at most 20,833 rows"),
        (SHAPES["gzip_bomb"](1_000_000), "MB uncompressed, and at most 1 are read."),
    ],
    ids=["rows", "cells", "rows of Parquet", "gzip"],
)  # fmt: skip
def test_how_much_is_read_follows_the_largest_file(data: bytes, said: str) -> None:
    assert said in refusal(data, 1_000_000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((TITLES + "a,b\n" * 10_001).encode(), "more than 10,000 rows that are shorter or longer than its header"),
        ((TITLES + f"MSFT,{BAR}" + "a\n" * 10_001).encode(), "more than 10,000 rows that are shorter or longer"),
        ((TITLES + "," * 2_000_000).encode(), "columns, and at most 1,000 are read"),
        (SHAPES["parquet_columns"](400_000), "1,250 columns, and at most 1,000 are read"),
        (SHAPES["parquet_texts"](20_000), "MB of text, and at most 128 MB are read"),
        (
            ("Date,Open,High,Low,Close\n" + "".join(f"x{n},1,1,1,1\n" for n in range(100_001))).encode(),
            "Date has 100,001 different dates, and at most 100,000 are read",
        ),
    ],
    ids=["ragged", "notes", "one row", "columns of Parquet", "texts of Parquet", "dates"],
)
def test_what_is_costly_is_refused_in_words(data: bytes, said: str) -> None:
    assert said in refusal(data)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_costly_shape_ends_in_forecasts_or_a_reason(place: Place, shape: str) -> None:
    """Small files of each shape, with limits as small."""
    place.limits = Limits(largest_file=200_000)
    ending = ".parquet" if "parquet" in shape else ".csv"
    outcome = place.handle(place.upload(BATCH.replace(".csv", ending), SHAPES[shape](150_000)))
    assert outcome.series or outcome.failures
    assert len(place.warehouse.read("ingestions")) == len(outcome.series) + len(outcome.failures)


def test_a_letter_that_is_rare_does_not_make_the_others_large() -> None:
    """Python keeps four bytes a letter of a text that has one such letter."""
    from tickercast.domain.files.price_containers import decoded

    data = (TITLES + f"MSFT,{BAR}").encode() + "\U0001f4c8,,,,,\n".encode()
    assert decoded(data) is data or len(decoded(data)) == len(data)


def test_what_a_refused_file_took_is_free_at_once() -> None:
    line = f"[/A],{BAR}[/B],{BAR}"
    read_prices((TITLES + line).encode())  # and what is loaded once
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        reading = read_prices((TITLES + line * 20_000).encode())
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert list(reading.failures) == ["[/A]", "[/B]"]
    assert held < 100_000


def test_a_reason_holds_nothing_of_the_file(place: Place) -> None:
    outcome = place.handle(place.upload(BATCH, f"{TITLES}MSFT,{BAR}[/B],{BAR}".encode()))
    assert len(outcome.failures) == 2
    assert [each.__traceback__ for each in outcome.failures.values()] == [None, None]


def test_the_calendars_of_many_refused_symbols_are_not_compared_with_every_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tickercast.domain.files import price_checks

    asked: list[str] = []
    monkeypatch.setattr(price_checks, "_fits", lambda symbol, days: asked.append(symbol) or "")
    days = [f"2023-07-{day:02}" for day in range(1, 31)]
    rows = (f"S{number},{day},10,12,9,11\n" for number in range(300) for day in days)
    reading = read_prices((TITLES + "".join(rows)).encode())
    assert len(reading.failures) == 300
    assert 0 < len(set(asked)) <= 200  # a hundred in each of two readings


def test_the_clock_is_asked_once_a_day_and_not_once_a_row(monkeypatch: pytest.MonkeyPatch, place: Place) -> None:
    from tickercast.domain.files import price_checks

    real, asked = price_checks.is_over, []
    monkeypatch.setattr(price_checks, "is_over", lambda *given: asked.append(given) or real(*given))
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", ("Date,Open,High,Low,Close\n" + BAR * 1000).encode()))
    assert 0 < len(asked) <= 2


# ---------------------------------------------------------------- a bounded number of reasons


def test_a_file_keeps_a_hundred_reasons_and_says_how_many_there_were(place: Place) -> None:
    names = [f"S{number}" for number in range(250)] + ["[/x]", "=1+1"]
    outcome = place.handle(place.upload(BATCH, (TITLES + "".join(f"{n},{BAR}" for n in names)).encode()))
    ledger = place.warehouse.read("ingestions")
    assert len(ledger) == len(outcome.failures) == 100
    [rest] = ledger.loc[ledger["symbol"].isna(), "reason"]
    assert rest.startswith("153 more reasons: S99 has 1 sessions")
    assert rest.endswith("And 150 like these.")
    [reason] = [name for name in place.store.names("quarantine/") if name.endswith(".reason.json")]
    assert len(place.store.read(reason)) < 40_000


def test_as_many_reasons_are_named_as_a_file_keeps(place: Place) -> None:
    def said(names: list[str]) -> str:
        place.handle(place.upload(BATCH, (TITLES + "".join(f"{name},{BAR}" for name in names)).encode()))
        [reason] = place.warehouse.read("ingestions").query("symbol.isna()").tail(1)["reason"]
        return str(reason)

    few = said(["S0", *(f"no {number}" for number in range(5))])
    assert few.startswith("5 more reasons: 'NO 0' is not a symbol")
    assert all(f"'NO {number}'" in few for number in range(5))
    assert "like these" not in few
    many = said([f"no {number}" for number in range(102)])
    assert many.startswith("102 reasons: 'NO 0' is not a symbol")
    assert "'NO 99'" in many
    assert many.endswith("And 2 like these.")


def test_what_is_no_symbol_is_not_stored_as_one(place: Place) -> None:
    place.handle(place.upload(BATCH, (TITLES + f"[/x],{BAR}MSFT,{BAR}").encode()))
    ledger = place.warehouse.read("ingestions")
    assert set(ledger["symbol"].dropna()) == {"MSFT"}
    [said] = ledger.loc[ledger["symbol"].isna(), "reason"]
    assert said.startswith("'[/X]' is not a symbol")


def test_a_symbol_without_a_reason_of_its_own_has_that_of_the_file(place: Place) -> None:
    from tickercast.jobs.requests.results import read_results
    from tickercast.jobs.requests.upload import Upload

    names = [f"S{number}" for number in range(120)]
    event = place.upload(BATCH, (TITLES + "".join(f"{n},{BAR}" for n in names)).encode())
    place.handle(event)
    found = read_results(Upload(event.name, event.generation, tuple(names)), warehouse=place.warehouse)
    assert set(found.failures) == set(names)
    assert str(found.failures["S0"]).startswith("S0 has 1 sessions")
    assert "21 more reasons" in str(found.failures["S119"])


# ---------------------------------------------------------------- files that end the process


class Killed(BaseException):
    """A SIGKILL, as the code sees it: nothing after it runs."""


def killed(place: Place, event: ObjectFinalized, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("tickercast.jobs.serving.handle_event._decide", kill)
        with pytest.raises(Killed):
            place.handle(event)
    place.now += timedelta(seconds=20)  # the platform waits before it delivers again


def large() -> bytes:
    return (TITLES + f"MSFT,{BAR}" * 45_000).encode()


def test_the_third_attempt_of_a_file_that_kills_is_rejected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    event = place.upload(BATCH, large())
    killed(place, event, monkeypatch)
    killed(place, event, monkeypatch)
    outcome = place.handle(event)
    [reason] = map(str, outcome.failures.values())
    assert reason.startswith(f"{BATCH} was started 2 times, and each time the function's instance ended")
    [row] = place.warehouse.read("ingestions").to_dict("records")
    assert (row["status"], row["reason"]) == ("rejected", reason)
    assert place.handle(event) == Outcome(status="duplicate")
    assert not [name for name in place.store.names("quarantine/") if "started" in name]


def test_a_delivery_within_ten_seconds_of_the_last_attempt_is_no_third_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(BATCH, large())
    killed(place, event, monkeypatch)
    killed(place, event, monkeypatch)
    place.now -= timedelta(seconds=15)
    assert list(place.handle(event).failures) == ["MSFT"], "its bars are refused, not the file"


def test_a_small_file_that_kills_is_rejected_one_attempt_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    event = place.upload("ohlc/2023-07-22/MSFT.csv", (TITLES + f"MSFT,{BAR}").encode())
    for _ in range(3):
        killed(place, event, monkeypatch)
    assert "was started 2 times" in str(place.handle(event).failures[None])


def test_an_attempt_that_survives_is_forgotten(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    event = place.upload(BATCH, large())
    for number in range(5):
        killed(place, event, monkeypatch) if number == 0 else None
        with monkeypatch.context() as patch:
            patch.setattr("tickercast.jobs.serving.handle_event._decide", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                place.handle(event)
        place.now += timedelta(seconds=20)
    assert list(place.handle(event).failures) == ["MSFT"]
    assert place.store.names("quarantine/started") == []


def test_a_file_at_which_somebody_pressed_ctrl_c_is_none_that_kills(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = place.upload(BATCH, large())
    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr("tickercast.jobs.serving.handle_event._decide", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                place.handle(event)
        place.now += timedelta(seconds=20)
    assert list(place.handle(event).failures) == ["MSFT"]
    assert place.store.names("quarantine/started") == []


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_deliveries_at_the_same_moment_are_one_attempt(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    event = place.upload(BATCH, large())
    for _ in range(5):
        killed(place, event, monkeypatch)
        place.now -= timedelta(seconds=20)
    assert list(place.handle(event).failures) == ["MSFT"]


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"attempts": "x", "started_at": 1}'])
def test_a_damaged_note_is_none(place: Place, note: bytes) -> None:
    event = place.upload(BATCH, large())
    place.store.write(objects.note_of(event.name, event.generation), note)
    assert list(place.handle(event).failures) == ["MSFT"]
    assert place.store.names("quarantine/started") == []


def test_a_small_file_that_comes_at_once_costs_no_further_write(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = place.store.write
    monkeypatch.setattr(
        place.store, "write", lambda name, *given, **more: written.append(name) or real(name, *given, **more)
    )
    place.handle(place.upload("ohlc/2023-07-22/MSFT.csv", (TITLES + f"MSFT,{BAR}").encode()))
    assert not [name for name in written if "started" in name]


def test_a_file_of_many_symbols_is_handled_in_time_that_grows_with_it(place: Place) -> None:
    """Work, not seconds: twice the symbols are at most some three times the calls."""
    import cProfile
    import pstats

    def calls(count: int) -> int:
        profile = cProfile.Profile()
        data = (TITLES + "".join(f"S{number},{BAR}" for number in range(count))).encode()
        event = place.upload(BATCH, data)
        profile.runcall(place.handle, event)
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(10)
    assert calls(600) < 3 * calls(300)
