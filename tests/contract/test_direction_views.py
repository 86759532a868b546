"""The views of directions say of forecasts what `domain.measures.direction` says, in whatever order rows came."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.contract.test_views import stored
from tests.support import directions
from tests.support.directions import direction_rows, hours, price_rows

from tickercast.domain.measures import direction
from tickercast.jobs.training.train_direction import SIZES

MANY = hours(days=120, a_day=8)


def ask(tables: dict[str, pd.DataFrame], query: str) -> pd.DataFrame:
    with stored(tables) as connection:
        return connection.execute(query).df()


@pytest.fixture(scope="module")
def scored() -> pd.DataFrame:
    return ask(MANY, "SELECT * FROM direction_scores ORDER BY symbol, cutoff_at")


@pytest.mark.parametrize("symbol", [None, "ETHUSDT"])
def test_the_skill_is_that_of_the_domain(scored: pd.DataFrame, symbol: str | None) -> None:
    rows = scored if symbol is None else scored[scored["symbol"] == symbol]
    where = "symbol IS NULL" if symbol is None else f"symbol = '{symbol}'"
    [found] = ask(MANY, f"SELECT * FROM direction_skill WHERE {where}").to_dict("records")
    probability, up = rows["prob_up"].to_numpy(), rows["went_up"].to_numpy(bool)
    expected = direction.scores(probability, up)
    for name in ("n", "brier", "log_loss", "accuracy", "always_up"):
        assert found[name] == pytest.approx(getattr(expected, name), rel=1e-12), name
    at = rows["cutoff_at"].dt.tz_localize(None).to_numpy().astype("datetime64[h]")
    drawn = {
        "brier": direction.brier_interval(probability, up, at, draws=20_000),
        "accuracy": direction.accuracy_interval(probability, up, at, draws=20_000),
    }
    for name, (_, low, high) in drawn.items():
        assert (found[f"{name}_hi"] - found[f"{name}_lo"]) == pytest.approx(high - low, rel=0.06), name
        assert found[f"{name}_lo"] == pytest.approx(low, abs=0.1 * (high - low)), name
    assert found["days"] == 120


def test_the_groups_are_those_of_the_domain(scored: pd.DataFrame) -> None:
    found = ask(MANY, "SELECT * FROM direction_groups WHERE symbol IS NULL ORDER BY place").set_index("grouped_by")
    probability, up = scored["prob_up"].to_numpy(), scored["went_up"].to_numpy(bool)
    size = np.abs(scored["move"].to_numpy())
    expected = {
        "probability": direction.reliability(probability, up),
        "move": direction.hit_rate_by_size(probability, up, size, SIZES),
    }
    for by, groups in expected.items():
        rows = found.loc[by]
        assert list(rows["n"]) == [group.n for group in groups]
        np.testing.assert_allclose(rows["stated"], [group.stated for group in groups])
        np.testing.assert_allclose(rows["observed"], [group.observed for group in groups], atol=0.02)


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "worse"), (0.55, "no edge"), (0.8, "better")])
def test_the_verdict_is_that_of_the_interval(scored: pd.DataFrame, share: float, verdict: str) -> None:
    """So many forecasts say what came with 60%, the others the opposite; with 55% right they score like a coin."""
    random = np.random.default_rng(1)
    came = np.where(random.random(len(scored)) < share, scored["went_up"], ~scored["went_up"])
    stated = MANY["directions"].sort_values(["symbol", "cutoff_at"]).assign(prob_up=np.where(came, 0.6, 0.4))
    found = ask(MANY | {"directions": stated}, "SELECT verdict FROM direction_skill WHERE symbol IS NULL")
    assert list(found["verdict"]) == [verdict]


def test_a_month_is_needed_for_a_verdict() -> None:
    found = ask(hours(days=27), "SELECT DISTINCT verdict, brier_lo IS NULL AS open FROM direction_skill")
    assert found.to_dict("records") == [{"verdict": "too early", "open": True}]
    assert "too early" not in set(ask(hours(days=28), "SELECT verdict FROM direction_skill")["verdict"])


AT = pd.DatetimeIndex(["2023-07-22 12:00", "2023-07-22 13:00"], tz="UTC")


def one(**more: Any) -> dict[str, pd.DataFrame]:
    prices = price_rows("BTCUSDT", AT, [100.0, 101.0])
    return {"prices": prices, "directions": direction_rows("BTCUSDT", AT[:1], [100.0], [0.6], **more)}


def test_a_direction_is_scored_once_both_closes_are_there() -> None:
    tables = one()
    assert ask(tables | {"prices": tables["prices"].head(1)}, "SELECT * FROM direction_scores").empty
    [found] = ask(tables, "SELECT * FROM direction_scores").to_dict("records")
    assert (found["went_up"], found["is_right"], found["actual_close"]) == (True, True, 101.0)
    assert found["brier"] == pytest.approx(0.16)
    assert found["log_loss"] == pytest.approx(-np.log(0.6))
    assert found["move"] == pytest.approx(np.log(1.01))


@pytest.mark.parametrize(("close", "is_right"), [(101.0, True), (99.0, False)])
def test_a_probability_of_one_half_says_up(close: float, is_right: bool) -> None:
    stated = direction_rows("BTCUSDT", AT[:1], [100.0], [0.5])
    tables = {"prices": price_rows("BTCUSDT", AT, [100.0, close]), "directions": stated}
    assert list(ask(tables, "SELECT is_right FROM direction_scores")["is_right"]) == [is_right]


def test_a_correction_of_a_close_changes_the_score_and_a_flat_hour_is_not_up() -> None:
    tables = one()
    corrected = price_rows("BTCUSDT", AT[1:], [100.0], "2")
    tables["prices"] = pd.concat([corrected, tables["prices"]])
    [found] = ask(tables, "SELECT * FROM direction_scores").to_dict("records")
    assert (found["went_up"], found["is_right"], found["move"]) == (False, False, 0.0)


def test_a_forecast_that_was_made_after_its_hour_replaces_none_of_the_time() -> None:
    tables = one(created_at=AT[0])
    late = direction_rows("BTCUSDT", AT[:1], [100.0], [0.3], "2", created_at=AT[1] + pd.Timedelta(1, "s"))
    for rows, counts in ((pd.concat([tables["directions"], late]), 0.6), (late, 0.3)):
        found = ask(tables | {"directions": rows}, "SELECT prob_up FROM direction_scores")
        assert list(found["prob_up"]) == [counts]


def test_of_several_forecasts_for_an_hour_the_newest_live_one_counts() -> None:
    tables = one()
    later = [
        direction_rows("BTCUSDT", AT[:1], [100.0], [0.3], "2"),
        direction_rows("BTCUSDT", AT[:1], [100.0], [0.9], "3", origin="backfill", object="ohlc/1h/backfill-1.csv"),
    ]
    tables["directions"] = pd.concat([*later, tables["directions"]])
    for view in ("direction_scores", "latest_directions"):
        assert list(ask(tables, f"SELECT * FROM {view}")["prob_up"]) == [0.3]


@pytest.mark.parametrize("flag", ["simulated", "model_has_seen", "doubtful"])
def test_what_proves_nothing_counts_for_no_skill(flag: str) -> None:
    tables = one(**{flag: True})
    if flag == "simulated":
        tables["prices"]["simulated"] = True
    assert len(ask(tables, "SELECT * FROM direction_scores")) == 1
    assert ask(tables, "SELECT * FROM direction_skill").empty
    assert ask(tables, "SELECT * FROM direction_groups").empty


def test_a_newer_file_for_an_earlier_hour_of_the_day_is_not_the_newest_direction() -> None:
    newest, again = (
        direction_rows("BTCUSDT", AT[hour:][:1], [100.0], [0.6], generation)
        for hour, generation in ((1, "1"), (0, "2"))
    )
    found = ask({"directions": pd.concat([again, newest])}, "SELECT * FROM latest_directions")
    assert list(found["cutoff_at"]) == [AT[1]]


def test_the_newest_direction_of_each_symbol_is_shown() -> None:
    found = ask(MANY, "SELECT symbol, cutoff_at FROM latest_directions")
    newest = MANY["directions"].groupby("symbol")["cutoff_at"].max()
    assert dict(zip(found["symbol"], found["cutoff_at"], strict=True)) == newest.to_dict()
    assert set(found["symbol"]) == set(directions.SYMBOLS)
