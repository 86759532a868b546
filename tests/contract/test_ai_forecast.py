"""The scheduled query of AI.FORECAST: what surrounds the function is analysed and run on both engines.

Neither engine knows the function itself, so a table with the columns that Google documents takes its place.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import sqlglot
from deploy.ai_forecast import job
from sqlglot import expressions
from tests.contract.test_views import bars, completed, forecasts, same, stored, zeta
from tests.support.place import Place

from tickercast.backends.warehouse.sql import to_duckdb
from tickercast.config import resource
from tickercast.dashboard import record_page
from tickercast.domain.bars import Bars
from tickercast.domain.files.price_files import to_csv

__all__ = ["zeta"]

TEXT = (resource("sql") / "scheduled" / "ai_forecast.sql").read_text()
NOW = datetime(2023, 7, 22, 1, tzinfo=UTC)
CALL = re.compile(r"AI\.FORECAST\(\s*\((SELECT .+?)\),\s*(.+?)\n  \)", re.DOTALL)


def stood_in(text: str = TEXT) -> str:
    """The query at a fixed time, with the answer of a random walk in the place of the function's."""
    text = text.replace("CURRENT_TIMESTAMP()", f"TIMESTAMP '{NOW:%Y-%m-%d %H:%M:%S}+00'")
    text = text.replace("CURRENT_DATE()", f"DATE '{NOW:%Y-%m-%d}'")

    def answer(call: re.Match[str]) -> str:
        width = 1.3 if "=> 0.8" in call[2] else 2.0
        return (
            "(SELECT symbol, TIMESTAMP_ADD(TIMESTAMP '2000-01-01 00:00:00+00', INTERVAL ahead DAY) "
            "AS forecast_timestamp, "
            "last AS forecast_value, 0.8 AS confidence_level, "
            f"last - {width} * spread * SQRT(ahead) AS prediction_interval_lower_bound, "
            f"last + {width} * spread * SQRT(ahead) AS prediction_interval_upper_bound, '' AS ai_forecast_status "
            "FROM (SELECT symbol, MAX(IF(day = DATE '2000-01-01', log_close, NULL)) AS last, "
            "STDDEV_SAMP(log_close) AS spread "
            f"FROM ({call[1]}) GROUP BY symbol) CROSS JOIN UNNEST(GENERATE_ARRAY(1, 10)) AS ahead)"
        )

    found, count = CALL.subn(answer, text)
    assert count == 2
    return found


def selected() -> str:
    """The query without its INSERT."""
    return stood_in()[stood_in().index("WITH recent") :]


def tables(**more: Any) -> dict[str, pd.DataFrame]:
    """Two symbols with their champion's forecasts of the newest session, and an older one."""
    random = np.random.default_rng(1)
    closes = {symbol: 100 * np.exp(np.cumsum(0.02 * random.standard_normal(25))) for symbol in ("AAA", "BBB")}
    made = []
    for symbol, close in closes.items():
        for cutoff, last in ((date(2023, 7, 20), close[-2]), (date(2023, 7, 21), close[-1])):
            rows = forecasts(symbol, cutoff, last, reach=0.03, model_name="lstm", **more)
            target_at = (pd.to_datetime(rows["target_date"]) + pd.Timedelta(hours=20)).dt.tz_localize("UTC")
            made.append(rows.assign(target_at=target_at))
    return {
        "prices": pd.concat([bars(symbol, close) for symbol, close in closes.items()]),
        "forecasts": pd.concat(made),
    }


def insert(rows: Mapping[str, pd.DataFrame], times: int = 1) -> pd.DataFrame:
    """The rows of the model after the query has run."""
    with stored(rows) as connection:
        for _ in range(times):
            connection.execute(to_duckdb(stood_in()))
        return connection.execute("SELECT * FROM forecasts WHERE model_name = 'timesfm' ORDER BY symbol, step").df()


def test_the_newest_origin_of_each_symbol_has_ten_steps_beside_the_champions() -> None:
    rows = tables()
    found = insert(rows)
    assert found.groupby("symbol").size().to_dict() == {"AAA": 10, "BBB": 10}
    assert set(found["role"]) == {"companion"}
    assert set(found["cutoff"].dt.date) == {date(2023, 7, 21)}
    is_newest = pd.to_datetime(rows["forecasts"]["cutoff"]) == pd.Timestamp("2023-07-21")
    champion = rows["forecasts"][is_newest].sort_values(["symbol", "step"])
    for name in ("target_date", "last_close", "object", "generation"):
        assert list(found[name]) == list(champion[name]), name
    np.testing.assert_allclose(found["close_median"], found["last_close"])
    assert (found["close_lo_95"] < found["close_lo_80"]).all()
    assert (found["close_hi_95"] > found["close_hi_80"]).all()


def test_a_second_run_changes_nothing() -> None:
    assert len(insert(tables(), times=2)) == 20


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "backfill"},
        {"simulated": True},
        {"role": "companion"},
        {"frequency": "1h"},
        {"target_at": pd.Timestamp(NOW - timedelta(hours=1))},
    ],
)
def test_what_is_no_live_forecast_of_the_future_has_none(change: Mapping[str, Any]) -> None:
    rows = tables()
    rows["forecasts"] = rows["forecasts"].assign(**change)
    assert insert(rows).empty


def test_a_split_since_the_forecast_changes_no_price() -> None:
    rows = tables()
    halved = rows["prices"].assign(**{name: rows["prices"][name] / 2 for name in ("open", "high", "low", "close")})
    pd.testing.assert_frame_equal(insert(rows | {"prices": halved}), insert(rows))


def test_both_engines_give_the_same_rows(zeta: Any) -> None:
    rows = tables()
    with stored(rows) as connection:
        found = connection.execute(to_duckdb(selected())).df()
    assert len(found) == 20
    same(found, zeta.read(selected(), completed(rows)))


def test_the_function_is_called_with_the_arguments_that_google_documents() -> None:
    calls = CALL.findall(TEXT)
    assert [sorted(re.findall(r"(\w+) =>", arguments)) for _, arguments in calls] == [
        ["confidence_level", "data_col", "horizon", "id_cols", "model", "timestamp_col"]
    ] * 2
    for query, arguments in calls:
        given = {name: text.strip("'[]") for name, text in re.findall(r"(\w+) => ([^,\n]+)", arguments)}
        columns = {column.name for column in sqlglot.parse_one(query, read="bigquery").find_all(expressions.Column)}
        assert {given["data_col"], given["timestamp_col"], given["id_cols"]} == columns
        assert given["horizon"] == "10"


def test_the_job_is_one_that_bigquery_takes() -> None:
    made = job("my-project", "tickercast", "europe-west3")
    query = made["configuration"]["query"]
    assert query["query"] == TEXT
    assert query["useLegacySql"] is False
    assert int(query["maximumBytesBilled"]) > 0
    assert made["jobReference"] == {"projectId": "my-project", "location": "europe-west3"}


def test_its_rows_are_scored_by_the_same_views_and_stand_on_the_leaderboard(
    tmp_path: Path, make_bars: Callable[..., Bars]
) -> None:
    place = Place(tmp_path)
    whole = make_bars(last=date(2023, 8, 4), sessions=410)
    place.handle(place.upload("ohlc/2023-07-21/MSFT.csv", to_csv([whole.rows(0, 400)])))
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(to_duckdb(stood_in()))
    latest = place.warehouse.read("latest_forecasts", {"model_name": "timesfm"})
    assert (set(latest["role"]), set(latest["step"])) == ({"companion"}, set(range(1, 11)))

    place.now = datetime(2023, 8, 5, 12, tzinfo=UTC)
    place.handle(place.upload("ohlc/2023-08-04/MSFT.csv", to_csv([whole])))
    names = {"timesfm", "champion", "random-walk"}
    scores = place.warehouse.read("forecast_scores", {"cutoff": [date(2023, 7, 21)]})
    assert scores.groupby("model_name").size().to_dict() == dict.fromkeys(names, 10)
    ours, champion = (scores[scores["model_name"] == name].sort_values("step") for name in ("timesfm", "champion"))
    for name in ("step", "target_date", "actual_close", "walk_loss", "scale"):
        assert list(ours[name]) == list(champion[name]), name
    assert not ours["loss"].isna().any()
    skill = place.warehouse.read("forecast_skill")
    overall = skill[skill["symbol"].isna() & skill["step"].isna()]
    board = record_page._leaders(overall)
    assert set(board["model"]) == names
    [row] = board[board["model"] == "timesfm"].to_dict("records")
    assert (row["role"], row["closes"]) == ("companion", "10")
