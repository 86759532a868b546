"""The hourly run: tables of the month, the newest hour's forecast, and what came true."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.support.hourly import Memory, make_hours

from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Role
from tickercast.errors import SourceUnavailable, UsageError

YEAR = 24 * 420
"""Hours from 2022-01-03 on: a year and the history before it."""

NOW = datetime(2023, 2, 3, 10, 2, tzinfo=UTC)


class Site(App):
    """An application whose clock and source are the test's."""

    def __init__(self, folder: Path, series: list[Bars]) -> None:
        settings = Settings(bucket=f"file://{folder}/bucket", warehouse=f"duckdb://{folder}/w.duckdb")
        self.moment, self.held = NOW, Memory(series)
        super().__init__(settings, now=lambda: self.moment)

    def source_of(self, source: str, frequency: object) -> Memory:
        return self.held


@pytest.fixture(scope="module")
def coins() -> list[Bars]:
    return [make_hours(symbol, hours=YEAR, seed=seed) for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))]


@pytest.fixture
def app(tmp_path: Path, coins: list[Bars]) -> Site:
    return Site(tmp_path, coins)


def test_the_first_hour_of_a_month_serves_tables_of_the_year_before_it(app: Site) -> None:
    hour = app.run_hour(["BTCUSDT", "ETHUSDT"])
    assert hour.refreshed
    assert hour.refreshed.through == date(2023, 1, 31)
    assert set(hour.refreshed.versions) == {
        "har-season 2", "ewma-season 2", "tickercast-lstm-1h 2", "tickercast-plain-1h 2"
    }  # fmt: skip
    pointer = app.hourly_store.pointer()
    assert (pointer.name, pointer.version) == ("har-season", "2")
    assert {(one.name, one.version, one.role) for one in pointer.served} == {
        ("random-walk", "1", Role.BASELINE),
        ("ewma-season", "2", Role.BASELINE),
        ("tickercast-lstm-1h", "2", Role.COMPANION),
        ("tickercast-plain-1h", "2", Role.COMPANION),
    }
    bundle = app.hourly_store.champion()
    assert bundle.card.trained_through == date(2023, 1, 31)
    assert bundle.card.hour_tables != app.hourly_store.shipped.card.hour_tables
    assert [made.symbol for made in hour.made] == ["BTCUSDT", "ETHUSDT"]
    assert {made.end for made in hour.made} == {datetime(2023, 2, 3, 10, tzinfo=UTC)}
    assert {made.model_version for made in hour.made} == {"2"}


def test_the_tables_serve_the_whole_month_and_each_hour_scores_the_ones_before(app: Site) -> None:
    app.run_hour(["BTCUSDT"])
    for _ in range(3):
        app.moment += timedelta(hours=1)
        hour = app.run_hour(["BTCUSDT"])
        assert hour.refreshed
        assert not hour.refreshed.versions
    scores = app.tables.read("forecast_scores", {"role": Role.CHAMPION})
    assert len(scores) == 3 + 2 + 1
    app.moment = datetime(2023, 2, 20, tzinfo=UTC)
    assert app.hourly_store.pointer().version == "2"


def test_an_hour_that_was_missed_brings_its_bars_and_scores_with_the_next(app: Site) -> None:
    app.run_hour(["BTCUSDT"])
    app.moment += timedelta(hours=5)
    app.run_hour(["BTCUSDT"])
    assert len(app.tables.read("forecast_scores", {"role": Role.CHAMPION})) == 5


def test_a_source_that_is_too_short_for_new_tables_leaves_the_earlier_ones_and_forecasts(
    tmp_path: Path, coins: list[Bars]
) -> None:
    app = Site(tmp_path, [bars.rows(len(bars) - 24 * 60, len(bars)) for bars in coins])
    hour = app.run_hour(["BTCUSDT"])
    assert "hours of bars up to 2023-02-01" in hour.remark
    assert app.hourly_store.pointer().version == "1"
    assert len(hour.made) == 1


def test_a_source_that_does_not_answer_moves_no_pointer_and_the_next_hour_goes_on(app: Site) -> None:
    held = app.held

    class Silent(Memory):
        def fetch(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise SourceUnavailable("Binance does not answer. Try again.")

    app.held = Silent([])
    with pytest.raises(SourceUnavailable):
        app.run_hour(["BTCUSDT"])
    app.held = held
    assert app.run_hour(["BTCUSDT"]).refreshed
    np.testing.assert_array_equal(app.tables.read("latest_prices").groupby("symbol").size() > 700, [True])


def test_no_coin_is_a_sentence(app: Site) -> None:
    with pytest.raises(UsageError, match="TICKERCAST_HOURLY_WATCHLIST names no file: at least one coin"):
        app.run_hour([])
