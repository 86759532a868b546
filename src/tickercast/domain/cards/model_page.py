"""A model card as a page for people."""

from collections.abc import Mapping

from tickercast.domain.cards import hourly_page
from tickercast.domain.cards.model_card import DIRECTION_KIND, ModelCard
from tickercast.domain.frequency import DAILY
from tickercast.domain.measures.intervals import interval_of, is_known

_MEASURES = {
    "n": f"origins, every {DAILY.horizon} sessions of each symbol",
    "sp": "scaled pinball loss",
    "sp_vs_ewma_t": "… relative to EWMA-t (RiskMetrics σ, Student t₅, √step)",
    "sp_vs_ewma_fhs": "… relative to filtered historical simulation (the same σ, pooled quantiles of the past)",
    "sp_vs_historical_simulation": "… relative to historical simulation (250 sessions)",
    "sp_vs_random_walk": "… relative to the random walk (Gaussian, σ60·√step)",
    "w95_vs_ewma_t": "Winkler score of the 95% interval relative to EWMA-t",
    "coverage_80": "coverage of the 80% interval",
    "coverage_95": "coverage of the 95% interval",
    "mae_vs_naive": "mean absolute error of the median relative to the last close",
}
"""The measures of a daily card that people are shown, in words."""

_RESULTS_MEASURES = {
    "results_inside_n": "origins with results inside the horizon",
    "results_inside_coverage_80": "… coverage of the 80% interval",
    "results_inside_coverage_95": "… coverage of the 95% interval",
    "results_outside_coverage_80": "coverage of the 80% interval at other origins of the same symbols",
}
"""The measures of a model that was evaluated with results days."""

_CLASSES = {
    "etf": "American funds (ETFs)",
    "index": "indices",
    "fx": "currencies",
    "futures": "futures",
    "crypto": "crypto",
    "foreign-stock": "stocks of other exchanges",
}
"""The classes that a card may have measures of, in words."""


def describe(card: ModelCard) -> str:
    """The card as a page for people, in Markdown."""
    if not _is_daily(card):
        return hourly_page.describe_hourly(card)
    return _PAGE.format(
        title=f"{card.name} {card.version}".strip(),
        card=card,
        rows=_rows(card.metrics, ""),
        results=_results(card.metrics),
        others="".join(
            _OTHERS.format(name=words, rows=_rows(card.metrics, f"{name}_"))
            for name, words in _CLASSES.items()
            if f"{name}_n" in card.metrics
        ),
        median=_median(card),
        reading=_READS_RESULTS if any(name.startswith("results_") for name in card.statics) else "",
        adapting=_ADAPTS if card.adapts else "",
        apart=_APART + (_PAST if card.past_quantiles else ""),
        symbols=" and symbols that it was not trained on" if card.hold_out else "",
        arguments=card.arguments and f" {card.arguments}",
        hold_out=f" --hold-out {card.hold_out}" if card.hold_out else "",
        weaknesses="\n".join(f"- {sentence}" for sentence in weaknesses(card)),
        count=len(card.features),
        statics=len(card.statics),
        levels=", ".join(f"{level:g}" for level in card.quantiles),
        run=f" · run `{card.run_id}`" if card.run_id else "",
    )


def what(card: ModelCard) -> str:
    """A description of a model that forecasts closes."""
    return _WHAT if _is_daily(card) else hourly_page.what(card)


def measures(card: ModelCard) -> Mapping[str, str]:
    """The measures of such a model that people are shown, in words; `…` stands for the pinball loss."""
    return _MEASURES if _is_daily(card) else hourly_page.MEASURES


def weaknesses(card: ModelCard) -> list[str]:
    """The limits of such a model, one sentence each."""
    if not _is_daily(card):
        return hourly_page.weaknesses(card)
    others = ", ".join(_CLASSES.get(name, name) for name in card.calibrations)
    classes = _CALIBRATED.format(others) if card.calibrations else _UNCALIBRATED
    return [*(sentence.format(card=card) for sentence in _WEAKNESSES), classes]


def _is_daily(card: ModelCard) -> bool:
    return card.kind == "lstm"


def _results(metrics: Mapping[str, float]) -> str:
    rows = [
        f"| {words} | {hourly_page.measured(metrics, name)} |"
        for name, words in _RESULTS_MEASURES.items()
        if name in metrics
    ]
    return "".join(f"\n{row}" for row in rows)


def _median(card: ModelCard) -> str:
    if not card.drift:
        return "Its median is the last close plus the training drift"
    year = {name: f"{drift * DAILY.bars_a_year:.0%}" for name, drift in card.drift.items()}
    rising = ", ".join(f"{name} {share}" for name, share in year.items() if card.drift[name])
    return (
        "Its median is the last close plus two thirds of the drift of the asset class in training, the same for calm "
        f"and wild symbols (a year: {rising}; none for others)"
    )


def _rows(metrics: Mapping[str, float], prefix: str) -> str:
    return "\n".join(f"| {words} | {_measured(metrics, prefix + name)} |" for name, words in _MEASURES.items())


def _measured(metrics: Mapping[str, float], name: str) -> str:
    return hourly_page.measured(metrics, name) if name in metrics else "–"


_WHAT = "A small LSTM ensemble that forecasts the distribution of the closes."

_READS_RESULTS = """ Where it knows of a
company's results days, it widens the steps that follow the next one and narrows the others; a day that nobody announced
is predicted from last year's."""

_ADAPTS = """ The daily flow
lets the intervals follow what earlier ones held: each class by its last year, each symbol by its own last two."""

_APART = "by step and quantile"
_PAST = ", with three tenths from the class's own past returns"

_OTHERS = """
| {name}: the network of the stocks, with a calibration of their own | |
|---|---|
{rows}
"""

_WEAKNESSES = (
    "Saying whether a price will rise or fall, or trading on the median.",
    "Horizons beyond {card.horizon} sessions, intraday bars, or options: the joint distribution over steps is not "
    "modelled.",
    "Splits, halts, or announced events other than results, which the bars do not show yet.",
)

_CALIBRATED = (
    "Assets unlike its training: thinly traded names, and classes other than stocks, {}, whose few symbols leave "
    "the calibration of their tails uncertain."
)

_UNCALIBRATED = "Assets unlike its training: on cryptocurrencies and thinly traded names the intervals are too narrow."

_PAGE = """# {title}

A small LSTM ensemble that forecasts the **distribution** of the next {card.horizon} sessions' closes of one symbol.
It reads {count} ratios of each of the last {card.window} sessions and {statics} static inputs, all in the series' own
units, and stretches the quantiles of its training returns around today's EWMA volatility.{reading}{adapting} {median}:
it claims no knowledge of the direction.

- trained on: {card.trained_on}
- last date seen: {card.trained_through}; all measures below are of later dates
- shortest history: {card.min_sessions} sessions
- quantiles: {levels}; stretched round the median by {card.calibration:g}, for other asset classes {apart}
- sha256 of model.onnx: `{card.sha256}`{run}

## Measured

| on dates after {card.trained_through}{symbols} | |
|---|---|
{rows}{results}
{others}
Ratios below 1 are better than the baseline; the brackets are 95% intervals, drawn over symbols and blocks of sessions.

## Reproduce

    tickercast train --source SOURCE --through {card.trained_through}{hold_out}{arguments} --out DIR

The same data, seeds and libraries give the same metrics to three decimals. The network starts as filtered historical
simulation; every seed holds out other blocks of sessions for validation, purged on both sides.

## Limits

{weaknesses}
"""


def verdict(card: ModelCard) -> str:
    """The verdict on a card's measures in a word or two, for lists of versions.

    It is `better`, `worse` or `no edge`, by the whole 95% interval: of the loss against EWMA-t or, of the direction of
    the next hour, of the Brier score against a coin's; `not measured` without one.
    """
    name, limit = ("brier", 0.25) if card.kind == DIRECTION_KIND else ("sp_vs_ewma_t", 1.0)
    if name not in card.metrics or not is_known(interval := interval_of(card.metrics, name)):
        return "not measured"
    _, low, high = interval
    return "better" if high < limit else "worse" if low > limit else "no edge"
