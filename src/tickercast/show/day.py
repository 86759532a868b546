"""The results of a daily run in sentences, a line a step."""

from collections.abc import Iterator

from tickercast.errors import AlertUnavailable
from tickercast.jobs.champion.decisions import Decided
from tickercast.jobs.daily.run_day import Day
from tickercast.jobs.operations.drift import DriftCheck
from tickercast.show.sentences import symbols


def day_lines(day: Day) -> Iterator[str]:
    """The results of a daily run, a line a step."""
    caught_up = f", caught up with {', '.join(map(str, day.caught_up.missed))}" if day.caught_up.missed else ""
    market = day.market
    yield f"fetch       {len(market.symbols)} symbols up to {market.day}, {len(market.findings)} findings{caught_up}"
    for found in market.findings:
        yield f"            {found.symbol}: {found.check}, {found.text}"
    made = len(day.results.forecasts)
    yield f"forecasts   {f'{made} made' if day.caught_up.uploads else 'none to make: all of that day exist'}"
    yield f"scores      {_scores(day)}"
    yield f"probation   {day.probation if isinstance(day.probation, str) else _decided(day.probation)}"
    yield f"drift       {_drift(day.drift)}"
    training = f"{day.planned.training}: {day.planned.why}" if day.planned.wanted else f"none: {day.planned.why}"
    yield f"training    {training}"
    yield f"decision    {_decided(day.decided)}"
    if day.reforecast:
        yield f"reforecast  {symbols(day.reforecast)}"
    yield f"alerts      {_alerts(day)}"


def _decided(decided: Decided) -> str:
    return f"{decided.decision}: {decided.reason}"


def _scores(day: Day) -> str:
    scores = day.scores
    if scores.vs_walk is None:
        return "too few forecasts have come true on dates that the champion had not seen"
    ratio, low, high = scores.vs_walk.ratio
    return (
        f"{scores.vs_walk.origins} forecasts, loss {ratio:.3f} [{low:.3f}, {high:.3f}] of the random walk's, "
        f"80% intervals covered {scores.coverage_80:.1%}"
    )


def _drift(drift: DriftCheck | str) -> str:
    if isinstance(drift, str):
        return drift
    found = f"{len(drift.reasons)} of {len(drift.rows)} measures" if drift.drifted else "none"
    return f"{found}; report {drift.report}"


def _alerts(day: Day) -> str:
    if isinstance(day.alerts, AlertUnavailable):
        return str(day.alerts)
    found = day.alerts.found
    more = f"; {len(found) - 3} more" if len(found) > 3 else ""
    return ("; ".join(alert.title for alert in found[:3]) + more) or "none"
