"""The shipped bundle predicts; one that does not fit is refused."""

import pickle
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, Pointer, read_bundle
from tickercast.domain.cards.model_page import describe
from tickercast.domain.events import ResultsDays
from tickercast.domain.forecast import stored
from tickercast.domain.learning import features
from tickercast.domain.learning.widths import Widths
from tickercast.errors import BundleError, TooFewSessions
from tickercast.models.onnx import BATCH, OnnxModel

SHIPPED = Path(features.__file__).parents[2] / "shipped/models"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    pointer = Pointer.model_validate_json((SHIPPED / "champion.json").read_bytes())
    folder = SHIPPED / pointer.name / pointer.version
    return read_bundle((folder / "model.json").read_bytes(), (folder / "model.onnx").read_bytes, remedy="")


@pytest.fixture(scope="module")
def model(bundle: Bundle) -> OnnxModel:
    return OnnxModel(bundle)


def with_card(bundle: Bundle, **changes: object) -> Bundle:
    return Bundle(bundle.onnx, bundle.card.model_copy(update=changes))


def test_the_shipped_model_predicts(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    quantiles = model.predict([make_bars(), make_bars(seed=1, sessions=91)])
    assert quantiles.shape == (2, 10, 13)
    assert np.isfinite(quantiles).all()


def test_quantiles_are_ordered_at_every_step(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    series = [make_bars(seed=seed, sessions=91 + 30 * seed) for seed in range(20)]
    predicted = model.predict(series)
    assert (np.diff(predicted, axis=2) > 0).all()
    median, lo_80, hi_80, lo_95, hi_95 = np.moveaxis(stored(predicted), 2, 0)
    assert ((lo_95 < lo_80) & (lo_80 < median) & (median < hi_80) & (hi_80 < hi_95)).all()


def test_uncertainty_grows_with_the_step(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    _, _, _, low, high = np.moveaxis(stored(model.predict([make_bars()])), 2, 0)
    assert (np.diff(high - low, axis=1) > 0).all()


def test_a_wilder_series_gets_a_wider_cone(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    calm = make_bars()
    columns = ("open", "high", "low", "close", "adj_close")
    wild = Bars("WILD", calm.frame.assign(**{name: calm.frame[name] ** 2 / 100 for name in columns}))
    width = [model.predict([bars])[0, 9, -1] for bars in (calm, wild)]
    assert 1.5 < width[1] / width[0] < 3


@pytest.mark.parametrize("closes_only", [False, True], ids=["moves overnight", "closes only"])
def test_bars_without_a_range_do_not_pass_for_calm_ones(
    model: OnnxModel, make_bars: Callable[..., Bars], closes_only: bool
) -> None:
    bars = make_bars(sessions=3000)
    close = bars.frame["close"]
    if closes_only:
        bars = Bars("FUND", bars.frame.assign(open=close, high=close, low=close))
    known = [Bars("X", bars.frame.iloc[: at + 1]) for at in range(400, 3000, 10)]
    _, low, high, _, _ = np.moveaxis(stored(model.predict(known)), 2, 0)
    ewma = 2 * 1.143 * features.latest(known).sigma_ewma[:, None] * np.sqrt(np.arange(1, 11))
    assert np.mean((high - low) / ewma) == pytest.approx(1, abs=0.12)


def test_constant_prices_give_a_finite_forecast(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    columns = dict.fromkeys(("open", "high", "low", "close", "adj_close"), 1.0)
    quantiles = model.predict([Bars("PEG", make_bars().frame.assign(**columns, volume=np.nan))])
    assert np.abs(quantiles).max() < 1e-4


def test_many_histories_are_answered_as_each_alone(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    series = [make_bars(seed=seed, sessions=100) for seed in range(3)] * (BATCH // 3 + 2)
    together = model.predict(series)
    np.testing.assert_allclose(together[[0, 1, -1]], model.predict([series[i] for i in (0, 1, -1)]), atol=1e-6)


def test_nothing_asked_is_nothing_answered(model: OnnxModel) -> None:
    assert model.predict([]).shape == (0, 10, 13)


def test_a_history_that_is_too_short_is_refused(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    with pytest.raises(TooFewSessions, match="at least 91"):
        model.predict([make_bars(sessions=90)])


def test_calibration_stretches_round_the_median(bundle: Bundle, make_bars: Callable[..., Bars]) -> None:
    once, twice = (OnnxModel(with_card(bundle, calibration=factor)).predict([make_bars()])[0] for factor in (1.0, 2.0))
    np.testing.assert_allclose(twice - once[:, 6:7], 2 * (once - once[:, 6:7]))


def test_an_asset_class_has_its_own_calibration(bundle: Bundle, make_bars: Callable[..., Bars]) -> None:
    table = tuple(tuple(1.0 + step / 10 + level / 100 for level in range(13)) for step in range(10))
    model = OnnxModel(with_card(bundle, calibration=1.0, calibrations={"crypto": table}, past_quantiles={}))
    bars = make_bars().frame
    names = ("MSFT", "BTC-USD", "VOD.UNKNOWN", "ETH-EUR")
    stock, bitcoin, unknown, ether = model.predict([Bars(name, bars) for name in names])
    np.testing.assert_array_equal(stock, unknown)
    np.testing.assert_array_equal(bitcoin, ether)
    np.testing.assert_allclose(bitcoin - bitcoin[:, 6:7], np.array(table) * (stock - stock[:, 6:7]))


def test_the_past_of_a_class_shares_in_its_intervals(bundle: Bundle, make_bars: Callable[..., Bars]) -> None:
    ones = {"crypto": ((1.0,) * 13,) * 10}
    past = {"crypto": (tuple(np.linspace(-1.5, 1.5, 13).tolist()),) * 10}
    series = [Bars(name, make_bars().frame) for name in ("MSFT", "BTC-USD")]
    alone, shared = (
        made - made[..., 6:7]
        for tables in ({}, past)
        for made in [OnnxModel(with_card(bundle, calibrations=ones, past_quantiles=tables)).predict(series)]
    )
    np.testing.assert_allclose(shared[0], alone[0])
    [sigma] = features.latest(series[:1]).sigma_ewma
    own = sigma * np.sqrt(np.arange(1, 11))[:, None] * np.array(past["crypto"])
    np.testing.assert_allclose(shared[1], 0.7 * alone[1] + 0.3 * own, atol=1e-12)


def test_a_card_without_drift_keeps_the_networks_median(bundle: Bundle, make_bars: Callable[..., Bars]) -> None:
    drift = {"stock": 0.0003}
    series = [Bars(name, make_bars().frame) for name in ("MSFT", "EURUSD=X")]
    own = OnnxModel(with_card(bundle, drift={}, calibrations={}, past_quantiles={})).predict(series)
    stock, currency = OnnxModel(with_card(bundle, drift=drift, calibrations={}, past_quantiles={})).predict(series)
    assert own[0, 9, 6] > 0
    np.testing.assert_allclose(stock[:, 6], 0.0003 * np.arange(1, 11))
    assert not currency[:, 6].any()
    np.testing.assert_allclose(stock - stock[:, 6:7], own[0] - own[0][:, 6:7], atol=1e-12)


def test_widths_stretch_what_they_name(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    series = [Bars(name, make_bars().frame) for name in ("MSFT", "AAPL", "EURUSD=X")]
    widths = Widths(date(2023, 7, 21), {"stock": (1.1,) * 10}, {"AAPL": 1.2})
    before, after = (
        each - each[..., 6:7] for each in (model.predict(series), model.informed({}, widths).predict(series))
    )
    for row, factor in enumerate((1.1, 1.1 * 1.2, 1.0)):
        np.testing.assert_allclose(after[row], factor * before[row], atol=1e-12)


def test_a_power_of_results_stretches_the_steps_that_they_reach(
    model: OnnxModel, make_bars: Callable[..., Bars]
) -> None:
    bars = make_bars()
    past = [("2022-10-25", "after", "2022-10-25T21:00"), ("2023-01-24", "after", "2023-01-24T21:00")]
    coming = ("2023-07-25", "after", "2023-07-06T12:00")
    told = model.informed({"MSFT": ResultsDays.of("MSFT", [*past, coming])})
    wide = told.informed(told.results, Widths(date(2023, 7, 21), {"stock": (1.0,) * 10}, {}, {"stock": 0.2}))
    row = np.array([len(bars) - 1])
    lift = told.results_lift(bars, row)
    assert not lift[0, :2].any()
    assert (lift[0, 2:] > 0).all()
    plain, made = (each.predict([bars]) for each in (told, wide))
    np.testing.assert_allclose(made - made[..., 6:7], np.exp(0.2 * lift)[..., None] * (plain - plain[..., 6:7]))
    np.testing.assert_allclose(wide.predict_at(bars, row), made, atol=1e-6)
    assert not model.informed({}).results_lift(bars, row).any()


def test_the_shipped_model_gives_crypto_ordered_quantiles(model: OnnxModel, make_bars: Callable[..., Bars]) -> None:
    bars = [make_bars(seed=seed, sessions=91 + 30 * seed).frame for seed in range(20)]
    assert (np.diff(model.predict([Bars("BTC-USD", rows) for rows in bars]), axis=2) > 0).all()


def test_one_corrupted_byte_is_noticed(bundle: Bundle) -> None:
    onnx = bytearray(bundle.onnx)
    onnx[len(onnx) // 2] ^= 1
    with pytest.raises(BundleError, match=r"sha256 .* Restore it\.$"):
        read_bundle(bundle.card.model_dump_json().encode(), lambda: bytes(onnx), remedy="Restore it.")


def test_what_is_not_a_network_is_refused(bundle: Bundle) -> None:
    garbage = b"not a network"
    card = bundle.card.model_copy(update={"sha256": sha256(garbage).hexdigest()})
    with pytest.raises(BundleError, match="does not load"):
        OnnxModel(Bundle(garbage, card))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": ("rsi", *features.STEP_FEATURES[1:])}, "other features"),
        ({"features": features.STEP_FEATURES[::-1]}, "other features"),
        ({"statics": ()}, "other statics"),
        ({"window": 60}, "other window"),
        ({"horizon": 5}, "other horizon"),
        ({"quantiles": (0.1, 0.5, 0.9)}, "other quantiles"),
        ({"min_sessions": 10}, "min_sessions 10"),
        ({"calibration": 0.0}, "calibration 0.0"),
        ({"calibrations": {"crypto": ((1.0,) * 13,) * 9}}, "calibrations for crypto"),
        ({"calibrations": {"crypto": ((1.0,) * 12,) * 10}}, "calibrations for crypto"),
        ({"drift": {"stock": float("nan")}}, "drift"),
        ({"drift": {"stock": 0.3}}, "drift"),
        ({"calibrations": {"crypto": ((0.0,) * 13,) * 10}}, "calibrations for crypto"),
        ({"past_quantiles": {"bonds": (tuple(range(13)),) * 10}}, "past quantiles for bonds"),
        ({"past_quantiles": {"crypto": (tuple(range(13)),) * 9}}, "past quantiles for crypto"),
        ({"past_quantiles": {"crypto": (tuple(range(13, 0, -1)),) * 10}}, "past quantiles for crypto"),
        ({"past_quantiles": {"crypto": ((float("nan"),) * 13,) * 10}}, "past quantiles for crypto"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(bundle: Bundle, changes: dict[str, object], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        OnnxModel(with_card(bundle, **changes))


def test_the_shipped_model_card_is_generated_from_the_card(bundle: Bundle) -> None:
    page = SHIPPED / bundle.card.name / bundle.card.version / "MODEL_CARD.md"
    assert page.read_text() == describe(bundle.card)


def test_the_shipped_model_beats_its_baselines_on_dates_it_has_not_seen(bundle: Bundle) -> None:
    assert bundle.card.metrics["n"] > 200
    assert bundle.card.metrics["sp_vs_ewma_t"] < 1
    assert bundle.card.metrics["sp_vs_random_walk"] < 1


def test_a_model_can_be_sent_to_another_process_and_be_informed_without_loading_again(
    model: OnnxModel, make_bars: Callable[..., Bars], monkeypatch: pytest.MonkeyPatch
) -> None:
    series = [make_bars()]
    sent = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(sent.predict(series), model.predict(series))
    monkeypatch.setattr("tickercast.models.onnx.open_session", None)
    told = model.informed({"MSFT": ResultsDays.of("MSFT", [])})
    assert list(told.results) == ["MSFT"]
    assert not model.results
    np.testing.assert_array_equal(told.predict(series), model.predict(series))
