"""The day's work: bring prices up to date, hold forecasts to account, and let the served model earn its place.

    python flows/daily.py --source sample --as-of 2012-08-15      once, now; no server is needed
    python flows/daily.py --serve                                 every trading day, under a Prefect server

Each task wraps one job and may be run again: a day that was stopped anywhere goes on where it was, and a day that is
done finds nothing left to do.
"""

import base64
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.show import chart

config.silence_prefect()

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.schedules import Cron, Schedule
from prefect.tasks import exponential_backoff

from tickercast.cli import run
from tickercast.cli.terminal import SOME_FAILED, bar, complain, day_of, say, words_of
from tickercast.domain.calendar import time_zone
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import (
    AlertUnavailable,
    FunctionUnavailable,
    Permanent,
    TickercastError,
    TooFewSessions,
    Transient,
    UsageError,
)
from tickercast.jobs.champion.decisions import Decided, recorded
from tickercast.jobs.champion.model_store import read_pointer
from tickercast.jobs.champion.probation import review
from tickercast.jobs.champion.scores import Scores, score
from tickercast.jobs.daily.catch_up import Sent, send, stored
from tickercast.jobs.daily.desk import Desk
from tickercast.jobs.daily.fetch import Market, gather
from tickercast.jobs.daily.lease import lease
from tickercast.jobs.daily.reforecast import outdated, renew
from tickercast.jobs.daily.retrain import FIRST, Comparison, Plan, bring_up, conclude, evaluate, plan
from tickercast.jobs.operations.alerts import watch
from tickercast.jobs.operations.drift import Monitored, monitor
from tickercast.jobs.requests.results import Collected

P = ParamSpec("P")
R = TypeVar("R")

EVENING = "30 18 * * 1-5"
"""Half past six in the evening of the exchange: Yahoo has the day's bars by then."""


@dataclass
class Day:
    """What a day's work came to.

    Attributes:
        day: the newest session that is known.
        lines: the verdict, a line a step.
        failures: what could not be done, by symbol or file.
        idle: whether nothing was left to do.
    """

    day: date
    lines: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    idle: bool = False


def _again(_: Any, __: Any, state: Any) -> bool:
    """Only what may pass by itself is tried again."""
    return isinstance(state.result(raise_on_failure=False), Transient)


def io(step: Callable[P, R]) -> Callable[P, R]:
    """A task that talks to engines: what may pass is tried again."""
    return task(
        cache_policy=NO_CACHE,
        retries=3,
        retry_delay_seconds=exponential_backoff(10),
        retry_jitter_factor=0.5,
        retry_condition_fn=_again,
    )(step)


def work(step: Callable[P, R]) -> Callable[P, R]:
    """A task that computes."""
    return task(cache_policy=NO_CACHE)(step)


@flow(name="daily-retrain")
def daily_retrain(symbols: Sequence[str] | None = None, as_of: date | None = None, source: str = "") -> Day:
    """Does the day's work for a watchlist.

    Args:
        symbols: the watchlist; those in TICKERCAST_WATCHLIST, or all that the source can list, where none are named.
        as_of: the last date to look at; today where none is named.
        source: the market data; TICKERCAST_SOURCE where none is named.

    Raises:
        TickercastError: the day cannot be finished now; people are told, and it can be run again.
    """
    settings = config.load()
    name = source or settings.source
    watched = _watchlist(symbols, name, settings.watchlist)
    desk = bootstrap.desk(settings, name, picture=chart.backtest_png, now=lambda: datetime.now(UTC))
    with lease(desk.store, "daily-retrain", now=desk.now):
        today = desk.now().date()
        awaited = watched if as_of in (None, today) else None  # of a day long gone nobody awaits a forecast
        try:
            done = _day(desk, watched, as_of or today)
        except Exception as error:  # whatever it is, the day failed
            with suppress(TickercastError):  # what failed may be what telling needs
                tell(desk, awaited, str(error) or type(error).__name__)
            raise
        done.lines.append(f"alerts     {tell(desk, awaited, '')}")
    return done


def _day(desk: Desk, watched: Sequence[str], as_of: date) -> Day:
    market = fetch(desk, watched, as_of)
    sent = upload(desk, market)
    forecasts, lost = collect(desk, sent, market)
    scores = hold_to_account(desk, market)
    reviewed = look_at_probation(desk, market, scores)
    drift = report_drift(desk, market)
    planned = plan_training(desk, market, scores, drift)
    challenger = train(desk, market, planned) if planned.wanted else None
    comparison = compare(desk, market, challenger) if challenger else None
    decided = decide(desk, market, planned, comparison)
    renewed = refresh(desk, market)
    return _verdict(market, sent, forecasts, lost, scores, reviewed, drift, planned, decided, renewed)


@io
def fetch(desk: Desk, symbols: Sequence[str], as_of: date) -> Market:
    """Brings prices up to date, and says what is odd about them."""
    market = gather(symbols, FIRST, as_of, source=desk.source, warehouse=desk.warehouse, now=desk.now())
    odd = [{"symbol": found.symbol, "check": found.check, "finding": found.text} for found in market.findings]
    failed = [{"symbol": symbol, "check": "failed", "finding": str(why)} for symbol, why in market.failures.items()]
    create_table_artifact(odd + failed or [{"finding": "none"}], key="quality", description=f"Bars up to {market.day}")
    return market


@io
def upload(desk: Desk, market: Market) -> Sent:
    """Uploads what is new; the events make the forecasts."""
    return send(market, store=desk.store, warehouse=desk.warehouse, now=desk.now())


@io
def collect(desk: Desk, sent: Sent, market: Market) -> tuple[Collected, list[FunctionUnavailable]]:
    """Waits for the forecasts."""
    return stored(sent, market, warehouse=desk.warehouse, patience=desk.patience())


@io
def hold_to_account(desk: Desk, market: Market) -> Scores:
    """Scores the forecasts that have come true."""
    return score(market, store=desk.models, warehouse=desk.warehouse)


@io
def look_at_probation(desk: Desk, market: Market, scores: Scores) -> Decided | str:
    """Rolls a new champion back or confirms it."""
    return review(market, scores, store=desk.models, registry=desk.registry, warehouse=desk.warehouse, now=desk.now())


@io
def report_drift(desk: Desk, market: Market) -> Monitored | str:
    """Compares the newest sessions with the training of the day's champion, once; why where they cannot be."""
    if recorded(desk.models, read_pointer(desk.models).name, market.day, "promotion") is not None:
        return f"{market.day} has been judged already"
    try:
        found = monitor(
            market.day,
            market.symbols,
            warehouse=desk.warehouse,
            store=desk.store,
            models=desk.models,
            load=desk.load,
            reporter=desk.reporter,
            now=desk.now(),
        )
    except (UsageError, TooFewSessions) as error:
        return str(error)
    columns = ["kind", "name", "score", "threshold", "drifted"]
    rows = found.rows[columns].values.tolist()
    create_table_artifact([columns, *rows], key="drift", description=f"{desk.store.url}/{found.report}")
    return found


@io
def plan_training(desk: Desk, market: Market, scores: Scores, drift: Monitored | str) -> Plan:
    """Chooses between refitting, tuning, and leaving the model alone."""
    found = () if isinstance(drift, str) else tuple(drift.reasons)
    return plan(market, scores.condition(found), store=desk.models, warehouse=desk.warehouse)


@work
def train(desk: Desk, market: Market, planned: Plan) -> Any:
    """Brings up a challenger; the reason where it cannot be."""
    with bar(f"training on what came up to {planned.through}", total=1) as progress:
        try:
            return bring_up(
                market,
                planned,
                fit=desk.fit,
                tuning=desk.tuning,
                peers=desk.peers,
                registry=desk.registry,
                picture=desk.picture,
                seeds=desk.seeds,
                on_progress=progress.set,
            )
        except Permanent as error:
            return error


@io
def compare(desk: Desk, market: Market, challenger: Any) -> Comparison | Permanent:
    """Backtests the challenger beside the champion."""
    if isinstance(challenger, Permanent):
        return challenger
    comparison = evaluate(
        market, challenger, store=desk.models, load=desk.load, peers=desk.yardstick, picture=desk.picture
    )
    if comparison.report:
        _show(desk, comparison)
    return comparison


@io
def decide(desk: Desk, market: Market, planned: Plan, comparison: Comparison | Permanent | None) -> Decided:
    """Promotes the challenger or keeps the champion, and records why."""
    decided = conclude(
        market,
        planned,
        comparison,
        store=desk.models,
        registry=desk.registry,
        warehouse=desk.warehouse,
        now=desk.now(),
    )
    rows = [{"": name, "value": str(value)} for name, value in decided.model_dump().items() if value is not None]
    create_table_artifact(rows, key="decision", description=f"{decided.decision}: {decided.reason}")
    return decided


@io
def refresh(desk: Desk, market: Market) -> int:
    """Has the newest forecasts made again where another version made them; the number of symbols."""
    served = read_pointer(desk.models).version
    if not outdated(market, served, desk.warehouse):
        return 0
    again = renew(market, served, store=desk.taken_over(), warehouse=desk.warehouse)
    stored(Sent(again), market, warehouse=desk.warehouse, patience=desk.patience())
    return sum(len(sent.symbols) for sent in again)


@io
def tell(desk: Desk, awaited: Sequence[str] | None, failure: str) -> str:
    """Tells people what is wrong and new to them; in words what is open."""
    try:
        found = watch(
            store=desk.store,
            models=desk.models,
            warehouse=desk.warehouse,
            notifiers=desk.notifiers,
            now=desk.now(),
            watchlist=awaited,
            flow_failure=failure,
        )
    except AlertUnavailable as error:  # the day's work is done; the next look tells them
        return str(error)
    first, more = found.found[:3], len(found.found) - 3
    titles = "; ".join(alert.title for alert in first) + (f"; {more} more" if more > 0 else "")
    return titles if desk.notifiers else f"{titles} (TICKERCAST_ALERT_URLS names nobody to tell)"


def _watchlist(symbols: Sequence[str] | None, source: str, file: str) -> list[str]:
    words = list(symbols or []) or words_of(file)
    if not words:
        try:
            words = list(bootstrap.known_symbols(source))
        except UsageError as error:
            raise UsageError(
                f"No symbol is named, and {source} has no list of its own. Name some, or set TICKERCAST_WATCHLIST to a "
                "file of them."
            ) from error
    return list(dict.fromkeys(parse_symbol(word) for word in words))


def _show(desk: Desk, comparison: Comparison) -> None:
    told = json.loads(desk.models.read(comparison.report))
    picture = base64.b64encode(desk.models.read(comparison.report.removesuffix("json") + "png")).decode()
    rows = [
        {"against": peer, "loss": loss, "ratio": round(ratio, 4), "from": round(low, 4), "to": round(high, 4)}
        for peer, losses in told["ratios"].items()
        for loss, (ratio, low, high) in losses.items()
    ]
    create_table_artifact(rows, key="comparison", description=f"Challenger {comparison.challenger.card.version}")
    create_markdown_artifact(
        f"![Reliability, and loss by step](data:image/png;base64,{picture})\n\n`{desk.models.url}/{comparison.report}`",
        key="comparison-picture",
    )


def _verdict(
    market: Market,
    sent: Sent,
    forecasts: Collected,
    lost: Sequence[FunctionUnavailable],
    scores: Scores,
    reviewed: Decided | str,
    drift: Monitored | str,
    planned: Plan,
    decided: Decided,
    renewed: int,
) -> Day:
    made = len(forecasts.forecasts)
    day = Day(market.day, idle=not (sent.uploads or planned.wanted or renewed))
    day.failures = {symbol: str(why) for symbol, why in {**market.failures, **forecasts.failures}.items()}
    day.failures |= {f"upload {number}": str(why) for number, why in enumerate(lost, start=1)}
    caught_up = f", caught up with {', '.join(map(str, sent.missed))}" if sent.missed else ""
    day.lines = [
        f"prices     {len(market.symbols)} symbols up to {market.day}, {len(market.findings)} oddities{caught_up}",
        *(f"           {found.symbol}: {found.check}, {found.text}" for found in market.findings),
        f"forecasts  {made} made" if sent.uploads else "forecasts  none to make: all of that day are there",
        f"record     {_record(scores)}",
        f"probation  {reviewed if isinstance(reviewed, str) else f'{reviewed.decision}: {reviewed.reason}'}",
        f"drift      {_drift(drift)}",
        f"training   {f'{planned.training}: {planned.why}' if planned.wanted else f'none: {planned.why}'}",
        f"decision   {decided.decision}: {decided.reason}",
    ]
    if renewed:
        day.lines.append(f"renewed    {renewed} forecasts by version {decided.pointer().version}")
    return day


def _drift(drift: Monitored | str) -> str:
    if isinstance(drift, str):
        return drift
    found = f"{len(drift.reasons)} of {len(drift.rows)} measures" if drift.drifted else "none"
    return f"{found}; the report is {drift.report}"


def _record(scores: Scores) -> str:
    if scores.vs_walk is None:
        return "too few forecasts have come true on dates that the champion had not seen"
    ratio, low, high = scores.vs_walk.ratio
    return (
        f"{scores.vs_walk.origins} forecasts, loss {ratio:.3f} [{low:.3f}, {high:.3f}] of the random walk's, "
        f"80 % intervals held in {scores.coverage_80:.1%}"
    )


def main(
    tickers: Annotated[
        list[str] | None, typer.Argument(metavar="[TICKER]...", help="The watchlist.", show_default=False)
    ] = None,
    source: Annotated[
        str, typer.Option(help="yahoo, sample, simulated, or a folder of CSV or Parquet files.", show_default="yahoo")
    ] = "",
    symbols_file: Annotated[str, typer.Option(metavar="FILE", help="More symbols.")] = "",
    as_of: Annotated[str, typer.Option(metavar="DATE", help="The last date to look at.", show_default="today")] = "",
    serve: Annotated[bool, typer.Option("--serve", help="Run every trading day, under a Prefect server.")] = False,
    cron: Annotated[str, typer.Option(help="When, in the time zone of the first symbol's exchange.")] = EVENING,
) -> None:
    """Bring prices up to date, score forecasts, retrain, and promote what has earned it."""
    symbols = [*(tickers or []), *words_of(symbols_file)]
    if serve:
        _serve(symbols, source, cron)
        return
    done = daily_retrain(symbols, day_of(as_of) if as_of else None, source)
    for line in done.lines:
        say(line)
    for name, reason in done.failures.items():
        complain(f"{name}: {reason}")
    say(f"{done.day} is done{': nothing was left to do' if done.idle else ''}.")
    if done.failures:
        raise typer.Exit(SOME_FAILED)


def schedule(symbols: Sequence[str], cron: str) -> Schedule:
    """The evenings of the first symbol's exchange, by its own clock, summer and winter."""
    return Cron(cron, timezone=time_zone(symbols[0]))


def _serve(symbols: Sequence[str], source: str, cron: str) -> None:
    settings = config.load()
    name = source or settings.source
    watched = _watchlist(symbols, name, settings.watchlist)
    daily_retrain.serve(
        name="daily", schedule=schedule(watched, cron), parameters={"symbols": watched, "source": name}, limit=1
    )


if __name__ == "__main__":
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(epilog="Example: python flows/daily.py MSFT AAPL --source sample --as-of 2012-08-15")(main)
    run(door=app, name="daily_retrain")
