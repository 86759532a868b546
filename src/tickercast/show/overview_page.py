"""The overview as cells of a page: the report and the digest show the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tickercast.domain.text import price
from tickercast.reading.overview import Row
from tickercast.show.sentences import VERDICTS, interval, number

_BAR, _GAP, _TALL = 2.2, 0.8, 16.0  # sizes in the picture of widths, in its own units


@dataclass(frozen=True)
class Cells:
    """One row of the overview, as text.

    Attributes:
        symbol: the series.
        close: the last close, with its session.
        day: the change from the close before, as a share.
        fell: whether that change is below zero.
        interval: the 80% interval of the last step, in prices.
        ends: the ends of the 80% interval relative to the last close.
        rank: the share of the year's sessions that gave a narrower interval; a dash where it is not known.
        spark: the widths of the year and then this one, as an SVG element; empty where they are not known.
        higher: the chance of ending above the last close.
        held: the share of closes that earlier 80% intervals held; a dash where none has come true.
        n: closes that have come true.
        flag: `too narrow` or `too wide` where the intervals are shown to be so; else empty.
        notes: remarks on the symbol: verdict, findings, age.
    """

    symbol: str
    close: str
    day: str
    fell: bool
    interval: str
    ends: str
    rank: str
    spark: str
    higher: str
    held: str
    n: int
    flag: str
    notes: Sequence[str]


def cells(rows: Sequence[Row], calibration: Mapping[str, str], day: date | None = None) -> list[Cells]:
    """The rows of the overview as cells.

    Args:
        rows: rows of the overview.
        calibration: `too narrow` or `too wide` by symbol, of those that are flagged.
        day: the session of most closes; a close of another session is dated.
    """
    return [_cells(row, calibration.get(row.symbol, ""), day or row.cutoff) for row in rows]


def _cells(row: Row, calibration: str, day: date) -> Cells:
    notes = [
        f"close of {row.cutoff}" if row.cutoff != day else "",
        "simulated bars" if row.simulated else VERDICTS[row.verdict],
        ("doubtful: " if row.doubtful else "odd bars: ") + row.findings if row.findings else "",
        "" if row.state == "fresh" else row.freshness.rstrip("."),
    ]
    return Cells(
        symbol=row.symbol,
        close=price(row.last_close),
        day=number(row.change, "+.1%"),
        fell=(row.change or 0) < 0,
        interval=interval(row.close_lo_80, row.close_hi_80, row.last_close),
        ends=f"{row.lo_80:+.1%} … {row.hi_80:+.1%}",
        rank=number(row.width_rank, ".0%"),
        spark=spark(row.widths),
        higher=number(row.chance_higher, ".0%"),
        held=number(row.coverage_80, ".0%") + (f" of {row.n:,}" if row.n else ""),
        n=row.n,
        flag=f"80% intervals {calibration}" if calibration else "",
        notes=[note for note in notes if note],
    )


def spark(widths: Sequence[float]) -> str:
    """A year as bars, the last one, which is today's, in another colour; empty if nothing is known."""
    if not widths:
        return ""
    heights = [_TALL * width / max(widths) for width in widths]
    colours = ["band-80"] * (len(widths) - 1) + ["actual"]
    bars = "".join(
        f'<rect x="{at * (_BAR + _GAP):.1f}" y="{_TALL - tall:.1f}" width="{_BAR}" height="{tall:.1f}" '
        f'fill="var(--{colour})"/>'
        for at, (tall, colour) in enumerate(zip(heights, colours, strict=True))
    )
    wide = len(widths) * (_BAR + _GAP)
    return f'<svg viewBox="0 0 {wide:.1f} {_TALL}" width="{wide:.0f}" height="16" aria-hidden="true">{bars}</svg>'
