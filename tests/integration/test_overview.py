"""The overview: its numbers are those of the views, and its states those of the alerts."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tickercast import logs
from tickercast.app import App
from tickercast.config import Settings
from tickercast.domain.learning.features import EWMA_DECAY
from tickercast.errors import Outdated, UsageError
from tickercast.jobs.operations.export import VIEWS
from tickercast.reading import views
from tickercast.reading.overview import Row, frame, newest_session
from tickercast.reading.queries import ask

if TYPE_CHECKING:
    from tests.support.bigquery_server import BigQueryServer

SYMBOLS = ["AAPL", "GOOG", "IBM", "MSFT"]
THURSDAY = datetime(2012, 8, 16, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Callable[[datetime], App]:
    """The application at a time, with forecasts of four symbols from two days."""
    folder: Path = tmp_path_factory.mktemp("overview")
    settings = Settings(
        bucket=f"file://{folder}/bucket",
        warehouse=f"duckdb://{folder}/w.duckdb",
        source="sample",
    )
    for day in ("2012-07-02", "2012-08-15"):
        App(settings, now=lambda: THURSDAY).forecast(SYMBOLS, day)
    return lambda now: App(settings, now=lambda: now)


def by_symbol(rows: list[Row]) -> dict[str, Row]:
    return {row.symbol: row for row in rows}


def test_each_symbol_has_one_row_from_its_newest_forecast(at: Callable[[datetime], App]) -> None:
    app = at(THURSDAY)
    rows = app.overview()
    assert [row.symbol for row in rows] == SYMBOLS
    latest = app.tables.read("latest_forecasts", {"role": "champion"})
    last = latest[latest["step"] == 10].set_index("symbol")
    for row in rows:
        assert (row.cutoff, row.sessions) == (date(2012, 8, 15), 10)
        wanted = last.loc[row.symbol]
        for name in ("last_close", "close_median", "close_lo_80", "close_hi_80"):
            assert getattr(row, name) == wanted[name]
        assert row.target_date == wanted["target_date"].date()
        assert row.lo_80 == pytest.approx(row.close_lo_80 / row.last_close - 1)


def test_the_change_and_the_record_are_those_of_the_views(at: Callable[[datetime], App]) -> None:
    app = at(THURSDAY)
    skill = app.tables.read("forecast_skill", {"role": "champion", "frequency": "1d"})
    skill = skill[skill["step"].isna()].set_index("symbol")
    for row in app.overview():
        closes = app.tables.read("latest_prices", {"symbol": row.symbol}).sort_values("session_date")["close"]
        assert row.change == pytest.approx(closes.pct_change().iloc[-1])
        if row.symbol in skill.index:
            assert (row.n, row.coverage_80) == (skill["n"][row.symbol], skill["coverage_80"][row.symbol])
            assert row.verdict == skill["verdict"][row.symbol]
        else:
            assert (row.n, row.coverage_80, row.verdict) == (0, None, "too early")


def test_the_width_is_compared_with_the_volatility_of_the_year(at: Callable[[datetime], App]) -> None:
    app = at(THURSDAY)
    row = by_symbol(app.overview())["MSFT"]
    bars = app.tables.read("latest_prices", {"symbol": "MSFT"}).sort_values("session_date")
    squares = np.log(bars["adj_close"]).diff().dropna() ** 2
    sigma = squares.ewm(alpha=1 - EWMA_DECAY, adjust=False).mean().pow(0.5).tail(250)
    usual = 2 * np.sinh(1.143 * sigma * np.sqrt(10))
    assert row.widths[-1] == pytest.approx(row.hi_80 - row.lo_80)
    assert row.widths[-2] == pytest.approx(usual.iloc[-1], rel=1e-3)
    assert row.width_rank == pytest.approx((usual < row.widths[-1]).mean(), abs=0.02)
    assert 45 <= len(row.widths) <= 51


def test_neither_the_change_nor_the_widths_reach_over_a_gap(at: Callable[[datetime], App], tmp_path: Path) -> None:
    settings = Settings(bucket=f"file://{tmp_path}/b", warehouse=f"duckdb://{tmp_path}/w.duckdb", source="sample")
    app = App(settings, now=lambda: THURSDAY)
    app.forecast("MSFT", "2012-08-15")
    whole = by_symbol(at(THURSDAY).overview())["MSFT"]
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE session_date BETWEEN '2012-03-01' AND '2012-04-20'")
    broken = by_symbol(App(settings, now=lambda: THURSDAY).overview())["MSFT"]
    assert (broken.change, broken.widths[-1]) == (whole.change, whole.widths[-1])
    assert len(broken.widths) == 6  # 21 sessions, one a week, and the forecast's own
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        connection.execute("DELETE FROM prices WHERE session_date BETWEEN '2012-04-20' AND '2012-08-14'")
    [alone] = App(settings, now=lambda: THURSDAY).overview()
    assert (alone.change, alone.widths, alone.width_rank) == (None, (), None)


def test_the_overview_can_be_that_of_some_symbols_on_an_earlier_day(at: Callable[[datetime], App]) -> None:
    rows = at(THURSDAY).overview(["msft", "AAPL"], "2012-08-14")
    assert [(row.symbol, row.cutoff) for row in rows] == [
        ("AAPL", date(2012, 7, 2)),
        ("MSFT", date(2012, 7, 2)),
    ]
    with pytest.raises(UsageError, match="2012-13-01"):
        at(THURSDAY).overview(as_of="2012-13-01")


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("2012-08-16 19:00", "fresh"),
        ("2012-08-16 21:00", "due"),
        ("2012-08-18 12:00", "stale"),
        ("2012-08-30 12:00", "expired"),
    ],
)
def test_states_are_those_of_the_alerts(at: Callable[[datetime], App], now: str, state: str) -> None:
    app = at(datetime.fromisoformat(now).replace(tzinfo=UTC))
    rows = app.overview()
    assert {row.state for row in rows} == {state}
    stale = {alert.key for alert in app.open_alerts(SYMBOLS) if alert.kind == "stale"}
    assert stale == ({f"stale:{row.symbol}" for row in rows} if state in ("stale", "expired") else set())


def test_the_configured_watchlist_is_what_alerts_look_at(at: Callable[[datetime], App], tmp_path: Path) -> None:
    app = at(datetime(2012, 8, 18, 12, tzinfo=UTC))
    assert not [alert for alert in app.open_alerts() if alert.kind == "stale"]
    (tmp_path / "watchlist.txt").write_text("msft # one\n")
    watched = App(app.settings.model_copy(update={"watchlist": str(tmp_path / "watchlist.txt")}), now=app.now)
    assert [alert.key for alert in watched.open_alerts() if alert.kind == "stale"] == ["stale:MSFT"]


def test_the_frame_has_every_number_and_no_series(at: Callable[[datetime], App]) -> None:
    found = frame(at(THURSDAY).overview())
    assert found["symbol"].tolist() == SYMBOLS
    assert "widths" not in found
    assert not any(isinstance(value, tuple) for value in found.iloc[0])
    assert frame([]).columns.tolist() == found.columns.tolist()


def test_simulated_bars_replace_no_forecast_and_hide_no_symbol(tmp_path: Path) -> None:
    app = App(Settings(home=str(tmp_path), source="sample"), now=lambda: datetime(2013, 7, 2, 12, tzinfo=UTC))
    app.forecast(["MSFT", "AAPL"], "2012-08-15")
    before = [asdict(row) for row in app.overview()]
    app.forecast(["MSFT", "ZZZ"], "2013-07-01", source="simulated")

    *real, alone = app.overview()
    assert [asdict(row) for row in real] == before
    assert (alone.symbol, alone.cutoff, alone.simulated) == ("ZZZ", date(2013, 7, 1), True)
    assert newest_session([*real, alone]) == date(2012, 8, 15)
    assert [row.symbol for row in app.overview(as_of="2013-07-01")] == ["ZZZ"]
    assert views.freshness(app.tables).set_index("symbol")["cutoff"].dt.date.to_dict() == {
        "AAPL": date(2012, 8, 15),
        "MSFT": date(2012, 8, 15),
        "ZZZ": date(2013, 7, 1),
    }
    [span] = ask(app.tables, "forecast_span", frequency="1d").to_dict("records")
    assert {day.date() for day in span.values()} == {date(2012, 8, 15)}
    assert set(views.random_walk(app.tables, "MSFT")["cutoff"].dt.date) == {date(2012, 8, 15)}


def test_an_empty_warehouse_has_an_empty_overview(tmp_path: Path) -> None:
    app = App(Settings(bucket=f"file://{tmp_path}/b", warehouse=f"duckdb://{tmp_path}/w.duckdb"))
    app.provision()
    assert app.overview() == []
    assert app.overview(["MSFT"], "2012-08-15") == []
    assert isinstance(frame([]), pd.DataFrame)


def test_a_warehouse_of_another_release_exports_nothing_and_answers_queries_with_a_warning(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    app.provision()
    with duckdb.connect(workspace / ".tickercast" / "warehouse.duckdb") as connection:
        connection.execute("CREATE OR REPLACE VIEW latest_prices AS SELECT symbol FROM prices")
        connection.execute("UPDATE _objects SET sha256 = 'of another release' WHERE name = 'latest_prices'")
    for kind in VIEWS:  # a view that is as it was may read one that is not
        with pytest.raises(Outdated, match=r"another release: latest_prices differs, .* Run `tickercast provision`"):
            app.export(kind, workspace / "x.parquet")
    assert not (workspace / "x.parquet").exists()
    for _ in range(2):
        assert [*app.query("SELECT * FROM latest_prices")] == ["symbol"]
    [said] = [record.getMessage() for record in caplog.records if record.name == logs.MIGRATION]
    assert "is of another release: latest_prices differs, and the answer has its columns. `tickercast prov" in said
    app.provision()
    assert app.export("prices", workspace / "x.parquet").rows == 0


def test_both_engines_have_the_same_overview_and_the_same_export(
    at: Callable[[datetime], App], tmp_path: Path, bigquery_server: "BigQueryServer"
) -> None:
    elsewhere = Settings(
        bucket=f"file://{tmp_path}/bucket",
        warehouse="bigquery://test-project/overview",
        bigquery_emulator_host=bigquery_server.url,
        source="sample",
    )
    app, local = App(elsewhere, now=lambda: THURSDAY), at(THURSDAY)
    app.forecast(SYMBOLS[:2], "2012-08-15")
    for found, expected in zip(app.overview(SYMBOLS[:2]), local.overview(SYMBOLS[:2]), strict=True):
        for name, value in asdict(expected).items():
            wanted = pytest.approx(value) if isinstance(value, float | tuple) else value
            assert name in ("coverage_80", "n") or getattr(found, name) == wanted, name  # no earlier forecasts there
    written = []
    for number, each in enumerate((app, local)):
        path = tmp_path / f"{number}.parquet"
        each.export("forecasts", path, first="2012-08-15", symbols="AAPL")
        table = pq.read_table(path).drop_columns(["object", "generation", "written_at", "created_at"])
        rows = table.sort_by([("model_name", "ascending"), ("step", "ascending")]).to_pylist()
        written.append([row | {"quantiles": row["quantiles"] or []} for row in rows])  # BigQuery has no missing lists
    assert written[0] == written[1]
    assert len(written[0]) == 20
    with pytest.raises(UsageError, match="is not a date"):
        local.export("prices", tmp_path / "x.parquet", last="2012-01-40")
