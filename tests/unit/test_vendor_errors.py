"""Each exception class of Google's libraries, Prefect, httpx and others, where it arises, ends in a sentence."""

import concurrent.futures
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import alpaca.common.exceptions
import exchange_calendars
import google.cloud.storage.exceptions
import httpx
import numpy as np
import pandas as pd
import pandas_gbq.exceptions
import prefect.exceptions
import pytest
import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from prefect.settings import get_current_settings

from tickercast import config
from tickercast.backends import drift_evidently, flow_prefect
from tickercast.backends.alerts_apprise import receivers
from tickercast.backends.brokers import alpaca as of_alpaca
from tickercast.backends.brokers import venue as of_venues
from tickercast.backends.object_store import gcs_errors as of_storage
from tickercast.backends.object_store.local import LocalObjectStore
from tickercast.backends.warehouse import bigquery_errors as of_bigquery
from tickercast.domain import calendar
from tickercast.errors import AlertUnavailable, CalendarError, EngineUnusable, TickercastError
from tickercast.model_store import ModelStore
from tickercast.models import catalogue


def kinds(*modules: Any) -> Iterator[type[Exception]]:
    for module in modules:
        found = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Exception)]
        found = [each for each in found if each.__module__.partition(".")[0] == module.__name__.partition(".")[0]]
        unused = "Async", "resumable_media"  # clients that nothing here uses
        found = [each for each in found if not any(word in f"{each.__module__}.{each.__name__}" for word in unused)]
        yield from sorted({each for each in found if not issubclass(each, Warning)}, key=str)


def made(kind: type[Exception]) -> Exception:
    answer = requests.Response()
    answer.status_code = 400
    if kind.__name__ in ("DataCorruption", "InvalidResponse"):
        return kind(answer, "seen")
    cause = ValueError("cause")
    for arguments in (("seen",), (answer, "seen"), ("seen", cause), ("seen", "", 0), ({"reason": "seen"},), ()):
        try:
            return kind(*arguments)
        except (TypeError, AttributeError):
            continue
    return kind.__new__(kind)


ORDERS = list(kinds(alpaca.common.exceptions, requests.exceptions, urllib3.exceptions))
Port = Callable[[], AbstractContextManager[None]]
PORTS: dict[str, tuple[Port, list[type[Exception]]]] = {
    "bucket": (
        lambda: of_storage.translated("gs://bucket", "ohlc/x.csv"),
        [*kinds(api, auth, requests.exceptions, google.cloud.storage.exceptions), ConnectionResetError],
    ),
    "warehouse": (
        lambda: of_bigquery.translated("bigquery://p/d", 60.0, 1000.0),
        [*kinds(api, auth, requests.exceptions, pandas_gbq.exceptions), concurrent.futures.TimeoutError],
    ),
    "flow": (flow_prefect.server, list(kinds(prefect.exceptions, httpx))),
    "order": (lambda: of_alpaca.translated("order-1"), [*ORDERS, ConnectionResetError]),
    "account": (of_alpaca.translated, ORDERS),
    "coins": (lambda: of_venues.asking("Binance"), [*kinds(requests.exceptions, urllib3.exceptions), TimeoutError]),
}
CASES = [
    pytest.param(port, kind, id=f"{name}-{kind.__module__}.{kind.__name__}")
    for name, (port, found) in PORTS.items()
    for kind in found
]


@pytest.mark.parametrize(("port", "kind"), CASES)
def test_every_exception_is_a_sentence(port: Port, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(TickercastError) as raised, port():
        raise made(kind)
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


# Libraries without exceptions of their own: whatever comes out of them.


@pytest.mark.parametrize("kind", list(kinds(exchange_calendars.errors)))
def test_a_calendar_that_cannot_be_worked_out_is_a_sentence(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"__init__": lambda self: None, "__str__": lambda self: "seen"}  # each takes a built calendar

    def refuse(*_: object, **__: object) -> None:
        raise type(kind.__name__, (kind,), said)()

    monkeypatch.setattr(exchange_calendars, "get_calendar", refuse)
    monkeypatch.setattr(calendar, "_BUILT", {})
    calendar._bounds.cache_clear()
    with pytest.raises(CalendarError, match=r"sessions of XNYS.*Install the release that requirements\.txt names\.$"):
        calendar.sessions_between("MSFT", date(1995, 7, 3), date(1995, 7, 5))


ANY = (RuntimeError, ValueError, KeyError, TypeError, MemoryError, OSError)


@pytest.mark.parametrize("kind", ANY)
def test_a_network_that_does_not_run_is_a_sentence(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    model = catalogue.load_bundle(ModelStore(LocalObjectStore(Path("nowhere")), config.resource("shipped")).shipped)
    monkeypatch.setattr(model, "_session", SimpleNamespace(run=fails(kind)))
    with pytest.raises(EngineUnusable, match=r"onnxruntime .* cannot run tickercast-lstm 1 on 3 windows: .*seen.*"):
        model.answer(np.zeros((3, 1, 1), np.float32), np.zeros((3, 1), np.float32))


@pytest.mark.parametrize("kind", ANY)
def test_a_report_that_cannot_be_drawn_is_a_sentence(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_evidently, "_metric", fails(kind))
    rows = pd.DataFrame({"x": [1.0, 2.0]})
    found: Any = SimpleNamespace(name="x")
    with pytest.raises(EngineUnusable, match=r"Evidently .* cannot draw the drift report .*seen.*Install the release"):
        drift_evidently.EvidentlyReporter().report(rows, rows, [found])


@pytest.mark.parametrize("kind", ANY)
def test_a_receiver_that_fails_is_a_sentence_without_its_secrets(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    [receiver] = receivers("json://user:secret@127.0.0.1", "TICKERCAST_ALERT_URLS")
    monkeypatch.setattr(receiver._apprise, "notify", fails(kind))
    with pytest.raises(AlertUnavailable, match="did not accept the message") as raised:
        receiver.notify("title", "text", "warning")
    assert "seen" not in str(raised.value)


def fails(kind: type[Exception]) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise kind("seen")

    return fail


def test_the_console_leaves_what_a_flow_raises_to_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.logging.handlers import PrefectConsoleHandler

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    console, root = PrefectConsoleHandler(), logging.getLogger()
    root.addHandler(console)

    def is_shown(name: str, level: int) -> bool:
        return bool(console.filter(logging.makeLogRecord({"name": name, "levelno": level})))

    try:
        with flow_prefect.server():
            assert not is_shown("prefect.flow_runs", logging.ERROR)
            assert not is_shown("prefect.task_runs", logging.ERROR)
            assert is_shown("prefect.task_runs", logging.WARNING)
            assert is_shown("prefect.server", logging.ERROR)
        assert is_shown("prefect.flow_runs", logging.ERROR)
    finally:
        root.removeHandler(console)


def test_sigterm_interrupts_a_flow_so_that_its_server_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_prefect, "_silence", lambda: None)
    monkeypatch.setattr(get_current_settings().client, "max_retries", 5)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), flow_prefect.server():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_after_a_signal_prefect_says_nothing_of_its_server_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server of a flow is of its group, and has ended before the flow."""
    from prefect.logging.handlers import PrefectConsoleHandler

    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(get_current_settings().client, "max_retries", 5)
    prefects = logging.getLogger("prefect._internal")
    monkeypatch.setattr(prefects, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(logging.root, "handlers", [PrefectConsoleHandler()])

    def interrupted() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            prefects.error("Service 'EventsWorker' failed to process item UUID(...)")
            logging.getLogger("prefect.made_since").error("Still processing items")
            assert not logging.raiseExceptions  # or Prefect writes "Error logging to API" past its handlers
            raise httpx.ConnectError("Connection refused")

    with pytest.raises(KeyboardInterrupt), flow_prefect.server(), flow_prefect.interruptible():
        interrupted()
    assert capsys.readouterr().err == ""
