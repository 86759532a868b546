"""The daily flow learns how wide the champion's intervals have to be, and serves that with the pointer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tickercast import config, engines
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import Settings
from tickercast.domain.bars import Bars, Reading
from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.forecast import Role, informed
from tickercast.domain.learning.market import FetchedBars, Market
from tickercast.domain.learning.widths import Widths
from tickercast.jobs.champion.refresh_widths import refresh_widths
from tickercast.jobs.serving.past_models import PastModels
from tickercast.model_store import ModelStore
from tickercast.models import catalogue
from tickercast.ports import Warehouse
from tickercast.show.day import task_line

MakeBars = Callable[..., Bars]


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    made = ModelStore(LocalObjectStore(tmp_path / "bucket"), config.resource("shipped"))
    made.write(made.shipped)
    made.point(Pointer(name=made.shipped.card.name, version=made.shipped.card.version))
    return made


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    made = engines.warehouse(Settings(warehouse=f"duckdb://{tmp_path}/warehouse.duckdb"))
    made.provision()
    return made


def market_of(*series: Bars) -> Market:
    source = FetchedBars("given", False, Reading({bars.symbol: bars for bars in series}))
    return Market(source, max(bars.cutoff for bars in series))


def test_the_champion_is_served_with_what_was_learned(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    bars = make_bars(sessions=800)
    plain = catalogue.load_bundle(models.champion()).predict([bars])[0]
    found = refresh_widths(market_of(bars), models=models, load=catalogue.load_bundle, warehouse=warehouse)
    assert found == models.pointer().widths
    assert found.through == bars.cutoff
    [champion, *_] = catalogue.served_models(models)
    made = champion.model.predict([bars])[0]
    factors = found.factors(["MSFT"], np.zeros((1, 10)))[0][:, None]
    assert (factors != 1).all()
    np.testing.assert_allclose(made - made[:, 6:7], factors * (plain - plain[:, 6:7]))


def test_the_same_day_again_changes_nothing_and_an_earlier_one_neither(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    bars = make_bars(sessions=800)
    services = {"models": models, "load": catalogue.load_bundle, "warehouse": warehouse}
    first = refresh_widths(market_of(bars), **services)
    written = models.generation()
    assert refresh_widths(market_of(bars), **services) == first
    assert refresh_widths(market_of(bars.rows(0, 700)), **services) == first
    assert models.generation() == written


def test_the_same_day_with_other_symbols_is_learned_from_again(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    services = {"models": models, "load": catalogue.load_bundle, "warehouse": warehouse}
    first, other = (make_bars(symbol, sessions=800, seed=seed) for seed, symbol in enumerate(("MSFT", "AAPL")))
    refresh_widths(market_of(first), **services)
    both = refresh_widths(market_of(first, other), **services)
    assert set(both.symbols) == {"AAPL", "MSFT"}
    assert models.pointer().widths == both


def test_a_backfill_has_no_widths_from_its_future(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    bars = make_bars(sessions=800)
    refresh_widths(market_of(bars), models=models, load=catalogue.load_bundle, warehouse=warehouse)
    past = PastModels(models, lambda: catalogue.served_models(models), catalogue.load_bundle)
    lineup = past(bars.columns["session_date"][600].item())
    assert lineup.models[0].model.widths == Widths()


def test_a_new_champion_starts_without_the_widths_of_the_last(models: ModelStore) -> None:
    pointer = models.pointer().model_copy(update={"widths": Widths(None, {"stock": (1.1,) * 10}, {})})
    assert pointer.pointing("7").widths == Widths()
    assert pointer.same_as(models.pointer())
    assert "widths" not in models.pointer().model_dump_json()
    assert Pointer.model_validate_json(pointer.model_dump_json()) == pointer


def test_the_shadow_and_a_demoted_champion_have_widths_of_their_own(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    """The second version is twice as wide, so it learns other factors from the same bars."""
    bars, first = make_bars(sessions=800), models.shipped
    changes = {"version": "2", "calibration": 2 * first.card.calibration}
    models.write(replace(first, card=first.card.model_copy(update=changes)))
    models.point(models.pointer().pointing("2", shadow="1"))
    refresh_widths(market_of(bars), models=models, load=catalogue.load_bundle, warehouse=warehouse)
    pointer = models.pointer()
    assert Widths() not in (pointer.widths, pointer.widths_of("1"))
    assert pointer.widths != pointer.widths_of("1")
    served = {one.role: one.model for one in catalogue.served_models(models)}
    assert served[Role.CHAMPION].widths == pointer.widths
    assert served[Role.SHADOW].widths == pointer.widths_of("1")
    models.point(pointer.demoted("ewma-t", None))
    [demoted] = [one.model for one in catalogue.served_models(models) if one.role is Role.COMPANION]
    assert demoted.widths == pointer.widths
    models.point(models.pointer().returning("1"))
    assert catalogue.served_models(models)[0].model.widths == pointer.widths_of("1")


def test_a_champion_whose_card_says_nothing_of_it_does_not_adapt(
    models: ModelStore, warehouse: Warehouse, make_bars: MakeBars
) -> None:
    def rigid(bundle: object) -> catalogue.RollingPredictor:
        model = catalogue.load_bundle(models.shipped)
        model.card = model.card.model_copy(update={"adapts": False})
        return model

    market = market_of(make_bars(sessions=800))
    assert refresh_widths(market, models=models, load=rigid, warehouse=warehouse) is None
    simulated = market_of(replace_simulated(make_bars(sessions=800)))
    assert refresh_widths(simulated, models=models, load=catalogue.load_bundle, warehouse=warehouse) is None
    assert informed(catalogue.EwmaT(), {}) == catalogue.EwmaT()


@pytest.mark.parametrize(
    ("widths", "said"),
    [
        (
            Widths(date(2012, 8, 15), {"stock": (1.1,) * 10}, dict.fromkeys("ABCD", 1.0)),
            "widths of 4 symbols and 1 class, through 2012-08-15",
        ),
        (
            Widths(date(2012, 8, 15), {"stock": (1.1,), "crypto": (1.0,)}, {"A": 1.0}),
            "widths of 1 symbol and 2 classes, through 2012-08-15",
        ),
        (Widths(), "nothing to learn widths from"),
        (None, "nothing to do"),
    ],
)
def test_what_was_learned_is_a_short_line(widths: Widths | None, said: str) -> None:
    assert task_line("refresh_widths", widths, 1.0) == f"refresh_widths: {said} (1.0 s)"


def replace_simulated(bars: Bars) -> Bars:
    return Bars(bars.symbol, bars.columns, simulated=True)
