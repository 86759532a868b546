"""The asset class of a symbol, told by its suffix: what it is calibrated and measured with.

>>> [asset_class(symbol) for symbol in ("BRK-B", "VOD.L", "SPY", "^GSPC", "EURUSD=X", "GC=F", "BTC-USD")]
['stock', 'foreign-stock', 'etf', 'index', 'fx', 'futures', 'crypto']
"""

from functools import lru_cache

from tickercast.domain.calendar import ALWAYS_OPEN, calendar_name
from tickercast.errors import CalendarError

STOCK, FOREIGN_STOCK, ETF, INDEX, FX, FUTURES, CRYPTO = ASSET_CLASSES = (
    "stock",
    "foreign-stock",
    "etf",
    "index",
    "fx",
    "futures",
    "crypto",
)
"""Stocks listed in New York, stocks of other exchanges, the best-known American funds, indices, and so on."""

_STOCKS = frozenset({STOCK, FOREIGN_STOCK})

WITHOUT_DRIFT = frozenset({FX, FUTURES})
"""The classes whose median is the last close: holding them earns no premium that past prices could show."""

_ETFS = frozenset(
    """
    SPY IVV VOO VTI QQQ QQQM DIA IWM IWB IWF IWD IWN IWO IWR IWS IWV IJH IJR IJK IJJ IJS IJT MDY SLY VO VB VV
    VUG VTV VBR VBK VOE VOT VXF VYM VIG SCHB SCHX SCHD SCHA SCHG SCHV SCHF SCHE SPLG SPTM SPYG SPYV RSP OEF MGK
    SPLV USMV MTUM QUAL VLUE NOBL SDY DVY HDV DGRO XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY VAW VCR VDC VDE
    VFH VGT VHT VIS VNQ VOX VPU IYR IYW IYF IYE IYH IYT IYM IYZ IBB XBI XOP XHB XRT XME KRE KBE KIE OIH SMH SOXX
    ITB ITA IGV GDX GDXJ SIL URA ICLN TAN LIT JETS ARKK ARKG ARKW ARKF EFA IEFA EEM IEMG VEA VWO VXUS VEU ACWI
    VT EWA EWC EWG EWH EWJ EWL EWP EWQ EWS EWT EWU EWW EWY EWZ EZA EZU FXI MCHI KWEB INDA RSX VGK FEZ TLT IEF
    SHY AGG BND BNDX LQD HYG JNK TIP MUB EMB VCIT VCSH VCLT BSV BIV BLV SHV BIL GOVT MBB PFF GLD IAU SLV PPLT
    PALL USO UNG DBC DBA UUP FXE FXY VXX UVXY SVXY TQQQ SQQQ SSO SDS SPXL SPXS UPRO SPXU TNA TZA SOXL SOXS GBTC
    BITO IBIT JEPI JEPQ
    """.split()  # noqa: SIM905 (a list of two hundred names takes as many lines)
)


def width_class(symbol: str) -> str:
    """The class whose forecasts say how wide those of a symbol have to be: an index moves as the funds that hold it."""
    name = asset_class(symbol)
    return ETF if name == INDEX else name


def is_stock(symbol: str) -> bool:
    """Whether a symbol is a stock of any exchange: these train the networks, other classes set their calibration."""
    return asset_class(symbol) in _STOCKS


@lru_cache(maxsize=4096)
def asset_class(symbol: str) -> str:
    """The class of a symbol; one of `ASSET_CLASSES`. A fund that is not among the best known counts as a stock."""
    if symbol.startswith("^"):
        return INDEX
    if symbol.endswith("=X"):
        return FX
    if symbol.endswith("=F"):
        return FUTURES
    if symbol in _ETFS:
        return ETF
    try:
        always_open = calendar_name(symbol) == ALWAYS_OPEN
    except CalendarError:
        always_open = False
    if always_open:
        return CRYPTO
    return FOREIGN_STOCK if "." in symbol else STOCK
