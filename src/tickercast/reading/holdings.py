r"""A portfolio as a file: symbols, shares, and where it holds other currencies, the series of their rates.

>>> made = read_holdings("symbol,shares,fx\nMSFT,100,\nVOD.L,-2000,GBPUSD=X\n", "holdings.csv")
>>> made.currency, [(held.symbol, held.shares, held.fx) for held in made.holdings]
('USD', [('MSFT', 100.0, ''), ('VOD.L', -2000.0, 'GBPUSD=X')])
>>> made.symbols
['MSFT', 'VOD.L', 'GBPUSD=X']
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickercast.domain.symbols import parse_symbol
from tickercast.domain.text import shown
from tickercast.domain.titled_csv import titled_lines
from tickercast.domain.trading.currency import base_of, currency_of, units_of
from tickercast.errors import UsageError
from tickercast.reading.outlook import Outlook

Floats = NDArray[np.float64]

MOST = 500
"""Holdings of a portfolio, at most."""

LEAST_SHARES, MOST_SHARES = 1e-18, 1e15
"""The smallest part of a coin, and more than there is of anything: values and their squares stay numbers."""


@dataclass(frozen=True)
class Holding:
    """One line of a portfolio.

    Attributes:
        symbol: the series.
        shares: the number of shares; negative for a short position.
        fx: the rate from the symbol's currency into the portfolio's; empty where they are the same.
        unit: the symbol's currency in units of the rate's currency: 0.01 for pence.
    """

    symbol: str
    shares: float
    fx: str = ""
    unit: float = 1.0


@dataclass(frozen=True)
class Holdings:
    """A portfolio.

    Attributes:
        holdings: the holdings, at least one, each symbol once.
        currency: the currency in which the portfolio is valued.
    """

    holdings: Sequence[Holding]
    currency: str

    @property
    def symbols(self) -> list[str]:
        """The series that value it: holdings, then rates, each once."""
        rates = [held.fx for held in self.holdings if held.fx]
        return list(dict.fromkeys([*(held.symbol for held in self.holdings), *rates]))


@dataclass(frozen=True)
class PortfolioOutlook:
    """The distribution of a portfolio's value.

    Attributes:
        held: the portfolio.
        outlook: the joint paths of its holdings and rates.
        exposures: `(holdings,)`, the value of each at the cutoff, in the portfolio's currency; negative if short.
        parts: `(holdings, dates, paths)`, the gain of each up to each of the outlook's dates; 0 of one that has not
            traded by then.
    """

    held: Holdings
    outlook: Outlook
    exposures: Floats
    parts: Floats

    @property
    def gains(self) -> Floats:
        """`(dates, paths)`, of the whole."""
        found: Floats = self.parts.sum(axis=0)
        return found

    def gain(self, growth: Floats) -> float:
        """The gain of the whole where each symbol has grown so: `growth` is `(symbols,)`, close over close."""
        return float(_parts(self.held, self.outlook, self.exposures, growth).sum())


def valued(held: Holdings, found: Outlook, closes: Floats | None = None) -> PortfolioOutlook:
    """Value a portfolio on each path.

    Args:
        held: the portfolio.
        found: joint paths of all its `symbols`.
        closes: `(symbols,)` at the cutoff; None: those of the forecasts, which a later split does not change.
    """
    place = _places(found)
    closes = np.array([made.last_close for made in found.forecasts]) if closes is None else closes
    exposures = np.array(
        [
            each.shares * each.unit * closes[place[each.symbol]] * (closes[place[each.fx]] if each.fx else 1.0)
            for each in held.holdings
        ]
    )
    grown = np.exp(found.closes.astype(np.float64))
    return PortfolioOutlook(held, found, exposures, _parts(held, found, exposures, grown))


def _places(found: Outlook) -> dict[str, int]:
    return {made.symbol: number for number, made in enumerate(found.forecasts)}


def _parts(held: Holdings, found: Outlook, exposures: Floats, grown: Floats) -> Floats:
    """The gain of each holding, `(holdings, …)`, where the symbols have grown by `grown`, `(symbols, …)`."""
    place = _places(found)
    growth = [grown[place[each.symbol]] * (grown[place[each.fx]] if each.fx else 1.0) for each in held.holdings]
    return np.stack([worth * (grew - 1) for worth, grew in zip(exposures, growth, strict=True)])


def read_holdings(text: str, name: str) -> Holdings:
    """Read `symbol,shares[,fx]`, one holding a line, the titles in the first.

    Args:
        text: the content of the file.
        name: the name of the file, for errors.

    Raises:
        UsageError: the text is no such file, or names several currencies without a rate.
    """
    titles, lines = titled_lines(text, name)
    if not {"symbol", "shares"} <= set(titles) or len(set(titles)) < len(titles):
        raise UsageError(
            f"{name} begins with {shown(text.splitlines()[0], 60) if text.strip() else 'nothing'}: the titles "
            "symbol,shares were needed, each once, and fx where it holds several currencies."
        )
    found: dict[str, Holding] = {}
    for number, line in lines:
        where = f"{name}, line {number}"
        if more := line.pop(None, None):
            raise UsageError(
                f"{where} has {len(titles) + len(more)} cells, and the titles are {len(titles)}: as many were needed. "
                "Correct the line; a number is written without commas between its thousands, such as 1000."
            )
        held = _holding(line, where)
        if held.symbol in found:
            raise UsageError(f"{name} has {held.symbol} twice, and once was needed. Add the shares up.")
        found[held.symbol] = held
    if not 0 < len(found) <= MOST:
        raise UsageError(
            f"{len(found):,} holdings were seen in {name}, and one to {MOST} were needed: lines of symbol,shares "
            "below the titles. Correct it."
        )
    return Holdings(list(found.values()), _currency(list(found.values()), name))


def _holding(line: Mapping[str, str], where: str) -> Holding:
    symbol, fx = _symbol(line["symbol"] or "", where), (line.get("fx") or "").strip()
    word = (line["shares"] or "").strip()
    try:
        shares = float(word.replace("_", "x"))
    except ValueError:
        shares = math.nan
    if not LEAST_SHARES <= abs(shares) <= MOST_SHARES:
        raise UsageError(
            f"{where}: {shown(word, 20) or 'nothing'} is no number of shares: one from {LEAST_SHARES:g} to "
            f"{MOST_SHARES:g} was needed, such as 100, or -100 for a short position."
        )
    if not fx:
        return Holding(symbol, shares)
    unit, factor = units_of(currency_of(symbol))
    rate = _symbol(fx, where)
    if unit and currency_of(rate) == unit:
        raise UsageError(
            f"{where}: {rate} gives {unit}, in which {symbol} is quoted already: no rate was needed. Leave fx empty."
        )
    if base_of(rate) != unit:
        raise UsageError(
            f"{where}: {rate} is the price of {base_of(rate) or 'no currency'}, and {symbol} is quoted in "
            f"{currency_of(symbol) or 'no currency that is known'}: a rate such as {_rate(unit)} was needed."
        )
    return Holding(symbol, shares, rate, factor)


def _symbol(text: str, where: str) -> str:
    try:
        return parse_symbol(text.strip())
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _rate(unit: str) -> str:
    return f"{unit or 'EUR'}{'EUR' if unit == 'USD' else 'USD'}=X"


def _currency(holdings: Sequence[Holding], name: str) -> str:
    """The one currency of all holdings, or of their rates."""
    by_currency: dict[str, str] = {}
    for held in holdings:
        by_currency.setdefault(currency_of(held.fx or held.symbol), held.symbol)
    if len(by_currency) > 1:
        several = ", ".join(f"{symbol} in {currency or 'an unknown one'}" for currency, symbol in by_currency.items())
        raise UsageError(
            f"{name} holds several currencies ({several}): one was needed. Name the rate in a column fx, such as "
            "GBPUSD=X beside VOD.L, and forecast that rate, too."
        )
    return next(iter(by_currency))
