"""The cards of the hourly models and of the direction model as pages for people."""

import re
import textwrap
from collections.abc import Mapping

from tickercast.domain.cards.model_card import DIRECTION_KIND, HOURLY_KIND, ModelCard
from tickercast.domain.hourly.hours import LEAST, SIMPLE, WANTED
from tickercast.domain.measures.direction import verdict
from tickercast.domain.measures.intervals import TOO_SHORT, interval_of, is_known
from tickercast.domain.measures.promotion import decide_network

MEASURES = {
    "n": "origins, every hour of each symbol",
    "sp": "scaled pinball loss",
    "sp_vs_ewma_t": "… relative to EWMA-t (RiskMetrics σ of hours, Student t₅, √step)",
    "sp_vs_har_season": "… relative to har-season, refreshed alike",
    "sp_vs_ewma_season": "… relative to ewma-season, refreshed alike",
    "sp_vs_tickercast_plain_1h": "… relative to the network without recurrence, trained alike",
    "w95_vs_ewma_t": "Winkler score of the 95% interval relative to EWMA-t",
    "coverage_80": "coverage of the 80% interval",
    "coverage_80_h1": "… one hour ahead",
    "coverage_80_h6": "… six hours ahead",
    "coverage_80_h24": "… 24 hours ahead",
    "coverage_95": "coverage of the 95% interval",
    "mae_vs_naive": "mean absolute error of the median relative to the last close",
}
"""The measures of an hourly card that people are shown, in words."""

_DIRECTION_MEASURES = {
    "n": "hours",
    "brier": "Brier score; a coin has .25",
    "log_loss": "log loss, nats; a coin has .693",
    "accuracy": "right directions",
    "always_up": "… by always saying up",
    "break_even_bps": "the fee a side at which trading on it earns nothing, in hundredths of a percent",
    "calibration_error": "calibration error",
    "calibration_error_of_a_perfect_model": "… that a perfect model would show on so many hours",
}


def describe_hourly(card: ModelCard) -> str:
    """The card of an hourly model as a page for people, in Markdown."""
    if card.kind == DIRECTION_KIND:
        return _DIRECTION_PAGE.format(
            title=_title(card),
            card=card,
            later="; all measures below are of later dates" if card.metrics else "",
            measured=_direction_measured(card),
            arguments=card.arguments and f" {card.arguments}",
        )
    return _PAGE.format(
        title=_title(card),
        card=card,
        what=textwrap.fill(f"{what(card)} {_FORECASTS}", 120),
        file=f"- sha256 of model.onnx: `{card.sha256}`\n" if card.kind == HOURLY_KIND else "",
        wanted=WANTED,
        simple=SIMPLE,
        least=LEAST,
        arguments=card.arguments and f" {card.arguments}",
        weaknesses="\n".join(f"- {sentence}" for sentence in weaknesses(card)),
        rows=_rows(card.metrics, MEASURES),
        verdict=f"\n## Verdict\n\n{network_verdict(card.metrics)}\n"
        if "before_sp_vs_har_season" in card.metrics
        else "",
    )


def what(card: ModelCard) -> str:
    """A description of a model that forecasts the closes of hours."""
    return _WHAT[card.name if card.name in _WHAT else card.kind]


def weaknesses(card: ModelCard) -> list[str]:
    """The limits of such a model, one sentence each."""
    return [sentence.format(card=card) for sentence in _WEAKNESSES]


def network_verdict(metrics: Mapping[str, float]) -> str:
    """Whether a network may replace `har-season`, by the half-years on its card."""
    decision = decide_network(*(interval_of(metrics, f"{half}_sp_vs_har_season") for half in ("before", "after")))
    return textwrap.fill(f"{'Champion' if decision.promote else 'Companion'}: {decision.reason}.", 120)


def _direction_measured(card: ModelCard) -> str:
    if not card.metrics:
        return textwrap.fill(_UNMEASURED.format(card=card), 120)
    rows = _rows(card.metrics, _DIRECTION_MEASURES)
    return _DIRECTION_MEASURED.format(card=card, rows=rows, verdict=direction_verdict(card))


def direction_verdict(card: ModelCard) -> str:
    """Summarise the scores on a card; the card needs some, which trees that were grown again have not."""
    brier, accuracy = (interval_of(card.metrics, name) for name in ("brier", "accuracy"))
    found = verdict(brier, card.metrics["always_up"], accuracy)
    return textwrap.fill(f"{found[0].upper()}{found[1:]}. {_COSTS}", 120)


def _title(card: ModelCard) -> str:
    return f"{card.name} {card.version}".strip()


def _rows(metrics: Mapping[str, float], words: Mapping[str, str]) -> str:
    return "\n".join(f"| {text} | {measured(metrics, name)} |" for name, text in words.items() if name in metrics)


def measured(metrics: Mapping[str, float], name: str) -> str:
    """A measure of a card with its interval; a ratio of losses without one says why.

    >>> measured({"sp_vs_ewma_t": 0.98}, "sp_vs_ewma_t"), measured({"n": 13.0}, "n")
    ('0.98 (too short a time for an interval)', '13')
    """
    value, low, high = interval = interval_of(metrics, name)
    if is_known(interval):
        return f"{value:g} [{low:g}, {high:g}]"
    return f"{value:g} ({TOO_SHORT})" if _RATIO.search(name) else f"{value:g}"


_RATIO = re.compile("(sp|w95)_vs_")


_WHAT = {
    "har-season": "A regression of the coming variance on the variances of the last hour, day, week and month "
    "(log-HAR), times a season of 168 hours, with quantiles of the year before. Its card holds all of it.",
    "ewma-season": "Two moving averages of squared returns, times a season of 168 hours, with quantiles of the year "
    "before: the simple baseline, and what forecasts where the history is too short for har-season.",
    "tickercast-lstm-1h": "Three small LSTMs that read the last 72 hours and stretch the quantiles of har-season.",
    "tickercast-plain-1h": "The twin of tickercast-lstm-1h without recurrence: it reads the last hour alone. What the "
    "LSTM gains on it is due to recurrence.",
    "lstm-1h": "A network that stretches the quantiles of har-season.",
}

_FORECASTS = (
    "It forecasts the **distribution** of the closes of the next 24 hours. Its median is the last close: it claims no "
    "knowledge of the direction."
)

_WEAKNESSES = (
    "Saying whether a price will rise or fall, or trading on the median.",
    "Anything but large coins that trade round the clock: two of them were learned from and measured on.",
    "Horizons beyond {card.horizon} hours; the joint distribution over steps is not modelled.",
)

_PAGE = """# {title}

{what}

- trained on: {card.trained_on}
- last date seen: {card.trained_through}; all measures below are of later dates
- the tables are refreshed at the beginning of each month from the year before
- history: {wanted} hours are wanted; with fewer it forecasts as ewma-season, below {simple} its width is doubtful,
  below {least} it refuses
{file}
## Measured

| on hours after {card.trained_through} | |
|---|---|
{rows}

Ratios below 1 are better than the other model; the brackets are 95% intervals, drawn over weeks of all symbols.
{verdict}
## Reproduce

    tickercast train --every 1h --source SOURCE --through {card.trained_through}{arguments} --out DIR

## Limits

{weaknesses}
"""

_COSTS = (
    "It is right in moves of a usual size, which reverse, and not in the largest: whoever trades on it pays more than "
    "it earns."
)

_UNMEASURED = (
    "Not measured: these trees learned from the newest hours, and none had come after {card.trained_through}. "
    "tickercast directions shows how their forecasts have done since then."
)

_DIRECTION_MEASURED = """| on hours after {card.trained_through}, grown again each month | |
|---|---|
{rows}

The brackets are 95% intervals, drawn over days.

## Verdict

{verdict}"""

_DIRECTION_PAGE = """# {title}

Boosted trees that say how likely the next hour closes higher, from ten usual indicators and the measures of the hourly
models. They learn from a window of fixed length and are grown again each month.

- trained on: {card.trained_on}
- last date seen: {card.trained_through}{later}
- shortest history: {card.min_sessions} hours
- sha256 of model.onnx: `{card.sha256}`

## Measured

{measured}

## Reproduce

    tickercast train --every 1h --direction --source SOURCE --through {card.trained_through}{arguments} --out DIR

## Limits

- Trading: at 5 hundredths of a percent a side nothing is left.
- Any other symbol, and any horizon but one hour.
"""
