"""Publish: put a bundle where the forecast function finds it, and point at it.

A version's files are written once and never again; only the pointer changes, in one atomic write. Rolling back is
pointing at an older version.
"""

from pydantic import ValidationError

from tickercast.domain.drift import Reference
from tickercast.domain.drift import read_reference as parse_reference
from tickercast.domain.model_card import CHAMPION, Bundle, ModelCard, Pointer, check_sha256, folder, read_bundle
from tickercast.errors import BundleError, ModelUnavailable, ObjectNotFound, PreconditionFailed, UsageError
from tickercast.jobs.training.train import describe
from tickercast.ports import ObjectStore


def write_bundle(store: ObjectStore, bundle: Bundle) -> None:
    """Writes a bundle's files, its card last; doing so twice changes nothing.

    Raises:
        BundleError: the bundle has no version, or lacks a file, or that version was published with other content.
        StoreUnavailable: try again.
    """
    card = bundle.card
    if not card.version:
        raise BundleError(f"The bundle of {card.name} has no version: one was needed to publish it. Register it first.")
    if card.version in published_versions(store, card.name):
        _check_same(store, bundle)
        return
    for name, content in files(bundle).items():
        _write_once(store, name, content)


def files(bundle: Bundle) -> dict[str, bytes]:
    """The objects of a bundle by name, in the order in which they are written.

    Raises:
        BundleError: its reference was not read.
    """
    where = folder(bundle.card.name, bundle.card.version)
    bundle.check_whole()
    reference = {f"{where}/reference.json": bundle.reference} if bundle.reference else {}
    card = bundle.card.model_dump_json(indent=2) + "\n"
    return {f"{where}/model.onnx": bundle.onnx, **reference, f"{where}/model.json": card.encode()}


def publishable(bundle: Bundle) -> dict[str, bytes]:
    """All that makes a bundle the champion of an empty store, by name: its files, a page for people, the pointer."""
    card = bundle.card
    page = {f"{folder(card.name, card.version)}/MODEL_CARD.md": describe(card).encode()}
    return files(bundle) | page | {CHAMPION: _pointer(card.name, card.version)}


def point_champion(
    store: ObjectStore, name: str, version: str, *, shadow: str = "", replacing: int | None = None
) -> Bundle:
    """Makes a published version the one that is served, after reading it back whole, and returns it.

    Args:
        store: where it was published.
        name: the model's name.
        version: the version.
        shadow: a version that goes on forecasting beside it; see `Pointer`.
        replacing: the pointer's generation when this was decided, 0 where there was none; None replaces any.

    Raises:
        BundleError: the version's files are corrupt or are those of another version.
        ModelUnavailable: the version has not been published.
        PreconditionFailed: the pointer has changed since.
        StoreUnavailable: try again.
    """
    bundle = read_version(store, name, version)
    try:
        store.write(CHAMPION, _pointer(name, version, shadow), if_generation=replacing)
    except PreconditionFailed as error:
        raise PreconditionFailed(
            f"{store.url} has come to serve another version while {version} was chosen, so that {version} is not "
            "served. Look at `tickercast models`, then decide again."
        ) from error
    return bundle


def rollback(store: ObjectStore, to: str | None = None) -> Bundle:
    """Serves an older version again, after reading it back whole, and returns it.

    Args:
        store: where the champion is published.
        to: the version; the one published before the champion where none is named.

    Raises:
        UsageError: there is no such version.
        BundleError: the version's files are corrupt.
        ModelUnavailable: nothing is published.
        PreconditionFailed: the pointer has changed meanwhile.
        StoreUnavailable: try again.
    """
    decided_at = store.generation(CHAMPION)
    pointer = read_pointer(store)
    published = published_versions(store, pointer.name)
    older = [version for version in published if int(version) < int(pointer.version)]
    wanted = to or (older[-1] if older else None)
    if wanted is None or wanted not in published:
        raise UsageError(
            f"{store.url} holds {pointer.name} {', '.join(published)}, of which {pointer.version} is served: "
            f"{f'version {to}' if to else 'an older version'} was needed to roll back to. Name one with --to."
        )
    return point_champion(store, pointer.name, wanted, replacing=decided_at)


def published_versions(store: ObjectStore, name: str) -> list[str]:
    """The published versions of a model, oldest first."""
    prefix, card = f"{folder(name, '')}", "/model.json"
    found = [stored.removeprefix(prefix).removesuffix(card) for stored in store.names(prefix) if stored.endswith(card)]
    return sorted((version for version in found if version.isdigit()), key=int)


def read_champion(store: ObjectStore) -> Bundle:
    """Reads the bundle that is served.

    Raises:
        BundleError: the pointer or the files it points at are corrupt.
        ModelUnavailable: no version has been published.
        StoreUnavailable: try again.
    """
    pointer = read_pointer(store)
    return read_version(store, pointer.name, pointer.version)


def read_pointer(store: ObjectStore) -> Pointer:
    """Reads which version is served.

    Raises:
        BundleError: the pointer is corrupt.
        ModelUnavailable: no version has been published.
        StoreUnavailable: try again.
    """
    try:
        return Pointer.model_validate_json(store.read(CHAMPION))
    except ObjectNotFound as error:
        raise ModelUnavailable(
            f"{store.url} holds no {CHAMPION}: a published model was needed. Publish one and point at it."
        ) from error
    except ValidationError as error:
        raise BundleError(f"{CHAMPION} in {store.url} does not parse. Point it at a published version.") from error


def read_version(store: ObjectStore, name: str, version: str) -> Bundle:
    """Reads a published version.

    Raises:
        BundleError: its files are corrupt or are those of another version.
        ModelUnavailable: it has not been published.
        StoreUnavailable: try again.
    """
    where = folder(name, version)
    try:
        bundle = read_bundle(store.read(f"{where}/model.onnx"), store.read(f"{where}/model.json"))
    except ObjectNotFound as error:
        raise ModelUnavailable(
            f"{store.url} does not hold {name} {version}: model.onnx and model.json were needed in {where}. "
            "Publish that version, or point at another."
        ) from error
    if (bundle.card.name, bundle.card.version) != (name, version):
        raise BundleError(
            f"{where} in {store.url} holds {bundle.card.name} {bundle.card.version}. Publish {name} {version} again "
            "under a new version."
        )
    return bundle


def read_reference(store: ObjectStore, card: ModelCard) -> Reference:
    """Reads what tells later days from a published version's training.

    Raises:
        UsageError: the version has none.
        BundleError: it is corrupt, or not there.
        StoreUnavailable: try again.
    """
    if not card.reference_sha256:
        raise UsageError(
            f"{card.name} {card.version} has no reference of its training, so that drift from it cannot be told. "
            "Train and publish a newer version."
        )
    name = f"{folder(card.name, card.version)}/reference.json"
    try:
        content = store.read(name)
    except ObjectNotFound as error:
        raise BundleError(f"{store.url} holds no {name}, and its card names one. Publish the version again.") from error
    check_sha256("reference", content, card.reference_sha256, card)
    return parse_reference(content)


def _check_same(store: ObjectStore, bundle: Bundle) -> None:
    """A registry numbers runs anew, so that the same network may come under another run id."""
    card, there = bundle.card, read_version(store, bundle.card.name, bundle.card.version).card
    if there.model_copy(update={"run_id": card.run_id}) != card:
        raise _taken(store, folder(card.name, card.version))


def _taken(store: ObjectStore, name: str) -> BundleError:
    return BundleError(
        f"{name} in {store.url} exists with other content, and published versions are never changed. "
        "Register the model again for a new version."
    )


def _pointer(name: str, version: str, shadow: str = "") -> bytes:
    return Pointer(name=name, version=version, shadow=shadow).model_dump_json().encode() + b"\n"


def _write_once(store: ObjectStore, name: str, content: bytes) -> None:
    try:
        store.write(name, content, if_generation=0)
    except PreconditionFailed as error:
        if store.read(name) != content:
            raise _taken(store, name) from error
