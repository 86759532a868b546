"""The ports, and the event that ties them together.

A port is the few methods that the jobs need. `tickercast.backends` holds the engines behind them,
`tickercast.engines` chooses among those by URL, and `tests/contract` runs one suite over all.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

import pandas as pd

from tickercast.domain.alerts import Severity
from tickercast.domain.bars import Reading
from tickercast.domain.dataset import Dataset
from tickercast.domain.drift import Finding
from tickercast.domain.model_card import Bundle, RegisteredVersion
from tickercast.domain.recipe import Epoch, Recipe

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the CloudEvents that announce a finished write."""


@dataclass(frozen=True)
class ObjectFinalized:
    """A finished write to the object store: what the forecast function is called with.

    Attributes:
        bucket: the bucket's name.
        name: the object's name, for example `ohlc/2023-07-22/MSFT.csv`.
        generation: the version of the object that this write made; with bucket and name it is the
            event's key, since one write may be announced several times under several ids.
        size: bytes.
        event_id: the CloudEvent's id; for the logs only.
        written_at: when the write was finished, where the event tells.
    """

    bucket: str
    name: str
    generation: int
    size: int = 0
    event_id: str = ""
    written_at: datetime | None = None


class ObjectStore(Protocol):
    """A bucket: named objects, each write a new generation."""

    @property
    def url(self) -> str:
        """Where the objects are, as the user configured it."""

    @property
    def bucket(self) -> str:
        """The bucket's name, as its events give it."""

    def write(
        self, name: str, data: bytes, *, if_generation: int | None = None, metadata: Mapping[str, str] | None = None
    ) -> int:
        """Writes an object whole and returns its generation.

        On return a local store has delivered its event; on Google Cloud the bucket's trigger does so soon after.

        Args:
            name: the object's name.
            data: its content.
            if_generation: write only if this is the live generation now; 0 means «does not exist».
            metadata: custom metadata, text only.

        Raises:
            PreconditionFailed: the live generation is another.
            UsageError: the name leaves the bucket, or the bucket refuses us.
            StoreUnavailable, FunctionUnavailable: try again.
        """

    def read(self, name: str, *, generation: int | None = None) -> bytes:
        """Reads an object, or an older generation of it.

        Raises:
            ObjectNotFound: there is no such object or generation.
            StoreUnavailable: try again.
        """

    def generation(self, name: str) -> int:
        """The live generation of an object, 0 where it does not exist."""

    def names(self, prefix: str) -> list[str]:
        """The names of the live objects that start with `prefix`, sorted."""

    def copy(self, name: str, to: str, *, generation: int) -> int:
        """Copies a generation of an object to another name, where nothing happens if the same content is there.

        Returns:
            The generation under the other name.

        Raises:
            ObjectNotFound: there is no such generation any more.
            UsageError: the other name is none.
            StoreUnavailable, FunctionUnavailable: try again.
        """

    def delete(self, name: str, *, generation: int) -> None:
        """Deletes a generation of an object, and no other; where it is gone, nothing happens.

        Raises:
            StoreUnavailable: try again.
        """


class Warehouse(Protocol):
    """Append-only tables, and views over them, all in BigQuery's dialect of SQL."""

    @property
    def url(self) -> str:
        """Where the tables are, as the user configured it."""

    def provision(self) -> list[str]:
        """Creates the tables and views that are missing or changed; returns their names.

        A table whose file has come to name further nullable columns gets them; its rows are kept.

        Raises:
            SchemaMismatch: a table of that name has another shape.
            WarehouseUnavailable: try again.
        """

    def append(self, table: str, rows: pd.DataFrame, *, key: str) -> bool:
        """Appends rows once: with a key that was accepted before nothing happens.

        Args:
            table: the table's name.
            rows: columns of the table's, with all that are NOT NULL, texts as such or as categories; no rows at all
                leave the key free.
            key: made from table, object and generation.

        Returns:
            Whether the rows were appended now.

        Raises:
            SchemaMismatch: the rows do not fit the table; the key stays free.
            WarehouseUnavailable: try again, with the same key.
        """

    def read(self, name: str, where: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Reads the rows of a table or view.

        Args:
            name: the table or view.
            where: for each column named, the value wanted, or a list of values.

        Raises:
            WarehouseUnavailable: try again.
        """

    def query(self, text: str) -> pd.DataFrame:
        """Answers a query in BigQuery's dialect, over tables and views by their plain names.

        Raises:
            UsageError: it is no query, or does not fit the tables.
            WarehouseUnavailable: try again.
        """

    def pending(self) -> dict[str, str]:
        """What `provision` would do: the tables and views that are `missing` or `changed`, by name.

        Raises:
            WarehouseUnavailable: try again.
        """

    def compact(self) -> dict[str, int]:
        """Drops the rows that newer files have replaced, and no view changes; returns how many, by table.

        Appends may go on meanwhile.

        Raises:
            WarehouseUnavailable: try again.
        """


class MarketData(Protocol):
    """A source of daily bars."""

    @property
    def name(self) -> str:
        """How the user names the source: `yahoo`, `sample`, `simulated` or a folder."""

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Fetches the bars of several symbols in one go.

        Args:
            symbols: as Yahoo spells them, without duplicates.
            first: the first date wanted, inclusive.
            last: the last date wanted, inclusive.
            advance: called with the number of symbols done since the last call, for a progress bar.

        Returns:
            A history for each symbol that has a bar in the range, and the reason for each other symbol.

        Raises:
            SourceUnavailable: the source as a whole does not answer.
            UsageError: the source as a whole cannot be read.
        """


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a training beside its bundle: enough to know it and to repeat it.

    Attributes:
        parameters: what it was trained with.
        metrics: its results, where no bundle holds them.
        curves: losses by epoch, from the first on.
        datasets: what it has seen, by what for: `training`, `evaluation`.
        artifacts: further files of the run, by file name.
        network: the trained network as its framework holds it; opaque, and None where only the bundle is at hand.
        trained_here: whether this process trained; only then do its code and libraries say anything about the model.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    network: Any = None
    trained_here: bool = True


class ModelRegistry(Protocol):
    """Where trained models are registered, with all that is needed to know and to repeat them."""

    @property
    def url(self) -> str:
        """Where the registry is, as the user configured it."""

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        """Registers a bundle as the next version of its name and returns it with version and run id set.

        The new version takes the alias `challenger`.

        Args:
            bundle: what was trained; its metrics are stored too.
            record: how.

        Raises:
            BundleError: the network is not valid ONNX.
            StoreUnavailable: try again.
        """

    def bundle(self, name: str, version: str) -> Bundle:
        """Reads a registered version back, to the byte.

        Raises:
            BundleError: there is no such version, or its files are damaged.
            StoreUnavailable: try again.
        """

    def versions(self, name: str) -> Sequence[RegisteredVersion]:
        """All versions of a model, newest first; empty where none is registered.

        Raises:
            StoreUnavailable: try again.
        """

    def aliased(self, name: str, alias: str) -> str | None:
        """The version that has an alias, None where there is none.

        Raises:
            StoreUnavailable: try again.
        """

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Gives a version an alias, which it takes from the one before.

        Raises:
            BundleError: there is no such version.
            StoreUnavailable: try again.
        """


# ---------------------------------------------------------------- drift


@dataclass(frozen=True)
class DriftReport:
    """What has been found of a day's drift, for people and for programs.

    Attributes:
        html: a page that needs nothing else.
        json: the same figures.
    """

    html: bytes
    json: bytes


class DriftReporter(Protocol):
    """Draws what was compared, with the findings' own thresholds."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[Finding]) -> DriftReport:
        """Draws a report.

        Args:
            seen: a column of numbers for each finding, by its name; NaN where a row has no such number.
            sample: the same columns, of the training.
            findings: what was decided; the report's scores are the same.
        """


# ---------------------------------------------------------------- tuning


class Pruned(Exception):
    """Ends an attempt at a recipe that promises nothing: what carries it out of the training, and no failure."""


@dataclass(frozen=True)
class Trial:
    """A finished trial of a study.

    Attributes:
        number: from 0 on, in the order in which trials began.
        recipe: what was tried.
        loss: what it is worth, less is better; None where it was pruned.
    """

    number: int
    recipe: Recipe
    loss: float | None


Attempt = Callable[[int, Recipe, Callable[[Epoch], None]], float]
"""Tries a recipe: trial number, recipe, and what to call after each epoch (it may raise `Pruned`) give its loss."""


class RecipeSearch(Protocol):
    """A search for the best recipe that is kept in studies, each of which can be gone on with."""

    @property
    def url(self) -> str:
        """Where the studies are."""

    def run(self, study: str, default: Recipe, attempt: Attempt, *, trials: int) -> Iterator[Trial]:
        """Gives the trials of a study that have finished, then tries until there are `trials` of them.

        The first recipe tried is the default. A trial that was interrupted does not count and is tried again, so that
        an interrupted study gives what it would have given without.

        Args:
            study: its name; it is created if there is none.
            default: the recipe whose fields are varied.
            attempt: the training; where it raises `Pruned` the trial has finished, anything else ends the search.
            trials: that shall have finished, those of earlier calls included.

        Raises:
            UsageError: studies are being run already, or their file is damaged.
        """


class StudyLog(Protocol):
    """Keeps what becomes of one study while it runs."""

    def trial(self, number: int, record: RunRecord, *, pruned: bool) -> None:
        """Keeps a finished trial.

        Raises:
            StoreUnavailable: try again.
        """

    def result(self, record: RunRecord) -> None:
        """Keeps what came out of the study.

        Raises:
            StoreUnavailable: try again.
        """


class StudyTracker(Protocol):
    """Where people look at studies beside the trainings: the tracking server of the model registry."""

    def study(self, name: str, record: RunRecord) -> AbstractContextManager[StudyLog]:
        """Opens the run of a study, or opens it again; on leaving it is marked as finished, stopped or failed.

        Args:
            name: the study's.
            record: what it has in common.

        Raises:
            StoreUnavailable: try again.
        """


# ---------------------------------------------------------------- alerts


class Notifier(Protocol):
    """Someone who is told what has changed."""

    @property
    def key(self) -> str:
        """A stable name that gives nothing away, for the record of what this receiver has been told."""

    @property
    def service(self) -> str:
        """The kind of receiver, fit to be shown."""

    def notify(self, title: str, text: str, severity: Severity) -> None:
        """Sends a message.

        Args:
            title: in a few words.
            text: plain text, one line an alert.
            severity: how urgent it is.

        Raises:
            AlertUnavailable: the receiver did not take it; try again.
        """
