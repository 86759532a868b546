"""Shared parts of the Prefect flows: tasks around jobs, task runners, and the server with its errors as ours."""

import functools
import logging
import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from tickercast import logs
from tickercast.errors import FlowUnavailable, UsageError, retry_if_transient
from tickercast.plain import shortened

if TYPE_CHECKING:
    from prefect import Task
    from prefect.task_runners import TaskRunner

R = TypeVar("R")

_PATIENCE_S = 10.0
_TOLD_BY = ("prefect.flow_runs", "prefect.engine")  # the loggers of a flow that fails
_LONGEST = 500  # characters of what Prefect's pages say of a run
_RUNS = ("prefect.flow_runs", "prefect.task_runs")  # the loggers of what flows and tasks raise
_OF_THE_SERVER = re.compile(r"reach API|API server|ephemeral")


@contextmanager
def server() -> Iterator[None]:
    """Check that the server of PREFECT_API_URL can be reached, and raise Prefect's errors of the block as ours.

    What a run or a task raises is for the caller to say: the console shows no traceback of it, Prefect's pages do.
    SIGTERM interrupts the block as Ctrl-C does, so that Prefect's own server ends with it, and what Prefect says of a
    server that is gone is not shown.

    Raises:
        FlowUnavailable: the server cannot be reached, or no longer.
        UsageError: something else is at that address.
    """
    from prefect.exceptions import PrefectException, PrefectImportError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url or ""
    if url:
        with logs.waiting_for(f"waiting for the Prefect server at {url}, up to {_PATIENCE_S:.0f} s"):
            _check(url)
    vendors: tuple[type[Exception], ...] = (PrefectException, PrefectImportError, *_of_httpx())
    _ENDING.clear()
    try:
        with _console_without_failures(), interruptible():
            yield
    except vendors as error:
        if _ENDING.is_set():
            raise KeyboardInterrupt from error
        raise _unavailable(url, error) from error
    except RuntimeError as error:
        if _ENDING.is_set():
            raise KeyboardInterrupt from error
        if not _OF_THE_SERVER.search(str(error)):
            raise
        raise _unavailable(url, error) from error


class Undone(Exception):
    """Ends a run as failed on Prefect's pages, though it has a result: something in it could not be done.

    Attributes:
        result: the result of the flow.
    """

    def __init__(self, said: str, result: Any = None) -> None:
        super().__init__(said)
        self.result = result

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Leave the result out of the file in which Prefect keeps what a run has raised."""
        return type(self), (str(self),)


def outcome(result: R, undone: Mapping[str, str]) -> R:
    """The result of a flow.

    Args:
        result: the result.
        undone: what could not be done, each with the reason.

    Raises:
        Undone: something could not be done; `result_of` gives the result all the same.
    """
    if undone:
        for name in _TOLD_BY:
            logging.getLogger(name).addFilter(_without_traceback)
        raise Undone(shortened(" ".join(f"{name}: {why}" for name, why in undone.items()), _LONGEST), result)
    return result


def _without_traceback(record: logging.LogRecord) -> bool:
    """Show the sentence alone of a run that failed with `Undone`: no code is at fault."""
    if record.exc_info and isinstance(record.exc_info[1], Undone):
        record.exc_info = None
    return True


def result_of(flow: Callable[..., Any], *words: Any) -> Any:
    """Run a flow, and return its result, also where something could not be done."""
    try:
        return flow(*words)
    except Undone as error:
        return error.result


class Artifact(Protocol):
    """A table, or a text in Markdown, that Prefect shows beside a task."""

    @property
    def key(self) -> str:
        """The name of the artifact."""

    @property
    def description(self) -> str:
        """A line about it, in Markdown."""

    @property
    def kind(self) -> Literal["table", "markdown"]:
        """The form in which it is shown."""

    @property
    def content(self) -> Any:
        """The rows of a table, or a text."""


def as_task(
    job: Callable[..., Any], *, retried: bool, artifacts: Callable[[Any], Iterable[Artifact]]
) -> "Task[..., Any]":
    """A Prefect task around a job, of the same name.

    Args:
        job: the job.
        retried: whether to try it again, three times, after a fault that may pass.
        artifacts: makes what to show beside the task, from the job's result.
    """
    from prefect import artifacts as pages
    from prefect import task
    from prefect.cache_policies import NO_CACHE
    from prefect.tasks import exponential_backoff

    @functools.wraps(job)
    def step(*args: Any, **kwargs: Any) -> Any:
        result = job(*args, **kwargs)
        for made in artifacts(result):
            create = pages.create_table_artifact if made.kind == "table" else pages.create_markdown_artifact
            create(made.content, key=made.key, description=made.description)
        return result

    retries: dict[str, Any] = {"retries": 3, "retry_delay_seconds": exponential_backoff(10), "retry_jitter_factor": 0.5}
    options = retries if retried else {}
    return task(name=job.__name__, cache_policy=NO_CACHE, retry_condition_fn=retry_if_transient, **options)(step)


def task_runner(workers: int, *, dask: bool) -> "TaskRunner[Any]":
    """A task runner of so many threads, or of as many processes of a Dask cluster on this machine."""
    if not dask:
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner(max_workers=workers)
    from prefect_dask.task_runners import DaskTaskRunner

    cluster = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    return DaskTaskRunner(cluster_kwargs=cluster)


def show_lines_of(logger: str) -> None:
    """Send the lines of a logger to the page of the run that they are logged in."""
    from prefect.logging.handlers import APILogHandler

    log = logging.getLogger(logger)
    if not any(isinstance(handler, APILogHandler) for handler in log.handlers):
        log.addHandler(APILogHandler())


@contextmanager
def _console_without_failures() -> Iterator[None]:
    from prefect.logging.handlers import PrefectConsoleHandler

    def is_shown(record: logging.LogRecord) -> bool:
        return not (record.levelno >= logging.ERROR and record.name.startswith(_RUNS))

    consoles = [one for one in logging.getLogger().handlers if isinstance(one, PrefectConsoleHandler)]
    for console in consoles:
        console.addFilter(is_shown)
    try:
        yield
    finally:
        for console in consoles:
            console.removeFilter(is_shown)


_ENDING = threading.Event()
"""Whether a signal has interrupted the flow of this process."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt the block as Ctrl-C does, and Prefect print nothing from then on.

    A signal to the whole group ends Prefect's own server, too, of which its loggers would tell at length. Flows use it
    inside as well: Prefect has a handler of its own there, which waits for all tasks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chosen = [one for one in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, _interrupt) for one in chosen}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    from prefect.settings import get_current_settings

    _ENDING.set()
    _silence()
    get_current_settings().client.max_retries = 0  # it would ask a server that is gone for a minute
    signal.default_int_handler(number, frame)


def _silence() -> None:
    """Keep Prefect from printing, by its handlers or, where it cannot send their lines, past them."""
    logging.raiseExceptions = False
    loggers = [log for name, log in logging.root.manager.loggerDict.items() if name.startswith("prefect")]
    own = [handler for log in loggers if isinstance(log, logging.Logger) for handler in log.handlers]
    own += [handler for handler in logging.root.handlers if type(handler).__module__.startswith("prefect")]
    for handler in own:
        handler.setLevel(logging.CRITICAL + 1)


def _of_httpx() -> tuple[type[Exception], ...]:
    import httpx

    return httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict


def _check(url: str) -> None:
    import httpx

    try:
        answer = httpx.get(f"{url}/health", timeout=_PATIENCE_S)
    except _of_httpx() as error:
        said = "it does not answer" if isinstance(error, httpx.TimeoutException) else _one_line(error)
        raise FlowUnavailable(
            f"No Prefect server can be reached at {url}: {said}. Start it with `make flow-server`, correct "
            "PREFECT_API_URL, or unset it to run without one."
        ) from error
    if answer.status_code == 404 or (answer.is_success and "html" in answer.headers.get("content-type", "")):
        raise UsageError(f"At {url} is no Prefect server. Correct PREFECT_API_URL, which ends in /api, or unset it.")


def _unavailable(url: str, error: Exception) -> FlowUnavailable:
    where = f"The Prefect server at {url}" if url else "Prefect's own server, which a flow without one starts,"
    return FlowUnavailable(
        f"{where} failed: {_one_line(error)}. Look at its log, then run the flow again: what is done is not done twice."
    )


def _one_line(error: Exception) -> str:
    said = re.sub(r"^\[Errno -?\d+\] ", "", " ".join(str(error).split()))
    return shortened(said, 200) or type(error).__name__
