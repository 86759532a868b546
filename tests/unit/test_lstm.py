"""The network starts as its training quantiles, keeps them in order, and survives the way to ONNX."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_page import describe, verdict
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import QUANTILES
from tickercast.domain.learning import features
from tickercast.domain.learning.dataset import dataset
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.measures.drift import COLUMNS, read_reference
from tickercast.domain.measures.reference import observe
from tickercast.errors import BundleError, TooFewSessions, UnknownSymbol, UsageError
from tickercast.jobs.training.train import evaluate_unseen, measures, train
from tickercast.models.baselines import EwmaT
from tickercast.models.onnx import STATICS, OnnxModel

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

keras = pytest.importorskip("keras", exc_type=ImportError)

from tickercast.models.lstm.calibration import (  # noqa: E402
    Fold,
    _best_factors,
    _smoothed,
    answer,
    calibrated,
    calibration,
    example_losses,
    scaled_pinball,
    shrunk_drift,
)
from tickercast.models.lstm.examples import Examples, examples, split  # noqa: E402
from tickercast.models.lstm.export import check_parity, load_keras  # noqa: E402
from tickercast.models.lstm.network import Constants, core, network  # noqa: E402
from tickercast.models.lstm.trainer import Trainer  # noqa: E402
from tickercast.models.lstm.training import fit, prepare, train_one  # noqa: E402

THROUGH = date(2022, 12, 30)
TINY = Recipe(units=4, hidden=4, epochs=2, folds=2, block=120)


@pytest.fixture(scope="module")
def series() -> list[Bars]:
    random = np.random.default_rng(3)
    return [simulated(symbol, random) for symbol in ("AAA", "BBB")]


def simulated(symbol: str, random: np.random.Generator, sessions: int = 700) -> Bars:
    import pandas as pd

    sigma = 0.015 * np.exp(0.5 * np.sin(np.arange(sessions) / 40))
    close = 100 * np.exp(np.cumsum(sigma * random.standard_t(5, sessions)))
    opened = np.append(close[0], close[:-1])
    high, low = np.maximum(opened, close) * (1 + sigma / 2), np.minimum(opened, close) * (1 - sigma / 2)
    dates = pd.bdate_range(end="2023-07-21", periods=sessions)
    bars = {"session_date": dates, "open": opened, "high": high, "low": low, "close": close, "adj_close": close}
    return Bars(symbol, pd.DataFrame(bars | {"volume": random.lognormal(15, 0.4, sessions)}))


@pytest.fixture(scope="module")
def trained(series: list[Bars]) -> Any:
    return fit(series, trained_through=THROUGH, seeds=[1, 2], recipe=TINY)


def test_an_untrained_network_answers_the_training_quantiles(series: list[Bars]) -> None:
    some = examples(series, THROUGH)
    constants = Constants.of(some)
    z = network(core(TINY), constants)([some.steps[:50], some.statics[:50]], training=False).numpy()
    expected = np.quantile(some.returns, QUANTILES, axis=0).T
    np.testing.assert_allclose(z, np.broadcast_to(expected, z.shape), atol=1e-5)
    np.testing.assert_array_equal(z, np.broadcast_to(constants.untrained, z.shape))


def test_quantiles_never_cross_whatever_the_weights_and_inputs(series: list[Bars]) -> None:
    some = examples(series, THROUGH)
    model = network(core(TINY), Constants.of(some))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(0, 3, weight.shape) for weight in model.get_weights()])
    steps = random.normal(0, 5, (50, *some.steps.shape[1:]))
    z = model([steps, random.normal(0, 5, (50, some.statics.shape[1]))], training=False).numpy()
    assert (np.diff(z, axis=2) > 0).all()


def test_examples_use_nothing_after_the_last_date(series: list[Bars]) -> None:
    cut = [Bars(h.symbol, h.frame[h.frame["session_date"] <= np.datetime64(THROUGH)]) for h in series]
    whole, known = examples(series, THROUGH), examples(cut, THROUGH)
    for name in Examples.__dataclass_fields__:
        assert np.array_equal(getattr(whole, name), getattr(known, name)), name
    assert len(known) == sum(len(bars) - features.MIN_SESSIONS + 1 - 10 for bars in cut)


def test_returns_are_in_units_of_ewma_sigma_and_the_root_of_the_step(series: list[Bars]) -> None:
    some, panel = examples(series[:1], THROUGH), features.panel(series[0])
    move = panel.log_close[90 + 4] - panel.log_close[90]
    assert some.returns[0, 3] == pytest.approx(move / (2 * panel.sigma_ewma[90]), rel=1e-5)


def test_training_and_validation_share_no_session() -> None:
    day = np.arange(1000)
    for fold in range(5):
        learned, held = split(day, fold, Recipe())
        assert held.sum() >= 63 * 3
        assert learned.sum() >= 500
        gaps = np.abs(day[learned][:, None] - day[held][None, :])
        assert gaps.min() > features.WINDOW + 10


def test_every_session_is_validated_by_one_fold_of_five() -> None:
    held = [split(np.arange(1000), fold, Recipe())[1] for fold in range(5)]
    assert (np.sum(held, axis=0) == 1).all()


def test_the_exported_network_gives_the_same_numbers_in_every_batch_size(trained: Any) -> None:
    model, random = OnnxModel(trained.bundle()), np.random.default_rng(1)
    for size in (1, 7, 500):
        steps = random.normal(size=(size, features.WINDOW, len(features.STEP_FEATURES))).astype(np.float32)
        statics = random.normal(size=(size, len(features.STATIC_FEATURES))).astype(np.float32)
        ours = trained.model([steps, statics], training=False).numpy()
        np.testing.assert_allclose(model.answer(steps, statics), ours, rtol=1e-3, atol=1e-5)


def test_a_network_that_answers_differently_makes_no_bundle(trained: Any) -> None:
    bundle = trained.bundle()
    other = replace(trained, model=keras.models.clone_model(trained.model))
    with pytest.raises(BundleError, match="differs from the trained one"):
        check_parity(other, bundle)


def test_the_served_bundle_predicts_what_the_trained_network_predicts(trained: Any, series: list[Bars]) -> None:
    served = OnnxModel(trained.bundle()).predict(series)
    np.testing.assert_allclose(served, trained.predict(series), atol=1e-6)


def test_a_saved_network_predicts_the_same_again(trained: Any, series: list[Bars], tmp_path: Path) -> None:
    trained.save(tmp_path / "network.keras")
    again = load_keras(tmp_path / "network.keras")
    np.testing.assert_array_equal(again.predict(series), trained.predict(series))
    assert again.card == trained.card


def test_a_network_that_was_never_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Save it again"):
        load_keras(tmp_path / "network.keras")


def test_the_same_data_and_seeds_give_the_same_model_curves_and_measures(trained: Any, series: list[Bars]) -> None:
    again = fit(series, trained_through=THROUGH, seeds=[1, 2], recipe=TINY)
    assert again.parameters == trained.parameters
    assert again.curves == trained.curves
    np.testing.assert_array_equal(again.predict(series), trained.predict(series))
    first, second = (
        measures(evaluate_unseen(model, [EwmaT()], series, THROUGH, date(2023, 12, 31))) for model in (trained, again)
    )
    assert second == first


def trained_after(series: list[Bars], built: int) -> Any:
    """A network trained after so many other layers were built."""
    keras.utils.clear_session()
    for _ in range(built):
        keras.layers.Dense(1)
    return train_one(Trainer(TINY), examples(series, THROUGH), 0, 1, lambda epoch: None)


@pytest.fixture(scope="module")
def trained_first(series: list[Bars]) -> Any:
    return trained_after(series, 0)


@pytest.mark.parametrize("built", [7, 8, 9])
def test_a_network_does_not_depend_on_the_layers_that_were_built_before_it(
    trained_first: Any, series: list[Bars], built: int
) -> None:
    np.testing.assert_array_equal(trained_after(series, built).z, trained_first.z)


def test_a_network_does_not_depend_on_those_trained_before_it_in_the_same_graph(series: list[Bars]) -> None:
    some, shared = examples(series, THROUGH), Trainer(TINY)
    first = [train_one(shared, some, 0, seed, lambda epoch: None) for seed in (1, 2)]
    alone = train_one(Trainer(TINY), some, 0, 2, lambda epoch: None)
    np.testing.assert_array_equal(first[1].z, alone.z)
    assert first[1].curves == alone.curves != first[0].curves
    assert shared._step.experimental_get_tracing_count() == 1


def test_a_network_answers_as_it_did_in_its_best_epoch(trained_first: Any) -> None:
    fold = trained_first
    np.testing.assert_allclose(answer(fold.model, fold.validation), fold.z, atol=1e-5)
    loss = example_losses(fold.z, fold.validation).mean()
    assert loss == pytest.approx(min(fold.curves["val_z_loss"]), rel=1e-5)


@pytest.mark.parametrize("spread", [0.5, 0.9, 1.1, 2.0])
def test_the_calibration_is_the_best_of_its_grid_shrunk_halfway(series: list[Bars], spread: float) -> None:
    some = examples(series, THROUGH)
    exact = np.quantile(some.returns, QUANTILES, axis=0).T
    z = np.broadcast_to(spread * exact, (len(some), *exact.shape))
    folds = [Fold(None, z, exact, some, {})]
    grid = np.linspace(0.8, 1.3, 51)
    best = grid[np.argmin([scaled_pinball(folds, factor) for factor in grid])]
    assert calibration(folds) == pytest.approx(1 + (best - 1) / 2, abs=1e-4)


def test_every_seed_has_its_losses_by_epoch(trained: Any) -> None:
    assert {name for name in trained.curves if name.startswith("seed_2/")} == {
        f"seed_2/{part}{loss}" for part in ("", "val_") for loss in ("loss", "z_loss", "s_loss")
    }
    assert {len(values) for values in trained.curves.values()} == {TINY.epochs}
    assert trained.curves["seed_1/loss"] != trained.curves["seed_2/loss"]


def test_training_stops_early_and_keeps_the_best_epoch(series: list[Bars]) -> None:
    hasty = replace(TINY, rate=0.1, epochs=8, patience=1)
    losses = fit(series, trained_through=THROUGH, seeds=[1], recipe=hasty).curves["seed_1/val_z_loss"]
    assert len(losses) < 8
    assert losses[-1] >= min(losses[:-1])


def test_the_loss_of_a_recipe_is_what_a_training_states(trained: Any, series: list[Bars]) -> None:
    seen: list[Any] = []
    loss = prepare(series, trained_through=THROUGH).validation_loss(TINY, [1, 2], seen.append)
    assert round(loss, 6) == pytest.approx(trained.parameters["validation_sp"], rel=1e-3)
    assert [(epoch.fold, epoch.seed, epoch.share) for epoch in seen] == [(0, 1, 0.5), (0, 1, 1), (1, 2, 0.5), (1, 2, 1)]
    assert [epoch.losses["val_z_loss"] for epoch in seen[:2]] == pytest.approx(trained.curves["seed_1/val_z_loss"])
    assert seen[1].ratio <= seen[0].ratio < 1.1


def test_what_is_raised_after_an_epoch_ends_a_training(series: list[Bars]) -> None:
    def stop(epoch: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(series, trained_through=THROUGH).validation_loss(TINY, [1, 2], stop)


def test_training_reports_its_progress(series: list[Bars]) -> None:
    seen: list[tuple[int, int]] = []
    fit(
        series,
        trained_through=THROUGH,
        seeds=[1],
        on_progress=lambda done, total: seen.append((done, total)),
        recipe=TINY,
    )
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "every"),
    [(9_386, 128, 6, 1), (59_999, 128, 6, 1), (60_000, 128, 2, 3), (150_000, 256, 2, 3), (410_000, 512, 2, 3)],
)
def test_the_recipe_follows_from_the_number_of_examples(examples: int, batch: int, epochs: int, every: int) -> None:
    assert Recipe.of_size(examples) == Recipe(batch=batch, epochs=epochs, every=every)


def test_thinned_training_learns_from_every_third_session(series: list[Bars]) -> None:
    whole = examples(series, THROUGH)
    thinned = fit(series, trained_through=THROUGH, seeds=[1], recipe=replace(TINY, every=3))
    assert thinned.parameters["examples"] == (whole.day % 3 == 0).sum()
    assert f"{thinned.parameters['examples']:,} origins" in thinned.card.trained_on


@pytest.fixture(scope="module")
def crypto() -> list[Bars]:
    random = np.random.default_rng(4)
    return [simulated(symbol, random, sessions=900) for symbol in ("BTC-USD", "ETH-USD")]


@pytest.fixture(scope="module")
def trained_beside_crypto(series: list[Bars], crypto: list[Bars]) -> Any:
    return fit([*crypto, *series], trained_through=THROUGH, seeds=[1, 2], recipe=TINY)


def test_crypto_sets_its_calibration_and_leaves_the_network_alone(
    trained: Any, trained_beside_crypto: Any, series: list[Bars], crypto: list[Bars]
) -> None:
    card = trained_beside_crypto.card
    assert trained.card.calibrations == {}
    assert np.shape(card.calibrations["crypto"]) == np.shape(card.past_quantiles["crypto"]) == (10, 13)
    low, middle, high = np.quantile(examples(crypto, THROUGH).returns, [0.1, 0.5, 0.9], axis=0)
    past = np.array(card.past_quantiles["crypto"])
    np.testing.assert_allclose(past[:, [2, 10]], np.stack([low - middle, high - middle], axis=1), atol=1e-4)
    assert card.trained_on.endswith("crypto intervals calibrated on BTC-USD, ETH-USD up to the same date")
    np.testing.assert_allclose(trained_beside_crypto.predict(series), trained.predict(series), rtol=1e-3)
    served = OnnxModel(trained_beside_crypto.bundle())
    np.testing.assert_allclose(served.predict(crypto), trained_beside_crypto.predict(crypto), atol=1e-6)


def test_calibration_of_a_class_uses_nothing_after_the_last_date(trained: Any, crypto: list[Bars]) -> None:
    cut = [Bars(h.symbol, h.frame[h.frame["session_date"] <= np.datetime64(THROUGH)]) for h in crypto]
    assert calibrated(trained.model, crypto, THROUGH) == calibrated(trained.model, cut, THROUGH) is not None


def test_a_class_with_few_sessions_keeps_the_common_calibration(trained: Any, crypto: list[Bars]) -> None:
    assert calibrated(trained.model, crypto, date(2021, 6, 30)) is None


def test_only_crypto_trains_on_crypto(crypto: list[Bars]) -> None:
    alone = fit(crypto, trained_through=THROUGH, seeds=[1], recipe=TINY)
    assert alone.card.calibrations == {}
    assert alone.card.trained_on.startswith("BTC-USD, ETH-USD;")


def test_calibration_of_a_class_finds_the_factor_that_makes_it_exact(crypto: list[Bars]) -> None:
    levels = np.array(QUANTILES)
    some = examples(crypto, THROUGH)
    wide = np.broadcast_to(2 * np.quantile(some.returns, levels, axis=0).T, (len(some), 10, 13))
    around = replace(some, returns=some.returns - np.median(some.returns, axis=0))
    centred = wide - wide[:, :, 6:7]
    best, typical = _best_factors(centred, replace(around, weight=np.ones(len(some), np.float32)), 0.0)
    np.testing.assert_allclose(np.delete(best, 6, axis=1), 0.5, atol=0.02)
    assert (typical[:, 6] == 0).all()


def test_the_drift_is_the_same_for_calm_and_wild_stocks_and_none_for_currencies(
    series: list[Bars], crypto: list[Bars]
) -> None:
    currencies = [Bars(name, bars.frame) for name, bars in zip(("EURUSD=X", "JPY=X"), crypto, strict=True)]
    model = fit([*series, *currencies], trained_through=THROUGH, seeds=[1], recipe=TINY)
    assert model.card.drift["stock"] == shrunk_drift(examples(series, THROUGH))
    assert model.card.drift["fx"] == 0
    steps = np.arange(1, 11)
    for bars, made in zip(series, model.predict(series), strict=True):
        np.testing.assert_allclose(made[:, 6], model.card.drift["stock"] * steps, atol=1e-12, err_msg=bars.symbol)
    assert not model.predict(currencies)[:, :, 6].any()


def test_an_index_is_calibrated_with_the_funds_that_hold_it(series: list[Bars], crypto: list[Bars]) -> None:
    funds = [Bars(name, bars.frame) for name, bars in zip(("SPY", "^GSPC"), crypto, strict=True)]
    card = fit([*series, *funds], trained_through=THROUGH, seeds=[1], recipe=TINY).card
    assert card.calibrations["etf"] == card.calibrations["index"]


@pytest.fixture(scope="module")
def results(series: list[Bars]) -> dict[str, ResultsDays]:
    days = {bars.symbol: bars.columns["session_date"][90::63].tolist() for bars in series}
    return {name: ResultsDays.of(name, [(d, "after", f"{d}T21:00") for d in found]) for name, found in days.items()}


@pytest.fixture(scope="module")
def aware(series: list[Bars], results: dict[str, ResultsDays]) -> Any:
    return fit(series, trained_through=THROUGH, seeds=[1, 2], recipe=TINY, results=results)


def test_results_days_leave_what_knows_of_none_as_it_was(
    trained: Any, aware: Any, series: list[Bars], results: dict[str, ResultsDays]
) -> None:
    assert aware.card.statics == STATICS
    assert trained.card.statics == features.STATIC_FEATURES
    np.testing.assert_allclose(aware.predict(series), trained.predict(series), rtol=1e-5, atol=1e-8)
    informed, unaware = (model.predict(series)[..., 0] for model in (aware.informed(results), aware))
    assert np.abs(informed / unaware - 1).max() > 1e-4
    np.testing.assert_array_equal(trained.informed(results).predict(series), trained.predict(series))


def test_results_days_survive_the_way_to_onnx(aware: Any, series: list[Bars], results: dict[str, ResultsDays]) -> None:
    served = OnnxModel(aware.bundle()).informed(results)
    np.testing.assert_allclose(served.predict(series), aware.informed(results).predict(series), atol=1e-6)
    at = np.array([300, 400, len(series[0]) - 1])
    np.testing.assert_allclose(served.predict_at(series[0], at)[-1], served.predict(series[:1])[0], atol=1e-9)


def test_results_days_after_the_last_date_teach_nothing(
    series: list[Bars], results: dict[str, ResultsDays], aware: Any
) -> None:
    later = {
        name: ResultsDays.of(
            name,
            [
                *zip(days.dates.tolist(), days.sessions.tolist(), days.known_at.tolist(), strict=True),
                ("2022-12-20", "after", "2023-01-03T21:00"),
            ],
        )
        for name, days in results.items()
    }
    again = fit(series, trained_through=THROUGH, seeds=[1, 2], recipe=TINY, results=later)
    assert again.parameters == aware.parameters


def test_smoothed_factors_never_let_quantiles_cross() -> None:
    random = np.random.default_rng(0)
    typical = np.abs(np.array(QUANTILES) - 0.5) * np.ones((10, 1))
    for _ in range(20):
        best = np.exp(random.normal(0, 0.3, typical.shape) - random.normal() * typical)
        reach = _smoothed(best, typical) * typical
        assert (np.diff(reach[:, 6:]) > -1e-9).all()
        assert (np.diff(reach[:, :7]) < 1e-9).all()


def test_too_little_to_learn_from_is_a_sentence(make_bars: Callable[..., Bars]) -> None:
    with pytest.raises(TooFewSessions, match="has 101 sessions"):
        fit([make_bars(sessions=95)], trained_through=date(2030, 1, 1), seeds=[1])
    with pytest.raises(TooFewSessions, match="hold some back"):
        fit([make_bars(sessions=200)], trained_through=date(2030, 1, 1), seeds=[1])


class Source:
    """Market data that has the given bars."""

    name = "given"

    def __init__(self, series: Sequence[Bars]) -> None:
        self.bars = {bars.symbol: bars for bars in series}

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        found = {symbol: self.bars[symbol] for symbol in symbols if symbol in self.bars}
        advance(len(symbols))
        return Reading(found, {symbol: UnknownSymbol(symbol) for symbol in symbols if symbol not in found})


def test_the_job_trains_measures_on_later_dates_and_reports_failures(series: list[Bars], trained: Any) -> None:
    failed: list[str] = []
    bundle = train(
        Source(series),
        ["AAA", "BBB", "NONE"],
        date(2000, 1, 1),
        date(2023, 12, 31),
        THROUGH,
        fit=lambda *args, **more: trained,
        baselines=lambda series, through: [EwmaT()],
        on_failure=lambda symbol, reason: failed.append(symbol),
    )
    assert failed == ["NONE"]
    tables = evaluate_unseen(trained, [EwmaT()], series, THROUGH, date(2023, 12, 31))
    assert bundle.card.metrics == measures(tables)
    assert bundle.card.metrics["n"] == 2 * 13
    assert 0.5 < bundle.card.metrics["sp_vs_ewma_t"] < 1.5


def test_the_job_keeps_a_reference_of_its_training_bars_up_to_the_last_date_learned_from(
    series: list[Bars], crypto: list[Bars], trained: Any
) -> None:
    bundle = train(
        Source([*series, *crypto]),
        [bars.symbol for bars in (*series, *crypto)],
        date(2000, 1, 1),
        date(2023, 12, 31),
        THROUGH,
        fit=lambda *args, **more: trained,
        baselines=lambda series, through: [EwmaT()],
    )
    reference = read_reference(bundle.reference)
    assert set(reference.symbols) == {"AAA", "BBB"}
    assert max(reference.session_dates) <= THROUGH
    assert max(reference.limits) == 2
    served = observe(series[0], OnnxModel(trained.bundle()))
    row = list(served.session_dates.astype(object)).index(reference.session_dates[reference.symbols.index("AAA")])
    at = reference.symbols.index("AAA")
    kept = [reference.columns[name][at] for name in COLUMNS]
    np.testing.assert_allclose(kept, served.values[row], rtol=6e-3, atol=1e-6)


class Registry:
    """A registry that remembers what it is given."""

    url = "memory"

    def register(self, bundle: Any, record: Any) -> Any:
        self.bundle, self.record = bundle, record
        return bundle


def test_the_job_registers_data_curves_figures_and_the_network(series: list[Bars], trained: Any) -> None:
    registry, drawn = Registry(), []

    def picture(report: Any, baselines: Any) -> bytes:
        drawn.append((report["model"], list(baselines)))
        return b"a picture"

    train(
        Source(series),
        ["AAA", "BBB"],
        date(2000, 1, 1),
        date(2023, 12, 31),
        THROUGH,
        fit=lambda *args, **more: trained,
        baselines=lambda series, through: [EwmaT()],
        registry=registry,
        picture=picture,
    )
    record = registry.record
    assert record.network is trained.model
    assert record.curves == trained.curves
    assert record.parameters["units"] == TINY.units
    assert record.datasets["training"] == dataset("given", series, THROUGH)
    evaluated = record.datasets["evaluation"]
    assert evaluated == dataset("given", series, date(2023, 12, 31), since=THROUGH + timedelta(days=1))
    assert evaluated.first > THROUGH
    assert evaluated.rows == sum(len(bars.since(evaluated.first)) for bars in series)
    assert record.artifacts["backtest.png"] == b"a picture"
    assert drawn == [("tickercast-lstm", ["ewma-t"])]
    report = json.loads(record.artifacts["backtest.json"])
    assert report["overall"]["n"] == 26
    assert set(report["by_symbol"]) == {"AAA", "BBB"}


def test_the_job_hands_the_recipe_to_the_training_and_the_card_tells_its_command(
    series: list[Bars], trained: Any
) -> None:
    seen = {}
    bundle = train(
        Source(series),
        ["AAA", "BBB"],
        date(2000, 1, 1),
        date(2023, 12, 31),
        THROUGH,
        fit=lambda *args, **more: seen.update(more) or trained,
        baselines=lambda series, through: [EwmaT()],
        seeds=(1,),
        recipe=TINY,
        hold_out=2,
    )
    assert seen["recipe"] == TINY
    given = f"--through {THROUGH} --hold-out 2 --recipe FILE --seeds 1 AAA BBB"
    assert f"tickercast train --source SOURCE {given} --out DIR" in describe(bundle.card)


def test_too_few_blocks_to_evaluate_on_leave_no_interval_and_half_of_one_is_none(
    series: list[Bars], crypto: list[Bars], trained: Any
) -> None:
    short, registry = [bars.through(date(2023, 4, 28)) for bars in crypto], Registry()
    bundle = train(
        Source([*series, *short]),
        [bars.symbol for bars in (*series, *short)],
        date(2000, 1, 1),
        date(2023, 4, 28),
        THROUGH,
        fit=lambda *args, **more: trained,
        baselines=lambda series, through: [EwmaT()],
        registry=registry,
    )
    metrics, ratio = bundle.card.metrics, "crypto_sp_vs_ewma_t"
    assert not [name for name in metrics if name.endswith(("_lo", "_hi"))]
    page = registry.record.artifacts["MODEL_CARD.md"].decode()
    assert f"| {metrics[ratio]:g} (too short a time for an interval) |" in page
    assert f"| {metrics['crypto_coverage_80']:g} |" in page
    assert verdict(bundle.card) == "not measured"
    half = bundle.card.model_copy(update={"metrics": metrics | {"sp_vs_ewma_t_lo": 0.0, f"{ratio}_lo": 0.0}})
    assert (describe(half), verdict(half)) == (page, "not measured")


def test_symbols_held_out_evaluate_the_model_and_crypto_is_evaluated_apart(
    series: list[Bars], crypto: list[Bars], trained: Any
) -> None:
    learned: list[str] = []

    def fit(series: Sequence[Bars], **more: Any) -> Any:
        learned.extend(bars.symbol for bars in series)
        return trained

    given = [*series, *crypto]
    bundle = train(
        Source(given),
        [bars.symbol for bars in given],
        date(2000, 1, 1),
        date(2023, 12, 31),
        THROUGH,
        fit=fit,
        baselines=lambda series, through: [EwmaT()],
        hold_out=2,
    )
    assert learned == ["AAA", *(bars.symbol for bars in crypto)]
    assert bundle.card.hold_out == 2
    assert "held out for evaluation: BBB" in bundle.card.trained_on
    assert bundle.card.metrics["n"] == 13
    own = evaluate_unseen(trained, [EwmaT()], crypto, THROUGH, date(2023, 12, 31))
    assert bundle.card.metrics["crypto_sp"] == measures(own)["sp"]


@pytest.mark.parametrize("hold_out", [1, 3])
def test_holding_out_all_or_none_is_refused(series: list[Bars], hold_out: int) -> None:
    with pytest.raises(UsageError, match=f"one symbol in {hold_out} of 2"):
        train(
            Source(series),
            ["AAA", "BBB"],
            date(2000, 1, 1),
            date(2023, 12, 31),
            THROUGH,
            fit=lambda *args, **more: None,  # type: ignore[arg-type, return-value]
            baselines=lambda series, through: [],
            hold_out=hold_out,
        )


def test_the_job_refuses_when_no_symbol_is_known() -> None:
    with pytest.raises(TooFewSessions, match="given gave no bars of NONE"):
        train(
            Source([]),
            ["NONE"],
            THROUGH,
            THROUGH,
            THROUGH,
            fit=lambda *args, **more: pytest.fail("fitted"),
            baselines=lambda series, through: pytest.fail("compared"),
        )
