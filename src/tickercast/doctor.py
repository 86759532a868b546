"""Asks every configured engine whether it answers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from tickercast import bootstrap, config
from tickercast.config import Settings
from tickercast.domain.bundle import CHAMPION
from tickercast.domain.forecast import Predictor
from tickercast.errors import TickercastError, UsageError


def checks(settings: Settings) -> Iterator[tuple[str, str, str, bool]]:
    """Asks every configured engine whether it answers, and makes ready what a forecast needs.

    Yields:
        For each part: what it is, where it is, what it says, and whether that is well.
    """
    store, tables = bootstrap.object_store(settings), bootstrap.warehouse(settings)
    yield _check(
        "warehouse", tables.url, lambda: f"{len(bootstrap.provisioned(store, tables).read('ingestions'))} ingestions"
    )
    yield _check("object store", store.url, lambda: f"{len(store.names(''))} objects")
    yield _check("champion", f"{store.url}/{CHAMPION}", lambda: _named(bootstrap.predictors(store)[0]))
    yield _check("market data", settings.source, lambda: _source_says(settings.source))
    yield _check("function", settings.function_url or "in this process", lambda: _function_says(settings))
    yield _check("model registry", settings.mlflow_tracking_uri, lambda: _registry_says(settings))


def _check(part: str, where: str, ask: Callable[[], str]) -> tuple[str, str, str, bool]:
    try:
        return part, where, ask(), True
    except TickercastError as error:
        return part, where, str(error), False


def _named(predictor: Predictor) -> str:
    return f"{predictor.name} version {predictor.version}"


def _source_says(name: str) -> str:
    source = bootstrap.market_data(name)
    if name == "yahoo":
        today = datetime.now(UTC).date()
        reading = source.fetch(["SPY"], today - timedelta(days=10), today, advance=lambda _: None)
        return f"SPY up to {reading.histories['SPY'].cutoff}" if reading.histories else str(reading.failures["SPY"])
    return f"ready: {source.name}"


def _function_says(settings: Settings) -> str:
    if not settings.function_url:
        return f"runs {config.resource('cloud_function') / 'main.py'}"
    return bootstrap.ping_function(settings.function_url)


def _registry_says(settings: Settings) -> str:
    try:
        return f"ready: {bootstrap.model_registry(settings).url}"
    except UsageError:
        return "not installed: only training needs it (make setup-dev)"
