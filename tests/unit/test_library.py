"""The library: what `import tickercast` offers, and the sentence that each bad input ends in."""

import functools
import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from deploy.reference import VALUES
from tests.support.hourly import make_hours, table

import tickercast
from tickercast import errors, library
from tickercast.app import App
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv, to_parquet
from tickercast.domain.forecast import QUANTILES, Forecast, Role, Step
from tickercast.domain.frequency import DAYS, MOMENTS
from tickercast.errors import (
    InvalidBars,
    NoRecentBars,
    TickercastError,
    TooFewSessions,
    UnknownSymbol,
    UsageError,
    WarehouseUnavailable,
)
from tickercast.library import Evaluation

MakeBars = Callable[..., Bars]
IMPORTED_LATE = [
    *("Bars", "Costs", "Decision", "Forecast", "Known", "Model"),
    *("evaluate", "load_model", "open", "read_csv", "read_events", "read_frame"),
]


def open_in(folder: Path, name: str = "app") -> App:
    return tickercast.open(bucket=f"file://{folder}/{name}", warehouse=f"duckdb://{folder}/{name}.duckdb")


@pytest.fixture
def app(workspace: Path) -> App:
    return open_in(workspace)


@pytest.fixture
def price_file(tmp_path: Path, make_bars: MakeBars) -> Path:
    """A CSV of two symbols, one of which is spoilt."""
    text = to_csv([make_bars("MSFT"), make_bars("BAD", sessions=2)]).decode()
    head, *rows = text.splitlines()
    spoilt = [row.replace(",", ",-", 2) if "BAD" in row else row for row in rows]
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([head, *spoilt]))
    return path


# ---------------------------------------------------------------- what is public


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(tickercast.__all__) == sorted([*IMPORTED_LATE, "errors"])
    for name in IMPORTED_LATE:
        assert getattr(tickercast, name) is getattr(library, name)
    assert tickercast.errors is errors
    assert tickercast.Bars is Bars
    assert tickercast.Forecast is Forecast
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = tickercast.nothing  # type: ignore[attr-defined]


def test_the_import_alone_offers_all_that_is_public_and_the_errors() -> None:
    script = "import tickercast; print(sorted(dir(tickercast)), tickercast.errors.UsageError.__name__)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{sorted([*IMPORTED_LATE, '__version__', 'errors'])} UsageError"


def test_the_import_alone_loads_nothing_heavy() -> None:
    script = (
        "import sys, tickercast; print({'numpy', 'pandas', 'duckdb', 'onnxruntime', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- forecasts


def test_forecasts_are_typed_values_with_frames_and_reasons(app: App) -> None:
    made = app.forecast(["MSFT", "NOPE", "a b", "ibm"], as_of="2012-08-15", source="sample")
    assert [one.symbol for one in made] == ["MSFT", "IBM"]
    assert len(made) == 2
    [microsoft, _] = made
    assert isinstance(microsoft, Forecast)
    assert (microsoft.cutoff, microsoft.horizon, microsoft.role) == (date(2012, 8, 15), 10, Role.CHAMPION)
    assert (microsoft.model_name, microsoft.simulated) == ("tickercast-lstm", False)
    first = microsoft.steps[0]
    assert isinstance(first, Step)
    assert (first.step, first.target_date) == (1, date(2012, 8, 16))
    assert first.close_lo_95 < first.close_lo_80 < first.close_median < first.close_hi_80 < first.close_hi_95
    assert first.covers(first.close_median, 80)
    assert isinstance(made.failures["NOPE"], UnknownSymbol)
    assert "'a b' is not a symbol" in str(made.failures["a b"])


def test_the_frame_of_a_forecast_has_a_row_a_step(app: App) -> None:
    made = app.forecast(["MSFT", "IBM"], as_of=date(2012, 8, 15), source="sample")
    frame = made[0].frame()
    assert frame["step"].tolist() == list(range(1, 11))
    assert list(frame.columns) == [
        *("symbol", "cutoff", "last_close", "step", "target_date", "close_median"),
        *("close_lo_80", "close_hi_80", "close_lo_95", "close_hi_95", "model_name", "model_version"),
    ]
    assert frame["close_median"].tolist() == [step.close_median for step in made[0].steps]
    pd.testing.assert_frame_equal(made.frame(), pd.concat([one.frame() for one in made], ignore_index=True))


def forecast_of_hours() -> Forecast:
    return tickercast.load_model("ewma-t", frequency="1h").predict(make_hours(hours=1200))


def bars_of_the_sample(app: App) -> Bars:
    rows = app.query("SELECT symbol, session_date AS date, open, high, low, close FROM latest_prices")
    return tickercast.read_frame(rows)["MSFT"]


def evaluated(app: App) -> Mapping[str, pd.DataFrame]:
    return app.evaluate(["ewma-t"], "2012-01-03", "2012-02-01", source="sample", symbols="MSFT")[0]


FRAMES: dict[str, Callable[[App], Sequence[pd.DataFrame]]] = {
    "App.query": lambda app: [app.query("SELECT * FROM champion_forecasts")],
    "App.costs": lambda app: [app.costs(date(2012, 1, 1))],
    "App.usage_of": lambda app: [app.usage_of("none")],
    "App.usage_by_owner": lambda app: [app.usage_by_owner()],
    "App.events": lambda app: [app.events()[0]],
    "App.evaluate": lambda app: [*evaluated(app).values()],
    "App.directions": lambda app: [*vars(app.directions()).values()],
    "App.details": lambda app: [app.details(app.stored_forecast("MSFT").made).bars],
    "Forecast.frame": lambda app: [app.stored_forecast("MSFT").made.frame(), forecast_of_hours().frame()],
    "Requested.frame": lambda app: [app.forecast(["NOPE"], "2012-08-15", source="sample").frame()],
    "Bars.frame": lambda app: [bars_of_the_sample(app).frame, make_hours(hours=30).frame],
    "Evaluation.frame": lambda app: [Evaluation(evaluated(app)).frame()],
    "Evaluation.ratios": lambda app: [Evaluation(evaluated(app)).ratios()],
    "Evaluation.by_step": lambda app: [Evaluation(evaluated(app)).by_step()],
    "SymbolOdds.above": lambda app: [app.odds("MSFT").above(30)],
    "SymbolOdds.below": lambda app: [app.odds("MSFT").below(30)],
    "SymbolOdds.between": lambda app: [app.odds("MSFT").between(29, 31)],
    "SymbolOdds.prices": lambda app: [app.odds("MSFT").prices(0.1)],
    "Outlook.frame": lambda app: [app.paths(["MSFT", "IBM"]).frame()],
}


def test_dates_and_moments_have_one_type_in_all_frames(app: App) -> None:
    app.forecast(["MSFT", "IBM"], "2012-08-15", source="sample")
    names = {"App.directions", "App.details"}  # these answer with more than frames
    for kind in (App, *VALUES):
        for name, member in inspect.getmembers(kind):
            made = member.func if isinstance(member, functools.cached_property) else member
            if not name.startswith("_") and "DataFrame" in str(getattr(made, "__annotations__", {}).get("return")):
                names.add(f"{kind.__name__}.{name}")
    assert set(FRAMES) == names

    for name, ask in FRAMES.items():
        for frame in ask(app):
            for column, values in frame.items():
                of_time = values.dtype.kind == "M" or any(isinstance(value, date) for value in values)
                assert not of_time or str(values.dtype) in (DAYS, MOMENTS), f"{name}: {column} is {values.dtype}"


def test_a_forecast_can_be_joined_with_other_frames_and_cut_at_a_date(app: App) -> None:
    frame = app.forecast(["MSFT"], "2012-07-31", source="sample").frame()
    app.forecast(["MSFT"], "2012-08-15", source="sample")  # stores the closes
    closes = bars_of_the_sample(app).frame
    stored = app.query("SELECT step, target_date, close_median AS stored FROM champion_forecasts")
    odds = app.odds("MSFT", "2012-07-31").above(30)
    assert len(frame.merge(odds, on=["step", "target_date"])) == 10
    assert len(frame.merge(app.paths(["MSFT"], "2012-07-31").frame(), on=["symbol", "cutoff", "step"])) == 19990
    assert len(frame.merge(closes, left_on="target_date", right_on="session_date")) == 10
    joined = frame.merge(stored, on=["step", "target_date"])
    assert joined["stored"].tolist() == frame["close_median"].tolist()
    assert len(frame[frame["target_date"] > "2012-08-10"]) == 2


def test_the_hours_of_a_forecast_can_be_joined_with_their_bars() -> None:
    bars = make_hours(hours=1200)
    frame = tickercast.load_model("ewma-t", frequency="1h").predict(bars.rows(0, 1190)).frame()
    assert len(frame.merge(bars.frame, left_on="target_at", right_on="closed_at")) == 10


def test_what_was_forecast_can_be_queried(app: App) -> None:
    made = app.forecast(["MSFT"], as_of="2012-08-15", source="sample")
    stored = app.query("SELECT step, close_median FROM champion_forecasts WHERE symbol = 'MSFT' ORDER BY step")
    assert stored["close_median"].tolist() == [step.close_median for step in made[0].steps]


@pytest.mark.parametrize("as_of", [date(2012, 8, 15), datetime(2012, 8, 15, 18), pd.Timestamp("2012-08-15")])
def test_a_date_may_have_any_type_of_date(app: App, as_of: date) -> None:
    assert app.forecast("MSFT", as_of, source="sample")[0].cutoff == date(2012, 8, 15)


def test_a_date_of_a_column_is_a_date(make_bars: MakeBars) -> None:
    bars = make_bars()
    first, last = bars.columns["session_date"][[-60, -12]]
    found, same = (
        tickercast.evaluate("ewma-t", bars, *days, every=5) for days in ((first, last), (str(first), str(last)))
    )
    pd.testing.assert_frame_equal(found.losses["ewma-t"], same.losses["ewma-t"])
    assert bars.until(last).cutoff == last.item()
    assert (bars.since(first).first, len(bars.since(first).through(last))) == (first.item(), 49)

    hours = make_hours(hours=100)
    end = hours.ends[-10]
    assert hours.until(end).end == hours.through(end).end == end.item()
    aware = end.item().replace(tzinfo=UTC)
    assert hours.through(aware).end == hours.through(aware.astimezone(ZoneInfo("Asia/Tokyo"))).end == end.item()


def test_nothing_asked_is_nothing_forecast(app: App, workspace: Path) -> None:
    with pytest.raises(UsageError, match="No symbol was named, and at least one was needed"):
        app.forecast([], as_of="2012-08-15", source="sample")
    assert list(workspace.iterdir()) == []


def test_the_closes_that_followed_are_those_of_the_steps(app: App) -> None:
    bars = make_hours(hours=1200)
    table(bars).to_csv("BTCUSDT.csv", index=False)
    hours = app.forecast("BTCUSDT", "2022-02-20 14:00", source="BTCUSDT.csv", frequency="1h", actual=True)
    assert hours.actual is not None
    followed = bars.since(datetime(2022, 2, 20, 15)).through(datetime(2022, 2, 21, 14))
    assert list(hours.actual["BTCUSDT"]) == [step.target_at for step in hours[0].steps]
    assert list(hours.actual["BTCUSDT"].values()) == followed.columns["close"].tolist()

    days = app.forecast(["MSFT", "IBM"], "2012-07-20", source="sample", actual=True)
    assert days.actual is not None
    for made in days:
        assert list(days.actual[made.symbol]) == [step.target_date for step in made.steps]


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize("name", ["har-season", "ewma-season", "tickercast-lstm-1h", "tickercast-plain-1h"])
def test_an_hourly_model_that_comes_with_the_package_is_loaded_by_its_own_name(name: str) -> None:
    made = tickercast.load_model(name, frequency="1h").predict(make_hours(hours=1200))
    assert (made.model_name, made.horizon) == (name, 24)


@pytest.mark.usefixtures("workspace")
def test_the_champion_is_loaded_by_its_own_name(make_bars: MakeBars) -> None:
    by_name, champion = (tickercast.load_model(name).predict(make_bars()) for name in ("tickercast-lstm", "champion"))
    assert by_name == champion


@pytest.mark.parametrize(("every", "source"), [("1d", "sample"), ("1h", "")])
def test_a_frame_of_no_forecast_has_the_usual_columns(app: App, every: str, source: str) -> None:
    hourly = every == "1h"
    bars = make_hours(hours=1200)
    if hourly:
        table(bars).to_csv("BTCUSDT.csv", index=False)
    known, as_of = ("BTCUSDT", "2022-02-20 12:00") if hourly else ("MSFT", "2012-08-15")
    usual = app.forecast([known], as_of, source=source or "BTCUSDT.csv", frequency=every).frame()
    for asked in (["NOPE"], ["a b"]):
        none = app.forecast(asked, as_of, source=source or "BTCUSDT.csv", frequency=every).frame()
        assert len(none) == 0
        pd.testing.assert_series_equal(none.dtypes, usual.dtypes)


ONE_SYMBOL: dict[str, Callable[[App, str | list[str]], Any]] = {
    "watchlist": lambda app, symbols: app.watchlist(symbols),
    "hourly watchlist": lambda app, symbols: app.hourly_watchlist(symbols),
    "watched": lambda app, symbols: app.watched(symbols),
    "overview": lambda app, symbols: [row.symbol for row in app.overview(symbols)],
    "stored report": lambda app, symbols: "MSFT" in app.stored_report(symbols),
    "calibrations": lambda app, symbols: app.calibrations(symbols),
    "events": lambda app, symbols: app.events(symbols)[1],
    "backfill": lambda app, symbols: app.plan_backfill(symbols, "2012-06-01", "2012-06-05"),
    "open alerts": lambda app, symbols: [alert.title for alert in app.open_alerts(symbols)],
    "digest": lambda app, symbols: app.digest(symbols),
    "targets": lambda app, symbols: app.strategy_targets([], symbols, date(2012, 8, 15)).panel.symbols,
    "kept": lambda app, symbols: (app.watchlist_file.add(symbols), app.watchlist_file.remove(symbols)),
}


def test_one_symbol_may_be_a_text_wherever_symbols_are_taken(app: App) -> None:
    app.forecast(["MSFT"], "2012-08-15", source="sample")
    for name, ask in ONE_SYMBOL.items():
        assert ask(app, "MSFT") == ask(app, ["MSFT"]), name


def test_two_applications_in_one_process_do_not_mix(workspace: Path) -> None:
    one, other = open_in(workspace, "one"), open_in(workspace, "other")
    assert one.forecast(["MSFT"], "2012-08-15", source="sample")[0].symbol == "MSFT"
    assert other.forecast(["IBM"], "2012-08-14", source="sample")[0].symbol == "IBM"
    query = "SELECT DISTINCT symbol FROM champion_forecasts"
    assert (one.query(query)["symbol"].tolist(), other.query(query)["symbol"].tolist()) == (["MSFT"], ["IBM"])


# ---------------------------------------------------------------- settings


def test_a_setting_that_is_not_given_comes_from_the_environment(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERCAST_SOURCE", "simulated")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere.db")
    settings = tickercast.open(bucket="file://b").settings
    assert (settings.bucket, settings.source) == ("file://b", "simulated")
    assert settings.mlflow_tracking_uri == "sqlite:///elsewhere.db"
    assert tickercast.open(mlflow_tracking_uri="sqlite:///x.db").settings.mlflow_tracking_uri == "sqlite:///x.db"


def test_opening_connects_to_nothing_and_creates_nothing(workspace: Path) -> None:
    tickercast.open(bucket="gs://my-bucket", warehouse="bigquery://my-project/forecasts")
    tickercast.open()
    assert list(workspace.iterdir()) == []


# ---------------------------------------------------------------- files


def test_a_file_is_read_as_a_mapping_whose_failures_are_raised_when_asked_for(price_file: Path) -> None:
    reading = tickercast.read_csv(price_file)
    assert list(reading) == ["MSFT"]
    assert isinstance(reading["MSFT"], Bars)
    assert reading["MSFT"].cutoff == date(2023, 7, 21)
    assert len(reading["MSFT"]) == 400
    assert list(reading.failures) == ["BAD"]
    with pytest.raises(InvalidBars, match="BAD"):
        _ = reading["BAD"]


def test_a_file_of_one_symbol_takes_it_from_its_name_or_from_the_caller(tmp_path: Path) -> None:
    text = "Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n"
    for name in ("brk-b.csv", "prices of may.csv"):
        (tmp_path / name).write_text(text)
    assert list(tickercast.read_csv(tmp_path / "brk-b.csv")) == ["BRK-B"]
    assert list(tickercast.read_csv(str(tmp_path / "prices of may.csv"), symbol="msft")) == ["MSFT"]


def test_a_file_of_several_symbols_is_read_whole_whatever_its_name(make_bars: MakeBars, tmp_path: Path) -> None:
    series = [make_bars("MSFT"), make_bars("META")]
    for name, data in (("big.csv", to_csv(series)), ("big.parquet", to_parquet(series))):
        (tmp_path / name).write_bytes(data)
        assert list(tickercast.read_csv(tmp_path / name)) == ["MSFT", "META"]
        with pytest.raises(UsageError, match="several symbols, such as MSFT and META, and KO was given for it"):
            tickercast.read_csv(tmp_path / name, symbol="KO")


@pytest.mark.parametrize("given", ["MSFT", "META", "KO"])
def test_a_symbol_is_given_for_one_symbol_alone(make_bars: MakeBars, tmp_path: Path, given: str) -> None:
    one, two = (make_bars(symbol).frame.assign(symbol=symbol) for symbol in ("MSFT", "META"))
    for frame in (pd.concat([one, two]), pd.concat([one[:200], two, one[200:]])):
        frame.to_csv(tmp_path / "prices.csv", index=False)
        for read, what in ((tickercast.read_csv, tmp_path / "prices.csv"), (tickercast.read_frame, frame)):
            with pytest.raises(UsageError, match=f"several symbols, such as MSFT and META, and {given} was given for"):
                read(what, symbol=given)  # type: ignore[operator]
    with pytest.raises(UsageError, match="The file holds MSFT, and PRICES was given for it"):
        tickercast.read_frame(one, symbol="PRICES")


def plain_table(bars: Bars) -> pd.DataFrame:
    titles = {"session_date": "Date", "adj_close": "Adj Close"}
    return bars.frame.rename(columns=lambda name: titles.get(name, name.title())).set_index("Date")


def by_price_and_ticker(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    wide = pd.concat(tables, axis=1, names=["Ticker", "Price"])
    return wide.swaplevel(axis=1).sort_index(axis=1)


TABLES: dict[str, Callable[[pd.DataFrame, pd.DataFrame], tuple[pd.DataFrame, str | None]]] = {
    "dates in the index": (lambda one, two: (one, "MSFT")),
    "dates in a column": (lambda one, two: (one.reset_index(), "MSFT")),
    "a selection": (lambda one, two: (one.reset_index().iloc[3:], "MSFT")),
    "no name of the index": (lambda one, two: (one.rename_axis(None), "MSFT")),
    "moments": (lambda one, two: (one.tz_localize("America/New_York"), "MSFT")),
    "the other way round": (lambda one, two: (one.iloc[::-1], "MSFT")),
    "yfinance, one": (lambda one, two: (by_price_and_ticker({"MSFT": one}), None)),
    "yfinance, two": (lambda one, two: (by_price_and_ticker({"MSFT": one, "IBM": two}), None)),
    "by ticker": (lambda one, two: (pd.concat({"MSFT": one, "IBM": two}, axis=1), None)),
    "seconds in an index without a name": (
        lambda one, two: (one.set_index(one.index.astype("datetime64[s]").astype(int).rename(None)), "MSFT")
    ),
    "numbers of days in the index": (
        lambda one, two: (one.set_index(one.index.strftime("%Y%m%d").astype(int).rename("Date")), "msft")
    ),
    "a first row of no symbol, one": (
        lambda one, two: (pd.concat([one.iloc[:1].assign(Symbol=None), one.iloc[1:].assign(Symbol="MSFT")]), None)
    ),
    "below each other": (lambda one, two: (pd.concat({"MSFT": one, "IBM": two}, names=["Symbol"]), None)),
}


@pytest.mark.parametrize("shape", TABLES)
def test_a_table_is_read_as_a_file_of_it(make_bars: MakeBars, shape: str) -> None:
    bars = make_bars("MSFT")
    frame, symbol = TABLES[shape](plain_table(bars), plain_table(make_bars("IBM", seed=3)))
    read = tickercast.read_frame(frame, symbol=symbol)
    assert set(read) == ({"MSFT"} if symbol or "one" in shape else {"MSFT", "IBM"})
    first = {"a selection": 3, "a first row of no symbol, one": 1}.get(shape, 0)
    pd.testing.assert_frame_equal(read["MSFT"].frame, bars.frame[first:].reset_index(drop=True))


def test_a_symbol_is_spelt_as_in_a_column(make_bars: MakeBars, tmp_path: Path) -> None:
    bars = make_bars("BRK-B")
    bars.frame.to_csv(tmp_path / "prices.csv", index=False)
    assert list(tickercast.read_frame(bars.frame, symbol="brk.b")) == ["BRK-B"]
    assert list(tickercast.read_csv(tmp_path / "prices.csv", symbol="BRK.B")) == ["BRK-B"]
    for seen in ("BRK/B", "$BRK-B"):
        assert list(tickercast.read_frame(bars.frame.assign(symbol=seen), symbol="BRK-B")) == ["BRK-B"]


def test_half_a_letter_in_a_text_that_is_ignored_is_ignored(make_bars: MakeBars) -> None:
    frame = make_bars().frame
    half = pd.Series(["a\ud800"] * len(frame), dtype=object)
    assert len(tickercast.read_frame(frame.assign(note=half), symbol="MSFT")["MSFT"]) == len(frame)
    [(name, why)] = tickercast.read_frame(frame.assign(symbol=half)).failures.items()
    assert "is not a symbol" in str(why)
    name.encode()


def test_a_table_of_hours_is_read(workspace: Path) -> None:
    bars = make_hours(hours=240)
    read = tickercast.read_frame(table(bars), symbol="BTCUSDT", frequency="1h")
    np.testing.assert_array_equal(read["BTCUSDT"].ends, bars.ends)


def assert_same_bars(found: Bars, wanted: Bars) -> None:
    assert found.frequency == wanted.frequency
    pd.testing.assert_frame_equal(found.frame, wanted.frame)


@pytest.mark.parametrize("every", ["1d", "1h"])
def test_the_frame_of_bars_is_read_as_the_bars_that_it_is_of(make_bars: MakeBars, tmp_path: Path, every: str) -> None:
    bars, symbol = (make_bars(), "MSFT") if every == "1d" else (make_hours(hours=240), "BTCUSDT")
    end = "session_date" if every == "1d" else "closed_at"
    for frame in (bars.frame, bars.frame.set_index(end)):
        assert_same_bars(tickercast.read_frame(frame, symbol=symbol, frequency=every)[symbol], bars)
        frame.to_csv(tmp_path / f"{symbol}.csv", index=frame is not bars.frame)
        frame.to_parquet(tmp_path / f"{symbol}.parquet")
        for name in ("csv", "parquet"):
            assert_same_bars(tickercast.read_csv(tmp_path / f"{symbol}.{name}", frequency=every)[symbol], bars)
    assert_same_bars(Bars(symbol, bars.frame), bars)


def test_the_ends_of_hours_need_no_dates_beside_them_and_are_none() -> None:
    bars = make_hours(hours=240)
    frame = bars.frame.drop(columns="session_date")
    assert_same_bars(tickercast.read_frame(frame, symbol="BTCUSDT", frequency="1h")["BTCUSDT"], bars)
    with pytest.raises(InvalidBars, match="no column Date"):
        tickercast.read_frame(frame, symbol="BTC-USD")


def test_prices_as_they_are_exported_are_read_as_bars(make_bars: MakeBars) -> None:
    of_days, of_hours = make_bars(), make_hours(hours=240)
    closed_at = of_days.frame["session_date"].dt.tz_localize("UTC") + pd.Timedelta(hours=20)
    for bars, moments in ((of_days, closed_at), (of_hours, of_hours.frame["closed_at"])):
        every = str(bars.frequency)
        frame = bars.frame.assign(symbol=bars.symbol, frequency=every, closed_at=moments, simulated=False)
        assert_same_bars(tickercast.read_frame(frame, frequency=every)[bars.symbol], bars)
        assert_same_bars(Bars(bars.symbol, frame), bars)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "UTC"])
def test_a_midnight_with_a_time_zone_is_its_own_date(make_bars: MakeBars, zone: str) -> None:
    bars = make_bars("7203.T")
    zoned = bars.frame["session_date"].dt.tz_localize(zone)
    for dates in (
        zoned,
        zoned.astype(object),
        zoned.map(pd.Timestamp.isoformat),
        zoned.map(pd.Timestamp.to_pydatetime),
    ):
        assert_same_bars(Bars("7203.T", bars.frame.assign(session_date=dates)), bars)
    assert np.isnat(Bars("7203.T", bars.frame.assign(session_date=zoned.where(zoned.index > 0))).ends[0])


def test_a_time_in_another_zone_is_no_date(make_bars: MakeBars) -> None:
    frame = make_bars("7203.T").frame
    days = frame["session_date"].dt.tz_localize("Asia/Tokyo").dt.tz_convert("UTC")
    with pytest.raises(
        InvalidBars, match=r"session_date of 7203\.T is of moments with a time zone, such as .* 15:00:00"
    ):
        Bars("7203.T", frame.assign(session_date=days))


def test_bars_of_ones_own_are_of_days_that_an_exchange_has_had(make_bars: MakeBars) -> None:
    model, frame = tickercast.load_model("ewma-t"), make_bars().frame
    last = pd.Timestamp(datetime.now(UTC).date())
    moved = {
        "on days when its exchange was closed, such as 2023-07-22: every date is a day too late": frame.assign(
            session_date=frame["session_date"] + pd.Timedelta(days=1)
        ),
        "has one bar a week: daily bars were needed": frame[::5],
        r"has 93 bar\(s\) of days that have not been": frame.assign(
            session_date=pd.date_range(end=last + pd.Timedelta(days=93), periods=len(frame))
        ),
    }
    for sentence, shifted in moved.items():
        own = Bars("MSFT", shifted)
        with pytest.raises(InvalidBars, match=sentence):
            model.predict(own)
        with pytest.raises(InvalidBars, match=sentence):
            model.predict([make_bars("IBM"), own])
    assert model.predict(Bars("MSFT", frame.drop(index=range(100, 160)))).cutoff == date(2023, 7, 21)


def test_hours_of_ones_own_are_an_hour_apart_and_have_been() -> None:
    model, bars = tickercast.load_model("ewma-t", frequency="1h"), make_hours(hours=1200)
    with pytest.raises(InvalidBars, match="hourly bars were needed"):
        model.predict(Bars(bars.symbol, bars.frame[::4]))
    ahead = np.datetime64(datetime.now(UTC).date(), "h") + 24 * 30 - bars.ends[-1]
    frame = bars.frame
    frame["closed_at"] += pd.Timedelta(ahead)
    frame["session_date"] += pd.Timedelta(ahead)
    with pytest.raises(InvalidBars, match="of days that have not been"):
        model.predict(Bars(bars.symbol, frame))


def test_hours_of_a_table_end_on_the_hour() -> None:
    frame = make_hours(hours=30).frame
    with pytest.raises(InvalidBars, match="closed_at of BTCUSDT"):
        Bars("BTCUSDT", frame.assign(closed_at=frame["closed_at"] - pd.Timedelta(milliseconds=1)))


# ---------------------------------------------------------------- models


@pytest.mark.usefixtures("workspace")
def test_the_champion_predicts_without_a_bucket(make_bars: MakeBars, workspace: Path) -> None:
    model = tickercast.load_model("champion")
    bars = make_bars()
    made = model.predict(bars)
    assert isinstance(made, Forecast)
    assert (made.symbol, made.cutoff, made.last_close) == ("MSFT", bars.cutoff, bars.last_close)
    assert (made.model_name, made.model_version) == (model.name, model.version)
    assert [step.target_date for step in made.steps][:2] == [date(2023, 7, 24), date(2023, 7, 25)]
    quantiles = model.predictor.predict([bars])[0]
    assert made.steps[4].close_hi_95 == pytest.approx(bars.last_close * np.exp(quantiles[4, QUANTILES.index(0.975)]))
    assert list(workspace.iterdir()) == []


@pytest.mark.usefixtures("workspace")
def test_several_series_are_predicted_as_each_alone(make_bars: MakeBars, price_file: Path) -> None:
    model = tickercast.load_model("ewma-t")
    series = [make_bars("MSFT"), make_bars("AAPL", seed=3)]
    assert model.predict(series) == [model.predict(one) for one in series]
    assert [made.symbol for made in model.predict(tickercast.read_csv(price_file))] == ["MSFT"]
    assert model.predict([]) == []


def test_a_model_alone_says_what_is_odd_as_the_application_does(app: App, make_bars: MakeBars, workspace: Path) -> None:
    frame = make_bars().frame
    frame.loc[370:380, ["open", "high", "low", "close", "adj_close"]] = frame["close"][369]
    frame.loc[300, ["open", "high", "low", "close"]] = np.nan
    (workspace / "prices").mkdir()
    frame.to_csv(workspace / "prices" / "MSFT.csv", index=False)
    [by_application] = app.forecast(["MSFT"], "2023-07-21", source=str(workspace / "prices"))
    read = tickercast.read_csv(workspace / "prices" / "MSFT.csv")
    [whole], alone = tickercast.load_model().predict(read), tickercast.load_model().predict(read["MSFT"])
    halted = "halted: no move for 11 sessions from 2023-06-08 to 2023-06-23"
    assert alone.findings == halted
    assert whole.findings == by_application.findings == f"left out: 1 row(s) without prices (2023-02-28); {halted}"
    assert whole.doubtful
    assert alone.doubtful
    assert by_application.doubtful
    early = read["MSFT"].rows(0, 300)
    assert [one.doubtful for one in tickercast.load_model("ewma-t").predict([early, read["MSFT"]])] == [False, True]


def test_hours_that_are_missing_make_a_forecast_doubtful() -> None:
    whole = make_hours(hours=1200)
    torn = Bars(whole.symbol, {name: np.delete(values, slice(1100, 1120)) for name, values in whole.columns.items()})
    made = tickercast.load_model(frequency="1h").predict([whole, torn])
    assert [(one.doubtful, one.findings[:24]) for one in made] == [(False, ""), (True, "gap: no bar for 20 hours")]


def test_a_class_that_a_model_was_not_measured_on_is_said(make_bars: MakeBars) -> None:
    card = tickercast.load_model().predictor.card.model_copy(update={"metrics": {}})  # type: ignore[attr-defined]
    [stock, coin] = tickercast.Model(Own(card=card)).predict([make_bars("MSFT"), make_bars("ETH-USD")])
    assert stock.findings == ""
    assert coin.findings.startswith("not measured for this class: ETH-USD counts as crypto")


def test_a_model_alone_takes_results_days_and_its_forecast_says_them(tmp_path: Path, make_bars: MakeBars) -> None:
    (tmp_path / "mine.csv").write_text(
        "symbol,date,session,known_at\nMSFT,2023-07-25,after,2023-07-06\nMSFT,2022-07-26,after,\nMMM,2023-07-25,,\n"
    )
    results = tickercast.read_events(tmp_path / "mine.csv")
    series = [make_bars("MSFT"), make_bars("MMM"), make_bars("IBM")]
    made = tickercast.load_model("ewma-t").predict(series, results=results)
    assert [str(one.results) for one in made] == ["2023-07-25 (after the close)", "None", "None"]
    told: list[Any] = []

    class Listener:
        name, version, horizon, min_sessions, adapts = "listener", "1", 10, 91, False

        def informed(self, results: Any, widths: Any = None) -> "Listener":
            told.append(results)
            return self

        def predict(self, series: Any) -> Any:
            return np.zeros((len(series), 10, len(QUANTILES)))

        def predict_at(self, bars: Bars, at: Any) -> Any:
            return np.zeros((len(at), 10, len(QUANTILES)))

        def results_lift(self, bars: Bars, at: Any) -> Any:
            return np.zeros((len(at), 10))

    model = tickercast.Model(Listener())
    model.predict(series, results=results)
    tickercast.evaluate(model, series, "2023-05-01", "2023-06-01", results=results)
    assert all(each is results for each in told)
    assert len(told) >= 2


@pytest.mark.usefixtures("workspace")
def test_the_champion_is_the_one_that_the_application_serves(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.provision()
    monkeypatch.setenv("TICKERCAST_BUCKET", app.settings.bucket)
    champion = app.served_models()[0].model
    model = tickercast.load_model()
    assert (model.name, model.version) == (champion.name, champion.version)


def test_simulated_bars_make_simulated_forecasts(workspace: Path) -> None:
    simulated = tickercast.open(source="simulated").market_data()
    bars = simulated.fetch(["MSFT"], date(2022, 1, 1), date(2023, 7, 21), advance=lambda _: None)["MSFT"]
    assert tickercast.load_model("random-walk").predict(bars).simulated


# ---------------------------------------------------------------- evaluation


@pytest.mark.usefixtures("workspace")
def test_an_evaluation_compares_with_the_baselines(make_bars: MakeBars) -> None:
    series = [make_bars(f"S{seed}", seed=seed) for seed in range(3)]
    found = tickercast.evaluate("champion", series, "2022-09-01", "2023-05-31")
    models = ["tickercast-lstm", "ewma-t", "ewma-fhs", "historical-simulation", "random-walk"]
    frame, ratios = found.frame(), found.ratios()
    assert list(frame.index) == models
    assert frame["n"].nunique() == 1
    assert frame.loc["random-walk", "mae_vs_naive"] == pytest.approx(1)
    assert list(ratios.index) == models[1:]
    assert (ratios["lo"] <= ratios["ratio"]).all()
    assert (ratios["ratio"] <= ratios["hi"]).all()
    assert ratios.loc["ewma-t", "ratio"] == pytest.approx(
        frame.loc["tickercast-lstm", "sp"] / frame.loc["ewma-t", "sp"]
    )
    assert list(found.by_step().index) == [str(step) for step in range(1, 11)]
    assert found.report()["model"] == "tickercast-lstm"


@pytest.mark.usefixtures("workspace")
def test_a_model_of_ones_own_can_be_evaluated(make_bars: MakeBars) -> None:
    class Median:
        name, version, horizon, min_sessions = "median", "1", 10, 1

        def predict(self, series: Any) -> Any:
            return np.zeros((len(series), self.horizon, len(QUANTILES)))

    for model in (Median(), tickercast.Model(Median())):
        found = tickercast.evaluate(model, make_bars(), "2022-09-01", "2023-05-31", every=np.int64(20))  # type: ignore[arg-type]
        assert found.frame().loc["median", "coverage_95"] == 0
        assert len(found.losses["median"]) == len(found.losses["random-walk"])


class Own:
    """A model as a user writes one: the same quantiles everywhere."""

    def __init__(self, quantiles: Any = None, **other: Any) -> None:
        self.name, self.version, self.horizon, self.min_sessions = "own", "1", 10, 91
        self.quantiles = np.linspace(-0.1, 0.1, len(QUANTILES)) if quantiles is None else quantiles
        vars(self).update(other)

    def predict(self, series: Any) -> Any:
        return np.broadcast_to(self.quantiles, (len(series), self.horizon, len(QUANTILES)))


@pytest.mark.usefixtures("workspace")
@pytest.mark.parametrize(
    ("version", "others"),
    [
        ("1", ["ewma-fhs", "historical-simulation", "random-walk"]),
        ("mine", ["ewma-t 1", "ewma-fhs", "historical-simulation", "random-walk"]),
    ],
)
def test_a_model_of_the_name_of_a_baseline_is_judged_itself(
    make_bars: MakeBars, version: str, others: list[str]
) -> None:
    model = Own(np.full(len(QUANTILES), 9.0), name="ewma-t", version=version)
    found = tickercast.evaluate(model, make_bars(), "2022-09-01", "2023-05-31", every=20)
    assert list(found.losses) == ["ewma-t", *others]
    assert found.frame().loc["ewma-t", "sp"] > 10 * found.frame().loc["random-walk", "sp"]
    assert list(found.ratios().index) == others


def test_hours_can_be_evaluated_by_a_model_that_predicts_series_alone() -> None:
    model = Own(horizon=24, min_sessions=200)
    found = tickercast.evaluate(model, make_hours(hours=1200), "2022-02-10", "2022-02-18")
    assert len(found.losses["own"]) == len(found.losses["ewma-t"]) > 0


_FALLING = np.linspace(0.1, -0.1, len(QUANTILES))
_GAP = np.where(np.arange(len(QUANTILES)) == 3, np.nan, 0.0)


class Shaped(Own):
    """A model that gives the same array, whatever it is asked for."""

    def predict(self, series: Any) -> Any:
        return self.quantiles


NO_FORECAST: dict[str, tuple[Own, str]] = {
    "falling": (Own(_FALLING), "own 1 gave quantiles that fall"),
    "a gap": (Own(_GAP), "own 1 gave quantiles that are not finite, or beyond ±100: log-returns were needed"),
    "infinite": (Own(np.full(len(QUANTILES), np.inf)), "own 1 gave quantiles that are not finite"),
    "prices": (Own(np.full(len(QUANTILES), 335.0)), "own 1 gave quantiles that are not finite, or beyond ±100"),
    "too few quantiles": (
        Shaped(np.zeros((1, 10, 5))),
        "own 1 gave quantiles of shape (1, 10, 5): (1, 10, 13) was needed",
    ),
    "too many rows": (Shaped(np.zeros((3, 10, 13))), "own 1 gave quantiles of shape (3, 10, 13): (1, 10, 13) was"),
    "nothing": (
        Shaped("nothing"),
        "own 1 gave quantiles that are no array of real numbers: an array of shape (1, 10, 13)",
    ),
    "complex": (Shaped(np.full((1, 10, 13), 0.01 + 0.5j)), "own 1 gave quantiles that are no array of real numbers"),
    "texts": (Shaped(np.full((1, 10, 13), "0.01")), "own 1 gave quantiles that are no array of real numbers"),
    "spans": (
        Shaped(np.zeros((1, 10, 13), "timedelta64[D]")),
        "own 1 gave quantiles that are no array of real numbers",
    ),
    "None": (Shaped([[None]]), "own 1 gave quantiles of shape (1, 1): (1, 10, 13) was needed"),
}


@pytest.mark.parametrize("case", NO_FORECAST)
def test_no_forecast_is_made_of_what_is_none(make_bars: MakeBars, case: str) -> None:
    model, said = NO_FORECAST[case]
    bars = make_bars()
    with pytest.raises(UsageError) as refused:
        tickercast.Model(model).predict(bars)
    assert said in str(refused.value)
    with pytest.raises(UsageError, match="own 1 gave quantiles"):
        tickercast.evaluate(model, bars, "2023-04-03", "2023-04-06", every=1)


def test_a_model_of_ones_own_is_shown_no_series_that_is_too_short(make_bars: MakeBars) -> None:
    model = tickercast.Model(Own())
    assert len(model.predict(make_bars(sessions=91)).steps) == 10
    with pytest.raises(TooFewSessions, match=r"MSFT has 90 session\(s\): at least 91 were needed"):
        model.predict([make_bars(sessions=91), make_bars(sessions=90)])
    with pytest.raises(TooFewSessions, match=r"BTCUSDT has 90 hour\(s\): at least 91 were needed"):
        model.predict(make_hours(hours=90))
    with pytest.raises(TooFewSessions, match=r"MSFT has 0 session\(s\): at least 1 were needed"):
        tickercast.Model(Own(min_sessions=0)).predict(make_bars().rows(0, 0))


def test_the_folder_of_a_bundle_may_be_a_path(make_bars: MakeBars) -> None:
    folder = Path(library.__file__).parent / "shipped" / "models" / "tickercast-lstm" / "1"
    assert tickercast.load_model(folder).name == "tickercast-lstm"
    found = tickercast.evaluate(folder, make_bars(), "2023-04-03", "2023-04-06")
    assert next(iter(found.losses)) == "tickercast-lstm"


def test_a_model_of_ones_own_is_not_asked_about_nothing() -> None:
    assert tickercast.Model(Shaped("nothing")).predict([]) == []


# ---------------------------------------------------------------- bad inputs


YEAR = ("2023-01-01", "2023-12-31")


def _with(bars: Bars, change: Callable[[str, Any], Any]) -> Bars:
    """Bars with other columns."""
    return Bars(bars.symbol, {name: change(name, values) for name, values in bars.columns.items()})


BAD: dict[str, tuple[Callable[[App, Bars], Any], type[TickercastError], str]] = {
    "a setting's name": (lambda app, bars: tickercast.open(bukket="x"), UsageError, "'bukket' is not a setting"),
    "a setting's value": (lambda app, bars: tickercast.open(max_file_mb="lots"), UsageError, "max_file_mb is 'lots'"),
    "a setting's type": (lambda app, bars: tickercast.open(bucket=5), UsageError, "bucket is 5"),
    "an engine": (lambda app, bars: tickercast.open(warehouse="x://y").query("SELECT 1"), UsageError, "'x://y'"),
    "no warehouse": (lambda app, bars: app.query("SELECT 1"), WarehouseUnavailable, "Run any forecast"),
    "no text": (lambda app, bars: app.query(None), UsageError, "text is None: a text was needed"),  # type: ignore[arg-type]
    "no query": (lambda app, bars: app.query("DROP TABLE prices"), UsageError, "is not one query"),
    "no date": (lambda app, bars: app.forecast(["MSFT"], "2012-13-01", source="sample"), UsageError, "YYYY-MM-DD"),
    "no type of date": (
        lambda app, bars: app.forecast(["MSFT"], 5),
        UsageError,
        "as_of is 5: a date or a text was needed",
    ),  # type: ignore[arg-type]
    "a date too early": (lambda app, bars: app.forecast(["MSFT"], "0001-01-01"), UsageError, "1900 to 2100"),
    "a source": (
        lambda app, bars: app.forecast(["MSFT"], "2012-08-15", source="nope"),
        UsageError,
        "'nope' is neither",
    ),
    "no file": (lambda app, bars: tickercast.read_csv("nope.csv"), UsageError, "nope.csv cannot be read"),
    "a folder": (lambda app, bars: tickercast.read_csv("."), UsageError, "cannot be read"),
    "no table": (lambda app, bars: tickercast.read_frame(bars), UsageError, "A Bars was given: a pandas DataFrame"),
    "a table of no symbol": (
        lambda app, bars: tickercast.read_frame(bars.frame),
        UsageError,
        "The table names no symbol: a column Symbol, or symbol='MSFT', was needed",
    ),
    "a table of another symbol": (
        lambda app, bars: tickercast.read_frame(bars.frame.assign(symbol="MSFT"), symbol="AAPL"),
        InvalidBars,
        "named AAPL, or that was given for it, and its column symbol says MSFT: one and the same symbol was needed",
    ),
    "a symbol that is none": (
        lambda app, bars: tickercast.read_frame(bars.frame, symbol="M S/FT"),
        UsageError,
        "'M S/FT' is not a symbol",
    ),
    "hours of no symbol": (
        lambda app, bars: tickercast.read_frame(bars.frame, frequency="1h"),
        UsageError,
        "The table names no symbol",
    ),
    "a table without closes": (
        lambda app, bars: tickercast.read_frame(bars.frame.drop(columns=["close", "adj_close"]), symbol="MSFT"),
        InvalidBars,
        "no column Close",
    ),
    "bars without closes": (
        lambda app, bars: Bars("MSFT", bars.frame.drop(columns="close")),
        InvalidBars,
        "The table of MSFT has no column close: session_date, open",
    ),
    "bars in a list": (
        lambda app, bars: Bars("MSFT", [1.0]),  # type: ignore[arg-type]
        InvalidBars,
        "A list was given as the columns of MSFT: an array for each of session_date, open",
    ),
    "bars without dates": (
        lambda app, bars: Bars("MSFT", {"close": np.ones(3)}),
        InvalidBars,
        "The table of MSFT has no column session_date, open, high, low, adj_close, volume",
    ),
    "a date alone": (
        lambda app, bars: Bars("MSFT", {"session_date": np.datetime64("2023-07-21")}),  # type: ignore[dict-item]
        InvalidBars,
        "session_date of MSFT is an array of 0 dimensions: an array of datetime64[D], one a bar",
    ),
    "a table of texts": (
        lambda app, bars: Bars("MSFT", bars.frame.assign(close="x")),
        InvalidBars,
        "The column close of MSFT is of the type str: an array of numbers, one a bar",
    ),
    "bars the other way round": (
        lambda app, bars: tickercast.load_model().predict(_with(bars, lambda name, values: values[::-1])),
        InvalidBars,
        "MSFT has the bar of 2023-07-20 after that of 2023-07-21",
    ),
    "a close that is none to evaluate": (
        lambda app, bars: tickercast.evaluate(
            "ewma-t", _with(bars, lambda name, values: values * np.nan if name == "close" else values), *YEAR
        ),
        InvalidBars,
        "MSFT has the close nan in the bar of 2023-05-10: a number above zero was needed",
    ),
    "a model": (lambda app, bars: tickercast.load_model("nope"), UsageError, "'nope' is not a model"),
    "short bars": (lambda app, bars: tickercast.load_model().predict(bars), TooFewSessions, "at least 91"),
    "daily bars for hours": (
        lambda app, bars: tickercast.load_model(frequency="1h").predict(bars),
        UsageError,
        "MSFT are of 1d, and bars of 1h were needed",
    ),
    "hourly bars for days": (
        lambda app, bars: tickercast.load_model("ewma-t").predict(make_hours(hours=1200)),
        UsageError,
        "BTCUSDT are of 1h, and bars of 1d were needed",
    ),
    "bars of two frequencies": (
        lambda app, bars: tickercast.evaluate("ewma-t", [bars, make_hours()], "2023-01-01", "2023-02-01"),
        UsageError,
        "BTCUSDT are of 1h, and bars of 1d were needed",
    ),
    "daily bars to evaluate hours": (
        lambda app, bars: tickercast.evaluate(tickercast.load_model(frequency="1h"), bars, "2023-01-01", "2023-02-01"),
        UsageError,
        "MSFT are of 1d, and bars of 1h were needed",
    ),
    "a table": (lambda app, bars: tickercast.load_model("ewma-t").predict(bars.frame), UsageError, "A DataFrame was"),  # type: ignore[call-overload]
    "a mapping": (lambda app, bars: tickercast.load_model("ewma-t").predict({"MSFT": bars}), UsageError, "A dict was"),  # type: ignore[call-overload]
    "no bars": (lambda app, bars: tickercast.load_model("ewma-t").predict(["MSFT"]), UsageError, "A str was"),  # type: ignore[list-item]
    "no last day": (lambda app, bars: bars.until("2023-02-30"), UsageError, "'2023-02-30' is not a date"),
    "no last hour": (lambda app, bars: make_hours().until("2022-01-05 noon"), UsageError, "no moment"),
    "no first day": (lambda app, bars: bars.since(5), UsageError, "5 is not a date"),  # type: ignore[arg-type]
    "no day of a backfill": (
        lambda app, bars: app.plan_backfill(["MSFT"], "2012-01-01", "2012-02-30"),
        UsageError,
        "'2012-02-30' is not a date",
    ),
    "every 0th session": (
        lambda app, bars: app.plan_backfill(["MSFT"], "2012-01-01", "2012-02-01", every=0),
        UsageError,
        "every 1 or more was needed",
    ),
    "every half origin": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-01", every=2.5),  # type: ignore[arg-type]
        UsageError,
        "every is 2.5: a whole number was needed, 1 or more, such as 5",
    ),
    "every text of an origin": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-01", every="5"),  # type: ignore[arg-type]
        UsageError,
        "every is the text '5': a whole number was needed",
    ),
    "every truth": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-01", every=True),
        UsageError,
        "every is True: a whole number was needed",
    ),
    "no first day of an evaluation": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, np.datetime64("NaT"), "2023-02-01"),
        UsageError,
        "first is NaT, which is not a date: YYYY-MM-DD was needed",
    ),
    "no last day of an evaluation": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-30"),
        UsageError,
        "last is '2023-02-30', which is not a date: YYYY-MM-DD was needed",
    ),
    "no time at all": (lambda app, bars: bars.through(pd.NaT), UsageError, "NaT is not a date"),  # type: ignore[arg-type]
    "rows by name": (
        lambda app, bars: bars.rows("first", 5),  # type: ignore[arg-type]
        UsageError,
        "The rows from 'first' to before 5 were asked for: whole numbers were needed",
    ),
    "every half session": (
        lambda app, bars: app.plan_backfill(["MSFT"], "2012-01-01", "2012-02-01", every=0.5),  # type: ignore[arg-type]
        UsageError,
        "every is 0.5: a whole number was needed",
    ),
    "every 0th origin of a source": (
        lambda app, bars: app.evaluate(["ewma-t"], date(2012, 1, 3), date(2012, 2, 1), source="sample", every=-1),
        UsageError,
        "Every -1 bars was asked for",
    ),
    "half an origin of a source": (
        lambda app, bars: app.evaluate("ewma-t", "2012-01-03", "2012-02-01", source="sample", windows=2.5),  # type: ignore[arg-type]
        UsageError,
        "windows is 2.5: a whole number or None was needed",
    ),
    "no model of a source": (
        lambda app, bars: app.leaks([], "2012-01-03", "2012-02-01", source="sample"),
        UsageError,
        "No model was named, and at least one was needed",
    ),
    "no day of a source": (
        lambda app, bars: app.leaks("ewma-t", "2012-01-03", "2012-02-30", source="sample"),
        UsageError,
        "'2012-02-30' is not a date",
    ),
    "the name of a frequency": (
        lambda app, bars: tickercast.Model(Own(), "1d"),  # type: ignore[arg-type]
        UsageError,
        "The frequency of own is '1d': a Frequency, as Bars have one, or None was needed",
    ),
    "no path at all": (lambda app, bars: tickercast.read_csv("a\0b"), UsageError, "cannot be read: embedded null byte"),
    "a horizon of its own": (
        lambda app, bars: tickercast.evaluate(Own(horizon=5), bars, "2023-01-01", "2023-02-01"),
        UsageError,
        "own forecasts 5 steps, and the baselines of 1d bars 10: the same was needed",
    ),
    "no model to evaluate": (
        lambda app, bars: tickercast.evaluate(None, bars, "2023-01-01", "2023-02-01"),  # type: ignore[arg-type]
        UsageError,
        "A NoneType was given, which has no name: a model was needed",
    ),
    "a class to evaluate": (
        lambda app, bars: tickercast.evaluate(Own, bars, "2023-01-01", "2023-02-01"),  # type: ignore[arg-type]
        UsageError,
        "The class Own was given: an object of it was needed. Write Own().",
    ),
    "a model of no method": (
        lambda app, bars: tickercast.Model(Own(predict=5)),
        UsageError,
        "The predict of the Own is not a method, and that was needed",
    ),
    "a horizon in words": (
        lambda app, bars: tickercast.Model(Own(horizon="10")),
        UsageError,
        "The horizon of the Own is not a whole number, 1 or more",
    ),
    "a number as version": (
        lambda app, bars: tickercast.Model(Own(version=1)),
        UsageError,
        "The version of the Own is not a text",
    ),
    "no name of a model": (
        lambda app, bars: tickercast.load_model(None),  # type: ignore[arg-type]
        UsageError,
        "A NoneType was given: the name of a model was needed",
    ),
    "no name of a frequency": (
        lambda app, bars: tickercast.load_model(frequency=5),  # type: ignore[arg-type]
        UsageError,
        "The frequency '5' is not known: 1d or 1h was needed",
    ),
    "a file as results": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-01", results="x.csv"),  # type: ignore[arg-type]
        UsageError,
        "The results hold a str: ResultsDays by symbol were needed, as tickercast.read_events gives them",
    ),
    "dates as results": (
        lambda app, bars: tickercast.load_model("ewma-t").predict(bars, {"MSFT": [date(2023, 7, 25)]}),  # type: ignore[dict-item]
        UsageError,
        "The results hold a list: ResultsDays by symbol were needed",
    ),
    "no bars to evaluate": (
        lambda app, bars: tickercast.evaluate("ewma-t", [], "2023-01-01", "2023-02-01"),
        UsageError,
        "No bars were given: those of at least one symbol were needed",
    ),
    "the same symbol five times": (
        lambda app, bars: tickercast.evaluate("ewma-t", [bars] * 5, "2023-01-01", "2023-02-01"),
        UsageError,
        "The bars of MSFT were given 5 times: each symbol once was needed",
    ),
    "no path": (lambda app, bars: tickercast.read_csv(None), UsageError, "A NoneType was given: the path of a file"),  # type: ignore[arg-type]
    "no path of events": (lambda app, bars: tickercast.read_events(5), UsageError, "A int was given: the path of"),  # type: ignore[arg-type]
    "a number as symbol": (
        lambda app, bars: tickercast.read_frame(bars.frame, symbol=5),  # type: ignore[arg-type]
        UsageError,
        "The symbol is 5: a text was needed",
    ),
    "every 0th origin": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-02-01", every=0),
        UsageError,
        "every 1 or more was needed",
    ),
    "swapped dates": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-02-01", "2023-01-01"),
        UsageError,
        "Swap them",
    ),
    "a day before all": (
        lambda app, bars: app.run_day(["MSFT"], date(1999, 1, 1), source="sample"),
        UsageError,
        "1999-01-01 is before 2000-01-01, where bars begin to be read",
    ),
    "no day": (lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-02-30", "2023-03-01"), UsageError, "02-30"),
    "too little to compare with": (
        lambda app, bars: tickercast.evaluate("ewma-t", bars, "2023-01-01", "2023-06-01"),
        TooFewSessions,
        "earlier",
    ),
    "a model to evaluate": (
        lambda app, bars: tickercast.evaluate("nope", bars, "2023-01-01", "2023-02-01"),
        UsageError,
        "'nope' is not a model",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_ends_in_a_sentence(app: App, make_bars: MakeBars, case: str) -> None:
    call, kind, said = BAD[case]
    with pytest.raises(kind) as refused:
        call(app, make_bars(sessions=50))
    message = str(refused.value)
    assert said in message
    assert message.endswith((".", "?"))
    assert "\n" not in message


@pytest.mark.usefixtures("workspace")
def test_dates_without_enough_bars_are_refused_with_what_is_needed(make_bars: MakeBars) -> None:
    with pytest.raises(NoRecentBars, match="MSFT has 3 sessions after 2023-07-18, and 10 were needed"):
        tickercast.evaluate("ewma-t", make_bars(), "2023-07-18", "2023-07-21")


@pytest.mark.parametrize(("every_nth", "said"), [(1, "KO has bars a day apart"), (5, "KO has bars 7 days apart")])
def test_daily_bars_are_no_hours(tmp_path: Path, make_bars: MakeBars, every_nth: int, said: str) -> None:
    make_bars("KO").frame[::every_nth].to_csv(tmp_path / "KO.csv", index=False)
    text = (tmp_path / "KO.csv").read_text().replace("session_date", "date")
    (tmp_path / "KO.csv").write_text(text)
    with pytest.raises(InvalidBars, match=f"{said}: hourly bars were needed"):
        tickercast.read_csv(tmp_path / "KO.csv", frequency="1h", symbol="KO")["KO"]


def test_hours_with_nights_and_gaps_between_them_are_hours(tmp_path: Path) -> None:
    hours = table(make_hours(hours=240))
    hours[hours.index % 24 < 3].to_csv(tmp_path / "KO.csv", index=False)
    assert len(tickercast.read_csv(tmp_path / "KO.csv", frequency="1h")["KO"]) == 30


@pytest.mark.usefixtures("workspace")
def test_a_file_whose_name_is_no_symbol_and_that_names_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prices of may.csv").write_text("Date,Open,High,Low,Close\n2023-07-20,10,12,9,11\n")
    with pytest.raises(InvalidBars, match="no column Symbol"):
        tickercast.read_csv(tmp_path / "prices of may.csv")


def test_what_a_notebook_shows_of_a_value_is_short(make_bars: MakeBars) -> None:
    bars = make_bars("KO")
    hourly = tickercast.load_model(frequency="1h")
    made = tickercast.load_model("ewma-t").predict(bars)

    assert repr(hourly) == "Model('har-season', version='1', frequency='1h')"
    assert repr(bars) == f"<Bars of KO: {len(bars):,} of 1d from {bars.first} to {bars.cutoff}>"
    assert "steps" not in repr(made)
    assert "0." not in repr(vars(hourly.predictor)["tables"])


def test_every_error_is_one_that_a_caller_can_catch() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, TickercastError) for kind in kinds)
    assert all(issubclass(kind, (errors.Permanent, errors.Transient)) for kind in kinds if kind is not TickercastError)


def test_hours_are_read_forecast_and_evaluated_alike(workspace: Path) -> None:
    bars = make_hours(hours=1200)
    table(bars).to_csv("BTCUSDT.csv", index=False)
    read = tickercast.read_csv("BTCUSDT.csv", frequency="1h")
    made = tickercast.load_model(frequency="1h").predict(read["BTCUSDT"])
    assert (made.horizon, str(made.cutoff_at)) == (24, "2022-02-22 00:00:00+00:00")
    assert list(made.frame()["target_at"])[-1] == pd.Timestamp("2022-02-23 00:00", tz="UTC")
    done = tickercast.evaluate("champion", read, "2022-02-10", "2022-02-18")
    assert list(done.frame().index) == ["har-season", "random-walk", "ewma-t"]
    assert done.ratios()["ratio"].between(0.5, 1.5).all()
    assert len(done.by_step()) == 24
