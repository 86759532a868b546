"""The ports, and the event that ties them together.

A port is the few methods that the jobs need. `tickercast.backends` holds the engines behind them,
`tickercast.engines` chooses among those by URL, and `tests/contract` runs one suite over all.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

import pandas as pd
import pyarrow as pa

from tickercast.domain.alerts import Severity
from tickercast.domain.bars import Reading
from tickercast.domain.cards.model_card import Bundle, RegisteredVersion
from tickercast.domain.learning.dataset import Dataset
from tickercast.domain.learning.recipe import Epoch
from tickercast.domain.measures.drift import DriftFinding
from tickercast.domain.trading.orders import Account, Clock, Order, OrderReport, Position, Rules
from tickercast.errors import BundleError, Permanent

if TYPE_CHECKING:
    from tickercast.domain.trading.strategy_backtest import Result

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Turns a job into the step that is called instead."""

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the CloudEvents that announce a finished write."""


@dataclass(frozen=True)
class ObjectFinalized:
    """A finished write to the object store: the event that the forecast function handles.

    Attributes:
        bucket: the bucket's name.
        name: the object's name, for example `ohlc/2023-07-22/MSFT.csv`.
        generation: the version of the object that this write made, an opaque text; with bucket and name it is the
            event's key, since one write may be announced several times under several ids.
        size: bytes.
        event_id: the CloudEvent's id; for the logs only.
        written_at: when the write was finished, where the event tells.
    """

    bucket: str
    name: str
    generation: str
    size: int = 0
    event_id: str = ""
    written_at: datetime | None = None


@dataclass(frozen=True)
class Between:
    """A range of values, both ends included; None is no end."""

    first: Any
    last: Any


class ObjectStore(Protocol):
    """A bucket: named objects, each write a new generation.

    A generation is an opaque text, and only equality counts: `written_at` says which of two came later.
    """

    @property
    def url(self) -> str:
        """The URL of the bucket, as the user configured it."""

    @property
    def bucket(self) -> str:
        """The bucket's name, as its events give it."""

    @property
    def keeps_generations(self) -> bool:
        """Whether it still knows a write that another one has replaced."""

    def write(
        self, name: str, data: bytes, *, if_generation: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Write a whole object and return its generation.

        On return a local store has delivered its event; on Google Cloud the bucket's trigger does so soon after.

        Args:
            name: the object's name.
            data: the content of the object.
            if_generation: write only if this is the live generation; an empty text means that there is none.
            metadata: custom metadata, text only.

        Raises:
            PreconditionFailed: the live generation is another.
            UsageError: the name leaves the bucket, or the bucket refuses us.
            StoreUnavailable, FunctionUnavailable: try again.
        """

    def read(self, name: str, *, generation: str | None = None) -> bytes:
        """Read an object, or an older generation of it.

        Raises:
            ObjectNotFound: no such object or generation is stored.
            StoreUnavailable: try again.
        """

    def generation(self, name: str) -> str:
        """The live generation of an object, empty where it does not exist."""

    def written_at(self, name: str, *, generation: str) -> datetime:
        """The write time of a generation, by the store's own clock; later ones of an object have later times.

        A write that repeats an older one (`objects.repeating`) has the time that its metadata give.

        Raises:
            ObjectNotFound: no such generation is stored any more.
            UsageError: the name leaves the bucket, or the bucket refuses us.
            StoreUnavailable: try again.
        """

    def names(self, prefix: str, *, limit: int | None = None) -> list[str]:
        """The names of the live objects that start with `prefix`, sorted; at most the first `limit`, None for all."""

    def generations(self, prefix: str) -> dict[str, str]:
        """The live generations of the live objects whose names start with `prefix`, by name."""

    def times(self, prefix: str) -> dict[str, datetime]:
        """The write times of the live objects whose names start with `prefix`, by name."""

    def copy(self, name: str, to: str, *, generation: str) -> str:
        """Copy a generation of an object to another name; nothing happens if the same content is there.

        Returns:
            The generation under the other name.

        Raises:
            ObjectNotFound: no such generation is stored any more.
            UsageError: the other name is not valid.
            StoreUnavailable, FunctionUnavailable: try again.
        """

    def delete(self, name: str, *, generation: str) -> None:
        """Delete one generation of an object; nothing happens if it is gone.

        Raises:
            StoreUnavailable: try again.
        """


@dataclass(frozen=True)
class QueryLimits:
    """The limits of a query that somebody typed.

    Attributes:
        seconds: the seconds after which the query is ended.
        memory_mb: the limit in megabytes, where the engine takes its memory from this machine.
    """

    seconds: float
    memory_mb: int


class Warehouse(Protocol):
    """Append-only tables, and views over them, all in BigQuery's dialect of SQL."""

    @property
    def url(self) -> str:
        """The URL of the warehouse, as the user configured it."""

    def provision(self) -> list[str]:
        """Create the tables and views that are missing or changed, migrate older rows, and return the names.

        An interrupted migration is finished by the next call; no row is lost.

        Raises:
            SchemaMismatch: a table of that name has another shape.
            WarehouseUnavailable: try again.
        """

    def append(self, table: str, rows: pa.Table | pd.DataFrame, *, key: str) -> bool:
        """Append rows once: nothing happens if the key was accepted before.

        Args:
            table: the table's name.
            rows: columns of the table, all that are NOT NULL included; text as such, as categories or as a dictionary.
                Unknown is null in Arrow, and null or NaN in pandas. No rows leave the key free.
            key: made from table, object and generation.

        Returns:
            Whether the rows were appended now.

        Raises:
            SchemaMismatch: the rows do not fit the table; the key stays free.
            WarehouseUnavailable: try again, with the same key.
        """

    def session(self, *, together: bool = False) -> AbstractContextManager[bool]:
        """Make several calls of one thread cheaper; an engine that only one process can use is kept meanwhile.

        A session within one is a part of it, and may not ask to store together.

        Args:
            together: where nobody else writes meanwhile, store what is appended at the end: all of it, or nothing
                where the session or one of its calls ends in an error, which the session's end raises.

        Returns:
            Whether nobody else writes meanwhile.

        Raises:
            WarehouseUnavailable: try again.
        """

    def append_together(self, rows: Mapping[str, pa.Table | pd.DataFrame], *, key: str) -> None:
        """Append rows to several tables, each as `append` with the key `{table}/{key}`; at once where that is possible.

        Raises:
            SchemaMismatch, WarehouseUnavailable: as `append`.
        """

    def read(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Read the rows of a table or view.

        Args:
            name: the table or view.
            where: the value wanted, a list of values or of ranges, or a range, by column.
            columns: the columns to read; None: all, of a table those that this release defines.

        Raises:
            Outdated: the table lacks one of them, since it is of an earlier release.
            WarehouseUnavailable: try again.
        """

    def read_arrow(
        self, name: str, where: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The same as an Arrow table, which takes a fraction of the time."""

    def stream(
        self, name: str, where: Mapping[str, Any] | None = None, *, limits: QueryLimits
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The same batch by batch, in no order, so that memory does not grow with the rows; no writer waits meanwhile.

        Args:
            name: the table or view.
            where: the filter, as in `read`.
            limits: the memory that the engine may take; its seconds do not count.

        Raises:
            UsageError: the query needs more memory.
            WarehouseUnavailable: try again.
        """

    def query(
        self, text: str, parameters: Mapping[str, Any] | None = None, *, limits: QueryLimits | None = None
    ) -> pd.DataFrame:
        """Answer a query in BigQuery's dialect, over tables and views by their plain names.

        It reaches nothing but these: no file, no network.

        Args:
            text: the query.
            parameters: the values of its `@name`s; a list is an array.
            limits: the limits of a text that somebody typed; however long it takes then, no append waits for it.

        Raises:
            UsageError: the text is not one query, does not fit the tables, or exceeds the limits.
            WarehouseUnavailable: try again.
        """

    def revision(self, table: str) -> str:
        """A text that changes with every append to a table, and is had without reading its rows.

        Raises:
            WarehouseUnavailable: try again.
        """

    def revisions(self, table: str, *, by: str) -> dict[str, str]:
        """For each value of a column a text that changes with every append of a row that holds it.

        Args:
            table: one that is never compacted.
            by: the column; rows without a value are left out.

        Raises:
            WarehouseUnavailable: try again.
        """

    def pending(self) -> dict[str, str]:
        """The tables and views that are `missing` or `changed`, by name.

        Raises:
            WarehouseUnavailable: try again.
        """

    def compact(self, *, until: datetime | None = None) -> dict[str, int]:
        """Drop the rows that count no more, which changes no view, and return how many, by table.

        Other processes may append meanwhile.

        Args:
            until: the time up to which files were written, and forecasts stored, whose events have ended; None: a day
                ago. What an earlier call has added up stays so, whatever the time.

        Raises:
            WarehouseUnavailable: try again.
        """


class DropFolder(Protocol):
    """The folder of a local bucket, into which people copy files by hand."""

    def names(self) -> list[str]:
        """The files that were dropped and not sent yet, by their paths below the folder, sorted.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """

    def links(self) -> dict[str, str]:
        """The links where dropped files would be, by their paths below the folder, and why they are not followed.

        Raises:
            StoreUnavailable: the folder cannot be read.
        """

    def read(self, name: str) -> bytes:
        """The content of a dropped file.

        Raises:
            ObjectNotFound: the file is gone.
            UsageError, EngineUnusable: it cannot be read.
        """

    def state(self, name: str) -> tuple[int, ...]:
        """The marks by which a change of a dropped file's content or rights shows; empty where it is gone."""

    def adopt(self, name: str, to: str, *, if_generation: str | None = None) -> str:
        """Make a dropped file the newest generation of an object, so that an event follows; only once.

        Args:
            name: the file.
            to: the object.
            if_generation: the generation that has to be live, empty for none; None: any.

        Returns:
            The generation; empty where the file is gone, or somebody else has made it one.

        Raises:
            PreconditionFailed: another generation is live, or another dropped file is in that place.
            UsageError: the name cannot be an object's.
            StoreUnavailable: try again.
        """

    def announce(self, name: str, *, generation: str) -> None:
        """Announce a generation of an object once more.

        Raises:
            ObjectNotFound: it is gone.
            Transient: try again.
        """

    def wait(self) -> Iterator[list[str]]:
        """Yield the names of new dropped files, at first all, several times a second, until Ctrl-C."""


class PolledBucket(Protocol):
    """A bucket that may send no events, and whose promises depend on the store behind it."""

    def arrivals(self, prefix: str) -> Iterator[ObjectFinalized]:
        """All writes below a prefix that are still there, of one name the newest first.

        Raises:
            StoreUnavailable: try again.
        """

    def check(self) -> None:
        """Check that of two first writers of a name the second is refused.

        Raises:
            EngineUnusable: the second writer is not refused.
            StoreUnavailable: try again.
        """


@runtime_checkable
class MarketData(Protocol):
    """A source of daily bars."""

    @property
    def name(self) -> str:
        """The source as the user names it: `yahoo`, `sample`, `simulated` or a folder."""

    @property
    def simulated(self) -> bool:
        """Whether its bars are generated rather than traded."""

    def symbols(self) -> Sequence[str]:
        """All symbols that the source holds.

        Raises:
            UsageError: the source has no list of them.
        """

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Fetch the bars of several symbols at once.

        Args:
            symbols: the symbols, as Yahoo spells them, without duplicates.
            first: the first date wanted, inclusive.
            last: the last date wanted, inclusive.
            advance: called with the number of symbols done since the last call, for a progress bar.

        Returns:
            The bars of each symbol that has any in the range, and the reason for each other symbol.

        Raises:
            SourceUnavailable: the source as a whole does not answer.
            UsageError: the source as a whole cannot be read.
        """


class Broker(Protocol):
    """A venue where paper is traded: no live one has an engine here."""

    @property
    def url(self) -> str:
        """The URL of the broker, as the user configured it, without its secrets."""

    @property
    def simulated(self) -> bool:
        """Whether the exchange is ours, on stored bars."""

    def account(self) -> Account:
        """The account as it is now.

        Raises:
            Unauthenticated: the venue refuses the keys.
            BrokerUnavailable: try again.
        """

    def positions(self) -> Sequence[Position]:
        """All that is held, sorted by symbol.

        Raises:
            As `account`.
        """

    def open_orders(self) -> Sequence[OrderReport]:
        """The orders that may still be filled, the oldest first, with those of other programs.

        Raises:
            As `account`.
        """

    def submit(self, order: Order) -> OrderReport:
        """Order once: it is never sent again by itself.

        Raises:
            OrderRefused: the venue says that it will not take it, and has not.
            StatusUnknown: the answer is lost, late, a duplicate's or of a broken server: `order` says what happened.
            Unauthenticated: the venue refuses the keys.
            BrokerUnavailable: the order was not sent, or was refused before it was looked at, as by a limit of calls.
        """

    def order(self, client_id: str, symbol: str) -> OrderReport | None:
        """The status of an order at the venue, ended ones too; None where the venue never got it.

        The exit of a bracket is known by `domain.trading.orders.exit_id` of its entry, from the entry's first fill on.

        Args:
            client_id: the client id of the order.
            symbol: the symbol of the order, as it is stored: a venue may keep a list of orders for each.

        Raises:
            As `account`.
        """

    def cancel(self, client_id: str, symbol: str) -> None:
        """Take an order back; nothing happens where it has ended, is being filled, or never was.

        Args:
            client_id: the client id of the order.
            symbol: the symbol of the order, as it is stored.

        Raises:
            As `account`.
        """

    def clock(self) -> Clock:
        """The venue's time and session.

        Raises:
            As `account`.
        """

    def rules(self, symbols: Sequence[str]) -> Mapping[str, Rules]:
        """The demands of the venue on orders, by symbol; a symbol that it does not know is left out.

        Raises:
            As `account`.
        """


@dataclass(frozen=True)
class ResultsReading:
    """The answer of a source about the results days of some symbols.

    Attributes:
        rows: columns as `domain.files.event_files.SCHEMA` has them.
        failures: the reason for each symbol of which it could not be asked, or knows nothing.
    """

    rows: pa.Table
    failures: Mapping[str, Permanent]


class ResultsSource(Protocol):
    """A source of results days."""

    @property
    def name(self) -> str:
        """The source as the user names it: `sec`, `yahoo` or a file."""

    @property
    def is_file(self) -> bool:
        """Whether it is a person's own file, of which everything is wanted."""

    def fetch(self, symbols: Sequence[str], since: date, *, advance: Callable[[int], None]) -> ResultsReading:
        """Ask for the results days of several symbols.

        Args:
            symbols: the symbols, as Yahoo spells them, without duplicates.
            since: the first date wanted, where the source has a past at all.
            advance: called with the number of symbols done since the last call, for a progress bar.

        Raises:
            SourceUnavailable: the source as a whole does not answer.
            UsageError: the source as a whole cannot be read.
        """


@dataclass(frozen=True)
class RunRecord:
    """Everything a registry keeps of a training beside its bundle, enough to repeat it.

    Attributes:
        parameters: the inputs of the training.
        metrics: the results of the training, where no bundle holds them.
        curves: losses by epoch, from the first on.
        datasets: the data by use: `training`, `evaluation`.
        artifacts: further files of the run, by file name.
        network: the trained network as its framework holds it; None where only the bundle is at hand.
        trained_here: whether this process trained it; only then are its code and libraries recorded.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    network: Any = None
    trained_here: bool = True


class ModelRegistry(Protocol):
    """The registry of trained models, with everything needed to repeat them."""

    @property
    def url(self) -> str:
        """The URL of the registry, as the user configured it."""

    def register(self, bundle: Bundle, record: RunRecord) -> Bundle:
        """Register a bundle as the next version of its name and return it with version and run id set.

        The new version takes the alias `challenger`.

        Args:
            bundle: the trained model; its metrics are stored too.
            record: the rest of the training.

        Raises:
            BundleError: the network is not valid ONNX.
            StoreUnavailable: try again.
        """

    def bundle(self, name: str, version: str) -> Bundle:
        """Read a registered version back, to the byte.

        Raises:
            BundleError: no such version is registered, or its files are damaged.
            StoreUnavailable: try again.
        """

    def versions(
        self, name: str, *, on_failure: Callable[[str, BundleError], None] = ...
    ) -> Sequence[RegisteredVersion]:
        """All versions of a model that can be read, newest first; empty where none is registered.

        Args:
            name: the registered name.
            on_failure: called with each version that cannot be read, and why; by default the log says so.

        Raises:
            StoreUnavailable: try again.
        """

    def aliased(self, name: str, alias: str) -> str | None:
        """The version that an alias names, or None.

        Raises:
            StoreUnavailable: try again.
        """

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version.

        Raises:
            BundleError: no such version is registered.
            StoreUnavailable: try again.
        """

    def newest(self, name: str) -> int:
        """The greatest number that a version has or that is left out; 0 where there is none.

        Raises:
            StoreUnavailable: try again.
        """

    def number_after(self, name: str, number: int) -> None:
        """Leave out all numbers up to one: the versions that are registered from now on get greater ones.

        Raises:
            StoreUnavailable: try again.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from what the block does in this way, too; a tracking server keeps nobody out.

        Raises:
            StoreUnavailable: another process does it all the time.
        """


# ---------------------------------------------------------------- drift


@dataclass(frozen=True)
class DriftReport:
    """The report on a day's drift, for people and for programs.

    Attributes:
        html: a self-contained page.
        json: the same figures for programs.
    """

    html: bytes
    json: bytes


class DriftReporter(Protocol):
    """Draws the columns that were compared, with the thresholds of the findings."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[DriftFinding]) -> DriftReport:
        """Draw a report.

        Args:
            seen: a column of numbers for each finding, by its name; NaN where a row has no such number.
            sample: the same columns from the training.
            findings: the decisions; the report shows the same scores.
        """


# ---------------------------------------------------------------- tear sheets


class Tearsheet(Protocol):
    """Draws the returns of a strategy with the field's usual figures."""

    def page(self, result: "Result", rival: "Result | None", *, title: str, said: Sequence[str]) -> str:
        """Draw a page that loads nothing.

        Args:
            result: the variant whose account is drawn, after costs.
            rival: the one that it is compared with.
            title: the title of the page.
            said: sentences that stand above every figure.

        Returns:
            HTML.

        Raises:
            UsageError: the variant never traded.
            EngineUnusable: these returns cannot be drawn.
        """


# ---------------------------------------------------------------- tuning


class Pruned(Exception):
    """Ends a trial early because its recipe shows no promise; it is not a failure."""


RecipeT = TypeVar("RecipeT")
"""The hyperparameters that a study varies: `Recipe` or `Boosting`."""


@dataclass(frozen=True)
class Trial(Generic[RecipeT]):
    """A finished trial of a study.

    Attributes:
        number: the number of the trial, from 0 on, in the order in which trials began.
        recipe: the hyperparameters of the trial.
        loss: the loss on the validation blocks, less is better; None if it was pruned.
    """

    number: int
    recipe: RecipeT
    loss: float | None


@dataclass(frozen=True)
class StudyResult(Generic[RecipeT]):
    """The trials of a study that have finished.

    Attributes:
        study: the name of the study.
        trials: the finished trials in the order in which they began; the first one's recipe is the default.
    """

    study: str
    trials: Sequence[Trial[RecipeT]]

    @property
    def default(self) -> Trial[RecipeT]:
        """The trial of the default recipe."""
        return self.trials[0]

    @property
    def best(self) -> Trial[RecipeT]:
        """The trial with the least loss; of equal ones the first, so that nothing changes for nothing."""
        return min(self.trials, key=lambda trial: math.inf if trial.loss is None else trial.loss)

    @property
    def pruned(self) -> int:
        """The number of trials that were pruned."""
        return sum(trial.loss is None for trial in self.trials)


Attempt = Callable[[int, RecipeT, Callable[[Epoch], None]], float]
"""Try a recipe: trial number, recipe and a callback for each epoch (which may raise `Pruned`) give its loss."""


class RecipeSearch(Protocol[RecipeT]):
    """A search for the best recipe, kept in studies that can be resumed."""

    @property
    def url(self) -> str:
        """The URL of the studies."""

    def run(self, study: str, default: RecipeT, attempt: Attempt[RecipeT], *, trials: int) -> Iterator[Trial[RecipeT]]:
        """Yield the finished trials of a study, then run more until there are `trials` of them.

        The first trial uses the default recipe. An interrupted trial does not count and is run again, so that an
        interrupted study ends as it would have without the interruption.

        Args:
            study: the name of the study, which is created if there is none.
            default: the recipe whose fields are varied.
            attempt: the training; `Pruned` ends the trial, any other exception ends the search.
            trials: total to finish, including those of earlier calls.

        Raises:
            UsageError: another process runs a study, or their file is damaged.
        """


class StudyLog(Protocol):
    """Records one study while it runs."""

    def trial(self, number: int, record: RunRecord, *, pruned: bool) -> None:
        """Record a finished trial.

        Raises:
            StoreUnavailable: try again.
        """

    def result(self, record: RunRecord) -> None:
        """Record the result of the study.

        Raises:
            StoreUnavailable: try again.
        """


class StudyTracker(Protocol):
    """Shows studies beside trainings, on the tracking server of the model registry."""

    def study(self, name: str, record: RunRecord) -> AbstractContextManager[StudyLog]:
        """Open the run of a study, or reopen it; on leaving it is marked as finished, stopped or failed.

        Args:
            name: the name of the study.
            record: the inputs that its trials share.

        Raises:
            StoreUnavailable: try again.
        """


# ---------------------------------------------------------------- alerts


@dataclass(frozen=True)
class Letter:
    """A message that is more than a few lines: each receiver gets the form that it can show.

    Attributes:
        title: the title, in a few words.
        text: plain text, which reads in any typeface.
        html: the same text as a page that loads nothing.
        picture: a PNG for receivers that take one; empty if there is none.
    """

    title: str
    text: str
    html: str
    picture: bytes = b""


class Notifier(Protocol):
    """A receiver of alerts, or of the digest."""

    @property
    def key(self) -> str:
        """A stable name that contains no secret, for the record of the alerts sent to this receiver."""

    @property
    def service(self) -> str:
        """The kind of receiver, safe to print."""

    def notify(self, title: str, text: str, severity: Severity) -> None:
        """Send a message.

        Args:
            title: the title, in a few words.
            text: plain text, one line an alert.
            severity: the severity of the most urgent alert.

        Raises:
            AlertUnavailable: the receiver did not accept it; try again.
        """

    def send(self, letter: Letter) -> None:
        """Send a letter, as a page with its picture where the receiver shows them.

        Raises:
            AlertUnavailable: the receiver did not accept it; try again.
        """
