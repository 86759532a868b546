"""The report on forecasts: values in, one self-contained page out. It asks for nothing when it is opened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from tickercast import __version__
from tickercast.domain.model_card import ModelCard
from tickercast.jobs.training.train import weaknesses
from tickercast.reading.track_record import Recalled
from tickercast.show import chart
from tickercast.show import tables as screen

LARGEST = 50
"""Symbols that one report or chart takes; a browser gets slow with more."""


@dataclass(frozen=True)
class _Section:
    """What the page says of one symbol, in words and cells."""

    id: str
    symbol: str
    cutoff: date
    made_up: str
    summary: str
    wide: str
    narrow: str
    sessions: int
    rows: Sequence[Sequence[str]]
    has_actual: bool
    outcome: str
    seen: str
    indicators: Sequence[tuple[str, str, str]]
    record: str
    record_rows: Sequence[tuple[str, str]]
    origin: str


def page(recalled: Sequence[Recalled], bucket: str) -> str:
    """The report as HTML.

    Args:
        recalled: one a symbol, at least one.
        bucket: where the files are that were forecast from.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cards = {(each.card.name, each.card.version): each.card for each in recalled}
    symbols = [each.made.symbol for each in recalled]
    return environment.get_template("report.html").render(
        title=f"{symbols[0]}: ten sessions ahead"
        if len(symbols) == 1
        else f"{len(symbols)} symbols, ten sessions ahead",
        sections=[_section(f"s{number}", each, bucket) for number, each in enumerate(recalled, start=1)],
        models=[_model(card) for card in cards.values()],
        colours=chart.COLOURS,
        version=__version__,
    )


def _section(name: str, each: Recalled, bucket: str) -> _Section:
    made = each.made
    actual = each.actual
    alt = _alt(each)
    return _Section(
        id=name,
        symbol=made.symbol,
        cutoff=made.cutoff,
        made_up=screen.MADE_UP if made.note else "",
        summary=_summary(each),
        wide=chart.forecast_svg(each, name=f"{name}-wide", alt=alt),
        narrow=chart.forecast_svg(each, name=f"{name}-narrow", alt=alt, narrow=True),
        sessions=len(each.bars),
        rows=[screen.step_cells(step, made.last_close, actual) for step in made.steps],
        has_actual=actual is not None,
        outcome=screen.outcome(made, actual) if actual is not None else "",
        seen=screen.SEEN.format(each.card.trained_through) if _has_seen(each) else "",
        indicators=_indicators(each.bars),
        record=screen.track_record(made, each.record) if each.record else "",
        record_rows=_record_rows(each),
        origin=f"{bucket}/{made.object}#{made.generation}",
    )


def _has_seen(each: Recalled) -> bool:
    first: date = each.made.steps[0]["target_date"]
    return each.card.trained_through >= first


def _summary(each: Recalled) -> str:
    made, last = each.made, each.made.steps[-1]
    lo_80, hi_80, lo_95, hi_95 = (screen.price(last[f"close_{end}"]) for end in ("lo_80", "hi_80", "lo_95", "hi_95"))
    return (
        f"The last close, of {made.cutoff}, was {screen.price(made.last_close)}. Ten sessions later, on "
        f"{last['target_date']}, the model gives the close four chances in five to lie between {lo_80} and {hi_80}, "
        f"and nineteen in twenty between {lo_95} and {hi_95}."
    )


def _alt(each: Recalled) -> str:
    made = each.made
    bars = f"candles of up to {len(each.bars)} sessions up to {made.cutoff}, then " if len(each.bars) else ""
    followed = ", and diamonds for the closes that followed" if each.actual else ""
    return (
        f"{made.symbol}: {bars}the fan of the forecast, its 80 % and 95 % intervals around the median, widening over "
        f"ten sessions{followed}. The table below gives its numbers."
    )


def _indicators(bars: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Name, value and what it tells, as of the last bar; what is not there yet is left out."""
    if bars.empty:
        return []
    last = bars.iloc[-1]
    return [
        (name, how(last[column]), tells) for column, (name, how, tells) in _INDICATORS.items() if pd.notna(last[column])
    ]


def _difference(value: float) -> str:
    """Of prices: small beside them, and perhaps negative."""
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


_INDICATORS: Mapping[str, tuple[str, Any, str]] = {
    "sma_20": ("SMA 20", screen.price, "mean close of the last 20 sessions"),
    "sma_50": ("SMA 50", screen.price, "mean close of the last 50 sessions"),
    "ema_12": ("EMA 12", screen.price, "exponential mean, 12 sessions"),
    "ema_26": ("EMA 26", screen.price, "exponential mean, 26 sessions"),
    "macd": ("MACD", _difference, "EMA 12 less EMA 26"),
    "macd_signal": ("MACD signal", _difference, "its own mean of nine sessions"),
    "rsi_14": ("RSI 14", "{:.1f}".format, "0 to 100: the share of gains in the moves of 14 sessions (Wilder)"),
    "bollinger_lower": ("Bollinger, lower", screen.price, "SMA 20 less two standard deviations"),
    "bollinger_upper": ("Bollinger, upper", screen.price, "SMA 20 and two standard deviations"),
    "atr_14": ("ATR 14", _difference, "mean true range of a session"),
    "volatility_20": ("Volatility", "{:.1%}".format, "of the last 20 sessions, a year"),
    "drawdown": ("Drawdown", "{:.1%}".format, "from the highest close so far"),
}


def _record_rows(each: Recalled) -> list[tuple[str, str]]:
    record = each.record
    if record is None or not record.n:
        return []
    told = not math.isnan(record.pinball_ratio_lo)
    interval = f" ({record.pinball_ratio_lo:.3f} to {record.pinball_ratio_hi:.3f})" if told else ""
    return [
        ("closes that have come true", f"{record.n:,}"),
        ("of them forecast after the fact", f"{record.n_backfilled:,}"),
        ("blocks of 28 days", str(record.blocks)),
        ("pinball loss relative to the random walk, below 1 is better", f"{record.pinball_ratio:.3f}{interval}"),
        ("inside the 80 % interval", f"{record.coverage_80:.1%}"),
        ("inside the 95 % interval", f"{record.coverage_95:.1%}"),
    ]


def _model(card: ModelCard) -> dict[str, Any]:
    return {
        "name": f"{card.name} version {card.version}",
        "trained_on": card.trained_on,
        "trained_through": card.trained_through,
        "held_out": bool(card.hold_out),
        "measures": [
            (words, _with_interval(card.metrics, name, how))
            for name, (words, how) in _MEASURES.items()
            if name in card.metrics
        ],
        "weaknesses": weaknesses(card),
    }


def _with_interval(metrics: Mapping[str, float], name: str, how: str) -> str:
    interval = f" ({metrics[f'{name}_lo']:.3f} to {metrics[f'{name}_hi']:.3f})" if f"{name}_lo" in metrics else ""
    return how.format(metrics[name]) + interval


_MEASURES = {
    "n": ("origins of ten sessions", "{:,.0f}"),
    "sp_vs_random_walk": ("pinball loss relative to the random walk, below 1 is better", "{:.3f}"),
    "sp_vs_ewma_t": ("pinball loss relative to EWMA-t (RiskMetrics)", "{:.3f}"),
    "coverage_80": ("closes inside the 80 % interval", "{:.2%}"),
    "coverage_95": ("closes inside the 95 % interval", "{:.2%}"),
    "mae_vs_naive": ("error of the median relative to that of the last close", "{:.3f}"),
}
