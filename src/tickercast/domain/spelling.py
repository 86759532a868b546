"""The spellings of symbols at other vendors, and Yahoo's for the same ones.

>>> [in_yahoos_spelling(symbol) for symbol in ("600519.SH", "AAPL.US", "BTC/USDT", "00700.HK")]
['600519.SS', 'AAPL', 'BTC-USDT', '0700.HK']
>>> advice("BTCUSDT")
'BTC-USDT or BTC-USD'
"""

import re

CURRENCIES = frozenset(
    re.findall(
        r"\w+",
        """USD EUR GBP JPY CHF CAD AUD NZD CNY CNH HKD SGD KRW INR TWD IDR THB PHP MYR VND RUB UAH TRY ILS AED SAR ZAR
        NGN SEK NOK DKK ISK PLN CZK HUF RON BGN BRL MXN ARS CLP COP PEN EGP XAU XAG""",
    )
)
"""Currencies that are quoted against each other."""

STABLE = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI")
"""Coins that stand for a dollar."""

COINS = frozenset(
    re.findall(r"\w+", "BTC ETH XRP LTC BCH ADA SOL DOGE DOT AVAX BNB MATIC LINK XLM TRX ETC XMR UNI ATOM SHIB")
)
"""The largest coins."""

_WORDS = frozenset(
    re.findall(
        r"\w+",
        "all bars batch book coins crypto daily data export file funds fx hist hourly hours index input merged my new "
        "ohlc ohlcv old output price prices quotes raw sample sheet stock stocks table test tickers upload",
    )
)
_EXCHANGES = dict.fromkeys(("NASDAQ", "NYSE", "AMEX", "BATS", "CBOE"), "") | {
    **{"LSE": ".L", "XETR": ".DE", "TSX": ".TO", "ASX": ".AX", "NSE": ".NS", "BSE": ".BO", "TSE": ".T", "SIX": ".SW"},
    **{"MIL": ".MI", "BME": ".MC", "TWSE": ".TW", "BMFBOVESPA": ".SA"},
}
"""Yahoo's endings of symbols, by TradingView's name of the exchange."""

_LONGEST_PLAIN = 5  # letters of an American symbol
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}\d")


def in_yahoos_spelling(symbol: str) -> str:
    """A symbol in Yahoo's spelling where only one is meant; any other symbol as it is."""
    if symbol.isalnum():
        return symbol
    if re.fullmatch(r"[A-Z0-9]{2,10}[/_][A-Z]{3,5}", symbol):
        base, quote = re.split("[/_]", symbol)
        return f"{base}{quote}=X" if base in CURRENCIES and quote in CURRENCIES else f"{base}-{quote}"
    if re.fullmatch(r"[A-Z]+\.[A-EK]", symbol):  # share classes: of these letters none is an exchange
        return symbol.replace(".", "-")
    if re.fullmatch(r"[A-Z]+(?:-[A-Z])?\.US", symbol):
        return symbol.removesuffix(".US")
    symbol = in_four_digits(symbol)
    return re.sub(r"^(\d{6})\.(?:SH|XSHG)$", r"\1.SS", symbol)


def in_four_digits(symbol: str) -> str:
    """A symbol of Hong Kong with four digits or more, as Yahoo spells it; any other symbol as it is.

    >>> in_four_digits("00700.HK"), in_four_digits("5.HK"), in_four_digits("80700.HK")
    ('0700.HK', '0005.HK', '80700.HK')
    """
    return symbol.lstrip("0").zfill(len("0700.HK")) if re.fullmatch(r"\d{1,6}\.HK", symbol) else symbol


def advice(symbol: str) -> str:
    """The spelling that is probably meant by a symbol that no exchange can be told of; empty if there is none."""
    known = in_yahoos_spelling(symbol)
    if known != symbol:
        return known
    pair = re.fullmatch(r"([A-Z0-9]{2,10}?)(" + "|".join(STABLE) + ")", symbol)
    if pair:
        return f"{pair[1]}-{pair[2]} or {pair[1]}-USD"
    if len(symbol) == 6 and symbol[:3] in CURRENCIES and symbol[3:] in CURRENCIES:
        return f"{symbol}=X"
    pair = re.fullmatch(r"([A-Z]{3,5})(USD|EUR|GBP|BTC|ETH)", symbol)
    if pair and pair[1] in COINS:
        return f"{pair[1]}-{pair[2]}"
    if re.fullmatch(r"\d{6}", symbol):
        return f"{symbol}.SS (Shanghai) or {symbol}.SZ (Shenzhen)" if symbol[0] in "036" else f"{symbol}.KS (Korea)"
    if re.fullmatch(r"\d{4}", symbol):
        return f"{symbol}.T (Tokyo), {symbol}.HK (Hong Kong) or {symbol}.TW (Taiwan)"
    if re.fullmatch(r"\d{1,5}", symbol):
        return f"{symbol.lstrip('0').zfill(4)}.HK (Hong Kong)"
    if symbol.isalpha() and len(symbol) > _LONGEST_PLAIN:
        return f"{symbol}.NS (India) or with the ending of another exchange"
    return ""


def agree(named: str, seen: str) -> bool:
    """Whether the symbol in a file's name and one in its column may be the same.

    >>> agree("VOD.L", "VOD"), agree("BTC-USDT", "BTCUSDT"), agree("^GSPC", "GSPC"), agree("ZZW", "ZZX")
    (True, True, True, False)
    """
    if named == in_yahoos_spelling(seen):
        return True
    plain = [re.sub(r"[^A-Z0-9]", "", text) for text in (named, seen)]
    return plain[0] == plain[1] or seen in (re.split(r"[.=]", named)[0], named.lstrip("^"))


def is_word(name: str) -> bool:
    """Whether a file's name is a word rather than a symbol, though it is made of the same letters.

    >>> is_word("prices"), is_word("two-of-them"), is_word("BRK-B"), is_word("btc-usd"), is_word("RELIANCE.NS")
    (True, True, False, False, False)
    """
    parts = re.split("[-.=^]", name.lower())
    long = "." not in name and any(part.isalpha() and len(part) > _LONGEST_PLAIN + 1 for part in parts)
    last = parts[-1].upper()
    paired = len(last) == 1 or last in CURRENCIES or last in STABLE or last in COINS
    joined = "-" in name and not paired and (name != name.upper() or len(last) > _LONGEST_PLAIN)
    return long or joined or not _WORDS.isdisjoint(parts)


def is_isin(text: str) -> bool:
    """Whether a text is an ISIN, by its form and its check digit.

    >>> is_isin("US5949181045"), is_isin("US5949181046"), is_isin("MSFT")
    (True, False, False)
    """
    if not _ISIN.fullmatch(text):
        return False
    digits = [int(digit) for letter in text for digit in str(int(letter, 36))]
    doubled = [2 * digit for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(digit // 10 + digit % 10 for digit in doubled)) % 10 == 0


def owner_of(stem: str) -> str:
    """The symbol that a file of Binance's archive is called after; the name of any other file as it is.

    >>> owner_of("BTCUSDT-1d-2023-07"), owner_of("btcusdt")
    ('BTCUSDT', 'btcusdt')
    """
    archived = re.fullmatch(r"([A-Za-z0-9]+)-\d+(?:s|m|h|d|w|mo)-[\d-]+", stem)
    return archived[1] if archived else stem


def symbol_in(name: str) -> str:
    """The symbol that a file's name begins with, or has behind an exchange; empty if none can be told.

    >>> symbol_in("AAPL_data"), symbol_in("MSFT (1)"), symbol_in("HistoricalData_1690")
    ('AAPL', 'MSFT', '')
    >>> symbol_in("NASDAQ_MSFT, 1D"), symbol_in("LSE_VOD, 1D"), symbol_in("VOD_L")
    ('MSFT', 'VOD.L', '')
    """
    listed = re.match(r"([A-Z]+)_(?:[A-Z]+_)*([A-Z0-9.!]+), ", name)  # as TradingView names its exports
    if listed:
        ending = _EXCHANGES.get(listed[1])
        return "" if ending is None or "!" in listed[2] else in_yahoos_spelling(listed[2]) + ending
    if re.match(r"[A-Z0-9^.=-]+_[A-Z]{1,3}(?![A-Za-z0-9])", name):  # a share class, an exchange or a currency
        return ""
    found = re.match(r"([A-Z0-9^][A-Z0-9^.=-]{0,14})(?=[_ ]|$)", name)
    return in_yahoos_spelling(found[1]) if found and not is_isin(found[1]) else ""
