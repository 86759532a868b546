"""The sentences of the output, each written once: verdicts, hit counts and warnings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import pandas as pd

from tickercast.domain.events import ResultsDay
from tickercast.domain.findings import Findings, sentence
from tickercast.domain.forecast import Forecast
from tickercast.domain.frequency import DAILY, Frequency, stamp
from tickercast.domain.learning.width import Width
from tickercast.domain.text import price
from tickercast.plain import first_of
from tickercast.reading.track_record import BLOCKS, TOO_EARLY, Seen, TrackRecord

_TRAINED = "trained on dates up to {}: its forecasts of those dates show how it works, not how good it is."
SEEN = f"The model was {_TRAINED}"

SIMULATED = "SIMULATED: these bars are generated, not traded, and so is every forecast made from them."

NOT_ADVICE = "Not investment advice: the forecast claims no edge on direction, only a well-measured width."

VERDICTS = {
    "better": "better than the random walk",
    "no edge": "no edge over the random walk",
    "worse": "worse than the random walk",
    "too early": "too early for a verdict",
}

_UNCOUNTED = {
    "simulated": "the bars were simulated",
    "model_has_seen": "the model was trained on these dates",
    "doubtful": "the bars were doubtful",
    "": "there is no random walk to compare them with",
}

_WHERE = {"better": "is entirely below 1", "no edge": "includes 1", "worse": "is entirely above 1"}
_BY_CHANCE = 0.025
_MOST_NAMED = 8  # symbols whose odd bars are named


# ---------------------------------------------------------------- numbers


def interval(low: float, high: float, beside: float | None = None) -> str:
    """An interval of prices, both with the decimals of its upper end or of the price beside it.

    >>> interval(28.786, 31.691), interval(0.99686, 1.0612), interval(9.5, 10.5)
    ('28.79 … 31.69', '0.9969 … 1.0612', '9.50 … 10.50')
    """
    beside = high if beside is None else beside
    return f"{price(low, beside)} … {price(high, beside)}"


def amount(value: float) -> str:
    """A sum of money in the currency of an account.

    >>> amount(100000.0), amount(5.25)
    ('100,000.00', '5.25')
    """
    return f"{value:,.2f}"


def number(value: float | None, form: str) -> str:
    """A number in a format, or a dash if there is none.

    >>> number(0.1234, ".1%"), number(float("nan"), ".1%")
    ('12.3%', '–')
    """
    return "–" if value is None or pd.isna(value) else format(value, form)


# ---------------------------------------------------------------- a forecast


def moment(made: Forecast) -> str:
    """The forecast origin: its session, or the end of its hour."""
    return stamp(made.end) + ("" if made.frequency.is_daily else " UTC")


def close_in_words(
    row: Mapping[Any, Any], frequency: Frequency = DAILY, form: Callable[[float], str] | None = None
) -> str:
    """The forecast of a step's close, in words.

    Args:
        row: a forecast's step, with `target_date` and the columns of its intervals.
        frequency: the frequency of the bars.
        form: the form in which a price is written; by default all with the decimals of the median.

    >>> days = {"target_date": date(2023, 8, 4), "close_median": 341.0}
    >>> close_in_words(days | {"close_lo_80": 330, "close_hi_80": 351, "close_lo_95": 322, "close_hi_95": 360})
    'Close on Fri 4 Aug: 80% between 330.00 and 351.00; 95% between 322.00 and 360.00; even odds at 341.00'
    """
    end, form = row["target_date"], form or partial(price, beside=row["close_median"])
    when = f"on {end:%a} {end.day} {end:%b}" if frequency.is_daily else f"at {end:%a %H:%M} UTC"
    levels = (
        f"{level}% between {form(row[f'close_lo_{level}'])} and {form(row[f'close_hi_{level}'])}" for level in (80, 95)
    )
    return f"Close {when}: {'; '.join(levels)}; even odds at {form(row['close_median'])}"


def doubt(findings: str, *, doubtful: bool) -> str:
    """The oddities of a forecast's bars, in one line; empty if there are none."""
    if not findings:
        return ""
    weight = " The width may be wrong, and the forecast does not count in the record." if doubtful else ""
    return f"Odd bars: {findings}.{weight}"


def odd_bars(findings: Findings) -> Iterator[str]:
    """The bars that were left out or changed on reading, a sentence for each of the first symbols.

    >>> from tickercast.domain.findings import Finding
    >>> list(odd_bars({"CL=F": [Finding("CL=F", "left out", "2 zero or impossible bar(s)")]}))
    ['CL=F: left out: 2 zero or impossible bar(s).']
    """
    lines = [f"{symbol}: {sentence(odd)}." for symbol, odd in findings.items()]
    yield from lines[:_MOST_NAMED]
    if len(lines) > _MOST_NAMED:
        yield f"Bars of {len(lines) - _MOST_NAMED:,} more symbols were left out or changed when they were read, too."


def results(expected: ResultsDay | None) -> str:
    """The results day that a forecast counts with, in a sentence; empty if there is none.

    >>> results(ResultsDay(date(2023, 7, 25), "after", date(2023, 7, 26), is_predicted=False))
    'results expected 2023-07-25 (after the close), inside this horizon'
    >>> results(ResultsDay(date(2023, 7, 20), "unknown", None, is_predicted=True))
    'results were expected 2023-07-20 (predicted from its own past dates), and none are known'
    """
    if expected and not expected.effect:
        return f"results were expected {expected}, and none are known"
    return f"results expected {expected}, inside this horizon" if expected else ""


def outcome(made: Forecast, actual: Mapping[date, float]) -> str:
    """A sentence on the closes that followed: how many were inside each interval."""
    known = [(step, actual[step.end]) for step in made.steps if step.end in actual]
    inside = (sum(step.covers(close, level) for step, close in known) for level in (80, 95))
    return _hits(len(known), *inside) or f"The source does not hold the {made.frequency.noun}s that followed."


def came_true(vintages: pd.DataFrame) -> str:
    """A sentence on the closes that followed several forecasts: how many were inside; empty if none has followed.

    Args:
        vintages: rows from `reading.views.with_actuals`.
    """
    inside = vintages["inside"]
    return _hits(int((inside != "").sum()), int((inside == "80%").sum()), int(inside.isin(["80%", "95%"]).sum()))


def _hits(known: int, in_80: int, in_95: int) -> str:
    if not known:
        return ""
    return (
        f"Of the {known} close{'s' * (known != 1)} that followed, {in_80} ({in_80 / known:.0%}) were inside the 80% "
        f"interval and {in_95} ({in_95 / known:.0%}) inside the 95% interval."
    )


def stands_in(demotion: Mapping[str, Any]) -> str:
    """A sentence on the baseline that has made a forecast in the champion's place, with the reason.

    Args:
        demotion: the row of `retrains` that decided it.
    """
    model, baseline = f"{demotion['model_name']} version {demotion['champion_version']}", demotion["candidate_version"]
    return (
        f"Made by a baseline: {model} was shown to be worse than {baseline} on {demotion['day']:%Y-%m-%d}, by "
        f"{demotion['pinball_ratio'] - 1:.1%} of its loss over {demotion['origins']} origins."
    )


# ---------------------------------------------------------------- the track record


def record_sentence(made: Forecast, record: TrackRecord) -> str:
    """The model's record on the symbol, in a sentence with its verdict."""
    if not record.n and record.uncounted:
        return f"none: {uncounted(record.uncounted)}"
    if not record.n:
        return f"too early: no close after a forecast of {made.symbol} by {made.model_name} is stored yet"
    known = f"; {record.n_backfilled:,} forecast after the fact" if record.n_backfilled else ""
    closes = f"{record.n:,} close{'s' * (record.n != 1)}"
    if record.verdict == TOO_EARLY:
        return f"too early: {closes} in {record.blocks} of the {BLOCKS} blocks of 28 days that a verdict needs{known}"
    return (
        f"{VERDICTS.get(record.verdict, record.verdict)}: {record.pinball_ratio:.3f} of its loss "
        f"({record.pinball_ratio_lo:.3f} to {record.pinball_ratio_hi:.3f}) over {closes}, {record.coverage_80:.0%} of "
        f"them inside the 80% interval{known}"
    )


def uncounted(closes: Mapping[str, int]) -> str:
    """The reasons why closes that have come true do not count; empty if there are none.

    >>> uncounted({"doubtful": 10})
    '10 closes have come true; they do not count, since the bars were doubtful'
    >>> uncounted({"model_has_seen": 1200, "doubtful": 1}).partition("; ")[2]
    'they do not count: 1,200, since the model was trained on these dates; 1, since the bars were doubtful'

    Args:
        closes: their number by why; see `reading.track_record.uncounted`.
    """
    if not closes:
        return ""
    n = sum(closes.values())
    if n == 1:
        return f"1 close has come true; it does not count, since {_UNCOUNTED[next(iter(closes))]}"
    said = f"{n:,} closes have come true; they do not count"
    if len(closes) == 1:
        return f"{said}, since {_UNCOUNTED[next(iter(closes))]}"
    return f"{said}: {'; '.join(f'{number:,}, since {_UNCOUNTED[why]}' for why, number in closes.items())}"


def headline(row: Mapping[str, Any]) -> str:
    """The verdict of a row of `forecast_skill`, as a headline."""
    return VERDICTS[row["verdict"]].capitalize()


def verdict(row: Mapping[str, Any]) -> str:
    """The meaning of a row of `forecast_skill`, with its numbers.

    Args:
        row: the row of one model, over all steps.
    """
    n, blocks = row["n"], row["blocks"]
    came = "close has" if n == 1 else "closes have"
    scored = f"So far {n:,} {came} come true, in {blocks} block{'s' * (blocks != 1)} of 28 days"
    covered = f"The 80% intervals covered {row['coverage_80']:.1%} of them, the 95% intervals {row['coverage_95']:.1%}."
    if row["verdict"] == TOO_EARLY:
        return f"{scored}; {BLOCKS} blocks are needed. {covered}"
    ratio = f"The loss is {row['pinball_ratio']:.3f} of the random walk's"
    ends = f"{row['pinball_ratio_lo']:.3f} to {row['pinball_ratio_hi']:.3f}"
    return f"{ratio}, and its 95% interval, {ends}, {_WHERE[row['verdict']]}. {scored}. {covered}"


def among(verdicts: Sequence[str]) -> str:
    """A sentence on the number of symbols with each verdict, and the number that would have one by chance alone."""
    counts = {name: sum(seen == name for seen in verdicts) for name in VERDICTS}
    listed = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    judged = len(verdicts) - counts[TOO_EARLY]
    if not judged:
        return f"Of {symbols(len(verdicts))}: {listed}."
    return (
        f"Of {symbols(len(verdicts))}: {listed}. Chance alone would call about {_BY_CHANCE * judged:.1f} of them "
        f"better and as many worse."
    )


def after_the_fact(row: Mapping[str, Any]) -> str:
    """A sentence on the scored forecasts that were made when their target was known; empty if none was."""
    if not row["n_backfilled"]:
        return ""
    share = "All" if row["n_backfilled"] == row["n"] else f"{row['n_backfilled']:,} of the {row['n']:,}"
    return (
        f"{share} scored forecasts were made after their target was known: they used only the bars up to their cutoff, "
        "but nobody could have acted on them."
    )


def had_seen(found: Sequence[Seen]) -> list[str]:
    """A warning of each version that was trained on dates whose forecasts count in a record.

    >>> day, lstm = date(2018, 12, 31), ("champion", "tickercast-lstm", "1")
    >>> had_seen([Seen("MSFT", *lstm, day, date(2012, 8, 15)), Seen("AAPL", *lstm, day, date(2012, 8, 14))])[0][:70]
    'tickercast-lstm version 1 has forecasts of AAPL, MSFT since 2012-08-14'
    """
    versions = sorted({(each.model_version, each.model_name) for each in found})
    return [_had_seen([each for each in found if (each.model_version, each.model_name) == one]) for one in versions]


def had_seen_of(found: Sequence[Seen], **of: str) -> str:
    """The warnings of one record, in one text; empty if there are none.

    Args:
        found: the versions that were trained on dates whose forecasts count.
        of: the attributes of `Seen` that name the record, with their values.
    """
    return " ".join(had_seen([each for each in found if all(getattr(each, name) == of[name] for name in of)]))


def _had_seen(found: Sequence[Seen]) -> str:
    model, through, fault = f"{found[0].model_name} version {found[0].model_version}", found[0].through, found[0].fault
    if through is None:
        return f"The last training date of {model} is not known: {fault}"
    symbols = first_of(sorted({each.symbol for each in found}), 3)
    first = min(each.first_cutoff for each in found)
    return f"{model} has forecasts of {symbols} since {first}, but was {_TRAINED.format(through)}"


def currency(states: Sequence[str]) -> str:
    """A sentence on the number of forecasts that are fresh, and on the others.

    >>> currency(["fresh", "due", "expired", "stale"]), currency(["fresh"])
    ('1 of 4 forecasts fresh: 1 due, 1 stale, 1 expired', 'The forecast is fresh')

    Args:
        states: the states from `domain.freshness`.
    """
    if len(states) == 1:
        return _ALONE[states[0]]
    others = {name: list(states).count(name) for name in ("due", "stale", "expired", "unknown")}
    listed = ", ".join(f"{count:,} {name}" for name, count in others.items() if count)
    return f"{list(states).count('fresh'):,} of {len(states):,} forecasts fresh{': ' * bool(listed)}{listed}"


_ALONE = {
    "fresh": "The forecast is fresh",
    "due": "A new forecast is due",
    "stale": "The forecast is stale",
    "expired": "The forecast has expired",
    "unknown": "Whether the forecast is fresh is not known",
}


def symbols(count: int) -> str:
    """A number of symbols."""
    return f"{count:,} symbol{'s' * (count != 1)}"


def listed(sentences: Sequence[str], most: int = 8) -> list[str]:
    """The first sentences of a list, and how many more there are.

    >>> listed(["A.", "B.", "C."], 1)
    ['A.', '2 more were left out.']
    """
    more = len(sentences) - most
    return [*sentences[:most], *([f"{more:,} more were left out."] if more > 0 else [])]


# ---------------------------------------------------------------- width


def why(made: Forecast, found: Width) -> str:
    """A sentence on the width of the last 80% interval: factors whose product is its width."""
    step = made.steps[-1]
    low, high = (each / made.last_close - 1 for each in step.interval(80))
    lately = f"{abs(found.now - 1):.0%} {'more' if found.now >= 1 else 'less'} than in its year"
    model = f"{abs(found.model - 1):.0%} {'wider' if found.model >= 1 else 'narrower'}"
    expecting = ", which expects results in them," if made.results else ""
    return (
        f"The 80% interval of {found.step} sessions reaches from {low:+.1%} to {high:+.1%}. As of {moment(made)} "
        f"{made.symbol} moves {found.sigma:.2%} a session, {lately} and more than on {found.rank:.0%} of its days, "
        f"which makes the interval {found.now:.2f} times as wide as usual; the model{expecting} makes it {model}."
    )


def evaluated(report: Mapping[str, Any]) -> str:
    """The subject of an evaluation: the model and its version, and how many origins of how many symbols when.

    Args:
        report: the report of `domain.measures.evaluation.evaluation_report`, with `versions` where they are known.
    """
    version = report.get("versions", {}).get(report["model"], "")
    return (
        f"{report['model']}{f' version {version}' if version else ''}, {report['overall']['n']:,.0f} origins of "
        f"{symbols(len(report['symbols']))}, {report['first_cutoff']} to {report['last_cutoff']}"
    )
