"""Look up the closes that really followed stored forecasts, and what their model had seen by then."""

from collections.abc import Mapping, Sequence
from datetime import date

from tickercast.jobs.champion.model_store import read_version
from tickercast.jobs.requests.results import StoredForecast
from tickercast.ports import MarketData, ObjectStore


def compare(forecasts: Sequence[StoredForecast], *, source: MarketData) -> dict[str, Mapping[date, float]]:
    """Fetches the closes of the target dates, for each symbol as far as the source has them.

    Args:
        forecasts: one a symbol.
        source: where their bars came from, so that splits are adjusted alike.

    Raises:
        Transient: the source does not answer.
    """
    if not forecasts:
        return {}
    first = min(made.steps[0]["target_date"] for made in forecasts)
    last = max(made.steps[-1]["target_date"] for made in forecasts)
    reading = source.fetch([made.symbol for made in forecasts], first, last, advance=lambda _: None)
    return {
        symbol: dict(zip(history.bars["session_date"].dt.date, history.bars["close"].astype(float), strict=True))
        for symbol, history in reading.histories.items()
    }


def learned_through(forecasts: Sequence[StoredForecast], *, store: ObjectStore) -> dict[str, date]:
    """The last date that the model of each symbol's forecast was trained on: a forecast up to there is no test of it.

    Args:
        forecasts: one a symbol.
        store: where the models are published.

    Raises:
        ModelUnavailable, BundleError: a version is not there, or damaged.
        StoreUnavailable: try again.
    """
    versions = {(made.model_name, made.model_version) for made in forecasts}
    through = {version: read_version(store, *version).card.trained_through for version in versions}
    return {made.symbol: through[made.model_name, made.model_version] for made in forecasts}
