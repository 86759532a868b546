"""The results of a daily run in sentences, a line a step, and a line for each task while it runs."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.learning.market import Market
from tickercast.domain.learning.widths import Widths
from tickercast.domain.measures.intervals import in_words
from tickercast.domain.trading.universe import Universe
from tickercast.errors import AlertUnavailable
from tickercast.jobs.champion.decisions import Decided
from tickercast.jobs.champion.scores import Scores
from tickercast.jobs.daily.catch_up import CaughtUp
from tickercast.jobs.daily.retrain import Contest, TrainingPlan
from tickercast.jobs.daily.run_day import Day
from tickercast.jobs.hourly.run_hour import Upkeep
from tickercast.jobs.operations.alerts import SentAlerts
from tickercast.jobs.operations.drift import DriftCheck
from tickercast.jobs.requests.fetch_events import FetchedEvents
from tickercast.jobs.trading.trade import Traded
from tickercast.reading.portfolio_record import PortfolioRecord
from tickercast.show.answers import record_line
from tickercast.show.sentences import symbols
from tickercast.show.strategies import universe_title
from tickercast.show.trading import traded_line


def day_lines(day: Day) -> Iterator[str]:
    """The results of a daily run, a line a step."""
    market = day.market
    yield f"fetch       {_fetched(market)}"
    for found in market.findings:
        yield f"            {found.symbol}: {found.check}, {found.text}"
    yield f"events      {day.events if isinstance(day.events, str) else _events(day.events)}"
    yield f"forecasts   {_forecasts(day)}"
    if day.finished:
        yield f"finished    {day.finished.day}, {_decided(day.finished)}"
    yield f"scores      {_scores(day.scores)}"
    for name, kept in day.portfolios.items():
        yield f"portfolio   {f'{name}: ' if name else ''}{kept if isinstance(kept, str) else record_line(kept)}"
    yield f"probation   {_decided(day.probation)}"
    yield f"drift       {_drift(day.drift)}"
    yield f"training    {_planned(day.planned)}"
    yield f"decision    {_decided(day.decided)}"
    if day.reforecast:
        yield f"reforecast  {symbols(day.reforecast)}"
    yield from traded_lines(day.traded)
    yield f"alerts      {_alerts(day.alerts)}"
    if day.digest:
        yield f"digest      {day.digest}"


def _forecasts(day: Day) -> str:
    days = [str(session) for session in day.caught_up.sessions]
    if not days:
        return "none to make: all of that day exist"
    since = f"from {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
    return f"{day.results.forecasts:,} made of {symbols(len(day.results.symbols))}, {since}"


def upkeep_lines(upkeep: Upkeep) -> Iterator[str]:
    """The upkeep of an hour's models, a line a step; nothing for those whose turn it was not."""
    parts = {
        "models": upkeep.left,
        "directions": upkeep.refit if isinstance(upkeep.refit, str) else upkeep.refit.reason,
        "drift": _drift(upkeep.drift),
        "training": upkeep.trained,
        "decision": _decided(upkeep.decided),
        "alerts": upkeep.alerts if isinstance(upkeep.alerts, str) else _alerts(upkeep.alerts),
    }
    return (f"{name:<12}{said}" for name, said in parts.items() if said)


def traded_lines(traded: Mapping[str, Traded | str]) -> Iterator[str]:
    """The orders on paper, a line a strategy."""
    for name, done in traded.items():
        said = f"{name}: {done}".removeprefix(": ") if isinstance(done, str) else traded_line(done)
        yield f"on paper    {said}"


def undone_line(steps: Collection[str]) -> str:
    """The sentence on steps that stay undone until somebody acts; the line of each has its reason.

    Args:
        steps: the names of the steps.
    """
    return f"Undone until somebody acts, as the lines above say: {', '.join(steps)}."


def task_line(job: str, result: Any, seconds: float) -> str:
    """The result of a task of the day, in a line.

    Args:
        job: the name of the job.
        result: the result of the job.
        seconds: the duration of the job, in seconds.
    """
    return f"{job}: {_done(result)} ({seconds:.1f} s)"


def _done(result: Any) -> str:
    said = next((say for kind, say in _SAID.items() if isinstance(result, kind)), str)
    return said(result)


def _fetched(market: Market) -> str:
    return f"{symbols(len(market.symbols))} up to {market.day}, {len(market.findings)} findings"


def _events(fetched: FetchedEvents) -> str:
    missing = f"; none of {symbols(len(fetched.failures))}" if fetched.failures else ""
    return f"results days of {symbols(len(fetched.symbols))}{missing}"


def _sent(caught_up: CaughtUp) -> str:
    sent = {symbol for upload in caught_up.uploads for symbol in upload.symbols}
    of = f"{len(caught_up.sessions)} session{'s' * (len(caught_up.sessions) != 1)}"
    return f"{symbols(len(sent))} and {of} sent in {len(caught_up.uploads)} files" if sent else "nothing new to send"


def _collected(collected: Any) -> str:
    results, lost = collected
    return f"{results.forecasts:,} forecasts, {len(results.failures)} failures, {len(lost)} lost"


def _decided(decided: Decided | str) -> str:
    return decided if isinstance(decided, str) else f"{decided.decision}: {decided.reason}"


def _planned(planned: TrainingPlan) -> str:
    return f"{planned.training}: {planned.why}" if planned.wanted else f"none: {planned.why}"


def _compared(contest: Contest) -> str:
    version = f"version {contest.challenger.card.version}"
    if contest.comparison is None:
        return f"{version} cannot be compared: no session is unseen by it and the champion"
    return f"{version} is compared with {contest.comparison.evidence.rival}"


def _scores(scores: Scores) -> str:
    if scores.vs_walk is None:
        return "too few forecasts have come true on dates that the champion had not seen"
    return (
        f"{scores.vs_walk.origins} forecasts, loss {in_words(scores.vs_walk.ratio)} of the random walk's, "
        f"80% intervals covered {scores.coverage_80:.1%}"
    )


def _drift(drift: DriftCheck | str) -> str:
    if isinstance(drift, str):
        return drift
    found = f"{len(drift.reasons)} of {len(drift.rows)} measures" if drift.drifted else "none"
    return f"{found}{'; performance was not measured' if drift.unmeasured else ''}; report {drift.report}"


def _alerts(alerts: SentAlerts | AlertUnavailable) -> str:
    if isinstance(alerts, AlertUnavailable):
        return str(alerts)
    found = alerts.found
    more = f"; {len(found) - 3} more" if len(found) > 3 else ""
    return ("; ".join(alert.title for alert in found[:3]) + more) or "none"


def _widths(widths: Widths) -> str:
    if widths.through is None:
        return "nothing to learn widths from"
    count = len(widths.classes)
    classes = f"{count} class{'es' * (count != 1)}"
    return f"widths of {symbols(len(widths.symbols))} and {classes}, through {widths.through}"


_SAID: Mapping[type, Callable[[Any], str]] = {
    Universe: universe_title,
    Market: _fetched,
    FetchedEvents: _events,
    CaughtUp: _sent,
    tuple: _collected,
    Scores: _scores,
    PortfolioRecord: record_line,
    Traded: traded_line,
    Decided: _decided,
    DriftCheck: _drift,
    TrainingPlan: _planned,
    Bundle: lambda made: f"{made.card.name} version {made.card.version} is registered",
    Contest: _compared,
    SentAlerts: _alerts,
    Widths: _widths,
    type(None): lambda _: "nothing to do",
    dict: lambda dropped: f"{sum(dropped.values()):,} rows dropped",
    list: lambda sent: f"{symbols(sum(len(upload.symbols) for upload in sent))} forecast again",
}
"""The sentences about a task's result, by its type."""
