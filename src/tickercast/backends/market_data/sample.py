"""Market data that is installed with tickercast: five real stocks, 2000 to 2013, for use offline."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.bars import BAR_COLUMNS, Bars, Reading
from tickercast.errors import NoRecentBars, Permanent, UnknownSymbol

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")

_SPLITS = np.array([1.5, 2, 3, 4, 5, 7, 10, 20])
_SMALLEST_JUMP = 1.4  # a special dividend moves the factor too: MSFT's of 2004, the largest here, by 1.11


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
                series[symbol] = _in_range(_bars(symbol), first, last)
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
            + "Name one of those, or another source: --source yahoo, --source FOLDER or --source simulated."
        )
    from bokeh_sampledata import stocks  # the import reads all five

    raw = getattr(stocks, symbol)
    values = {name: np.array(raw[name], np.float64) for name in BAR_COLUMNS[1:]}
    days = np.array(raw["date"], "datetime64[D]")
    return Bars(symbol, {"session_date": days, **_split_adjusted(values)})


def _in_range(bars: Bars, first: date, last: date) -> Bars:
    inside = bars.since(first).through(last)
    if not len(inside):
        raise NoRecentBars(
            f"The sample has {bars.symbol} from {bars.first} to {bars.cutoff}, and bars from {first} to "
            f"{last} were needed. Name a date in that range, or another source: --source yahoo, --source FOLDER or "
            "--source simulated."
        )
    return inside


def _split_adjusted(raw: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    # The factor from the close to the adjusted close jumps on the day of a split, by the split's ratio.
    factor = raw["adj_close"] / raw["close"]
    jump = np.append(1.0, factor[1:] / factor[:-1])
    ratio = np.where(jump >= _SMALLEST_JUMP, _nearest_split(jump), 1.0)
    later_splits = np.append(np.cumprod(ratio[::-1])[::-1][1:], 1.0)
    prices = {name: raw[name] / later_splits for name in ("open", "high", "low", "close")}
    # On the day of a split the source states the volume in neither old nor new shares, but too low by the ratio.
    volume = raw["volume"] * later_splits * ratio
    return {**prices, "adj_close": raw["adj_close"] / factor[-1], "volume": volume}


def _nearest_split(jump: NDArray[np.float64]) -> NDArray[np.float64]:
    distances = np.abs(np.log(jump)[:, None] - np.log(_SPLITS))
    nearest: NDArray[np.float64] = _SPLITS[distances.argmin(axis=1)]
    return nearest
