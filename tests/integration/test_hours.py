"""Files of hourly bars, from the bucket to the tables."""

import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.support.hourly import make_hours, table, without
from tests.support.place import Place

from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.files.hour_files import hours_csv, hours_parquet
from tickercast.domain.frequency import HOURLY
from tickercast.errors import UsageError
from tickercast.jobs.operations.provision import publish_shipped
from tickercast.jobs.serving.handle_event import Outcome
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.ports import Between

HOURS = 800
AT = datetime(2022, 2, 5, 8, tzinfo=UTC)
"""When the 800th hour from 2022-01-03 00:00 on ends."""

MODELS = {"har-season", "tickercast-lstm-1h", "tickercast-plain-1h", "ewma-season", "random-walk"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    models = ModelStore(place.store, resource("shipped"), HOURLY)
    publish_shipped(models)
    served = catalogue.served_models(models)
    place.served, place.now = lambda: served, AT
    return place


def name(bars: Bars, hour: str = "2022-02-05T08") -> str:
    return f"ohlc/1h/{hour}/{bars.symbol}.csv"


def send(place: Place, bars: Bars, hour: str = "2022-02-05T08") -> Outcome:
    return place.handle(place.upload(name(bars, hour), hours_csv([bars])))


def test_an_hourly_file_is_forecast_24_steps_ahead_by_every_served_model_and_stored(place: Place) -> None:
    outcome = send(place, make_hours(hours=HOURS))
    assert [series.bars.symbol for series in outcome.series] == ["BTCUSDT"]
    made = place.warehouse.read("forecasts")
    assert set(made["model_name"]) == MODELS
    assert set(made.groupby("model_name")["step"].count()) == {24}
    one = made[made["role"] == "champion"].sort_values("step")
    assert set(one["frequency"]) == {"1h"}
    assert list(one["target_at"]) == list(pd.date_range("2022-02-05 09:00", periods=24, freq="h", tz="UTC"))
    assert set(one["cutoff_at"]) == {pd.Timestamp("2022-02-05 08:00", tz="UTC")}
    assert str(one["cutoff"].iloc[0].date()) == "2022-02-05"
    assert one["target_date"].dt.date.iloc[15] == date(2022, 2, 5), "the hour from 23:00 to 24:00 is of its own day"
    assert one["target_date"].dt.date.iloc[16] == date(2022, 2, 6)
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert (entry["frequency"], entry["status"], entry["rows"], entry["rows_new"]) == ("1h", "forecast", HOURS, HOURS)
    assert entry["cutoff_at"] == pd.Timestamp(AT)
    assert entry["findings"] is None


def test_the_next_hour_stores_one_bar_and_scores_what_has_come_true(place: Place) -> None:
    bars = make_hours(hours=HOURS + 3)
    send(place, bars.rows(0, HOURS))
    for ahead in (1, 2, 3):
        place.now = AT + timedelta(hours=ahead)
        send(place, bars.rows(ahead, HOURS + ahead), f"2022-02-05T{8 + ahead:02}")
    assert list(place.warehouse.read("ingestions").sort_values("written_at")["rows_new"]) == [HOURS, 1, 1, 1]
    prices = place.warehouse.read("latest_prices").sort_values("closed_at")
    np.testing.assert_allclose(prices["close"], bars.columns["close"])
    scores = place.warehouse.read("forecast_scores", {"role": "champion"})
    pairs = {(f"{at:%H}", step) for at, step in zip(scores["cutoff_at"], scores["step"], strict=True)}
    assert pairs == {("08", 1), ("08", 2), ("08", 3), ("09", 1), ("09", 2), ("10", 1)}
    closes = dict(zip(prices["closed_at"], prices["close"], strict=True))
    np.testing.assert_allclose(scores["actual_close"], [closes[at] for at in scores["target_at"]], rtol=1e-7)
    assert not scores["backfilled"].any()
    assert (scores["walk_loss"] > 0).all()
    skill = place.warehouse.read("forecast_skill", {"model_name": "har-season", "symbol": "BTCUSDT"})
    assert dict(zip(skill["step"].fillna(0), skill["n"], strict=True)) == {0: 6, 1: 3, 2: 2, 3: 1}
    assert set(skill["frequency"]) == {"1h"}
    latest = place.warehouse.read("latest_forecasts", {"role": "champion"})
    assert set(latest["cutoff_at"]) == {pd.Timestamp("2022-02-05 11:00", tz="UTC")}
    assert len(latest) == 24


def test_files_in_any_order_come_to_the_same_bars_and_scores(place: Place, tmp_path: Path) -> None:
    bars = make_hours(hours=HOURS + 3)
    events = []
    for ahead in range(4):
        hour = f"2022-02-05T{8 + ahead:02}"
        events.append(place.upload(name(bars, hour), hours_csv([bars.rows(ahead, HOURS + ahead)])))
    place.now = AT + timedelta(hours=3)
    for number in (2, 0, 3, 1):
        place.handle(events[number])
    prices = place.warehouse.read("latest_prices").sort_values("closed_at")
    np.testing.assert_allclose(prices["close"], bars.columns["close"])
    assert len(place.warehouse.read("prices")) == HOURS + 3
    assert len(place.warehouse.read("forecast_scores", {"role": "champion"})) == 6


def test_a_correction_of_an_hour_scores_again_and_of_no_other(place: Place) -> None:
    bars = make_hours(hours=HOURS + 1)
    send(place, bars.rows(0, HOURS))
    place.now = AT + timedelta(hours=2)
    send(place, bars, "2022-02-05T09")
    corrected = {**bars.columns, "close": bars.columns["close"].copy(), "high": bars.columns["high"] * 1.02}
    corrected["close"][-1] *= 1.01
    send(place, Bars(bars.symbol, {**corrected, "adj_close": corrected["close"]}), "2022-02-05T10")
    scores = place.warehouse.read("forecast_scores", {"role": "champion"})
    assert list(scores["step"]) == [1]
    assert scores["actual_close"].iloc[0] == pytest.approx(corrected["close"][-1], rel=1e-6)
    assert place.warehouse.read("scores", {"role": "champion"})["revision"].max() == 2


def test_hours_and_days_of_one_symbol_are_two_series(place: Place, make_bars: Callable[..., Bars]) -> None:
    from tickercast.domain.files.price_files import to_csv
    from tickercast.domain.forecast import Role, Served
    from tickercast.models.baselines import EwmaT, RandomWalk

    send(place, make_hours("BTC-USD", hours=HOURS))
    place.served = lambda: [Served(EwmaT(), Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]
    place.now = datetime(2023, 7, 23, 12, tzinfo=UTC)
    daily = make_bars("BTC-USD", sessions=200)
    place.handle(place.upload("ohlc/2023-07-22/BTC-USD.csv", to_csv([daily])))
    for view in ("latest_prices", "latest_forecasts", "forecast_history", "predicted_prices", "indicators"):
        counted = place.warehouse.read(view).groupby("frequency").size()
        assert set(counted.index) == {"1d", "1h"}, view
    prices = place.warehouse.read("latest_prices", {"frequency": "1d"})
    assert len(prices) == 200
    assert len(place.warehouse.read("latest_prices", {"frequency": "1h"})) == HOURS
    assert set(place.warehouse.read("latest_forecasts", {"frequency": "1d"})["step"]) == set(range(1, 11))


@pytest.mark.parametrize(
    ("hours", "finding"),
    [
        (744, None),
        (743, "short history: 743 hours of bars, and 744 were wanted: forecast by the simple model"),
        (336, "short history: 336 hours of bars, and 744 were wanted: forecast by the simple model"),
        (168, "short history: 168 hours of bars, and 744 were wanted: forecast by the simple model"),
    ],
)
def test_a_short_history_is_forecast_by_the_simple_model_and_said(
    place: Place, hours: int, finding: str | None
) -> None:
    whole = make_hours(hours=HOURS)
    send(place, whole.rows(HOURS - hours, HOURS))
    made = place.warehouse.read("forecasts", {"role": "champion"})
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert entry["findings"] == finding
    assert len(made) == 24
    assert bool(made["doubtful"].any()) == (hours < 336)


def test_less_than_a_week_is_refused_with_a_sentence(place: Place) -> None:
    outcome = send(place, make_hours(hours=HOURS).rows(HOURS - 167, HOURS))
    [reason] = outcome.failures.values()
    assert str(reason) == (
        "BTCUSDT has 167 hours up to 2022-02-05 08:00, and the model needs 168. Name a later date, or send older "
        "hours, too."
    )
    assert place.counts()["forecasts"] == 0


def test_gaps_up_to_six_hours_are_filled_and_longer_ones_make_the_forecast_doubtful(place: Place) -> None:
    bars = make_hours(hours=HOURS)
    send(place, without(bars, 400, 406))
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert entry["findings"] == "filled: no bar for 6 hours from 2022-01-19 16:00 to 2022-01-19 22:00 UTC"
    assert not place.warehouse.read("forecasts")["doubtful"].any()
    other = make_hours("ETHUSDT", hours=HOURS)
    send(place, without(other, 400, 407))
    [entry] = place.warehouse.read("ingestions", {"symbol": "ETHUSDT"}).to_dict("records")
    assert entry["findings"].startswith("gap: no bar for 7 hours")
    assert place.warehouse.read("forecasts", {"symbol": "ETHUSDT"})["doubtful"].all()


def test_an_unfinished_hour_is_left_out_and_missing_ones_are_said(place: Place) -> None:
    place.now = AT - timedelta(minutes=30)
    send(place, make_hours(hours=HOURS))
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert entry["cutoff_at"] == pd.Timestamp("2022-02-05 07:00", tz="UTC")
    assert entry["findings"] == "left out: 1 hour(s) that had not ended (2022-02-05 07:00 UTC)"
    place.now = AT + timedelta(hours=4)
    send(place, make_hours("ETHUSDT", hours=HOURS), "2022-02-05T12")
    [entry] = place.warehouse.read("ingestions", {"symbol": "ETHUSDT"}).to_dict("records")
    assert entry["findings"] == "stale: no bar since 2022-02-05 08:00 UTC: 4 hour(s) are missing"


@pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC-USD", "BTC-USDT"])
def test_the_spelling_of_a_coin_changes_nothing_about_its_hours(place: Place, symbol: str) -> None:
    outcome = send(place, make_hours(symbol, hours=HOURS))
    assert [list(one.findings) for one in outcome.series] == [[]]


def test_bars_older_than_a_day_are_refused(place: Place) -> None:
    place.now = AT + timedelta(days=3)
    outcome = send(place, make_hours(hours=HOURS), "2022-02-07T08")
    [reason] = outcome.failures.values()
    assert "its last bar before 2022-02-07 08:00 is of 2022-02-05 08:00, and one of the day before" in str(reason)


def test_the_cutoff_is_the_last_hour_up_to_the_one_in_the_name(place: Place) -> None:
    send(place, make_hours(hours=HOURS), "2022-02-05T03")
    assert set(place.warehouse.read("forecasts")["cutoff_at"]) == {pd.Timestamp("2022-02-05 03:00", tz="UTC")}


def archived(bars: Bars) -> bytes:
    rows = table(bars)
    rows["date"] = [int(moment.timestamp() * 1000) for moment in rows["date"]]
    text = rows.assign(**{f"column_{number}": 0 for number in range(6)}).to_csv(index=False, header=False)
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("BTCUSDT-1h-2022-01.csv", text)
    return file.getvalue()


def test_files_of_the_archive_of_ones_own_and_of_several_symbols_are_read_alike(place: Place) -> None:
    bars, other = make_hours(hours=HOURS), make_hours("ETHUSDT", hours=HOURS, seed=3)
    own = table(bars).to_csv(index=False).encode()
    both = hours_parquet([bars, other])
    for name, data in (("X.zip", archived(bars)), ("BTCUSDT.csv", own), ("batch-0001.parquet", both)):
        name = name.replace("X", "BTCUSDT-1h-2022-01")
        outcome = place.handle(place.upload(f"ohlc/1h/2022-02-05T08/{name}", data))
        assert not outcome.failures, name
    ledger = place.warehouse.read("ingestions").sort_values(["written_at", "symbol"])
    assert list(ledger["symbol"]) == ["BTCUSDT", "BTCUSDT", "BTCUSDT", "ETHUSDT"]
    assert list(ledger["rows_new"]) == [HOURS, 0, 0, HOURS]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no,bars\n1,2\n", "The file has no column Date, Open"),
        (b"time,open,high,low,close\n2022-01-01T00:30:00Z,1,1,1,1\n", "hourly bars that end on the hour were needed"),
        (b"time,open,high,low,close\n2022-01-01T00:00:00Z,1,1,2,1\n", "does not fit the bar"),
        (b"time,open,high,low,close\n,1,1,2,1\n", "is not a date"),
        (b"", "empty"),
    ],
)
def test_a_bad_file_is_rejected_with_a_reason_and_kept(place: Place, data: bytes, reason: str) -> None:
    outcome = place.handle(place.upload("ohlc/1h/2022-02-05T08/BTCUSDT.csv", data))
    [error] = outcome.failures.values()
    assert reason in str(error)
    [entry] = place.warehouse.read("ingestions").to_dict("records")
    assert (entry["status"], entry["frequency"]) == ("rejected", "1h")
    assert place.store.names("quarantine/ohlc/1h/")


@pytest.mark.parametrize(
    "name",
    [
        "ohlc/1h/2022-02-05/BTCUSDT.csv",
        "ohlc/1h/BTCUSDT.csv",
        "ohlc/1H/2022-02-05T08/BTCUSDT.csv",
        "ohlc/5m/2022-02-05/B.csv",
        "ohlc/5m/2022-02-05T08/B.csv",
    ],
)
def test_a_name_without_an_hour_is_rejected_with_the_form_that_was_needed(place: Place, name: str) -> None:
    outcome = place.handle(place.upload(name, b""))
    [error] = outcome.failures.values()
    assert isinstance(error, UsageError)
    assert ", for hourly bars ohlc/1h/YYYY-MM-DDTHH/SYMBOL.csv, " in str(error)


def test_compaction_keeps_every_hour_and_changes_no_view(place: Place) -> None:
    bars = make_hours(hours=HOURS + 3)
    for ahead in range(4):
        place.now = AT + timedelta(hours=ahead)
        send(place, bars.rows(ahead, HOURS + ahead), f"2022-02-05T{8 + ahead:02}")
        send(place, bars.rows(ahead, HOURS + ahead), f"2022-02-05T{8 + ahead:02}")  # a second vintage
    views = ["latest_prices", "forecast_history", "forecast_scores", "forecast_skill", "predicted_prices"]

    def seen() -> list[pd.DataFrame]:
        rows = [place.warehouse.read(view) for view in views]
        return [each.sort_values([*each.columns[:5]], ignore_index=True) for each in rows]

    before = seen()
    dropped = place.warehouse.compact(until=datetime.now(UTC) + timedelta(days=1))
    assert dropped["forecasts"] > 0
    for view, one, other in zip(views, before, seen(), strict=True):
        assert len(one) == len(other), view
        numbers = one.select_dtypes("number").columns
        np.testing.assert_allclose(
            np.sort(one[numbers].to_numpy(float), axis=0), np.sort(other[numbers].to_numpy(float), axis=0), rtol=1e-9
        )
    where = {"frequency": "1h", "session_date": Between(date(2022, 1, 1), date(2022, 12, 31))}
    assert len(place.warehouse.read("prices", where)) == HOURS + 3


def test_a_backfill_of_hours_goes_on_where_it_was_and_replaces_nothing_live(tmp_path: Path) -> None:
    from tests.support.hourly import Memory

    from tickercast.app import App
    from tickercast.config import Settings

    bars = make_hours(hours=HOURS + 48)
    settings = Settings(bucket=f"file://{tmp_path}/bucket", warehouse=f"duckdb://{tmp_path}/w.duckdb")

    class Site(App):
        def source_of(self, source: str, frequency: object) -> Memory:
            return Memory([bars])

    app = Site(settings, now=lambda: AT + timedelta(days=3))
    day = date(2022, 2, 6)
    plan = app.plan_backfill(["BTCUSDT"], day, day, every=6, frequency=HOURLY)
    assert [f"{end:%dT%H}" for end, _ in plan.parts[0].origins] == ["06T01", "06T07", "06T13", "06T19"]
    made = app.backfill_part(plan.parts[0])
    assert {each.status for each in made} == {"forecast"}
    assert {each.model_has_seen for each in made} == {True}, "the shipped tables were learned from later hours"
    again = app.plan_backfill(["BTCUSDT"], day, day, every=6, frequency=HOURLY)
    assert (len(again.parts), again.forecast_before) == (0, 4)
    rest = app.plan_backfill(["BTCUSDT"], day, day, every=3, frequency=HOURLY)
    assert len(rest.parts[0]) == 4
    scores = app.tables.read("forecast_scores", {"role": "champion"})
    assert len(scores)
    assert scores["backfilled"].all()
    assert set(app.tables.read("prices")["origin"]) == {"backfill"}


def test_a_daily_file_needs_nothing_of_the_hours(tmp_path: Path) -> None:
    script = (
        "import sys; from tickercast.app import App; App().forecast(['MSFT'], '2012-08-15', source='sample'); "
        "print(sys.modules.keys() & {'tickercast.models.hourly', 'tickercast.domain.files.hour_files'})"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
