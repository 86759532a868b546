"""Tear sheets of strategies, drawn by quantstats; no other module imports it.

Its figures have no intervals, so that our sentences stand above them. Its page names an icon on the web, which is left
out: a page here loads nothing.
"""

import html
import logging
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from tickercast.domain.trading.strategy_backtest import Result
from tickercast.errors import EngineUnusable, UsageError

_LOADING = re.compile(r'<link [^>]*>|<script.*?</script>| onload="[^"]*"', re.DOTALL)
"""The parts of a page that load something, or run."""


class QuantstatsTearsheet:
    """Draws the daily returns of a variant after costs, beside those of another one."""

    def page(self, result: Result, rival: Result | None, *, title: str, said: Sequence[str]) -> str:
        """Draw a tear sheet; see `Tearsheet.page`."""
        returns = _daily(result)
        if not returns.any():
            raise UsageError(
                f"{result.variant.name} never traded, and a tear sheet needs returns. Name one first that trades."
            )
        beside = None if rival is None else _daily(rival)
        if beside is not None and not beside.any():  # quantstats draws nothing beside a flat line
            beside = None
        with _quiet(), _translated(), tempfile.TemporaryDirectory() as folder:
            import quantstats

            template, page = Path(folder) / "template.html", Path(folder) / "page.html"
            template.write_text(_template(Path(quantstats.__file__).parent / "report.html", said), encoding="utf-8")
            quantstats.reports.html(  # type: ignore[no-untyped-call]
                returns,
                benchmark=beside,
                title=html.escape(title),
                output=str(page),
                template_path=str(template),
                periods_per_year=round(_days_a_year(result)),
                match_dates=False,
                strategy_title=html.escape(result.variant.name),
                benchmark_title=html.escape(rival.variant.name) if rival and beside is not None else None,
            )
            return page.read_text(encoding="utf-8")


def _daily(result: Result) -> "pd.Series[float]":
    """Returns by day, UTC; those of hours are put together, the one that ends at midnight with the day that it ends."""
    ends = result.net.ends.astype("datetime64[s]")
    by_day = np.datetime_data(result.net.ends.dtype)[0] == "D"
    days = pd.DatetimeIndex(ends if by_day else ends - np.timedelta64(1, "s")).normalize()
    last = pd.Series(result.net.equity, days).groupby(level=0).last()
    return last / last.shift(fill_value=float(result.net.equity[0])) - 1


def _days_a_year(result: Result) -> float:
    """The days of an account a year; hours are of coins, which trade every day."""
    return result.bars_a_year if np.datetime_data(result.net.ends.dtype)[0] == "D" else 365.0


def _template(file: Path, said: Sequence[str]) -> str:
    text = _LOADING.sub("", file.read_text(encoding="utf-8"))
    sentences = "".join(f"<p><b>{html.escape(each)}</b></p>" for each in said)
    return text.replace("<hr>", f"{sentences}<hr>", 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's fonts and colours to itself, and its warnings about them."""
    import matplotlib

    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    fonts.setLevel(logging.ERROR)
    try:
        with matplotlib.rc_context({"backend": "agg"}), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        fonts.setLevel(level)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise whatever quantstats raises, which has no exceptions of its own, as ours."""
    try:
        yield
    except Exception as error:
        raise EngineUnusable(
            f"quantstats {version('quantstats')} cannot draw these returns ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:160].rstrip('.')}). Name other dates, or take --report."
        ) from error
