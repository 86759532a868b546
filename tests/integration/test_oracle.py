"""The whole recipe against the truth: simulated series whose distribution is known, at small size."""

from datetime import date

import pytest

from tickercast import engines
from tickercast.backends.market_data.simulated import Oracle
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.measures.evaluation import rolling_losses, summary
from tickercast.models.baselines import EwmaT, HistoricalSimulation

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

pytest.importorskip("tensorflow", exc_type=ImportError)

from tickercast.models.lstm.training import fit  # noqa: E402

THROUGH = date(2014, 12, 31)


def test_the_network_comes_near_the_truth_and_nearer_than_the_baselines() -> None:
    symbols = [f"SIM{number}" for number in range(16)]
    source = engines.market_data("simulated")
    series = list(source.fetch(symbols, date(2003, 1, 1), date(2022, 12, 30), advance=lambda _: None).bars.values())
    recipe = Recipe(units=16, hidden=16, epochs=2, every=3, batch=64)
    trained = fit(series[:10], trained_through=THROUGH, seeds=[1], recipe=recipe)

    models = {made.name: made for made in (Oracle(), trained, EwmaT(), HistoricalSimulation())}
    tables = rolling_losses(models, series[10:], date(2015, 1, 1), date(2022, 12, 1))

    truth, own, ewma, historical = (summary(tables[name])["sp"] for name in models)
    assert truth < own < ewma < historical
    assert own / truth < 1.01
    assert summary(tables[trained.name])["coverage_80"] == pytest.approx(0.8, abs=0.02)
