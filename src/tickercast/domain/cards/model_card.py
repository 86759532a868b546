"""A model bundle: the network as ONNX, the card that describes it, and the pointer that names what is served.

models/{name}/{version}/model.onnx     immutable; a model that is all in its card has none
models/{name}/{version}/reference.json immutable: `domain.measures.drift.Reference`, which only the drift check reads
models/{name}/{version}/model.json     immutable: the `ModelCard`
models/champion.json                   the `Pointer`: the champion, and what is served beside it
models/champion-1h.json                the same for hourly bars
models/direction-1h.json               the same for the direction of the next hour
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tickercast.domain.asset_classes import ASSET_CLASSES, STOCK, asset_class
from tickercast.domain.findings import Finding
from tickercast.domain.forecast import RANDOM_WALK, Role
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.hourly.hour_tables import HourTables
from tickercast.domain.learning.widths import Widths
from tickercast.errors import BundleError

MODEL = "tickercast-lstm"
"""The name of the registered model."""

CHAMPION = "models/champion.json"
"""The object that points at the served bundle of daily bars."""

NO_NETWORK = hashlib.sha256(b"").hexdigest()
"""The sha256 on the card of a model without a network."""


def pointer_object(frequency: Frequency) -> str:
    """The object that points at the served bundle of a frequency.

    >>> from tickercast.domain.frequency import HOURLY
    >>> pointer_object(DAILY), pointer_object(HOURLY)
    ('models/champion.json', 'models/champion-1h.json')
    """
    return CHAMPION if frequency == DAILY else f"models/champion-{frequency}.json"


DIRECTION = "models/direction-1h.json"
"""The object that points at the served model of the next hour's direction."""

HOURLY_KIND, DIRECTION_KIND = "lstm-1h", "direction-xgboost"
"""The kinds of the networks of hourly bars, and of the model of their direction."""

HAR_SEASON, HOURLY_NETWORK = "har-season", "tickercast-lstm-1h"
"""The models of hourly bars that challenge each other."""

CHAMPION_ALIAS, CHALLENGER_ALIAS = "champion", "challenger"
"""The registry's names for the version that is served, and for the one that was registered last."""


class ServedModel(BaseModel):
    """A model that is served beside the champion.

    Attributes:
        name: a registered model, or one that needs no bundle, such as `random-walk`.
        version: the version of the model.
        role: `companion`, `baseline` or `shadow`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    role: Role


_REMEMBERED = 3  # versions whose factors are kept

BASELINE = ServedModel(name=RANDOM_WALK, version="1", role=Role.BASELINE)


class Pointer(BaseModel):
    """The content of `models/champion.json`.

    Attributes:
        name: the champion's registered name.
        version: the version of the champion.
        served: the models beside it; the random walk is always among them, since skill is measured against it.
        baseline: the baseline that is served in the champion's place, because the champion was shown to be worse; empty
            while the champion is served itself.
        baseline_ratio: the baseline's loss over the random walk's in the backtest that put it there; None without one.
        former: the versions that were served before, oldest first, without those that were rolled back; a champion that
            took the place of another served model has that one's name first. Releases up to 0.2.0 kept none.
        rolled_back_at: when somebody last went back to another version by hand; None if nobody has.
        widths: the factors of the champion's intervals that the daily flow has learned; a new champion has none yet.
        earlier_widths: the factors of the versions served last before it, and of the shadow, by version: each has its
            own again where it is served.
        nonce: makes each write of the pointer unique, so that a store that compares contents notices every change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    served: tuple[ServedModel, ...] = (BASELINE,)
    baseline: str = Field(default="", exclude_if=lambda name: not name)
    baseline_ratio: float | None = Field(default=None, exclude_if=lambda ratio: ratio is None)
    former: tuple[str, ...] = Field(default=(), exclude_if=lambda versions: not versions)
    rolled_back_at: datetime | None = Field(default=None, exclude_if=lambda at: at is None)
    widths: Widths = Field(default_factory=Widths, exclude_if=lambda widths: widths == Widths())
    earlier_widths: Mapping[str, Widths] = Field(default={}, exclude_if=lambda widths: not widths)
    nonce: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_first_release(cls, content: Any) -> Any:
        """Read a pointer of the first release, which named nothing but a shadow beside the champion."""
        if not isinstance(content, dict) or "shadow" not in content:
            return content
        rest = {key: value for key, value in content.items() if key != "shadow"}
        shadow = {"name": content.get("name"), "version": content["shadow"], "role": Role.SHADOW}
        return rest | {"served": [BASELINE, *([shadow] if content["shadow"] else [])]}

    @property
    def shadow(self) -> str:
        """The version of the former champion that still forecasts, while it may come back; else empty."""
        return next((served.version for served in self.served if served.role is Role.SHADOW), "")

    def widths_of(self, version: str) -> Widths:
        """The factors of a version of the model; none if it was not served of late."""
        return self.widths if version == self.version else self.earlier_widths.get(version, Widths())

    def learned(self, version: str, widths: Widths) -> "Pointer":
        """The same pointer with other factors of a version."""
        if version == self.version:
            return self.model_copy(update={"widths": widths})
        return self.model_copy(update={"earlier_widths": {**self.earlier_widths, version: widths}})

    @property
    def serving(self) -> str:
        """The champion's version while it is served, or the name of the baseline in its place."""
        return self.baseline or self.version

    def demoted(self, baseline: str, ratio: float | None) -> "Pointer":
        """The same pointer with a baseline in the champion's place; whoever is on probation has no way back.

        Args:
            baseline: the baseline to serve.
            ratio: the baseline's loss over the random walk's in a backtest; None if none was made.
        """
        return self.pointing(self.version).model_copy(update={"baseline": baseline, "baseline_ratio": ratio})

    def pointing(self, version: str, *, shadow: str = "") -> "Pointer":
        """Point at another version, served itself, with the companions kept and the shadow replaced.

        It has the factors that it had when it was served last, and the version that it replaces keeps its own.
        """
        kept = [served for served in self.served if served.role is not Role.SHADOW]
        former = [ServedModel(name=self.name, version=shadow, role=Role.SHADOW)] if shadow else []
        return Pointer(
            name=self.name,
            version=version,
            served=(*kept, *former),
            former=tuple(one for one in (*self.former, self.version) if one != version),
            rolled_back_at=self.rolled_back_at,
            widths=self.widths_of(version),
            earlier_widths=self._earlier_widths(version),
        )

    def _earlier_widths(self, version: str) -> Mapping[str, Widths]:
        """The factors of the versions served last, the newest at the end, once another version is served."""
        known = {one: widths for one, widths in self.earlier_widths.items() if one != self.version}
        known |= {self.version: self.widths}
        kept = [(one, widths) for one, widths in known.items() if one != version and widths != Widths()]
        return dict(kept[-_REMEMBERED:])

    def returning(self, to: str) -> "Pointer":
        """Point back at a version, or at the served model of a name, and forget what came after it.

        A newer version that was not served before, or was rolled back, comes after all others instead.
        """
        is_name = any(one.name == to for one in self.served)
        back = self.exchanged(to) if is_name else self.pointing(to)
        if to in self.former:
            return back.model_copy(update={"former": self.former[: self.former.index(to)]})
        if is_name or int(to) > int(self.version):
            return back
        return back.model_copy(update={"former": self.former})

    def exchanged(self, name: str) -> "Pointer":
        """Another of the served models as the champion, and the champion as a companion; itself, without a baseline."""
        plain = self.pointing(self.version)
        if name == self.name:
            return plain
        [chosen] = [one for one in plain.served if one.name == name]
        former = ServedModel(name=self.name, version=self.version, role=Role.COMPANION)
        beside = tuple(former if one is chosen else one for one in plain.served)
        changes = {"name": name, "version": chosen.version, "served": beside, "former": (self.name,)}
        return plain.model_copy(update=changes | {"widths": Widths(), "earlier_widths": {}})

    def returned_in_month(self, now: datetime) -> bool:
        """Whether somebody went back by hand in the month of a time, UTC, in which no newer version is served then."""
        at = self.rolled_back_at
        return at is not None and f"{at.astimezone(UTC):%Y-%m}" == f"{now.astimezone(UTC):%Y-%m}"

    def same_as(self, other: "Pointer") -> bool:
        """Whether both serve the same models, whatever was served before and has been learned."""
        return self._models == other._models

    @property
    def _models(self) -> tuple[object, ...]:
        return self.name, self.version, self.served, self.baseline


class ModelCard(BaseModel):
    """The content of `model.json`: everything needed to feed the network and to read its answer.

    Attributes:
        kind: which loader reads the bundle; see `models.catalogue`.
        name: the registered model's name.
        version: the registered version; empty until it is registered.
        run_id: the MLflow run that trained it; empty until it is registered.
        sha256: the sha256 of the ONNX file; `NO_NETWORK` where there is none.
        features: the inputs of each step, in their order.
        statics: the inputs of each forecast, in their order.
        window: steps that the network reads, in sessions.
        horizon: steps that it forecasts, in sessions.
        quantiles: the levels that it answers, in their order.
        calibration: the pooled factor round the median, applied to every quantile.
        calibrations: the factor of each step and quantile, `(horizon, quantiles)`, for asset classes that were
            calibrated apart, such as `crypto`; there it replaces `calibration`.
        past_quantiles: the quantiles of their own past returns less the median, `(horizon, quantiles)`, for the same
            asset classes, in units of σEWMA·√step; they share in every interval.
        drift: the median log-return a session by asset class, 0 for a class that is not named; empty where the median
            is the network's own.
        adapts: whether its intervals follow what earlier ones held; see `domain.learning.widths`.
        min_sessions: the shortest series that it accepts, in sessions.
        trained_on: the symbols and dates of the training, in words.
        trained_through: the last date that training or validation saw, or that newer tables were learned from.
        network_through: the last date that the network learned from, where its tables are newer; None for any other.
        hold_out: every N-th symbol was held out of the training and used for evaluation; 0 where none was.
        arguments: the arguments of `tickercast train`, beside the source and the date; files stand as FILE, many
            symbols as TICKER.
        fingerprint: sha256 of the data, seeds and recipe of the training; empty where it was not taken.
        metrics: measured on dates after `trained_through`.
        reference_sha256: the sha256 of the reference for the drift check; empty where there is none.
        hour_tables: the tables of a model of hourly bars; None for any other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = "lstm"
    name: str
    version: str = ""
    run_id: str = ""
    sha256: str
    features: tuple[str, ...]
    statics: tuple[str, ...]
    window: int
    horizon: int
    quantiles: tuple[float, ...]
    calibration: float
    calibrations: Mapping[str, tuple[tuple[float, ...], ...]] = {}
    past_quantiles: Mapping[str, tuple[tuple[float, ...], ...]] = Field(
        default={}, exclude_if=lambda tables: not tables
    )
    drift: Mapping[str, float] = {}
    adapts: bool = False
    min_sessions: int
    trained_on: str
    trained_through: date
    network_through: date | None = Field(default=None, exclude_if=lambda through: through is None)
    hold_out: int = 0
    arguments: str = Field(default="", exclude_if=lambda given: not given)
    fingerprint: str = ""
    metrics: dict[str, float]
    reference_sha256: str = ""
    hour_tables: HourTables | None = Field(default=None, exclude_if=lambda tables: tables is None)


def unmeasured(card: ModelCard, symbol: str) -> str:
    """The reason why a symbol's intervals may not hold what they promise: its class was not measured. Empty if it was.

    Classes are of daily bars: models of hours are measured on coins, in whatever spelling.
    """
    name = asset_class(symbol)
    if card.hour_tables or name == STOCK or f"{name}_n" in card.metrics:
        return ""
    return (
        f"not measured for this class: {symbol} counts as {name}, and {card.name} {card.version} was measured on "
        f"{', '.join([STOCK, *(other for other in ASSET_CLASSES if f'{other}_n' in card.metrics)])} alone"
    )


def class_findings(model: object, symbol: str) -> list[Finding]:
    """A finding that says what `unmeasured` says; none of a model without a card."""
    card = getattr(model, "card", None)
    why = unmeasured(card, symbol) if isinstance(card, ModelCard) else ""
    check, _, text = why.partition(": ")
    return [Finding(symbol, check, text)] if why else []


def learned_through(card: ModelCard) -> date:
    """The last date that a model's network or, without one, its tables were learned from."""
    return card.network_through or card.trained_through


@dataclass(frozen=True)
class Bundle:
    """A network and its card, checked against each other.

    Attributes:
        onnx: the network; empty for a model that is all in its card.
        card: the model card.
        reference: the reference for the drift check; empty where it was not read, or there is none.
    """

    onnx: bytes
    card: ModelCard
    reference: bytes = b""

    def __post_init__(self) -> None:
        """Refuse files that are not those the card describes.

        Raises:
            BundleError: a sha256 differs.
        """
        check_sha256("ONNX", self.onnx, self.card.sha256, self.card)
        if self.reference:
            check_sha256("reference", self.reference, self.card.reference_sha256, self.card)

    def check_whole(self) -> None:
        """Refuse to pass on a bundle whose reference was not read.

        Raises:
            BundleError: the card names one, and it is missing.
        """
        if self.card.reference_sha256 and not self.reference:
            raise BundleError(
                f"The reference of {self.card.name} {self.card.version} is missing, and its card names one. "
                "Read the version from the registry."
            )

    def referred(self, reference: bytes) -> "Bundle":
        """The same bundle with a reference for the drift check."""
        card = self.card.model_copy(update={"reference_sha256": hashlib.sha256(reference).hexdigest()})
        return Bundle(self.onnx, card, reference)

    def registered(self, *, version: str, run_id: str) -> "Bundle":
        """The same bundle under the version and run that a registry gave it."""
        return replace(self, card=self.card.model_copy(update={"version": version, "run_id": run_id}))


@dataclass(frozen=True)
class PublishedVersion:
    """A published version of a model.

    Attributes:
        card: the model card of the version.
        stands: the role in which it is served, `demoted` for a champion in whose place a baseline is; else `published`.
    """

    card: ModelCard
    stands: str


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of a model as the registry lists it.

    Attributes:
        card: the model card, which names the version.
        registered_at: the time of registration.
        aliases: `champion`, `challenger`, or none.
    """

    card: ModelCard
    registered_at: datetime
    aliases: tuple[str, ...]


def check_sha256(kind: str, content: bytes, wanted: str, card: ModelCard) -> None:
    """Refuse a file that is not the one that a card describes; what to do depends on where the file is.

    Args:
        kind: the kind of the file, for the message: `ONNX` or `reference`.
        content: the content of the file.
        wanted: the sha256 that the card states.
        card: the card of the version.

    Raises:
        BundleError: the sha256 differs.
    """
    seen = hashlib.sha256(content).hexdigest()
    if seen != wanted:
        raise BundleError(
            f"The {kind} file of {card.name} {card.version} has sha256 {seen[:12]}…, and its card says "
            f"{wanted[:12]}…: the file is corrupt or was replaced."
        )


def graph_shapes(card: ModelCard) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """The inputs and outputs of a card's graph by name, without their first dimension, the number of forecasts."""
    if card.kind == DIRECTION_KIND:
        return {"inputs": (len(card.features),)}, {"probabilities": (2,)}
    network = {"steps": (card.window, len(card.features)), "statics": (len(card.statics),)}
    output = "factors" if card.kind == HOURLY_KIND else "z"
    return network, {output: (card.horizon, len(card.quantiles))}


def trained_before(cards: Iterable[ModelCard], origin: date) -> ModelCard | None:
    """The newest version that was trained before the origin; None if there is none."""
    return max(
        (card for card in cards if card.trained_through < origin), key=lambda card: int(card.version), default=None
    )


def folder(name: str, version: str) -> str:
    """The folder of a version's files.

    >>> folder("tickercast-lstm", "3")
    'models/tickercast-lstm/3'
    """
    return f"models/{name}/{version}"


def read_card(content: bytes, remedy: str) -> ModelCard:
    """Read a description from its file.

    Args:
        content: the file.
        remedy: what to do if it is damaged, as sentences.

    Raises:
        BundleError: the content is no valid model card.
    """
    try:
        return ModelCard.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise BundleError(
            f"model.json does not parse: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}. {remedy}"
        ) from error


def read_bundle(
    card: bytes, network: Callable[[], bytes], reference: Callable[[], bytes] = bytes, *, remedy: str
) -> Bundle:
    """Read a bundle from its files.

    Args:
        card: the description.
        network: reads the network; called only if the card says that there is one.
        reference: reads the reference, where it is wanted; called only if the card says that there is one.
        remedy: what to do if a file is damaged, as sentences.

    Raises:
        BundleError: the card does not parse, or the network is not the one it describes.
    """
    parsed = read_card(card, remedy)
    onnx = b"" if parsed.sha256 == NO_NETWORK else network()
    read = reference() if parsed.reference_sha256 else b""
    try:
        return Bundle(onnx, parsed, read)
    except BundleError as error:
        raise BundleError(f"{error} {remedy}") from error
