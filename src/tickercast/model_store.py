"""The model store: published bundles in a bucket, and the pointer at those that are served.

The files of a version are written once and never changed; only the pointer changes, in one atomic write. To roll back
is to point at an older version.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from tickercast.domain.cards.model_card import (
    CHAMPION,
    Bundle,
    ModelCard,
    Pointer,
    PublishedVersion,
    check_sha256,
    folder,
    pointer_object,
    read_bundle,
    read_card,
)
from tickercast.domain.cards.model_page import describe
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.measures.drift import Reference, watched
from tickercast.domain.measures.drift import read_reference as parse_reference
from tickercast.errors import BundleError, ModelUnavailable, ObjectNotFound, PreconditionFailed, UsageError
from tickercast.ports import ObjectStore


class ModelStore:
    """The published models of a bucket.

    Every method may raise `StoreUnavailable`, after which the same call may succeed.

    Args:
        store: the bucket; writes to it make no events.
        shipped: the folder with the bundle that is published where none has been.
        frequency: the frequency of the bars; each frequency has a pointer of its own.
        pointer: the object that is the pointer; by default that of the frequency's champion.
    """

    def __init__(self, store: ObjectStore, shipped: Path, frequency: Frequency = DAILY, *, pointer: str = "") -> None:
        self.store = store
        self._shipped = shipped
        self.frequency = frequency
        self._pointer = pointer or pointer_object(frequency)

    @property
    def url(self) -> str:
        """The URL of the models' bucket, as the user configured it."""
        return self.store.url

    def of(self, frequency: Frequency) -> "ModelStore":
        """The published models of a frequency in the same bucket."""
        return ModelStore(self.store, self._shipped, frequency)

    @cached_property
    def shipped(self) -> Bundle:
        """The champion that comes with the package."""
        pointer = self.shipped_pointer
        return self.shipped_bundle(pointer.name, pointer.version)

    @property
    def shipped_pointer(self) -> Pointer:
        """The pointer that comes with the package."""
        return Pointer.model_validate_json((self._shipped / self._pointer).read_bytes())

    def shipped_bundle(self, name: str, version: str) -> Bundle:
        """A version that comes with the package."""
        files = self._shipped / folder(name, version)
        return read_bundle(
            (files / "model.json").read_bytes(),
            (files / "model.onnx").read_bytes,
            (files / "reference.json").read_bytes,
            remedy="Install tickercast again.",
        )

    def shipped_bundles(self) -> Iterator[Bundle]:
        """The champion that comes with the package, and the models beside it that have bundles.

        There are none while those that are to be shipped are trained.
        """
        if not (self._shipped / self._pointer).is_file():
            return
        pointer = self.shipped_pointer
        named = [(pointer.name, pointer.version), *((served.name, served.version) for served in pointer.served)]
        for name, version in named:
            if (self._shipped / folder(name, version)).exists():
                yield self.shipped_bundle(name, version)

    @property
    def pointer_name(self) -> str:
        """The object that is the pointer."""
        return self._pointer

    # ------------------------------------------------------------ the pointer

    def generation(self) -> str:
        """The live generation of the pointer, empty where nothing has been published."""
        return self.store.generation(self._pointer)

    def pointer(self) -> Pointer:
        """Read which models are served.

        Raises:
            BundleError: the pointer is corrupt.
            ModelUnavailable: no version has been published.
        """
        try:
            return Pointer.model_validate_json(self.store.read(self._pointer))
        except ObjectNotFound as error:
            raise ModelUnavailable(
                f"{self.url} holds no {self._pointer}: a published model was needed. Run tickercast provision."
            ) from error
        except ValidationError as error:
            raise BundleError(
                f"{self._pointer} in {self.url} does not parse, and the name of a published version was needed. Serve "
                "one again: tickercast rollback --to VERSION."
            ) from error

    def point(self, pointer: Pointer, *, replacing: str | None = None) -> Bundle:
        """Serve what a pointer names, after reading the champion back whole, and return that.

        Args:
            pointer: the champion and the models beside it.
            replacing: the pointer's generation when this was decided, empty if there was none; None replaces any.

        Raises:
            BundleError: the version's files are corrupt or belong to another version.
            ModelUnavailable: the version has not been published.
            PreconditionFailed: the pointer has changed since.
        """
        bundle = self.read(pointer.name, pointer.version)
        content = pointer.model_copy(update={"nonce": uuid.uuid4().hex}).model_dump_json() + "\n"
        try:
            self.store.write(self._pointer, content.encode(), if_generation=replacing)
        except PreconditionFailed as error:
            place = f"the baseline {pointer.baseline} in the place of " if pointer.baseline else ""
            every = "" if self.frequency.is_daily else f" --every {self.frequency}"
            raise PreconditionFailed(
                f"{self._pointer} in {self.url} has changed since it was decided to serve {place}{pointer.name} "
                f"{pointer.version}, so nothing was changed. Look at tickercast models{every}, then decide again."
            ) from error
        return bundle

    def rollback(self, to: str | None = None, *, now: datetime) -> Bundle:
        """Serve an older version again, after reading it back whole, and return it.

        Args:
            to: the version, or the name of a companion that takes the champion's place; by default the champion itself
                where a baseline is served in its place, else the last that was served before it, was not rolled back
                and is still published. Where the pointer names none, as those of 0.2.0, it is the version published
                before the champion. What is given replaces even a pointer that does not parse, and the shipped
                companions are then served beside it.
            now: the time, from which the daily run promotes nothing for some sessions, and the hourly run serves
                nothing newer until a month begins.

        Raises:
            UsageError: no such version or companion is published, or the version is served already.
            BundleError: the version's files are corrupt, or the pointer is and `to` is not given.
            ModelUnavailable: nothing has been published.
            PreconditionFailed: the pointer has changed meanwhile.
        """
        decided_at, served = self.generation(), ""
        try:
            pointer = self.pointer()
            served = pointer.serving
        except BundleError:
            if to is None:
                raise
            pointer = self.shipped_pointer
        published = self.versions(pointer.name)
        companions = [one.name for one in pointer.served if one.role is Role.COMPANION and self.versions(one.name)]
        wanted = to or _before(pointer, published, companions)
        if wanted == served:
            raise UsageError(
                f"{pointer.name} {wanted} is served already, and another version was needed, so nothing was changed. "
                "Name it with --to."
            )
        if wanted is None or wanted not in (*published, *companions):
            raise UsageError(self._no_return(pointer, published, companions, to))
        back = pointer.returning(wanted).model_copy(update={"rolled_back_at": now})
        return self.point(back, replacing=decided_at)

    def _no_return(self, pointer: Pointer, published: Sequence[str], companions: Sequence[str], to: str | None) -> str:
        """The reason why nothing was rolled back."""
        beside = f", and beside it {', '.join(companions)}" if companions else ""
        asked = to if to and not to.isdigit() else f"version {to}" if to else "an older version"
        if companions or set(published) - {pointer.version}:
            to_do = "Name one with --to"
        elif self.frequency.is_daily:
            to_do = "Publish another first: tickercast models lists those that are registered"
        else:
            to_do = "The hourly run publishes them"
        return (
            f"{self.url} holds {pointer.name} {', '.join(published)}, of which {pointer.version} is served{beside}: "
            f"{asked} was needed to roll back to. {to_do}."
        )

    def listed(self) -> list[PublishedVersion]:
        """The published versions of the models that the pointer names, the champion's first and the newest first.

        Where nothing has been published, they are those that come with the package.

        Raises:
            BundleError: the pointer or a card is corrupt.
            StoreUnavailable: try again.
        """
        if not self.generation():
            pointer = self.shipped_pointer
            return [PublishedVersion(bundle.card, _stands(pointer, bundle.card)) for bundle in self.shipped_bundles()]
        pointer = self.pointer()
        cards = [
            self.card(name, version)
            for name in dict.fromkeys([pointer.name, *(one.name for one in pointer.served)])
            for version in reversed(self.versions(name))
        ]
        return [PublishedVersion(card, _stands(pointer, card)) for card in cards]

    # ------------------------------------------------------------ bundles

    def champion(self) -> Bundle:
        """Read the champion, which a baseline may stand in for; see `Pointer.baseline`.

        Raises:
            BundleError: the pointer or the files it names are corrupt.
            ModelUnavailable: no version has been published.
        """
        pointer = self.pointer()
        return self.read(pointer.name, pointer.version)

    def read(self, name: str, version: str) -> Bundle:
        """Read a published version.

        Raises:
            BundleError: the version's files are corrupt or belong to another version.
            ModelUnavailable: the version has not been published.
        """
        where = folder(name, version)
        with self._of(name, version):
            bundle = read_bundle(
                self.store.read(f"{where}/model.json"),
                lambda: self.store.read(f"{where}/model.onnx"),
                remedy=self._remedy(name, version),
            )
        self._check_named(bundle.card, name, version)
        return bundle

    def card(self, name: str, version: str) -> ModelCard:
        """Read the card of a published version, and no other file of it.

        Raises:
            BundleError: the card is corrupt or belongs to another version.
            ModelUnavailable: the version has not been published.
        """
        with self._of(name, version):
            content = self.store.read(f"{folder(name, version)}/model.json")
        card = read_card(content, self._remedy(name, version))
        self._check_named(card, name, version)
        return card

    @contextmanager
    def _of(self, name: str, version: str) -> Iterator[None]:
        """Translate what the block does not find of a version."""
        try:
            yield
        except ObjectNotFound as error:
            raise ModelUnavailable(
                f"{self.url} does not hold {name} {version}: model.onnx and model.json were needed in "
                f"{folder(name, version)}. {self._remedy(name, version)}"
            ) from error

    def _check_named(self, card: ModelCard, name: str, version: str) -> None:
        """Check that a card is of the version in whose folder it lies."""
        if (card.name, card.version) != (name, version):
            raise BundleError(
                f"{folder(name, version)} in {self.url} holds {card.name} {card.version}. Publish {name} {version} "
                "again under a new version."
            )

    def differs(self, card: ModelCard) -> bool:
        """Whether the number of a version was published with other content, as where a registry was replaced.

        A published card that is damaged is not other content: the version can restore it.
        """
        try:
            return not _same(self.card(card.name, card.version), card)
        except (BundleError, ModelUnavailable):
            return False

    def check_number(self, card: ModelCard) -> None:
        """Refuse a version whose number was published with other content.

        Raises:
            BundleError: it was.
        """
        if self.differs(card):
            raise self._taken(folder(card.name, card.version))

    def reference(self, card: ModelCard) -> Reference:
        """Read the reference that drift from a version's training is measured against.

        Raises:
            UsageError: the version has none.
            BundleError: the reference is corrupt or missing.
        """
        if not card.reference_sha256:
            remedy = (
                "Train and publish a newer version."
                if self.frequency.is_daily
                else "Let tickercast hourly refresh its tables: it writes one each month, from a year of real bars."
            )
            raise UsageError(
                f"{card.name} {card.version} has no reference of its training, so drift from it cannot be measured. "
                f"{remedy}"
            )
        name = f"{folder(card.name, card.version)}/reference.json"
        try:
            content = self.store.read(name)
        except ObjectNotFound as error:
            raise BundleError(
                f"{self.url} holds no {name}, and its card names one. {self._remedy(card.name, card.version)}"
            ) from error
        try:
            check_sha256("reference", content, card.reference_sha256, card)
        except BundleError as error:
            raise BundleError(f"{error} {self._remedy(card.name, card.version)}") from error
        return parse_reference(content, watched(self.frequency))

    def _remedy(self, name: str, version: str) -> str:
        """The remedy for a version whose files are damaged or missing."""
        if self.frequency.is_daily:
            return f"Restore them: tickercast publish --version {version}; or serve another: tickercast rollback."
        return (
            f"Restore {folder(name, version)}, or serve another version: tickercast rollback --every {self.frequency}."
        )

    def versions(self, name: str) -> list[str]:
        """The published versions of a model, oldest first."""
        prefix, card = folder(name, ""), "/model.json"
        stored = (found for found in self.store.names(prefix) if found.endswith(card))
        versions = (found.removeprefix(prefix).removesuffix(card) for found in stored)
        return sorted((version for version in versions if version.isdigit()), key=int)

    def trained_through(self, name: str, version: str) -> date | None:
        """The last date that a version was trained on; None of a model that was never published, as a baseline.

        Raises:
            BundleError: the version's card is corrupt.
            ModelUnavailable: other versions are published, and this one is not.
            StoreUnavailable: try again.
        """
        return self.card(name, version).trained_through if self.versions(name) else None

    def write(self, bundle: Bundle) -> None:
        """Write the files of a bundle, its card last; doing so twice changes nothing but what was damaged meanwhile.

        Raises:
            BundleError: the bundle has no version or lacks a file, or the version was published with other content.
        """
        card = bundle.card
        if not card.version:
            raise BundleError(
                f"The bundle of {card.name} has no version: one was needed to publish it. Register it first."
            )
        if card.version in self.versions(card.name):
            self._restore(bundle)
            return
        for name, content in files(bundle).items():
            self._write_once(name, content)

    def _restore(self, bundle: Bundle) -> None:
        """Write files of a published version again that are damaged or missing, if its card is the same."""
        card, where = bundle.card, folder(bundle.card.name, bundle.card.version)
        kept = f"{where}/model.json"
        try:
            there = read_card(self.store.read(kept), "")
        except BundleError:
            kept = ""
        else:
            if not _same(there, card):
                raise self._taken(where)
        for name, content in files(bundle).items():
            if name != kept and self._content(name) != content:
                self.store.write(name, content)

    def _content(self, name: str) -> bytes | None:
        try:
            return self.store.read(name)
        except ObjectNotFound:
            return None

    def _taken(self, name: str) -> BundleError:
        return BundleError(
            f"{name} in {self.url} exists with other content, and published versions never change: the number was "
            "given twice, as where a registry was replaced. Train again: the new version gets a number of its own."
        )

    def _write_once(self, name: str, content: bytes) -> None:
        try:
            self.store.write(name, content, if_generation="")
        except PreconditionFailed:
            if self.store.read(name) != content:
                raise self._taken(name) from None


def _same(card: ModelCard, other: ModelCard) -> bool:
    """Whether two cards are of the same version; a new registry gives it another run id."""
    return card.model_copy(update={"run_id": other.run_id}) == other


def _stands(pointer: Pointer, card: ModelCard) -> str:
    """The standing of a published version; see `PublishedVersion`."""
    if (card.name, card.version) == (pointer.name, pointer.version):
        return "demoted" if pointer.baseline else Role.CHAMPION
    served = (one.role for one in pointer.served if (one.name, one.version) == (card.name, card.version))
    return next(served, "published")


def _before(pointer: Pointer, published: Sequence[str], companions: Sequence[str]) -> str | None:
    """The pointer to go back to; see `ModelStore.rollback`."""
    if pointer.baseline:
        return pointer.version
    served = [*pointer.former, *([pointer.shadow] if pointer.shadow else [])]
    older = [version for version in published if int(version) < int(pointer.version)]
    return next((one for one in reversed(served or older) if one in (*published, *companions)), None)


def files(bundle: Bundle) -> dict[str, bytes]:
    """The objects of a bundle by name, in the order in which they are written.

    Raises:
        BundleError: the bundle's reference was not read.
    """
    where = folder(bundle.card.name, bundle.card.version)
    bundle.check_whole()
    reference = {f"{where}/reference.json": bundle.reference} if bundle.reference else {}
    card = bundle.card.model_dump_json(indent=2) + "\n"
    network = {f"{where}/model.onnx": bundle.onnx} if bundle.onnx else {}
    return {**network, **reference, f"{where}/model.json": card.encode()}


def publishable(bundle: Bundle) -> dict[str, bytes]:
    """The files that make a bundle the champion of an empty store, by name: its own, a page for people, the pointer."""
    pointer = Pointer(name=bundle.card.name, version=bundle.card.version)
    return described(bundle) | {CHAMPION: pointer_json(pointer)}


def described(bundle: Bundle) -> dict[str, bytes]:
    """The files of a bundle by name, with a page for people."""
    card = bundle.card
    return files(bundle) | {f"{folder(card.name, card.version)}/MODEL_CARD.md": describe(card).encode()}


def pointer_json(pointer: Pointer) -> bytes:
    """A pointer as the content of its object."""
    return (pointer.model_dump_json() + "\n").encode()
