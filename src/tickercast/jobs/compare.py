"""Look up the closes that really followed stored forecasts."""

from collections.abc import Mapping, Sequence
from datetime import date

from tickercast.jobs.collect import StoredForecast
from tickercast.ports import MarketData


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
