"""The hourly models: what they learn, what they answer, their refresh, bundles and leaks."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.support.hourly import Memory, make_hours, without

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle, read_bundle
from tickercast.domain.forecast import QUANTILES, RollingPredictor
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hour_features import Floats, Rows
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.hourly.hours import HORIZON, cells
from tickercast.domain.measures.evaluation import loss_ratio, rolling_losses, summary
from tickercast.errors import BundleError, NoRecentBars, TooFewSessions, UsageError
from tickercast.jobs.training.leaks import leaks
from tickercast.model_store import ModelStore, files
from tickercast.models import catalogue
from tickercast.models.hourly.predictors import (
    EWMA_SEASON,
    HAR_SEASON,
    EwmaSeason,
    HarSeason,
    HourlyEwmaT,
    HourlyPredictor,
    MonthlyTables,
    Refreshed,
    table_bundle,
)
from tickercast.models.hourly.volatility import Volatility, fit

HOURS = 5000
THROUGH = np.datetime64("2022-06-01T00")


@pytest.fixture(scope="module")
def series() -> list[Bars]:
    return [make_hours("BTCUSDT", hours=HOURS), make_hours("ETHUSDT", hours=HOURS, seed=8)]


@pytest.fixture(scope="module")
def tables(series: list[Bars]) -> HourTables:
    return fit(series, THROUGH)


@pytest.fixture
def bundle(tables: HourTables) -> Bundle:
    made = table_bundle(HAR_SEASON, tables, trained_on="two coins", trained_through=date(2022, 5, 31))
    return made.registered(version="1", run_id="run")


# ---------------------------------------------------------------- what is learned


def test_the_season_is_found(tables: HourTables) -> None:
    hour, day = np.arange(168) % 24, np.arange(168) // 24
    true = np.where((hour >= 13) & (hour < 17), 2.5, 0.8) * np.where(day >= 5, 0.5, 1.2)
    found = np.array(tables.season)
    assert found.mean() == pytest.approx(1)
    assert np.corrcoef(found, true)[0, 1] > 0.95
    assert np.abs(np.log(found / (true / true.mean()))).mean() < 0.15


def test_nothing_after_the_last_hour_is_learned_from(series: list[Bars], tables: HourTables) -> None:
    cut = [bars.rows(0, int(np.searchsorted(bars.columns["closed_at"], THROUGH, "right"))) for bars in series]
    assert fit(cut, THROUGH) == tables
    assert fit(cut, THROUGH - np.timedelta64(24, "h")) != tables


@pytest.mark.parametrize("through", ["2022-03-01T00", "2023-12-01T00"])
def test_too_few_hours_before_a_date_are_a_sentence(series: list[Bars], through: str) -> None:
    needed = "newest bar of BTCUSDT, ETHUSDT ends at 2022-07-30 08:00: at least 1,440 hours that move"
    with pytest.raises(TooFewSessions, match=f"learned from 0 of the hours after .*{needed}"):
        fit(series, np.datetime64(through))


def test_nothing_is_learned_from_prices_that_never_move(series: list[Bars]) -> None:
    ones = {name: np.ones(HOURS) for name in ("open", "high", "low", "close", "adj_close")}
    still = Bars("USDCUSDT", series[0].columns | ones)
    with pytest.raises(TooFewSessions, match="learned from 0 of the hours"):
        fit([still], THROUGH)


def test_quantiles_are_ordered_and_the_median_is_the_last_close(tables: HourTables, series: list[Bars]) -> None:
    for model in (HarSeason(tables), EwmaSeason(tables), HourlyEwmaT()):
        quantiles = model.predict(series)
        assert quantiles.shape == (2, HORIZON, len(QUANTILES))
        assert (np.diff(quantiles, axis=2) > 0).all()
        assert np.abs(quantiles[:, :, 6]).max() < 1e-12
        assert (quantiles[:, 23, 12] > 2 * quantiles[:, 0, 12]).all()
        assert model.predict([]).shape == (0, HORIZON, len(QUANTILES))


def test_a_wild_hour_ahead_is_forecast_wider_than_a_calm_one(tables: HourTables, series: list[Bars]) -> None:
    opens = cells(series[0].columns["closed_at"]) % 24
    before_wild, before_calm = (np.flatnonzero(opens == hour)[100:] for hour in (12, 3))
    model, yardstick = HarSeason(tables), HourlyEwmaT()

    def ratio(at: Rows) -> float:
        return float((model.predict_at(series[0], at)[:, 0, 12] / yardstick.predict_at(series[0], at)[:, 0, 12]).mean())

    assert ratio(before_wild) > 1.3 * ratio(before_calm)


def test_the_season_beats_the_yardstick_and_holds_its_intervals(series: list[Bars]) -> None:
    months = MonthlyTables(series)
    models = {
        HAR_SEASON: Refreshed(HAR_SEASON, months, HarSeason),
        EWMA_SEASON: Refreshed(EWMA_SEASON, months, EwmaSeason),
        "ewma-t": HourlyEwmaT(),
    }
    losses = rolling_losses(models, series, date(2022, 5, 1), date(2022, 7, 25), every=3)
    for name in (HAR_SEASON, EWMA_SEASON):
        assert loss_ratio(losses[name], losses["ewma-t"], "sp", frequency=HOURLY)[2] < 1
        assert 0.75 < summary(losses[name])["coverage_80"] < 0.85
    assert summary(losses[HAR_SEASON])["mae_vs_naive"] == 1


def test_the_interval_is_drawn_over_weeks_of_all_symbols(series: list[Bars]) -> None:
    models: dict[str, RollingPredictor] = {"ewma-t": HourlyEwmaT(), "other": Wider(HourlyEwmaT())}
    losses = rolling_losses(models, series, date(2022, 5, 1), date(2022, 7, 25), every=6)
    one = loss_ratio(losses["ewma-t"], losses["other"], "sp", frequency=HOURLY)
    doubled = {name: table.assign(symbol=table["symbol"] + "2") for name, table in losses.items()}
    both = [type(table)(np.vstack([table, doubled[name]]), columns=table.columns) for name, table in losses.items()]
    again = loss_ratio(*both, "sp", frequency=HOURLY)
    assert again == pytest.approx(one)  # the same coins under other names add no evidence


# ---------------------------------------------------------------- history and gaps


@pytest.mark.parametrize("hours", [168, 336, 743])
def test_a_short_history_is_forecast_by_the_simple_model(tables: HourTables, hours: int) -> None:
    short = make_hours(hours=hours)
    np.testing.assert_array_equal(HarSeason(tables).predict([short]), EwmaSeason(tables).predict([short]))
    long = make_hours(hours=744)
    assert (HarSeason(tables).predict([long]) != EwmaSeason(tables).predict([long])).any()


def test_hours_that_are_missing_are_no_history_for_the_full_model(tables: HourTables) -> None:
    for cut, is_short in (
        (without(make_hours(hours=760), 100, 117), True),
        (without(make_hours(hours=760), 9, 15), False),
    ):
        made = HarSeason(tables).predict([cut]), EwmaSeason(tables).predict([cut])
        assert np.array_equal(*made) == is_short


def test_less_than_a_week_is_refused(tables: HourTables) -> None:
    with pytest.raises(TooFewSessions, match="BTCUSDT has 167 hours of bars: at least 168 were needed"):
        HarSeason(tables).predict([make_hours(hours=167)])


def test_a_filled_gap_changes_a_forecast_little(tables: HourTables) -> None:
    whole, cut = make_hours(hours=1000), without(make_hours(hours=1000), 900, 906)
    for model in (HarSeason(tables), EwmaSeason(tables)):
        np.testing.assert_allclose(model.predict([cut]), model.predict([whole]), rtol=0.1, atol=1e-12)


def test_constant_prices_give_a_finite_forecast(tables: HourTables) -> None:
    calm = make_hours(hours=800)
    flat = Bars("PEG", {**calm.columns, **dict.fromkeys(("open", "high", "low", "close"), np.ones(800))})
    for model in (HarSeason(tables), EwmaSeason(tables), HourlyEwmaT()):
        assert np.isfinite(model.predict([flat])).all()
        assert np.abs(model.predict([flat])).max() < 1e-4


# ---------------------------------------------------------------- leaks


class Wider(HourlyPredictor):
    """Another model's quantiles, wider."""

    name, version = "wider", "1"

    def __init__(self, model: RollingPredictor) -> None:
        self._model = model

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        return 1.1 * self._model.predict_at(bars, at)


class Clairvoyant(Wider):
    """A model that scales its quantiles by the mean of all closes, later ones included."""

    name = "clairvoyant"

    def predict_at(self, bars: Bars, at: Rows) -> Floats:
        return self._model.predict_at(bars, at) * (bars.columns["close"].mean() / bars.columns["close"][0])


def test_no_model_looks_ahead_and_one_that_does_is_found(series: list[Bars]) -> None:
    def build(known: Sequence[Bars]) -> list[RollingPredictor]:
        months = MonthlyTables(known)
        return [
            Refreshed(HAR_SEASON, months, HarSeason),
            Refreshed(EWMA_SEASON, months, EwmaSeason),
            HourlyEwmaT(),
            Clairvoyant(HourlyEwmaT()),
            Refreshed("late", lambda moment: fit(known, THROUGH), HarSeason),
        ]

    found = leaks(Memory(series), ["BTCUSDT", "ETHUSDT"], date(2022, 5, 1), date(2022, 6, 30), build=build)
    assert {name: found[name] for name in (HAR_SEASON, EWMA_SEASON, "ewma-t")} == dict.fromkeys(
        (HAR_SEASON, EWMA_SEASON, "ewma-t"), 0.0
    )
    assert found["clairvoyant"] > 1e-4
    assert found["late"] > 0  # its tables are of June, and an origin in May asks for them


def test_a_range_without_an_origin_is_a_sentence(series: list[Bars]) -> None:
    with pytest.raises(NoRecentBars, match="from 2030-01-01 to 2030-02-01 in memory: BTCUSDT ends on 2022-07-30"):
        leaks(Memory(series), ["BTCUSDT"], date(2030, 1, 1), date(2030, 2, 1), build=lambda known: [HourlyEwmaT()])


# ---------------------------------------------------------------- bundles


def test_a_bundle_without_a_network_is_stored_and_read_back(bundle: Bundle, tmp_path: Path, series: list[Bars]) -> None:
    store = ModelStore(LocalObjectStore(tmp_path / "bucket"), resource("shipped"), HOURLY)
    store.write(bundle)
    assert list(files(bundle)) == ["models/har-season/1/model.json"]
    again = catalogue.load_bundle(store.read(HAR_SEASON, "1"))
    np.testing.assert_array_equal(again.predict(series), HarSeason(bundle.card.hour_tables).predict(series))
    assert catalogue.trained_through(again) == date(2022, 5, 31)


def test_a_card_without_tables_is_refused(bundle: Bundle) -> None:
    empty = replace(bundle, card=bundle.card.model_copy(update={"hour_tables": None}))
    with pytest.raises(BundleError, match="its card holds no tables"):
        catalogue.load_bundle(empty)


@pytest.mark.parametrize("field", ["season", "har", "weights", "centre"])
def test_tables_of_another_size_are_refused(bundle: Bundle, field: str) -> None:
    content = json.loads(bundle.card.model_dump_json())
    content["hour_tables"][field] = content["hour_tables"][field][:-1]
    with pytest.raises(BundleError, match=rf"model.json does not parse: hour_tables.{field}"):
        read_bundle(json.dumps(content).encode(), bytes, remedy="Restore it.")


def test_the_card_of_a_daily_model_has_no_tables() -> None:
    card = ModelStore(LocalObjectStore(Path("unused")), resource("shipped")).shipped.card
    assert "hour_tables" not in json.loads(card.model_dump_json())


def test_names_stand_for_models_that_are_refreshed_monthly(series: list[Bars], tmp_path: Path, bundle: Bundle) -> None:
    store = ModelStore(LocalObjectStore(tmp_path / "bucket"), resource("shipped"), HOURLY)
    names = ("har-season", "ewma-season", "ewma-t", "champion", "tickercast-lstm-1h", "tickercast-plain-1h")
    made = [catalogue.hourly(name, store, series) for name in names]
    assert [model.name for model in made][:4] == ["har-season", "ewma-season", "ewma-t", "har-season"]
    at = np.array([len(series[0]) - 1])
    months = MonthlyTables(series)
    expected = HarSeason(months(np.datetime64("2022-07"))).predict_at(series[0], at)
    np.testing.assert_array_equal(made[0].predict_at(series[0], at), expected)
    for network in made[4:]:
        ratio = network.predict_at(series[0], at)[..., 12] / expected[..., 12]
        assert ((ratio > 0.4) & (ratio < 2.5)).all()
        assert (ratio != 1).all()
    for path, content in files(bundle).items():
        (tmp_path / Path(path).name).write_bytes(content)
    assert catalogue.hourly(str(tmp_path), store, series).name == HAR_SEASON


@pytest.mark.parametrize("name", ["", "garch", "x" * 300])
def test_another_name_is_a_sentence(name: str, series: list[Bars], tmp_path: Path) -> None:
    store = ModelStore(LocalObjectStore(tmp_path / "bucket"), resource("shipped"), HOURLY)
    with pytest.raises(
        UsageError, match="is not a model: champion, har-season, ewma-season, random-walk, ewma-t, tickercast"
    ):
        catalogue.hourly(name, store, series)


def test_a_daily_model_is_no_hourly_one(series: list[Bars], tmp_path: Path) -> None:
    store = ModelStore(LocalObjectStore(tmp_path / "bucket"), resource("shipped"), HOURLY)
    with pytest.raises(UsageError, match="is a model of daily bars"):
        catalogue.hourly(str(resource("shipped") / "models/tickercast-lstm/1"), store, series)


def test_the_simple_model_of_a_volatility_uses_its_own_quantiles(tables: HourTables) -> None:
    assert Volatility(tables).simple_quantiles.shape == Volatility(tables).har_quantiles.shape == (24, 13)
