"""Every error that tickercast raises on purpose.

    TickercastError
    ├── Permanent                trying again cannot help
    │   ├── UsageError           an argument or a setting is wrong
    │   │   └── InvalidName      an object of this name cannot exist
    │   ├── UnknownSymbol        the market data source does not know the symbol
    │   ├── NoResults            a source has no results day of the symbol
    │   ├── NoRecentBars         no bar, or no recent one, on or before `as_of`
    │   ├── InvalidBars          a file or its prices break the CSV contract
    │   │   └── BeyondLimits     a file holds more than is read
    │   ├── TooFewSessions       the series is shorter than the model needs
    │   ├── CalendarError        no sessions are known for the symbol or the dates
    │   ├── ObjectNotFound       the object, or that generation of it, does not exist
    │   ├── PreconditionFailed   another writer wrote the object first
    │   ├── SchemaMismatch       a stored table has another shape than its SQL file
    │   ├── BundleError          a model bundle is corrupt, truncated or mismatched
    │   ├── EngineUnusable       an engine is damaged, full, closed or of another version until somebody acts
    │   │   └── NotOffered       it knows no such request
    │   ├── OrderRefused         a venue will not take an order
    │   ├── NeverWritten         an event announces a write that the store knows nothing of
    │   ├── EndsItsProcess       every attempt at an event ended its process
    │   └── AccessDenied         a caller may not do what it asks for
    │       ├── Unauthenticated  its token is missing, wrong, expired or revoked
    │       ├── OutOfScope       its token is for other things
    │       └── QuotaSpent       its token has no calls left this month
    └── Transient                the same call may succeed later
        ├── SourceUnavailable    the market data source does not answer
        │   └── RateLimited      it refuses further requests for some time: not to be retried at once
        ├── StoreUnavailable     the object store does not answer
        ├── WarehouseUnavailable the warehouse does not answer, or is locked for too long
        │   ├── NotSetUp         nothing is there yet
        │   └── Outdated         it lacks a table or view, or has one of another release
        ├── FunctionUnavailable  the forecast function does not answer, or failed
        ├── ModelUnavailable     no model has been published where the function looks
        ├── EventUnreadable      an event arrived truncated or damaged
        ├── FlowUnavailable      the server of the daily flow does not answer
        ├── LeaseHeld            another run is at the same work
        ├── LeaseLost            another run may have begun the same work
        ├── BrokerUnavailable    a venue does not answer
        │   └── StatusUnknown    whether an order has arrived there is not known: ask before anything else
        └── AlertUnavailable     a receiver did not accept an alert

A message says what was seen, what was needed and what to do, in one or two sentences.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tickercast.plain import without_secrets


class TickercastError(Exception):
    """The base of all errors; `str(error)` is a message for users, in which no URL has a password."""

    def __init__(self, *given: object) -> None:
        super().__init__(*(without_secrets(each) if isinstance(each, str) else each for each in given))


def behind(*errors: BaseException) -> Iterator[BaseException]:
    """Errors and whatever they came of, each once."""
    left: list[BaseException | None] = [*errors]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            left += [each.__cause__, each.__context__]
            yield each


def without_frames(*errors: BaseException) -> None:
    """Let errors that are kept as values go of the frames that they came through, which hold whole files."""
    for each in behind(*errors):
        each.__traceback__ = None


class Permanent(TickercastError):
    """Trying again cannot help: acknowledge, record the reason, tell the user."""


class UsageError(Permanent):
    """An argument or a setting is wrong."""


class InvalidName(UsageError):
    """An object of this name cannot exist in any store."""


class UnknownSymbol(Permanent):
    """The market data source does not know the symbol.

    Args:
        given: the message.
        meant: the symbol that the message proposes instead; empty: none.
    """

    def __init__(self, *given: object, meant: str = "") -> None:
        super().__init__(*given)
        self.meant = meant


class NoResults(Permanent):
    """The source has no results day of the symbol."""


class NoRecentBars(Permanent):
    """The source has no bar, or no recent one, on or before `as_of`.

    Args:
        said: the message, or with a source what its message says after the source's name.
        source: the name of the source, where the message begins with it.
    """

    def __init__(self, said: str, source: str = "") -> None:
        super().__init__(f"{source} {said}" if source else said)
        self._said, self._source = said, source

    def of(self, source: str) -> "NoRecentBars":
        """The same under another name of the source."""
        return NoRecentBars(self._said, source) if self._source else self


class InvalidBars(Permanent):
    """A file or its prices break the CSV contract."""


class BeyondLimits(InvalidBars):
    """A file holds more than is read, however it is read."""


class TooFewSessions(Permanent):
    """The series is shorter than the model needs."""


class CalendarError(Permanent):
    """No sessions are known for the symbol or for the dates."""


class ObjectNotFound(Permanent):
    """The object, or that generation of it, does not exist."""


class PreconditionFailed(Permanent):
    """The object's generation is not the one that the write expected."""


class SchemaMismatch(Permanent):
    """A stored table has another shape than its SQL file."""


class BundleError(Permanent):
    """A model bundle is corrupt, truncated or does not match its description."""


class EngineUnusable(Permanent):
    """An engine is damaged, full, closed to us or of another version, and stays so until somebody acts."""


class NotOffered(EngineUnusable):
    """The store behind a protocol does not know a request, or a header of it."""


class OrderRefused(Permanent):
    """A venue will not take an order, and has not taken it."""


class NeverWritten(Permanent):
    """An event announces a write that the store knows nothing of."""


class EndsItsProcess(Permanent):
    """Every attempt at an event ended its process."""


class AccessDenied(Permanent):
    """A caller may not do what it asks for."""


class Unauthenticated(AccessDenied):
    """A caller's token is missing, wrong, expired or revoked."""


class OutOfScope(AccessDenied):
    """A caller's token is for other things."""


class QuotaSpent(AccessDenied):
    """A caller's token has no calls left this month.

    Attributes:
        limit: the calls that it had.
    """

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class Transient(TickercastError):
    """The same call may succeed later: raise, so that the platform retries."""


class SourceUnavailable(Transient):
    """The market data source does not answer."""


class RateLimited(SourceUnavailable):
    """The source refuses further requests for some time; to ask at once again would prolong it."""


class StoreUnavailable(Transient):
    """The object store does not answer."""


class WarehouseUnavailable(Transient):
    """The warehouse does not answer, or stayed locked for too long."""


class NotSetUp(WarehouseUnavailable):
    """The warehouse holds nothing yet, until it is provisioned."""


class Outdated(WarehouseUnavailable):
    """The warehouse lacks some table or view, or has one of another release, until it is provisioned."""


class FunctionUnavailable(Transient):
    """The forecast function does not answer, or failed for a transient reason."""


class ModelUnavailable(Transient):
    """No model has been published where the function looks for one."""


class EventUnreadable(Transient):
    """An event arrived truncated or damaged: refuse it, so that it is delivered again."""


class FlowUnavailable(Transient):
    """The server of the daily flow does not answer."""


class LeaseHeld(Transient):
    """Another run is at the same work, and holds its lease."""


class LeaseLost(Transient):
    """A run could not renew its lease, and another one may have begun the same work."""


class BrokerUnavailable(Transient):
    """A venue does not answer."""


class StatusUnknown(BrokerUnavailable):
    """Whether an order has arrived at the venue is not known: ask for it by its client id before anything else."""


class AlertUnavailable(Transient):
    """A receiver did not accept an alert."""


def retry_if_transient(task: object, run: object, state: Any) -> bool:
    """Tell Prefect to retry a task whose error may pass in a minute; a `retry_condition_fn`."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, Transient) and not isinstance(error, RateLimited)


def not_installed(what: str, packages: Sequence[str], extra: str) -> UsageError:
    """The error where packages of an extra are missing; nothing is fetched by this project's name from an index.

    >>> for sentence in str(not_installed("The API", ["fastapi", "uvicorn"], "api")).split(" Run "):
    ...     print(sentence)
    The API needs fastapi, uvicorn, which are not installed.
    `make setup-dev`, or `.venv/bin/pip install -e '.[api]'`, in the checkout.

    Args:
        what: needs them.
        packages: by the names by which they are imported.
        extra: those of `pyproject.toml` that have them, separated by commas.
    """
    verb = "are" if len(packages) > 1 else "is"
    return UsageError(
        f"{what} needs {', '.join(packages)}, which {verb} not installed. Run `make setup-dev`, or "
        f"`.venv/bin/pip install -e '.[{extra}]'`, in the checkout."
    )
