"""The trees of the direction model grow again each month, and out of turn by a rule."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.support.hourly import Memory, make_hours
from tests.support.trading import Registry
from typer.testing import CliRunner

from tickercast import config
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.registry.mlflow import MlflowRegistry
from tickercast.cli import app as cli
from tickercast.domain.cards.model_card import CHAMPION_ALIAS
from tickercast.domain.cards.model_card import DIRECTION as POINTER
from tickercast.domain.cards.model_page import describe, verdict
from tickercast.domain.frequency import HOURLY
from tickercast.domain.learning.boosting import Boosting
from tickercast.domain.measures.direction import DIRECTION, RetrainBelow
from tickercast.errors import PreconditionFailed, UsageError
from tickercast.jobs.operations.provision import publish_shipped
from tickercast.jobs.training.refit_direction import Refit, refit_direction, why_due
from tickercast.model_store import ModelStore
from tickercast.models.direction import DirectionModel
from tickercast.ports import ModelRegistry

training = pytest.importorskip("tickercast.models.boosted.training", reason="the extra boost is not installed")

RECIPE = Boosting(trees=5, days=60)
COINS = [make_hours(symbol, hours=24 * 140, seed=seed) for symbol, seed in (("BTCUSDT", 1), ("ETHUSDT", 2))]
NOW = datetime(2022, 5, 10, 12, 30, tzinfo=UTC)


class Scores:
    """A warehouse that holds scored directions."""

    def __init__(self, rows: pd.DataFrame | None = None) -> None:
        self.rows = pd.DataFrame(columns=["cutoff_at", "symbol"]) if rows is None else rows

    def read(self, name: str, where: Any = None, columns: Any = None) -> pd.DataFrame:
        assert name == "direction_scores"
        return self.rows


def scored(right: Sequence[bool], stated: float = 0.6) -> pd.DataFrame:
    """Forecasts of the last hours that said `stated` of what came, or of the opposite."""
    at = pd.date_range(end="2022-05-10 11:00", periods=len(right), freq="h", tz="UTC")
    hit = np.array(right, bool)
    return pd.DataFrame({"symbol": "BTCUSDT", "cutoff_at": at, "is_right": hit, "went_up": hit, "prob_up": stated})


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    made = ModelStore(LocalObjectStore(tmp_path), config.resource("shipped"), HOURLY, pointer=POINTER)
    publish_shipped(made)
    return made


@pytest.fixture
def learned(models: ModelStore) -> ModelStore:
    """The store, where a version is served that learned up to the end of April."""
    shipped = models.shipped
    card = shipped.card.model_copy(update={"version": "2", "trained_through": date(2022, 4, 29)})
    models.write(replace(shipped, card=card))
    models.point(models.pointer().pointing("2"))
    return models


def refit(models: ModelStore, registry: ModelRegistry | None = None, **more: Any) -> Refit:
    given: dict[str, Any] = {
        "source": Memory(COINS), "boost": training, "load": DirectionModel, "models": models, "warehouse": Scores(),
        "registry": registry or Registry(), "now": NOW, "recipe": RECIPE,
    }  # fmt: skip
    return refit_direction(["BTCUSDT", "ETHUSDT"], **given | more)


def test_when_a_month_has_begun_new_trees_are_grown_compared_and_served(models: ModelStore) -> None:
    old = models.shipped
    card = old.card.model_copy(update={"version": "2", "trained_through": date(2022, 3, 30)})
    models.write(replace(old, card=card))
    models.point(models.pointer().pointing("2"))
    registry = Registry()
    registry.register(old, None)  # type: ignore[arg-type]
    registry.register(old, None)  # type: ignore[arg-type]
    done = refit(models, registry)
    assert done.reason == "a month has begun since they learned: the last date was 2022-03-30"
    assert done.comparison.startswith("Brier score against version 2 on 1,3")
    assert (done.is_new, done.version) == (True, "3")
    served = models.champion().card
    assert (served.version, served.trained_through) == ("3", date(2022, 5, 9))
    assert served.trained_on.startswith("source memory: BTCUSDT, ETHUSDT; the 60 days up to 2022-05-09; ")
    assert registry.aliased(DIRECTION, CHAMPION_ALIAS) == "3"
    again = refit(models, registry)
    assert (again.is_new, again.reason) == (False, "nothing was due: version 3 learned in this month")


def test_trees_that_were_gone_back_to_by_hand_stay_until_a_month_begins(learned: ModelStore) -> None:
    assert learned.rollback(now=NOW).card.version == "1"
    done = refit(learned, boost=None)
    said = "nothing was due: version 1 was chosen by hand in this month, and stays until the next"
    assert (done.version, done.reason, done.is_new) == ("1", said, False)


def test_an_empty_registry_begins_with_the_shipped_version(models: ModelStore) -> None:
    registry = Registry()
    later = datetime(2022, 8, 2, tzinfo=UTC)
    coins = [make_hours(bars.symbol, hours=24 * 140, seed=1, first=date(2022, 3, 20)) for bars in COINS]
    done = refit(models, registry, now=later, source=Memory(coins))
    assert done.version == "2"
    assert registry.bundle(DIRECTION, "1").card.sha256 == models.shipped.card.sha256


def test_mlflow_registers_new_trees_and_shows_that_none_have_been_measured(models: ModelStore, tmp_path: Path) -> None:
    registry = MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db")
    coins = [make_hours(bars.symbol, hours=24 * 140, seed=1, first=date(2022, 3, 20)) for bars in COINS]
    done = refit(models, registry, now=datetime(2022, 8, 2, tzinfo=UTC), source=Memory(coins))
    assert done.is_new
    assert models.pointer().version == registry.aliased(DIRECTION, CHAMPION_ALIAS) == "2"
    newest, shipped = (made.card for made in registry.versions(DIRECTION))
    assert (newest.version, verdict(newest), verdict(shipped)) == ("2", "not measured", "better")
    page = " ".join(describe(newest).split())
    assert "## Measured Not measured: these trees learned from the newest hours" in page
    assert "below are of later dates" not in page
    assert "## Verdict" not in page
    assert "below are of later dates" in describe(shipped)


@pytest.mark.parametrize(
    ("right", "rule", "why"),
    [
        ([True] * 15 + [False] * 9, "0.6/24", ""),
        ([True] * 14 + [False] * 10, "0.6/24", "14 of the last 24 directions were right, fewer than 15"),
        ([False] * 23, "0.6/24", ""),
        (list(np.random.default_rng(3).random(120) < 0.55), "", ""),
        ([False, False, True] * 60, "", "its Brier score is 0.2933"),
        ([], "", ""),
    ],
)
def test_out_of_turn_they_grow_by_the_rule(right: list[bool], rule: str, why: str) -> None:
    below = RetrainBelow.parse(rule) if rule else None
    found = why_due(date(2022, 4, 30), scored(right), below, NOW.replace(tzinfo=None))
    assert found.startswith(why) if why else found == ""


def test_the_rule_of_shares_fires_on_most_windows_of_a_coin() -> None:
    """The figure of the docs for 0.6/24, counted over a year of hours."""
    hits = np.random.default_rng(0).random(8760) < 0.5
    rule = RetrainBelow.parse("0.6/24")
    fired = [rule.fires(hits[hour : hour + 24]) for hour in range(len(hits) - 24)]
    assert np.mean(fired) == pytest.approx(0.85, abs=0.03)


def test_trees_that_are_shown_to_be_worse_are_not_served(learned: ModelStore) -> None:
    class Good:
        """The served trees, if they knew."""

        def __init__(self, bundle: Any) -> None:
            self._served = bundle.card.version == "2"
            self._model = DirectionModel(bundle)

        def probability(self, inputs: Any) -> Any:
            answer = self._model.probability(inputs)
            return np.where(KNOWN, 0.9, 0.1)[: len(answer)] if self._served else np.full(len(answer), 0.3)

    begin, until = np.datetime64("2022-04-30", "h"), np.datetime64("2022-05-09T12", "h")
    from tickercast.domain.hourly.direction_inputs import questions

    global KNOWN
    KNOWN = np.concatenate([questions(bars).between(begin, until).up for bars in COINS])
    done = refit(learned, load=Good, warehouse=Scores(scored([False] * 100)))
    assert not done.is_new
    assert done.comparison.startswith("Brier score against version 2 on 4")
    assert learned.pointer().version == "2"


KNOWN: Any = None


def test_what_came_to_be_served_meanwhile_stays(learned: ModelStore) -> None:
    class Hasty(Registry):
        def register(self, bundle: Any, record: Any) -> Any:
            learned.point(learned.pointer().pointing("1"))
            return super().register(bundle, record)

    registry = Hasty(bundles=[learned.shipped, learned.shipped])
    with pytest.raises(PreconditionFailed):
        refit(learned, registry, warehouse=Scores(scored([False] * 100)))
    assert learned.pointer().version == "1"


def test_simulated_bars_are_not_learned_from(learned: ModelStore) -> None:
    source = Memory(COINS)
    source.simulated = True
    with pytest.raises(UsageError, match="simulated bars, and a served model learns from real ones"):
        refit(learned, source=source, warehouse=Scores(scored([False] * 100)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--when-due"], "--when-due need hourly bars"),
        (["--every", "1h", "--when-due"], "--when-due is for the direction model: add --direction"),
        (["--every", "1h", "--when-due", "--trials", "3"], "--when-due is for the direction model: add --direction"),
        (["--every", "1h", "--trials", "3"], "--trials is for the direction model: add --direction"),
        (["--every", "1h", "--direction", "--seeds", "3"], "--seeds is for networks, and --direction grows trees"),
        *(
            (["--every", "1h", "--direction", "--when-due", *more], "leave out --through, --trials, --seeds and --out")
            for more in (["--through", "nonsense"], ["--trials", "3"], ["--seeds", "3"], ["--out", "made"])
        ),
    ],
)
def test_the_option_belongs_to_the_direction(workspace: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["train", *words])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)


def test_a_rule_that_is_none_is_one_sentence(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERCAST_RETRAIN_BELOW", "often")
    done = CliRunner().invoke(cli, ["train", "--every", "1h", "--direction", "--when-due", "--source", "binance"])
    assert isinstance(done.exception, UsageError)
    assert "'often' is not a rule for retraining: SHARE/LAST was needed" in str(done.exception)


def test_the_months_of_a_year_each_bring_one(models: ModelStore) -> None:
    """Whatever the day on which it is asked, so that a missed first day is made up for."""
    day, through, grown = date(2022, 7, 2), date(2022, 6, 30), 0
    for _ in range(365):
        day += timedelta(days=1)
        if why_due(through, pd.DataFrame(), None, datetime(day.year, day.month, day.day, 9)):
            through, grown = day - timedelta(days=1), grown + 1
    assert grown == 12
