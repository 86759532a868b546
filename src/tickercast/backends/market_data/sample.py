"""Market data that is installed with tickercast: five real stocks, 2000 to 2013, for use offline."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.domain.files.price_splits import later_splits, splits
from tickercast.errors import Permanent, UnknownSymbol

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


class Sample:
    """The daily bars of bokeh-sampledata, adjusted for splits as Yahoo's are."""

    name = "sample"
    simulated = False

    def symbols(self) -> Sequence[str]:
        """The five symbols."""
        return SYMBOLS

    def fetch(self, symbols: Sequence[str], first: date, last: date, *, advance: Callable[[int], None]) -> Reading:
        """Read the bars of the symbols in the sample; see `ports.MarketData`."""
        series: dict[str, Bars] = {}
        failures: dict[str, Permanent] = {}
        for symbol in symbols:
            try:
                series[symbol] = _bars(symbol).between(first, last, "The sample")
            except Permanent as error:
                failures[symbol] = error
            advance(1)
        return Reading(series, failures)


def _bars(symbol: str) -> Bars:
    if symbol not in SYMBOLS:
        close = difflib.get_close_matches(symbol, SYMBOLS, n=1)
        raise UnknownSymbol(
            f"The sample does not hold {symbol}: it has {', '.join(SYMBOLS)}. "
            + (f"Did you mean {close[0]}? " if close else "")
            + "Name one of those, or another source: --source yahoo, --source FOLDER or --source simulated.",
            meant=close[0] if close else "",
        )
    from bokeh_sampledata import stocks  # the import reads all five

    raw = getattr(stocks, symbol)
    values = {name: np.array(raw[name], np.float64) for name in BAR_COLUMNS[1:]}
    days = np.array(raw["date"], "datetime64[D]")
    return Bars(symbol, {"session_date": days, **_split_adjusted(values)})


def _split_adjusted(raw: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    numbers = np.zeros(len(raw["close"]), np.intp)
    at, ratios = splits(numbers, raw["close"], raw["adj_close"])
    later = later_splits(numbers, at, ratios)
    factor = raw["adj_close"][-1] / raw["close"][-1]
    prices = {name: raw[name] / later for name in ("open", "high", "low", "close")}
    volume = raw["volume"] * later
    volume[at] *= ratios  # on the day of a split the source states it in neither old nor new shares, but too low
    return {**prices, "adj_close": raw["adj_close"] / factor, "volume": volume}
