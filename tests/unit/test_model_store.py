"""A version is written once; the pointer moves only to what reads back whole."""

from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256

import pytest

from tickercast.domain.drift import COLUMNS, MARGINS, Reference, to_json
from tickercast.domain.model_card import CHAMPION, Bundle, ModelCard
from tickercast.errors import BundleError, ModelUnavailable, ObjectNotFound, PreconditionFailed, UsageError
from tickercast.jobs.champion.model_store import point_champion, read_champion, read_reference, write_bundle


class MemoryStore:
    """An object store in a dictionary."""

    url = "memory://"

    def __init__(self) -> None:
        self.objects: dict[str, list[bytes]] = {}

    def write(
        self, name: str, data: bytes, *, if_generation: int | None = None, metadata: Mapping[str, str] | None = None
    ) -> int:
        if if_generation is not None and if_generation != self.generation(name):
            raise PreconditionFailed(name)
        self.objects.setdefault(name, []).append(data)
        return self.generation(name)

    def read(self, name: str, *, generation: int | None = None) -> bytes:
        if name not in self.objects:
            raise ObjectNotFound(name)
        return self.objects[name][-1 if generation is None else generation - 1]

    def generation(self, name: str) -> int:
        return len(self.objects.get(name, []))

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


def test_what_is_published_and_pointed_at_is_what_is_read(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    point_champion(store, "tickercast-lstm", "3")
    assert read_champion(store) == make_bundle()


def test_the_network_is_written_before_the_card(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    assert list(store.objects) == ["models/tickercast-lstm/3/model.onnx", "models/tickercast-lstm/3/model.json"]


def test_the_reference_is_written_before_the_card_and_read_back(store: MemoryStore) -> None:
    reference = small_reference()
    bundle = make_bundle().referred(to_json(reference))
    write_bundle(store, bundle)
    where = "models/tickercast-lstm/3/"
    assert list(store.objects) == [f"{where}model.onnx", f"{where}reference.json", f"{where}model.json"]
    assert read_reference(store, bundle.card) == reference


def test_a_reference_that_is_corrupt_missing_or_was_never_made_is_a_sentence(store: MemoryStore) -> None:
    bundle = make_bundle().referred(to_json(small_reference()))
    with pytest.raises(UsageError, match=r"tickercast-lstm 3 has no reference.*newer version"):
        read_reference(store, make_bundle().card)
    with pytest.raises(BundleError, match="its card names one"):
        read_reference(store, bundle.card)
    store.write("models/tickercast-lstm/3/reference.json", b"{}")
    with pytest.raises(BundleError, match="reference file of tickercast-lstm 3 has sha256"):
        read_reference(store, bundle.card)


def test_a_bundle_whose_reference_was_not_read_is_not_published(store: MemoryStore) -> None:
    bundle = make_bundle().referred(to_json(small_reference()))
    with pytest.raises(BundleError, match="not at hand"):
        write_bundle(store, Bundle(bundle.onnx, bundle.card))
    assert not store.objects


def test_publishing_twice_changes_nothing(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    write_bundle(store, make_bundle())
    assert {name: store.generation(name) for name in store.objects} == dict.fromkeys(store.objects, 1)


def test_a_published_version_is_never_changed(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    with pytest.raises(BundleError, match="exists with other content"):
        write_bundle(store, make_bundle(onnx=b"another network"))
    assert store.read("models/tickercast-lstm/3/model.onnx") == b"a network"


def test_a_bundle_without_a_version_is_not_published(store: MemoryStore) -> None:
    with pytest.raises(BundleError, match="no version"):
        write_bundle(store, make_bundle(version=""))
    assert not store.objects


def test_rolling_back_is_pointing_at_an_older_version(store: MemoryStore) -> None:
    for version in ("3", "4"):
        write_bundle(store, make_bundle(version))
        point_champion(store, "tickercast-lstm", version)
    point_champion(store, "tickercast-lstm", "3")
    assert read_champion(store).card.version == "3"


def test_the_pointer_does_not_move_to_a_version_that_is_not_there(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    point_champion(store, "tickercast-lstm", "3")
    with pytest.raises(ModelUnavailable, match="tickercast-lstm 4"):
        point_champion(store, "tickercast-lstm", "4")
    assert read_champion(store).card.version == "3"


@pytest.mark.parametrize("decided_at", [0, 1])
def test_the_pointer_does_not_move_where_somebody_has_moved_it_since(store: MemoryStore, decided_at: int) -> None:
    for version in ("3", "4", "5"):
        write_bundle(store, make_bundle(version))
    for version in ("3", "4"):
        point_champion(store, "tickercast-lstm", version)
    with pytest.raises(PreconditionFailed, match=r"5 is not served.*tickercast models"):
        point_champion(store, "tickercast-lstm", "5", replacing=decided_at)
    assert read_champion(store).card.version == "4"


def test_the_pointer_does_not_move_to_a_corrupt_version(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    store.write("models/tickercast-lstm/3/model.onnx", b"a netw0rk")
    with pytest.raises(BundleError, match="sha256"):
        point_champion(store, "tickercast-lstm", "3")
    assert not store.generation(CHAMPION)


def test_a_folder_that_holds_another_version_is_refused(store: MemoryStore) -> None:
    write_bundle(store, make_bundle())
    for name in ("model.onnx", "model.json"):
        store.write(f"models/tickercast-lstm/9/{name}", store.read(f"models/tickercast-lstm/3/{name}"))
    with pytest.raises(BundleError, match="holds tickercast-lstm 3"):
        point_champion(store, "tickercast-lstm", "9")


def test_nothing_published_may_be_there_later(store: MemoryStore) -> None:
    with pytest.raises(ModelUnavailable, match=CHAMPION):
        read_champion(store)


def test_a_pointer_that_does_not_parse_is_refused(store: MemoryStore) -> None:
    store.write(CHAMPION, b"{}")
    with pytest.raises(BundleError, match="does not parse"):
        read_champion(store)
