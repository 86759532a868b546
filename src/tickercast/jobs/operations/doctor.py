"""Asks every configured engine whether it answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.config import Settings
from tickercast.domain.forecast import Predictor
from tickercast.domain.model_card import CHAMPION, MODEL
from tickercast.errors import TickercastError
from tickercast.ports import ObjectStore


def checks(settings: Settings) -> Iterator[tuple[str, str, str, bool]]:
    """Asks every configured engine whether it answers, and makes ready what a forecast needs.

    Yields:
        For each part: what it is, where it is, what it says, and whether that is well.
    """
    yield _check("object store", settings.bucket, lambda: f"{len(_store(settings).names(''))} objects")
    yield _check("warehouse", settings.warehouse, lambda: _warehouse_says(settings))
    yield _check("champion", CHAMPION, lambda: _named(bootstrap.predictors(bootstrap.model_store(settings))[0]))
    yield _check("market data", settings.source, lambda: _source_says(settings.source))
    yield _check("function", settings.function_url or "in this process", lambda: _function_says(settings))
    yield _check("alerts", "TICKERCAST_ALERT_URLS", lambda: _alerts_say(settings))
    yield _check("model registry", settings.mlflow_tracking_uri, lambda: _registry_says(settings))


def _check(part: str, where: str, ask: Callable[[], str]) -> tuple[str, str, str, bool]:
    try:
        return part, where, ask(), True
    except TickercastError as error:
        return part, where, str(error), False


def _store(settings: Settings) -> ObjectStore:
    return bootstrap.object_store(settings)


def _warehouse_says(settings: Settings) -> str:
    tables = bootstrap.provisioned(bootstrap.model_store(settings), bootstrap.warehouse(settings))
    return f"{len(tables.read('ingestions'))} ingestions"


def _named(predictor: Predictor) -> str:
    return f"{predictor.name} version {predictor.version}"


def _source_says(name: str) -> str:
    if name == "simulated":
        return "makes bars up for any symbol"
    if name != "yahoo":
        return f"{len(bootstrap.known_symbols(name))} symbols"
    today = datetime.now(UTC).date()
    reading = bootstrap.market_data(name).fetch(["SPY"], today - timedelta(days=10), today, advance=lambda _: None)
    for reason in reading.failures.values():
        raise reason
    return f"SPY up to {reading.histories['SPY'].cutoff}"


def _function_says(settings: Settings) -> str:
    if not settings.function_url:
        return f"runs {config.resource('cloud_function') / 'main.py'}"
    return bootstrap.ping_function(settings.function_url)


def _alerts_say(settings: Settings) -> str:
    services = [notifier.service for notifier in bootstrap.notifiers(settings)]
    return f"tells {', '.join(services)}" if services else "names nobody, so that nobody is told"


def _registry_says(settings: Settings) -> str:
    if not bootstrap.can_train():
        return "not installed: only training needs it (make setup-dev)"
    return f"{len(bootstrap.model_registry(settings).versions(MODEL))} versions of {MODEL}"
