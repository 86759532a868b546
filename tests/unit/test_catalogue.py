"""The catalogue: which model a name, a card or the pointer stands for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from tests.support.trading import shipped_bundle

from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.config import resource
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Pointer, ServedModel
from tickercast.domain.forecast import Role
from tickercast.errors import BundleError, ModelUnavailable, UsageError
from tickercast.model_store import ModelStore, files
from tickercast.models import catalogue


@pytest.fixture
def models(tmp_path: Path) -> ModelStore:
    """The shipped champion as versions 1 and 2, of which none is served yet."""
    made = ModelStore(LocalObjectStore(tmp_path / "bucket"), resource("shipped"))
    for version in ("1", "2"):
        made.write(shipped_bundle().registered(version=version, run_id="run"))
    return made


def test_the_pointer_names_the_champion_and_what_is_served_beside_it_in_its_role(models: ModelStore) -> None:
    companion = ServedModel(name="ewma-t", version="1", role=Role.COMPANION)
    pointer = Pointer(name="tickercast-lstm", version="1")
    pointer = pointer.model_copy(update={"served": (*pointer.served, companion)})
    models.point(pointer.pointing("2", shadow="1"))
    served = [(each.model.name, each.model.version, each.role) for each in catalogue.served_models(models)]
    assert served == [
        ("tickercast-lstm", "2", Role.CHAMPION),
        ("random-walk", "1", Role.BASELINE),
        ("ewma-t", "1", Role.COMPANION),
        ("tickercast-lstm", "1", Role.SHADOW),
    ]


def test_nothing_is_served_where_nothing_has_been_published(models: ModelStore) -> None:
    with pytest.raises(ModelUnavailable):
        catalogue.served_models(models)
    models.point(Pointer(name="tickercast-lstm", version="1").pointing("2", shadow="9"))
    with pytest.raises(ModelUnavailable, match="tickercast-lstm 9"):
        catalogue.served_models(models)


def test_a_name_stands_for_the_champion_a_baseline_or_the_folder_of_a_bundle(
    models: ModelStore, tmp_path: Path, make_bars: Callable[..., Bars]
) -> None:
    models.point(Pointer(name="tickercast-lstm", version="2"))
    champion = catalogue.named("champion", models)
    assert (champion.name, champion.version) == ("tickercast-lstm", "2")
    assert [catalogue.named(name, models).name for name in catalogue.BASELINES] == list(catalogue.BASELINES)
    for path, content in files(shipped_bundle()).items():
        (tmp_path / Path(path).name).write_bytes(content)
    again = catalogue.named(str(tmp_path), models)
    np.testing.assert_array_equal(again.predict([make_bars()]), champion.predict([make_bars()]))


@pytest.mark.parametrize("name", ["", "nope", "x" * 500, "\0"])
def test_another_name_is_a_sentence_with_those_that_there_are(models: ModelStore, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"is not a model: champion, random-walk, ewma-t, .*prophet, tickercast-lstm, or a f"
    ):
        catalogue.named(name, models)


def test_a_bundle_of_a_kind_that_this_release_does_not_know_is_a_sentence() -> None:
    bundle = shipped_bundle()
    other = replace(bundle, card=bundle.card.model_copy(update={"kind": "transformer"}))
    with pytest.raises(
        BundleError, match=r"of kind 'transformer', and this release loads lstm, har-season, .*\. Install the release"
    ):
        catalogue.load_bundle(other)


def test_only_a_trained_model_has_seen_a_date() -> None:
    bundle = shipped_bundle()
    assert catalogue.trained_through(catalogue.load_bundle(bundle)) == bundle.card.trained_through
    assert [catalogue.trained_through(make()) for make in catalogue.BASELINES.values()] == [None] * 3


def test_an_evaluation_has_all_baselines_and_a_promotion_those_that_can_be_served(
    make_bars: Callable[..., Bars],
) -> None:
    bars, through = [make_bars()], date(2023, 1, 31)
    every = [model.name for model in catalogue.evaluation_baselines(bars, through)]
    assert every == ["ewma-t", "ewma-fhs", "historical-simulation", "random-walk"]
    promotion = [model.name for model in catalogue.promotion_baselines(bars, through)]
    assert promotion == ["random-walk", "ewma-t", "historical-simulation"]
    assert {model.horizon for model in catalogue.evaluation_baselines(bars, through)} == {10}
