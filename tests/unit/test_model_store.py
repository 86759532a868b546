"""A version is written once; the pointer moves only to what reads back whole."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from tickercast.config import resource
from tickercast.domain.cards.model_card import CHAMPION, Bundle, ModelCard, Pointer, ServedModel
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import HOURLY
from tickercast.domain.learning.widths import Widths
from tickercast.domain.measures.drift import COLUMNS, MARGINS, Reference, reference_json
from tickercast.errors import BundleError, ModelUnavailable, ObjectNotFound, PreconditionFailed, UsageError
from tickercast.jobs.operations.provision import pending, publish_shipped
from tickercast.model_store import ModelStore

NOW = datetime(2024, 6, 10, 22, 30, tzinfo=UTC)


class MemoryStore:
    """An object store in a dictionary."""

    url = "memory://"

    def __init__(self) -> None:
        self.objects: dict[str, list[bytes]] = {}

    def write(
        self, name: str, data: bytes, *, if_generation: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        if if_generation is not None and if_generation != self.generation(name):
            raise PreconditionFailed(name)
        self.objects.setdefault(name, []).append(data)
        return self.generation(name)

    def read(self, name: str, *, generation: str | None = None) -> bytes:
        if name not in self.objects:
            raise ObjectNotFound(name)
        return self.objects[name][-1 if generation is None else int(generation) - 1]

    def generation(self, name: str) -> str:
        return str(len(self.objects[name])) if name in self.objects else ""

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))


def make_bundle(version: str = "3", onnx: bytes = b"a network", quantiles: Sequence[float] = (0.1, 0.5, 0.9)) -> Bundle:
    card = ModelCard(
        name="tickercast-lstm",
        version=version,
        sha256=sha256(onnx).hexdigest(),
        features=("return",),
        statics=(),
        window=30,
        horizon=10,
        quantiles=tuple(quantiles),
        calibration=1.0,
        min_sessions=91,
        trained_on="X",
        trained_through=date(2010, 12, 31),
        metrics={"n": 1.0},
    )
    return Bundle(onnx, card)


def small_reference() -> Reference:
    return Reference(
        symbols=("A",),
        session_dates=(date(2010, 12, 31),),
        columns=dict.fromkeys(COLUMNS, (0.5,)),
        walk_ratio=0.98,
        coverage_80=0.8,
        limits={1: dict.fromkeys((*COLUMNS, *MARGINS), 1.0)},
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def models(store: MemoryStore) -> ModelStore:
    return ModelStore(store, Path("nothing is shipped"))


def at(version: str) -> Pointer:
    return Pointer(name="tickercast-lstm", version=version)


def test_what_is_published_and_pointed_at_is_what_is_read(models: ModelStore) -> None:
    models.write(make_bundle())
    models.point(at("3"))
    assert models.champion() == make_bundle()


def test_the_network_is_written_before_the_card(models: ModelStore, store: MemoryStore) -> None:
    models.write(make_bundle())
    assert list(store.objects) == ["models/tickercast-lstm/3/model.onnx", "models/tickercast-lstm/3/model.json"]


def test_the_reference_is_written_before_the_card_and_read_back(models: ModelStore, store: MemoryStore) -> None:
    reference = small_reference()
    bundle = make_bundle().referred(reference_json(reference))
    models.write(bundle)
    where = "models/tickercast-lstm/3/"
    assert list(store.objects) == [f"{where}model.onnx", f"{where}reference.json", f"{where}model.json"]
    assert models.reference(bundle.card) == reference


def test_a_reference_that_is_corrupt_missing_or_was_never_made_is_a_sentence(
    models: ModelStore, store: MemoryStore
) -> None:
    bundle = make_bundle().referred(reference_json(small_reference()))
    with pytest.raises(UsageError, match=r"tickercast-lstm 3 has no reference.*newer version"):
        models.reference(make_bundle().card)
    with pytest.raises(BundleError, match="its card names one"):
        models.reference(bundle.card)
    store.write("models/tickercast-lstm/3/reference.json", b"{}")
    with pytest.raises(BundleError, match="reference file of tickercast-lstm 3 has sha256"):
        models.reference(bundle.card)


def test_a_missing_reference_of_hours_is_written_by_the_hourly_run(store: MemoryStore) -> None:
    models = ModelStore(store, resource("shipped"), HOURLY)
    with pytest.raises(UsageError, match=r"har-season 1 has no reference.*Let tickercast hourly refresh its tables"):
        models.reference(models.shipped.card)


def test_a_bundle_whose_reference_was_not_read_is_not_published(models: ModelStore, store: MemoryStore) -> None:
    bundle = make_bundle().referred(reference_json(small_reference()))
    with pytest.raises(BundleError, match="is missing, and its card names one"):
        models.write(Bundle(bundle.onnx, bundle.card))
    assert not store.objects


def test_publishing_twice_changes_nothing(models: ModelStore, store: MemoryStore) -> None:
    models.write(make_bundle())
    models.write(make_bundle())
    assert {name: store.generation(name) for name in store.objects} == dict.fromkeys(store.objects, "1")


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "reference.json"])
@pytest.mark.parametrize("content", [b"a netw", None])
def test_publishing_again_restores_what_was_damaged_and_nothing_else(
    models: ModelStore, store: MemoryStore, name: str, content: bytes | None
) -> None:
    bundle = make_bundle().referred(reference_json(small_reference()))
    models.write(bundle)
    before, damaged = dict(store.objects), f"models/tickercast-lstm/3/{name}"
    if content is None:
        del store.objects[damaged]
    else:
        store.write(damaged, content)
        read = models.read if name != "reference.json" else lambda *_: models.reference(bundle.card)
        with pytest.raises(BundleError, match=r"Restore them: tickercast publish --version 3; or serve another"):
            read("tickercast-lstm", "3")
    models.write(bundle.registered(version="3", run_id="of a new registry"))
    assert models.read("tickercast-lstm", "3").onnx == bundle.onnx
    assert models.reference(bundle.card) == small_reference()
    same = [each for each in before if each != damaged]
    assert all(store.generation(each) == "1" for each in same)


def test_a_published_version_is_never_changed(models: ModelStore, store: MemoryStore) -> None:
    models.write(make_bundle())
    with pytest.raises(BundleError, match="exists with other content"):
        models.write(make_bundle(onnx=b"another network"))
    assert store.read("models/tickercast-lstm/3/model.onnx") == b"a network"


def test_a_bundle_without_a_version_is_not_published(models: ModelStore, store: MemoryStore) -> None:
    with pytest.raises(BundleError, match="no version"):
        models.write(make_bundle(version=""))
    assert not store.objects


def test_rolling_back_is_pointing_at_an_older_version(models: ModelStore) -> None:
    for version in ("3", "4"):
        models.write(make_bundle(version))
        models.point(at(version))
    models.point(at("3"))
    assert models.champion().card.version == "3"


def test_the_pointer_does_not_move_to_a_version_that_is_not_there(models: ModelStore) -> None:
    models.write(make_bundle())
    models.point(at("3"))
    with pytest.raises(ModelUnavailable, match="tickercast-lstm 4"):
        models.point(at("4"))
    assert models.champion().card.version == "3"


@pytest.mark.parametrize("decided_at", [0, 1])
def test_the_pointer_does_not_move_where_somebody_has_moved_it_since(models: ModelStore, decided_at: int) -> None:
    for version in ("3", "4", "5"):
        models.write(make_bundle(version))
    for version in ("3", "4"):
        models.point(at(version))
    with pytest.raises(PreconditionFailed, match=r"serve tickercast-lstm 5, so nothing was changed.*tickercast models"):
        models.point(at("5"), replacing=decided_at)
    assert models.champion().card.version == "4"


def test_the_pointer_does_not_move_to_a_corrupt_version(models: ModelStore, store: MemoryStore) -> None:
    models.write(make_bundle())
    store.write("models/tickercast-lstm/3/model.onnx", b"a netw0rk")
    with pytest.raises(BundleError, match="sha256"):
        models.point(at("3"))
    assert not store.generation(CHAMPION)


def test_a_folder_that_holds_another_version_is_refused(models: ModelStore, store: MemoryStore) -> None:
    models.write(make_bundle())
    for name in ("model.onnx", "model.json"):
        store.write(f"models/tickercast-lstm/9/{name}", store.read(f"models/tickercast-lstm/3/{name}"))
    with pytest.raises(BundleError, match="holds tickercast-lstm 3"):
        models.point(at("9"))


def test_nothing_published_may_be_there_later(models: ModelStore) -> None:
    with pytest.raises(ModelUnavailable, match=CHAMPION):
        models.champion()


def test_a_pointer_that_does_not_parse_is_refused(models: ModelStore, store: MemoryStore) -> None:
    store.write(CHAMPION, b"{}")
    for ask in (
        models.champion,
        lambda: models.rollback(now=NOW),
        lambda: publish_shipped(models),
        lambda: pending_of(models),
    ):
        with pytest.raises(BundleError, match=r"does not parse, .*tickercast rollback --to VERSION"):
            ask()


def pending_of(models: ModelStore) -> dict[str, str]:
    class Nothing:
        def pending(self) -> dict[str, str]:
            return {}

    return pending(models=[models], warehouse=Nothing())  # type: ignore[arg-type]


def test_a_version_that_is_named_replaces_a_pointer_that_does_not_parse(store: MemoryStore) -> None:
    models = ModelStore(store, resource("shipped"))
    for version in ("3", "4"):
        models.write(make_bundle(version))
    store.write(CHAMPION, b"{}")
    with pytest.raises(UsageError, match="holds tickercast-lstm 3, 4, "):
        models.rollback("7", now=NOW)
    assert models.rollback("3", now=NOW).card.version == "3"
    assert models.pointer().version == "3"
    assert models.pointer().served == models.shipped_pointer.served


# ---------------------------------------------------------------- the pointer

COMPANION = ServedModel(name="garch", version="1", role=Role.COMPANION)


def test_a_new_champion_keeps_its_companions_and_replaces_the_shadow(models: ModelStore) -> None:
    for version in ("3", "4", "5"):
        models.write(make_bundle(version))
    third = Pointer(name="tickercast-lstm", version="3", served=(*at("3").served, COMPANION))
    models.point(third)
    fourth = models.pointer().pointing("4", shadow="3")
    models.point(fourth)
    models.point(models.pointer().pointing("5", shadow="4"))
    served = models.pointer().served
    assert [(beside.name, beside.version, beside.role) for beside in served] == [
        ("random-walk", "1", Role.BASELINE),
        ("garch", "1", Role.COMPANION),
        ("tickercast-lstm", "4", Role.SHADOW),
    ]
    assert models.pointer().shadow == "4"


def test_rolling_back_takes_what_was_served_before_and_never_what_was_rolled_back(models: ModelStore) -> None:
    for version in ("2", "3", "5", "7", "8"):
        models.write(make_bundle(version))
    pointer = at("2").pointing("3", shadow="2").pointing("3").pointing("7", shadow="3").returning("3")
    models.point(pointer.pointing("8", shadow="3"))
    assert [models.rollback(now=NOW).card.version for _ in range(2)] == ["3", "2"]
    models.point(models.pointer().pointing("8").pointing("3").pointing("7"))
    assert models.pointer().former == ("2", "8", "3")
    assert models.rollback("8", now=NOW).card.version == "8"
    assert models.pointer().former == ("2",)
    assert models.pointer().rolled_back_at == NOW


def test_after_a_step_forward_by_name_rolling_back_takes_what_was_served_before_it(models: ModelStore) -> None:
    for version in ("1", "2", "3"):
        models.write(make_bundle(version))
    models.point(at("1").pointing("2").pointing("3"))
    served = [models.rollback(to, now=NOW).card.version for to in (None, None, "3", None)]
    assert served == ["2", "1", "3", "1"]


def test_rolling_back_passes_over_a_version_that_is_published_no_more(models: ModelStore) -> None:
    for version in ("1", "4"):
        models.write(make_bundle(version))
    models.point(at("1").pointing("2").pointing("3").pointing("4", shadow="3"))
    assert models.rollback(now=NOW).card.version == "1"
    assert models.pointer().former == ()


def test_rolling_back_to_what_is_served_changes_nothing(models: ModelStore) -> None:
    for version in ("1", "2"):
        models.write(make_bundle(version))
    models.point(at("1").pointing("2", shadow="1"))
    before = models.generation()
    with pytest.raises(UsageError, match=r"tickercast-lstm 2 is served already, .* so nothing was changed\."):
        models.rollback("2", now=NOW)
    assert models.generation() == before
    models.point(at("2").demoted("ewma-t", None))
    assert models.rollback("2", now=NOW).card.version == "2"


def test_each_version_has_its_widths_again_where_it_is_served(models: ModelStore) -> None:
    def factors(number: int) -> Widths:
        return Widths(date(2024, 6, number), {"stock": (1.0 + number / 10,) * 10}, {})

    pointer = at("1").learned("1", factors(1)).pointing("2", shadow="1").learned("2", factors(2))
    assert (pointer.widths_of("1"), pointer.widths_of("2")) == (factors(1), factors(2))
    pointer = pointer.learned("1", factors(3))
    assert pointer.pointing("2").widths == factors(2)
    assert pointer.demoted("ewma-t", None).widths == factors(2)
    back = pointer.returning("1")
    assert (back.widths, back.widths_of("2")) == (factors(3), factors(2))
    assert back.pointing("7").widths == Widths()
    assert Pointer.model_validate_json(back.model_dump_json()) == back
    for number in range(3, 9):
        back = back.pointing(str(number)).learned(str(number), factors(number))
    assert list(back.earlier_widths) == ["5", "6", "7"]


def test_a_demotion_that_comes_too_late_names_the_baseline(models: ModelStore) -> None:
    models.write(make_bundle("3"))
    models.point(at("3"))
    decided_at = models.generation()
    models.point(at("3"))
    with pytest.raises(PreconditionFailed, match=r"serve the baseline ewma-t in the place of tickercast-lstm 3, so"):
        models.point(at("3").demoted("ewma-t", None), replacing=decided_at)


@pytest.mark.parametrize(("shadow", "version"), [("3", "3"), ("", "7")])
def test_a_pointer_of_an_earlier_release_rolls_back_to_the_shadow_or_the_one_published_before(
    models: ModelStore, store: MemoryStore, shadow: str, version: str
) -> None:
    for published in ("3", "7", "8"):
        models.write(make_bundle(published))
    beside = [{"name": "tickercast-lstm", "version": shadow, "role": "shadow"}] if shadow else []
    content = {"name": "tickercast-lstm", "version": "8", "served": beside, "nonce": "1"}
    store.write(CHAMPION, json.dumps(content).encode())
    assert models.rollback(now=NOW).card.version == version


def test_a_pointer_without_a_history_is_written_as_it_was_before() -> None:
    assert set(json.loads(at("3").model_dump_json())) == {"name", "version", "served", "nonce"}


def test_rolling_back_takes_the_version_before_and_ends_the_shadow(models: ModelStore) -> None:
    for version in ("2", "3", "10"):
        models.write(make_bundle(version))
    models.point(at("10").pointing("10", shadow="3"))
    assert models.rollback(now=NOW).card.version == "3"
    assert models.pointer().shadow == ""
    assert models.rollback("10", now=NOW).card.version == "10"
    assert models.versions("tickercast-lstm") == ["2", "3", "10"]


@pytest.mark.parametrize(("to", "needed"), [("9", "version 9"), (None, "an older version")])
def test_rolling_back_to_what_is_not_there_is_a_sentence(models: ModelStore, to: str | None, needed: str) -> None:
    models.write(make_bundle("3"))
    models.point(at("3"))
    with pytest.raises(
        UsageError, match=f"{needed} was needed to roll back to. Publish another first: tickercast models"
    ):
        models.rollback(to, now=NOW)
    models.write(make_bundle("4"))
    with pytest.raises(UsageError, match=r"version 9 was needed to roll back to\. Name one with --to"):
        models.rollback("9", now=NOW)


def test_pointing_twice_at_the_same_models_is_a_change_that_a_store_of_contents_notices(
    models: ModelStore, store: MemoryStore
) -> None:
    models.write(make_bundle())
    models.point(at("3"))
    models.point(at("3"))
    first, second = (Pointer.model_validate_json(content) for content in store.objects[CHAMPION])
    assert first != second
    assert first.same_as(second)


@pytest.mark.parametrize("shadow", ["", "2"])
def test_a_pointer_of_the_first_edition_is_read_with_its_shadow(
    models: ModelStore, store: MemoryStore, shadow: str
) -> None:
    store.write(CHAMPION, f'{{"name": "tickercast-lstm", "version": "3", "shadow": "{shadow}"}}'.encode())
    pointer = models.pointer()
    assert (pointer.version, pointer.shadow) == ("3", shadow)
    assert pointer.served[0].role is Role.BASELINE
    assert pointer.same_as(at("3").pointing("3", shadow=shadow))
