"""The currency in which a symbol is quoted, as Yahoo spells it: `GBp` are pence, `ZAc` cents, `ILA` agorot.

>>> currency_of("MSFT"), currency_of("VOD.L"), currency_of("ETH-USD"), currency_of("EURUSD=X")
('USD', 'GBp', 'USD', 'USD')
>>> units_of("GBp")
('GBP', 0.01)
"""

from tickercast.domain import spelling
from tickercast.domain.calendar import ALWAYS_OPEN, calendar_name
from tickercast.errors import CalendarError

_SUFFIXES = {
    "USD": ".IL",
    "GBp": ".L",
    "EUR": ".AS .AT .BE .BR .DE .DU .F .HA .HE .HM .IR .LS .MA .MC .MI .MU .PA .RG .SG .TI .TL .VI .VS",
    "CHF": ".SW",
    "SEK": ".ST",
    "DKK": ".CO",
    "NOK": ".OL",
    "ISK": ".IC",
    "PLN": ".WA",
    "CZK": ".PR",
    "HUF": ".BD",
    "TRY": ".IS",
    "ILA": ".TA",
    "ZAc": ".JO",
    "SAR": ".SR",
    "CAD": ".CN .NE .TO .V",
    "AUD": ".AX .XA",
    "NZD": ".NZ",
    "JPY": ".T",
    "HKD": ".HK",
    "CNY": ".SS .SZ",
    "KRW": ".KQ .KS",
    "TWD": ".TW .TWO",
    "SGD": ".SI",
    "INR": ".BO .NS",
    "IDR": ".JK",
    "MYR": ".KL",
    "THB": ".BK",
    "BRL": ".SA",
    "MXN": ".MX",
    "ARS": ".BA",
    "CLP": ".SN",
}
_CURRENCIES = {suffix: currency for currency, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_HUNDREDTHS = {"GBp": "GBP", "ZAc": "ZAR", "ILA": "ILS"}


def currency_of(symbol: str) -> str:
    """The currency of a symbol's prices; empty where its suffix tells none.

    Raises:
        CalendarError: the symbol's exchange is not known.
    """
    if symbol.endswith("=X"):
        pair = symbol.removesuffix("=X")
        return pair[-3:]
    if symbol.endswith("=F"):
        return "USD"
    if symbol.startswith("^"):
        return ""
    if calendar_name(symbol) == ALWAYS_OPEN:
        return symbol.rpartition("-")[2]
    _, dot, suffix = symbol.rpartition(".")
    return _CURRENCIES.get(f".{suffix}", "") if dot else "USD"


def paid_in(symbol: str) -> str:
    """The currency in which a symbol is bought; coins that stand for a dollar count as dollars. Empty: not known.

    >>> [paid_in(symbol) for symbol in ("MSFT", "7203.T", "BTC-USD", "BTCUSDT", "ETH-BTC", "^GSPC")]
    ['USD', 'JPY', 'USD', 'USD', 'BTC', '']
    """
    try:
        currency = currency_of(symbol)
    except CalendarError:  # as Binance spells its pairs
        currency = spelling.advice(symbol).partition(" ")[0].rpartition("-")[2]
    return "USD" if currency in spelling.STABLE else currency


CURRENCIES = frozenset({*_CURRENCIES.values(), *spelling.CURRENCIES, "USD", "BTC", "ETH", "BNB"})
"""The currencies of accounts."""


def base_of(symbol: str) -> str:
    """The currency of which a rate is the price: EUR of EURUSD=X, BTC of BTC-USD, USD of JPY=X; empty of all else."""
    if symbol.endswith("=X"):
        pair = symbol.removesuffix("=X")
        return pair[:3] if len(pair) == 6 else "USD"
    base, dash, _ = symbol.partition("-")
    return base if dash and calendar_name(symbol) == ALWAYS_OPEN else ""


def units_of(currency: str) -> tuple[str, float]:
    """The currency of which one is a hundredth, and how much of it this one is."""
    return (_HUNDREDTHS[currency], 0.01) if currency in _HUNDREDTHS else (currency, 1.0)
