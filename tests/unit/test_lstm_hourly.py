"""The hourly networks: they begin as the regression, know recurrence or not, and are exported without a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from tests.support.hourly import make_hours

from tickercast import config
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models.hourly.network import OnnxHourly
from tickercast.models.hourly.predictors import HarSeason
from tickercast.models.hourly.volatility import fit as fit_tables

config.set_up_tensorflow()
keras = pytest.importorskip("keras", reason="TensorFlow comes with the extra train", exc_type=ImportError)

from tickercast.models.lstm import hourly  # noqa: E402

TINY = replace(hourly.RECIPE, units=4, hidden=4, epochs=1, batch=512)
THROUGH = date(2022, 4, 20)


@pytest.fixture(scope="module")
def series() -> Sequence[Bars]:
    return [make_hours(hours=2800)]


@pytest.fixture(scope="module")
def trained(series: Sequence[Bars]) -> hourly.TrainedHourly:
    return hourly.fit(series, THROUGH, seeds=(1, 2), recurrent=True, recipe=TINY)


@pytest.fixture(scope="module")
def bundle(trained: hourly.TrainedHourly) -> Bundle:
    return trained.bundle()


def test_an_untrained_network_is_the_regression(series: Sequence[Bars], trained: hourly.TrainedHourly) -> None:
    moments = [np.stack([np.zeros(size), np.ones(size)]).astype(np.float32) for size in (6, 42)]
    for recurrent in (True, False):
        untrained = hourly.network(hourly.core(TINY, recurrent=recurrent), (moments[0], moments[1]))
        model = replace(trained, model=untrained)
        regression = HarSeason(trained.tables).predict(series)
        np.testing.assert_allclose(model.predict(series), regression, rtol=1e-6)


def test_the_export_changes_nothing_and_later_hours_neither(
    series: Sequence[Bars], trained: hourly.TrainedHourly, bundle: Bundle
) -> None:
    assert hourly.onnx_difference(trained, bundle) < 1e-5
    served = OnnxHourly.load(bundle)
    np.testing.assert_allclose(served.predict(series), trained.predict(series), atol=1e-6)
    at = 2000
    cut = served.predict_at(series[0].rows(0, at + 1), np.array([at]))
    np.testing.assert_array_equal(served.predict_at(series[0], np.array([at])), cut)
    assert (served.predict(series) != HarSeason(trained.tables).predict(series)).any()


def test_newer_tables_move_the_base_of_a_network(series: Sequence[Bars], bundle: Bundle) -> None:
    served = OnnxHourly.load(bundle)
    newer = fit_tables(series, np.datetime64("2022-04-28T00"))
    refreshed = served.refreshed(newer)
    lowest = slice(0, 1)
    now = refreshed.predict(series)[..., lowest] / HarSeason(newer).predict(series)[..., lowest]
    then = served.predict(series)[..., lowest] / HarSeason(served.tables).predict(series)[..., lowest]
    np.testing.assert_allclose(now, then, atol=0.05)
    assert (refreshed.predict(series) != served.predict(series)).any()


def test_the_same_seed_gives_the_same_network_and_nothing_later_is_learned_from(
    series: Sequence[Bars], trained: hourly.TrainedHourly
) -> None:
    end = int(np.searchsorted(series[0].columns["closed_at"], np.datetime64("2022-04-21T00"), "right"))
    again = hourly.fit([series[0].rows(0, end)], THROUGH, seeds=(1, 2), recurrent=True, recipe=TINY)
    assert again.tables == trained.tables
    for ours, theirs in zip(again.model.get_weights(), trained.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def trained_after(series: Sequence[Bars], built: int) -> list[np.ndarray]:
    """The weights of one network, trained with a batch of all examples after so many other layers were built."""
    keras.utils.clear_session()
    for _ in range(built):
        keras.layers.Dense(1)
    recipe = replace(TINY, epochs=2, batch=10_000)
    return hourly.fit(series, THROUGH, seeds=(1,), recurrent=True, recipe=recipe).model.get_weights()


@pytest.fixture(scope="module")
def trained_first(series: Sequence[Bars]) -> list[np.ndarray]:
    return trained_after(series, 0)


@pytest.mark.parametrize("built", [7, 8, 9])
def test_a_network_does_not_depend_on_the_layers_that_were_built_before_it(
    series: Sequence[Bars], trained_first: list[np.ndarray], built: int
) -> None:
    for ours, theirs in zip(trained_after(series, built), trained_first, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_twin_reads_the_last_hour_alone(series: Sequence[Bars]) -> None:
    random = np.random.default_rng(0)
    steps = random.normal(size=(1, 72, 6)).astype(np.float32)
    statics = random.normal(size=(1, 42)).astype(np.float32)
    other = np.concatenate([random.normal(size=(1, 71, 6)).astype(np.float32), steps[:, -1:]], axis=1)
    for recurrent in (True, False):
        core = hourly.core(TINY, recurrent=recurrent)
        weights = [random.normal(0, 0.3, weight.shape) for weight in core.get_weights()]
        core.set_weights(weights)
        same = np.array_equal(core([steps, statics])[0].numpy(), core([other, statics])[0].numpy())
        assert same is not recurrent


def test_a_bundle_for_other_inputs_is_refused(bundle: Bundle) -> None:
    for changes, message in (
        ({"features": ("rsi",)}, "other features"),
        ({"window": 30}, "other window"),
        ({"hour_tables": None}, "holds no tables"),
    ):
        with pytest.raises(BundleError, match=message):
            OnnxHourly.load(replace(bundle, card=bundle.card.model_copy(update=changes)))


def test_an_export_that_differs_is_no_bundle(trained: hourly.TrainedHourly, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hourly, "onnx_difference", lambda *_: 1e-3)
    with pytest.raises(BundleError, match=r"differs from the trained one by up to 1\.0e-03"):
        trained.bundle()


def test_too_little_to_learn_from_is_a_sentence() -> None:
    with pytest.raises(TooFewSessions, match="Tables can be learned from 0 of the hours"):
        hourly.fit([make_hours(hours=1000)], THROUGH, seeds=(1,), recurrent=True, recipe=TINY)
