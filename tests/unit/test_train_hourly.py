"""The training of the hourly models: who is measured against whom, and who becomes the champion."""

import hashlib
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.hourly import Memory, make_hours

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HOURLY_KIND, Bundle, ModelCard, Pointer
from tickercast.domain.cards.model_page import describe
from tickercast.domain.forecast import Role, RollingPredictor
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hour_features import Floats, Rows
from tickercast.domain.measures.promotion import decide_network
from tickercast.errors import TooFewSessions
from tickercast.jobs.training.train_hourly import HourlyTraining, train_hourly
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.models.hourly.predictors import (
    EWMA_SEASON,
    HAR_SEASON,
    HourlyEwmaT,
    HourlyPredictor,
    table_bundle,
)
from tickercast.models.hourly.volatility import fit
from tickercast.ports import RunRecord

THROUGH = date(2022, 10, 31)


class Scaled(HourlyPredictor):
    """EWMA-t with other widths."""

    def __init__(self, name: str, factor: float) -> None:
        self.name, self.version, self._factor = name, "1", factor

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        return self._factor * HourlyEwmaT().predict_at(bars, at)


class Network:
    """A trained network that is nothing but its card."""

    parameters, model = {"seeds": "1"}, None

    def __init__(self, tables: Bundle, name: str, through: date) -> None:
        self._card = tables.card.model_copy(
            update={"kind": HOURLY_KIND, "name": name, "trained_through": through, "sha256": _SHA}
        )

    def bundle(self) -> Bundle:
        return Bundle(b"network", self._card)


_SHA = hashlib.sha256(b"network").hexdigest()


class Models:
    """Models whose widths a test sets; the best is near 1.15."""

    def __init__(self, series: Sequence[Bars], lstm: float, earlier: float) -> None:
        self._tables = fit(series, np.datetime64("2022-10-01T00"), hours=3000)
        self._factors = {"tickercast-lstm-1h": lstm, "tickercast-plain-1h": 1.3, HAR_SEASON: 1.5, EWMA_SEASON: 1.3}
        self._earlier = earlier
        self.trained: list[tuple[date, bool]] = []

    def tables(self, through: date) -> tuple[Bundle, Bundle]:
        made = [
            table_bundle(name, self._tables, trained_on="x", trained_through=through)
            for name in (HAR_SEASON, EWMA_SEASON)
        ]
        return made[0], made[1]

    def network(self, through: date, *, recurrent: bool, seeds: Sequence[int]) -> Network:
        self.trained.append((through, recurrent))
        name = "tickercast-lstm-1h" if recurrent else "tickercast-plain-1h"
        return Network(self.tables(through)[0], name, through)

    def refreshed(self, bundle: Bundle) -> RollingPredictor:
        early = bundle.card.trained_through < THROUGH
        return Scaled(bundle.card.name, self._earlier if early else self._factors[bundle.card.name])

    @property
    def yardstick(self) -> RollingPredictor:
        return Scaled("ewma-t", 1.8)


class Registry:
    def __init__(self) -> None:
        self.registered: list[tuple[str, RunRecord]] = []

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        self.registered.append((bundle.card.name, record))
        return bundle.registered(version=str(len(self.registered)), run_id="run")


def train(lstm: float, earlier: float, registry: Registry | None = None) -> tuple[HourlyTraining, Models]:
    coins = [make_hours("BTCUSDT", hours=11_000), make_hours("ETHUSDT", hours=11_000, seed=8)]
    made: list[Models] = []

    def models(series: Sequence[Bars]) -> Models:
        made.append(Models(series, lstm, earlier))
        return made[0]

    result = train_hourly(
        Memory(coins),
        ["BTCUSDT", "ETHUSDT"],
        date(2000, 1, 1),
        date(2030, 1, 1),
        THROUGH,
        models=models,
        registry=registry,
    )
    return result, made[0]


def test_the_regression_stays_where_the_network_is_not_shown_to_be_better() -> None:
    registry = Registry()
    made, models = train(1.5, 1.5, registry)
    assert not made.decision.promote
    assert made.champion.card.name == HAR_SEASON
    assert [(bundle.card.name, role) for bundle, role in made.others] == [
        ("tickercast-lstm-1h", Role.COMPANION),
        ("tickercast-plain-1h", Role.COMPANION),
        (EWMA_SEASON, Role.BASELINE),
    ]
    assert models.trained == [(date(2022, 5, 3), True), (THROUGH, True), (THROUGH, False)]
    assert [name for name, _ in registry.registered] == [
        "tickercast-lstm-1h",
        "tickercast-plain-1h",
        HAR_SEASON,
        EWMA_SEASON,
    ]
    spans = {
        (record.datasets["training"].last, record.datasets["evaluation"].first) for _, record in registry.registered
    }
    assert spans == {(THROUGH, date(2022, 5, 4))}
    pointer = made.pointer
    assert (pointer.name, pointer.version) == (HAR_SEASON, "3")
    assert Pointer.model_validate_json(pointer.model_dump_json()) == pointer
    card = made.others[0][0].card
    assert card.metrics["after_sp_vs_har_season"] == 1
    assert "Companion: not shown to be better than har-season" in describe(card)
    assert f"--through {THROUGH} {card.arguments} --out DIR" in describe(card)
    assert re.fullmatch(r"--seeds \d( \w+USDT)+", card.arguments)
    assert made.champion.card.metrics["sp_vs_ewma_t"] < 1
    assert {f"coverage_80_h{step}" for step in (1, 6, 24)} < set(card.metrics)


def test_too_few_later_weeks_leave_no_interval_on_cards_that_can_be_read_again() -> None:
    coins = [make_hours("BTCUSDT", hours=11_000).through(THROUGH + timedelta(days=20))]
    made = train_hourly(
        Memory(coins),
        ["BTCUSDT"],
        date(2000, 1, 1),
        date(2030, 1, 1),
        THROUGH,
        models=lambda series: Models(series, 1.15, 1.15),
    )
    assert not made.decision.promote
    for bundle in made.bundles:
        metrics = bundle.card.metrics
        assert ModelCard.model_validate_json(bundle.card.model_dump_json()).metrics == metrics
        assert f"| {metrics['sp_vs_ewma_t']:g} (too short a time for an interval) |" in describe(bundle.card)
    [network] = [card for card in (bundle.card for bundle in made.bundles) if card.name == "tickercast-lstm-1h"]
    assert "(too short a time for an interval) on the half-year after" in " ".join(describe(network).split())


def test_a_network_that_is_better_on_both_half_years_is_the_champion() -> None:
    made, _ = train(1.15, 1.15)
    assert made.decision.promote
    assert made.champion.card.name == "tickercast-lstm-1h"
    assert "Champion: better than har-season" in describe(made.champion.card)
    assert (made.others[0][0].card.name, made.others[0][1]) == (HAR_SEASON, Role.COMPANION)


def test_a_network_that_was_worse_on_the_half_year_before_is_not() -> None:
    made, _ = train(1.15, 2.0)
    assert not made.decision.promote
    assert "worse than har-season on the half-year before" in made.decision.reason


def test_too_few_later_hours_are_a_sentence() -> None:
    coins = [make_hours("BTCUSDT", hours=7200)]
    with pytest.raises(TooFewSessions, match="half-years before and after 2022-10-31"):
        train_hourly(
            Memory(coins),
            ["BTCUSDT"],
            date(2000, 1, 1),
            date(2022, 10, 31),
            THROUGH,
            models=lambda series: Models(series, 1, 1),
        )


@pytest.mark.parametrize(
    ("before", "after", "promoted"),
    [
        ((0.999, 0.99, 1.01), (0.99, 0.98, 0.999), True),
        ((1.002, 0.99, 1.01), (0.99, 0.98, 0.999), True),
        ((1.0021, 0.99, 1.01), (0.99, 0.98, 0.999), False),
        ((0.98, 0.97, 0.99), (0.997, 0.993, 1.0), False),
    ],
)
def test_a_network_needs_two_half_years(before: Any, after: Any, promoted: bool) -> None:
    assert decide_network(before, after).promote is promoted


# ---------------------------------------------------------------- what is shipped

STORE = ModelStore(LocalObjectStore(Path("unused")), resource("shipped"), HOURLY)
SHIPPED = [*(bundle.card.name for bundle in STORE.shipped_bundles()), "xgb-direction"]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_pages_are_generated_from_the_cards(name: str) -> None:
    card = STORE.shipped_bundle(name, "1").card
    page = resource("shipped") / "models" / name / "1" / "MODEL_CARD.md"
    assert page.read_text() == describe(card)


def test_the_shipped_champion_is_the_one_that_the_cards_name() -> None:
    card = STORE.shipped_bundle("tickercast-lstm-1h", "1").card
    halves = [
        tuple(card.metrics[f"{half}_sp_vs_har_season{end}"] for end in ("", "_lo", "_hi"))
        for half in ("before", "after")
    ]
    promoted = decide_network(*halves).promote
    assert STORE.shipped_pointer.name == ("tickercast-lstm-1h" if promoted else HAR_SEASON)
    assert STORE.shipped.card.metrics["sp_vs_ewma_t_hi"] < 0.985


def test_the_shipped_networks_load_and_widen_the_regression_by_some_percent() -> None:
    bars = make_hours(hours=1000)
    har = catalogue.load_bundle(STORE.shipped_bundle(HAR_SEASON, "1")).predict([bars])
    for name in ("tickercast-lstm-1h", "tickercast-plain-1h"):
        quantiles = catalogue.load_bundle(STORE.shipped_bundle(name, "1")).predict([bars])
        assert (np.diff(quantiles, axis=2) > 0).all()
        ratio = quantiles[..., [0, 12]] / har[..., [0, 12]]
        assert ((ratio > 0.5) & (ratio < 2)).all()
        short = make_hours(hours=400)
        simple = catalogue.load_bundle(STORE.shipped_bundle(EWMA_SEASON, "1")).predict([short])
        assert simple.shape == (1, 24, 13)
