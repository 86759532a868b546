"""Two weeks of evenings on an exchange where much happens; the results are asserted from the tables alone."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.support.trading import SYMBOLS, Evening

from tickercast.domain.calendar import sessions_between
from tickercast.domain.measures import promotion
from tickercast.errors import LeaseHeld
from tickercast.jobs.daily.lease import lease
from tickercast.jobs.daily.run_day import LOCK

JUNE = [date(2024, 6, day) for day in range(10, 27)]
"""Seventeen days: two weekends, Juneteenth on the 19th, and twelve sessions."""

LATE = {date(2024, 6, 12), date(2024, 6, 24)}
"""Evenings on which the source has nothing of that day yet."""

MISSED = date(2024, 6, 14)
STORM = date(2024, 6, 12)
DELISTED, SPLIT = ("HHH", date(2024, 6, 17)), ("GGG", date(2024, 6, 18))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("fortnight"))
        monkeypatch.setattr(promotion, "COOLING", 1)
        evening = Evening(Path.cwd(), storm=STORM)
        evening.begin(calibration=2.4)
        evening.exchange.delisted, evening.exchange.splits = dict([DELISTED]), dict([SPLIT])
        for day in JUNE:
            _live_through(evening, day)
        names = (
            "prices",
            "forecasts",
            "ingestions",
            "retrains",
            "latest_prices",
            "forecast_history",
            "forecast_scores",
        )
        return {name: evening.warehouse.read(name) for name in names}


def _live_through(evening: Evening, day: date) -> None:
    """Evenings of weekends too: nothing keeps a scheduler from running then."""
    evening.day = day
    evening.exchange.known_through = max(
        (known for known in sessions_between("AAA", date(2024, 6, 3), day) if known not in LATE or known < day),
    )
    # The first evening's training turns out badly, the others well.
    evening.calibration = 3.0 if day == JUNE[0] else 1.0
    if day != MISSED:
        evening.run()
        assert evening.run().idle, f"{day} was done, and something was left to do"


def test_every_session_of_every_symbol_is_forecast_once_however_late_its_bars_came(tables: dict[str, Any]) -> None:
    ledger = tables["ingestions"]
    made = ledger[ledger["status"] == "forecast"]
    sessions = set(sessions_between("AAA", JUNE[0], JUNE[-1]))
    for symbol in SYMBOLS:
        last = DELISTED[1] if symbol == DELISTED[0] else date.max
        cutoffs = made[made["symbol"] == symbol]["cutoff"].dt.date
        assert set(cutoffs) == {day for day in sessions if day < last}


def test_a_session_is_forecast_again_only_where_another_version_came_to_be_served(tables: dict[str, Any]) -> None:
    ledger = tables["ingestions"]
    twice = ledger[ledger.duplicated(["symbol", "cutoff"], keep=False)]
    assert (twice.groupby(["symbol", "cutoff"])["model_version"].nunique() == 2).all()
    assert set(twice["cutoff"].dt.date) == _changes(tables)


def test_the_decisions_are_a_refusal_two_promotions_and_a_rollback(tables: dict[str, Any]) -> None:
    decided = tables["retrains"].sort_values(["day", "created_at"])
    first = decided.iloc[0]
    assert (first["day"].date(), first["decision"]) == (JUNE[0], "kept")
    assert first["pinball_ratio"] > 1
    changes = decided[decided["decision"] != "kept"]["decision"]
    assert changes.tolist() == ["promoted", "rolled back", "promoted"]
    assert not decided.duplicated(["day", "kind"]).any()


def test_each_decision_has_its_numbers(tables: dict[str, Any]) -> None:
    decided = tables["retrains"]
    for row in decided[decided["decision"] != "kept"].to_dict("records"):
        assert row["origins"] >= (promotion.MIN_ORIGINS if row["kind"] == "promotion" else 1)
        assert row["pinball_ratio_lo"] <= row["pinball_ratio"] <= row["pinball_ratio_hi"]
        better = row["pinball_ratio_hi"] < 1
        assert better if row["decision"] == "promoted" else row["pinball_ratio_lo"] > 1
        assert row["reason"]


def test_no_decision_is_taken_twice_where_no_session_came(tables: dict[str, Any]) -> None:
    days = set(tables["retrains"]["day"].dt.date)
    assert days <= set(sessions_between("AAA", JUNE[0], JUNE[-1]))
    assert date(2024, 6, 19) not in days


def test_the_former_champion_forecasts_as_a_shadow_for_as_long_as_it_may_come_back(tables: dict[str, Any]) -> None:
    decided = tables["retrains"]
    promoted, back = (decided[decided["decision"] == what]["day"].min() for what in ("promoted", "rolled back"))
    shadow = tables["forecast_history"].query("role == 'shadow'")
    assert set(shadow["model_name"]) == {"tickercast-lstm"}
    between = shadow[(shadow["cutoff"] > promoted) & (shadow["cutoff"] < back)]
    assert set(between["model_version"]) == {"1"}
    assert len(between) > 0
    after = tables["retrains"].query("decision == 'promoted'")["day"].max()
    assert shadow[(shadow["cutoff"] > back) & (shadow["cutoff"] < after)].empty


def test_the_newest_forecast_is_by_the_version_that_is_served(tables: dict[str, Any]) -> None:
    history = tables["forecast_history"]
    newest = history[(history["cutoff"] == history["cutoff"].max()) & (history["role"] == "champion")]
    last = tables["retrains"].query("decision == 'promoted'").sort_values("day").iloc[-1]
    assert set(newest["model_version"]) == {last["candidate_version"]}


def test_a_split_leaves_no_jump_in_prices_and_none_in_scores(tables: dict[str, Any]) -> None:
    prices = tables["latest_prices"].query(f"symbol == '{SPLIT[0]}'").sort_values("session_date")
    assert np.log(prices["close"]).diff().abs().max() < 0.1
    scores = tables["forecast_scores"].query(f"symbol == '{SPLIT[0]}'")
    assert (scores["actual_close"] / scores["last_close"]).between(0.6, 1.2).all()
    assert len(scores) > 0


def _changes(tables: dict[str, Any]) -> set[date]:
    decided = tables["retrains"]
    return set(decided[decided["decision"].isin(["promoted", "rolled back"])]["day"].dt.date)


def test_two_runs_at_once_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evening = Evening(tmp_path)
    evening.begin(calibration=1.0)
    refusals: list[str] = []

    def around(job: Callable[..., Any]) -> Callable[..., Any]:
        def second(*arguments: Any, **named: Any) -> Any:
            if job.__name__ == "catch_up":
                assert evening.store.names("locks/") == ["locks/daily.json"]
                with pytest.raises(LeaseHeld, match="Another run of daily holds the lock") as refused:
                    evening.run(around)
                refusals.append(str(refused.value))
            return job(*arguments, **named)

        return second

    evening.run(around)
    assert len(refusals) == 1
    assert not evening.store.names("locks/")


def test_a_run_that_finds_another_at_work_does_not_touch_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two first runs would make its tables at once."""
    monkeypatch.chdir(tmp_path)
    evening = Evening(tmp_path)
    with lease(evening.store, LOCK, now=evening.now), pytest.raises(LeaseHeld):
        evening.run()
    assert not evening.registry.bundles
