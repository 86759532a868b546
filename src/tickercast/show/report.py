"""The forecast report: one self-contained page, which loads nothing from elsewhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tickercast.domain.cards.model_card import ModelCard
from tickercast.domain.cards.model_page import measures, weaknesses, what
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import Frequency, stamp
from tickercast.domain.learning.width import Width
from tickercast.domain.measures.calibration import Calibration
from tickercast.domain.measures.intervals import interval_of, is_known
from tickercast.domain.text import price
from tickercast.reading.holdings import PortfolioOutlook
from tickercast.reading.overview import Row
from tickercast.reading.track_record import ForecastDetails, Seen
from tickercast.show import chart, sentences
from tickercast.show.answers import EXTRAPOLATED, holdings_frame, money, portfolio_notes, portfolio_title, risks
from tickercast.show.calibration import sentence as calibration_sentence
from tickercast.show.overview_page import cells, spark
from tickercast.show.tables import step_cells
from tickercast.version import __version__


@dataclass(frozen=True)
class Beside:
    """The content of a report beside the forecasts themselves.

    Attributes:
        overview: the rows of several symbols, with which it begins.
        widths: the width of the interval of a symbol, as a product of its factors.
        calibration: the calibration of a symbol's intervals.
        seen: the records that rest on dates that the champion was trained on.
        portfolio: the gains and losses of holdings.
        ages: remarks on the forecasts of the portfolio that are no longer fresh.
        freshness: the reason why the forecast of a symbol is not fresh, where it is not.
    """

    overview: Sequence[Row] = ()
    widths: Mapping[str, Width] = field(default_factory=dict)
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    seen: Sequence[Seen] = ()
    portfolio: PortfolioOutlook | None = None
    ages: Sequence[str] = ()
    freshness: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Section:
    """The section of the page about one symbol, as text and cells."""

    id: str
    symbol: str
    cutoff: str
    simulated: str
    doubt: str
    stands_in: str
    freshness: str
    results: str
    title: str
    summary: str
    wide: str
    narrow: str
    sessions: int
    ends: str
    rows: Sequence[Sequence[str]]
    has_actual: bool
    outcome: str
    seen: str
    indicators: Sequence[tuple[str, str, str]]
    why: str
    volatility: str
    record: str
    record_seen: str
    calibration: str
    flagged: bool
    record_rows: Sequence[tuple[str, str]]
    origin: str


def page(shown: Sequence[ForecastDetails], bucket: str, beside: Beside = Beside()) -> str:
    """Render the report as HTML.

    Args:
        shown: the forecasts, one a symbol; at least one.
        bucket: the bucket of the files that the forecasts were made from.
        beside: the content beside the forecasts.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cards = {(each.card.name, each.card.version): (each.card, each.made.frequency) for each in shown if each.card}
    symbols = [each.made.symbol for each in shown]
    return environment.get_template("report.html").render(
        title=f"{symbols[0] if len(symbols) == 1 else f'{len(symbols)} symbols'}: {_sessions(shown[0])} ahead",
        sections=[_section(f"s{number}", each, bucket, beside) for number, each in enumerate(shown, start=1)],
        overview=cells(beside.overview, _flags(beside)),
        places={symbol: f"s{number}" for number, symbol in enumerate(symbols, start=1)},
        portfolio=_portfolio(beside.portfolio, beside.ages) if beside.portfolio else None,
        models=[_model(*each) for each in cards.values()],
        untrained=sorted({(each.made.model_name, _place(each)) for each in shown if each.card is None}),
        colours=chart.COLOURS,
        version=__version__,
        advice=sentences.NOT_ADVICE,
    )


def _section(name: str, each: ForecastDetails, bucket: str, beside: Beside) -> _Section:
    made, seen = each.made, _seen(each)
    width, held = beside.widths.get(made.symbol), beside.calibration.get(made.symbol)
    actual = each.actual
    alt = _alt(each)
    return _Section(
        id=name,
        symbol=made.symbol,
        cutoff=sentences.moment(made),
        simulated=sentences.SIMULATED if made.simulated else "",
        doubt=sentences.doubt(made.findings, doubtful=made.doubtful),
        stands_in=sentences.stands_in(each.demotion) if each.demotion else "",
        freshness=beside.freshness.get(made.symbol, ""),
        results=sentences.results(made.results).capitalize(),
        title=f"The {_sessions(each)}",
        summary=_summary(each),
        wide=chart.forecast_svg(each, name=f"{name}-wide", alt=alt),
        narrow=chart.forecast_svg(each, name=f"{name}-narrow", alt=alt, narrow=True),
        sessions=len(each.bars),
        ends="date" if made.frequency.is_daily else "UTC",
        rows=[step_cells(step, made.last_close, actual) for step in made.steps],
        has_actual=actual is not None,
        outcome=sentences.outcome(made, actual) if actual is not None else "",
        seen=seen,
        indicators=_indicators(each),
        why=sentences.why(made, width) if width else "",
        volatility=spark(width.sigmas[::-_SPARK_EVERY][::-1]) if width else "",
        record=sentences.record_sentence(made, each.record) if each.record else "",
        record_seen="" if seen else sentences.had_seen_of(beside.seen, symbol=made.symbol, model_name=made.model_name),
        calibration=calibration_sentence(held).capitalize() if held and each.record else "",
        flagged=bool(held and held.flagged),
        record_rows=_record_rows(each),
        origin=f"{bucket}/{made.object}#{made.generation}",
    )


def _flags(beside: Beside) -> dict[str, str]:
    return {symbol: held.calibration for symbol, held in beside.calibration.items() if held.flagged}


def _portfolio(found: PortfolioOutlook, ages: Sequence[str]) -> dict[str, Any]:
    """The risk of the holdings, as cells: by step, and by holding."""
    return {
        "title": portfolio_title(found),
        "steps": [
            (
                str(day),
                money(row["median"]),
                f"{money(row['lo_80'])} … {money(row['hi_80'])}",
                *(money(-row[name]) for name in ("var_95", "es_95", "var_99", "es_99")),
            )
            for day, row in zip(found.outlook.dates, risks(found), strict=True)
        ],
        "holdings": holdings_frame(found).to_numpy().tolist(),
        "notes": [*ages, *map(str, portfolio_notes(found))],
        "currency": found.held.currency,
        "extrapolated": EXTRAPOLATED,
    }


def _place(each: ForecastDetails) -> str:
    return "in the champion's place" if each.made.role is Role.CHAMPION else "beside the champion"


def _seen(each: ForecastDetails) -> str:
    if each.card is None or each.card.trained_through < each.made.steps[0].target_date:
        return ""
    return sentences.SEEN.format(each.card.trained_through)


def _summary(each: ForecastDetails) -> str:
    made, last = each.made, each.made.steps[-1]
    ends = [" and ".join(price(end, made.last_close) for end in last.interval(level)) for level in (80, 95)]
    when = f"on {last.target_date}" if made.frequency.is_daily else f"at {stamp(last.end)} UTC"
    return (
        f"The last close, of {sentences.moment(made)}, was {price(made.last_close)}. After {_sessions(each)}, "
        f"{when}, the close lies between {ends[0]} with a probability "
        f"of 80%, and between {ends[1]} with a probability of 95%."
    )


def _sessions(each: ForecastDetails) -> str:
    return f"{_WORDS.get(each.made.horizon, each.made.horizon)} {each.made.frequency.noun}s"


_WORDS = {10: "ten"}
_SPARK_EVERY = 5  # sessions


def _alt(each: ForecastDetails) -> str:
    made = each.made
    count = f"{len(each.bars)} {made.frequency.noun}s"
    bars = f"candles of up to {count} up to {sentences.moment(made)}, then " if len(each.bars) else ""
    results = (
        f", a dotted line at {made.results.effect}, where results act" if made.results and made.results.effect else ""
    )
    followed = ", and diamonds for the closes that followed" if each.actual else ""
    return (
        f"{made.symbol}: {bars}the fan of the forecast, its 80% and 95% intervals around the median, widening over "
        f"{_sessions(each)}{results}{followed}. The table below gives its numbers."
    )


def _indicators(each: ForecastDetails) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each indicator at the last bar; one that is not known yet is left out."""
    if each.bars.empty:
        return []
    last, noun, close = each.bars.iloc[-1], each.made.frequency.noun, each.made.last_close
    return [
        (name, format(last[column], form) if form else price(last[column], close), meaning.format(noun=noun))
        for column, (name, form, meaning) in _INDICATORS.items()
        if pd.notna(last[column])
    ]


_INDICATORS: Mapping[str, tuple[str, str, str]] = {
    "sma_20": ("SMA 20", "", "mean close of the last 20 {noun}s"),
    "sma_50": ("SMA 50", "", "mean close of the last 50 {noun}s"),
    "ema_12": ("EMA 12", "", "exponential mean, 12 {noun}s"),
    "ema_26": ("EMA 26", "", "exponential mean, 26 {noun}s"),
    "macd": ("MACD", "", "EMA 12 less EMA 26"),
    "macd_signal": ("MACD signal", "", "its own mean of nine {noun}s"),
    "rsi_14": ("RSI 14", ".1f", "0 to 100: the share of gains in the moves of 14 {noun}s (Wilder)"),
    "bollinger_lower": ("Bollinger, lower", "", "SMA 20 less two standard deviations"),
    "bollinger_upper": ("Bollinger, upper", "", "SMA 20 and two standard deviations"),
    "atr_14": ("ATR 14", "", "mean true range of 14 {noun}s"),
    "volatility_20": ("Volatility", ".1%", "of the last 20 {noun}s, a year"),
    "drawdown": ("Drawdown", ".1%", "from the highest close so far"),
}
"""The indicators by column: name, format and meaning; one without a format is in the currency of the prices."""


def _record_rows(each: ForecastDetails) -> list[tuple[str, str]]:
    record = each.record
    if record is None or not record.n:
        return []
    judged = not math.isnan(record.pinball_ratio_lo)
    interval = f" ({record.pinball_ratio_lo:.3f} to {record.pinball_ratio_hi:.3f})" if judged else ""
    return [
        ("closes that have come true", f"{record.n:,}"),
        ("of them forecast after the fact", f"{record.n_backfilled:,}"),
        ("blocks of 28 days", str(record.blocks)),
        ("pinball loss relative to the random walk, below 1 is better", f"{record.pinball_ratio:.3f}{interval}"),
        ("inside the 80% interval", f"{record.coverage_80:.1%}"),
        ("inside the 95% interval", f"{record.coverage_95:.1%}"),
    ]


def _model(card: ModelCard, frequency: Frequency) -> dict[str, Any]:
    words = measures(card)
    return {
        "name": f"{card.name} version {card.version}",
        "what": what(card),
        "noun": frequency.noun,
        "trained_on": card.trained_on,
        "trained_through": card.trained_through,
        "held_out": bool(card.hold_out),
        "measures": [
            (words[name].replace("… ", "pinball loss "), _with_interval(card.metrics, name, form))
            for name, form in _FORMATS.items()
            if name in words and name in card.metrics
        ],
        "weaknesses": weaknesses(card),
    }


def _with_interval(metrics: Mapping[str, float], name: str, form: str) -> str:
    value, low, high = interval = interval_of(metrics, name)
    return form.format(value) + (f" ({low:.3f} to {high:.3f})" if is_known(interval) else "")


_FORMATS = {
    "n": "{:,.0f}",
    "sp_vs_random_walk": "{:.3f}",
    "sp_vs_ewma_t": "{:.3f}",
    "sp_vs_har_season": "{:.3f}",
    "sp_vs_ewma_season": "{:.3f}",
    "sp_vs_tickercast_plain_1h": "{:.3f}",
    "coverage_80": "{:.2%}",
    "coverage_95": "{:.2%}",
    "mae_vs_naive": "{:.3f}",
}
"""The measures of a model that a report shows; their names are those of the model card."""
