"""Run the day: fetch prices, score forecasts, and replace the champion by a challenger that is measurably better.

Each step is a job that may be run again: an interrupted day continues where it stopped, and a finished day finds
nothing left to do. A caller may wrap each step, as the Prefect flow does with its tasks; the name of a task is that of
the job.
"""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar

from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.forecast import Predictor, RollingPredictor
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.learning.market import Market
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.trading.strategy import Variant
from tickercast.domain.trading.universe import Members, Universe, always
from tickercast.errors import (
    AlertUnavailable,
    EngineUnusable,
    FunctionUnavailable,
    LeaseLost,
    Permanent,
    StoreUnavailable,
    TooFewSessions,
    UsageError,
)
from tickercast.jobs.champion.decisions import Decided, finish_decisions, recorded_decision
from tickercast.jobs.champion.probation import review_probation
from tickercast.jobs.champion.refresh_widths import refresh_widths
from tickercast.jobs.champion.scores import Scores, read_scores
from tickercast.jobs.daily.catch_up import CaughtUp, catch_up, collect_results
from tickercast.jobs.daily.compact import compact_warehouse, is_due
from tickercast.jobs.daily.fetch import fetch
from tickercast.jobs.daily.lease import Hold, lease
from tickercast.jobs.daily.reforecast import outdated_files, reforecast
from tickercast.jobs.daily.retrain import (
    FIRST,
    TrainingPlan,
    decide_promotion,
    evaluate_challenger,
    plan_training,
    train_challenger,
)
from tickercast.jobs.daily.steps import Lasting, held_beside, or_reason, reason, said, undone
from tickercast.jobs.operations.alerts import EndedRun, SentAlerts, send_alerts
from tickercast.jobs.operations.digest import Digest, SentDigest, send_digest
from tickercast.jobs.operations.drift import DriftCheck, check_drift
from tickercast.jobs.operations.score_portfolio import score_portfolio
from tickercast.jobs.requests.fetch_events import FetchedEvents, fetch_events
from tickercast.jobs.requests.results import Answers, Patience
from tickercast.jobs.trading.trade import Traded
from tickercast.jobs.training.seed import follow, seed
from tickercast.jobs.training.train import Fit
from tickercast.model_store import ModelStore
from tickercast.ports import (
    DriftReporter,
    Letter,
    MarketData,
    ModelRegistry,
    Notifier,
    ObjectStore,
    ResultsSource,
    Warehouse,
    Wrap,
)
from tickercast.reading.holdings import Holdings
from tickercast.reading.portfolio_record import PortfolioRecord

_RECENT_RESULTS = timedelta(days=500)  # the last five results days, and those of a year ago

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

LOCK = "daily"
"""The name of the lock that keeps two daily runs apart."""


class Services(Protocol):
    """Everything one daily run needs; `tickercast.app.App` offers it."""

    @property
    def store(self) -> ObjectStore:
        """The data bucket; a write is followed by its event."""

    @property
    def models(self) -> ModelStore:
        """The published models."""

    @property
    def warehouse(self) -> Warehouse:
        """The tables and views, ready for use."""

    @property
    def registry(self) -> ModelRegistry:
        """The trained models."""

    @property
    def notifiers(self) -> Sequence[Notifier]:
        """The receivers of alerts; empty if none are configured."""

    @property
    def digest_receivers(self) -> Sequence[Notifier]:
        """The receivers of the digest; empty if none are configured."""

    @property
    def drift_reporter(self) -> DriftReporter:
        """Draw drift reports."""

    @property
    def fit(self) -> Fit:
        """The training."""

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds of the networks of a training."""

    def watched_coins(self) -> Sequence[str] | None:
        """The coins that alerts of hours are about; None: those that were forecast hour by hour of late."""

    def now(self) -> datetime:
        """The time."""

    def patience(self) -> Patience:
        """The patience with the function, counted from the call."""

    def store_with_new_champion(self) -> ObjectStore:
        """The data bucket, once the function serves a champion that was just published."""

    def tuned_recipe(self, market: Market, through: date) -> Recipe:
        """Search for a recipe in bounded time, using nothing after a date."""

    def load_bundle(self, bundle: Bundle) -> RollingPredictor:
        """Load a bundle, ready to predict."""

    def evaluation_baselines(self, series: Sequence[Bars], through: date) -> Sequence[Predictor]:
        """The baselines of a training; see `models.catalogue`."""

    def promotion_baselines(self, series: Sequence[Bars], through: date) -> Sequence[Predictor]:
        """The baselines of a promotion; see `models.catalogue`."""

    def portfolios(self) -> Sequence[tuple[str, Holdings]]:
        """The portfolios whose record is kept, by name."""

    def trades(self, frequency: Frequency) -> Sequence[tuple[Variant, str]]:
        """The strategies that are traded on paper, and their brokers."""

    def held_on_paper(self, frequency: Frequency) -> Sequence[str]:
        """The symbols of which the accounts of these strategies hold something, or have an open order."""

    def trade(self, variant: Variant, broker: str, *, frequency: Frequency, members: Members) -> Traded:
        """Trade a strategy on paper; see `jobs.trading.trade`."""

    def trading_losses(self) -> Sequence[str]:
        """The strategies whose last results on paper were bad."""

    def results_source(self, name: str = "", bars: str = "") -> ResultsSource | None:
        """The source of results days, by default as bars from a source ask for; None where none is asked."""

    def write_digest(self, found: Digest) -> Letter:
        """Write a digest as text and page, with a picture."""

    def draw_evaluation(self, report: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> bytes:
        """Draw an evaluation as PNG."""


@dataclass
class Day:
    """The results of a daily run, step by step; None stands for a step that was not needed.

    Attributes:
        market: the bars.
        events: the results days that were fetched, or why none were.
        caught_up: the uploads.
        results: the symbols that were forecast, and the reason for each other.
        lost: a reason for each upload that is not accounted for.
        scores: the scores of the champion.
        portfolios: the record of each, or why there is none, by name.
        probation: the decision, or why there was none.
        drift: the drift check, or why there was none.
        planned: whether and how a challenger was trained.
        decided: the decision on the champion, or why there was none.
        reforecast: symbols whose newest forecast was made again by another champion.
        traded: the orders on paper, or why there were none, by strategy and broker.
        beside: the symbols that are on no watchlist, and were fetched to be sold on paper.
        alerts: the open alerts, or why a receiver did not accept them.
        digest: the receivers of the digest, or why nobody has it; None if nobody asked for it.
        finished: the newest decision of an interrupted run that was carried out; None if there was none.
    """

    market: Market
    events: FetchedEvents | str
    caught_up: CaughtUp
    results: Answers
    lost: Sequence[FunctionUnavailable]
    scores: Scores
    portfolios: Mapping[str, PortfolioRecord | str]
    probation: Decided | str
    drift: DriftCheck | str
    planned: TrainingPlan
    decided: Decided | str
    reforecast: int
    traded: Mapping[str, Traded | str] = field(default_factory=dict)
    beside: Sequence[str] = ()
    alerts: SentAlerts | AlertUnavailable = field(default_factory=lambda: SentAlerts(()))
    digest: SentDigest | str | None = None
    finished: Decided | None = None

    @property
    def failures(self) -> dict[str, str]:
        """Everything that could not be done, by symbol or upload; `traded` names what is held and has no bar."""
        each = {**self.market.failures, **self.results.failures}
        failures = {symbol: str(why) for symbol, why in each.items() if symbol not in self.beside}
        return failures | {f"upload {number}": str(why) for number, why in enumerate(self.lost, start=1)}

    @property
    def undone(self) -> dict[str, str]:
        """The steps that stay undone until somebody acts, each with the reason; see `steps.undone`."""
        return undone(
            {
                "events": self.events,
                **_named_each("portfolio", self.portfolios),
                "drift": self.drift,
                "training": self.planned.why,
                **_named_each("on paper", self.traded),
            }
        )

    @property
    def idle(self) -> bool:
        """Whether no forecast was left to make, and no network to train."""
        return not (self.caught_up.uploads or self.planned.wanted or self.reforecast)


def run_day(
    symbols: Sequence[str],
    as_of: date | None,
    *,
    source: MarketData,
    services: Services,
    universe: Callable[[date], Universe] | None = None,
    wrap: Wrap = lambda job: job,
    patience: timedelta = timedelta(0),
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Day:
    """Run the day for a watchlist.

    Args:
        symbols: the watchlist, without duplicates.
        as_of: the last date wanted; None: today, in UTC.
        source: the market data.
        services: everything else.
        universe: chooses the watchlist as of a date, in place of `symbols`.
        wrap: turns each job into the step that is called instead.
        patience: the time limit for waiting while another run holds the lock.
        on_progress: called with the epochs of a training done and their total.

    Raises:
        UsageError: the date is before all that is trained on.
        LeaseHeld, LeaseLost: another run holds the lock, or may have taken it.
        TickercastError: the day cannot be finished now; an alert has been sent, and the day can be run again. A part of
            it that fails after the forecasts has let the others be done before.
    """
    if as_of and as_of < FIRST:
        raise UsageError(f"{as_of} is before {FIRST}, where bars begin to be read: a later date was needed. Name one.")
    with lease(services.store, LOCK, now=services.now, patience=patience) as hold:
        today = services.now().date()
        last = as_of or today
        current = symbols if last >= today else None  # a past date needs no current forecast
        steps = _Steps(services, wrap, hold, today, last)
        try:
            members, beside = symbols, list[str]()
            if universe:
                chosen = steps(_named(universe, "choose_universe"), last)
                symbols = [row.symbol for row in chosen.rows]
                members = [row.symbol for row in chosen.rows if not row.is_held]  # what else is held is sold
                current = None if current is None else symbols
            elif current is not None:
                beside = held_beside(symbols, lambda: services.held_on_paper(DAILY))
            forecasts = _forecasts(steps, [*symbols, *beside], source)
        except Exception as error:  # any error means that the day failed
            steps.fail(error, current)
            raise
        day = forecasts.market.day
        try:
            done = _follow_up(steps, forecasts, members, on_progress)
        except Exception as error:  # the day failed, and its forecasts are there
            steps.fail(error, current, lambda checked: steps.digest(day, checked, symbols, current))
            raise
        done.beside = beside
        done.alerts = steps.alert(current, " ".join(f"{name}: {why}" for name, why in done.undone.items()))
        checked = done.alerts if isinstance(done.alerts, SentAlerts) else None
        done.digest = steps.digest(day, checked, symbols, current)
    return done


@dataclass(frozen=True)
class _Steps:
    services: Services
    wrap: Wrap
    hold: Hold
    today: date  # at the start: a run may end after midnight
    last: date  # to forecast from
    failed: dict[str, Exception] = field(default_factory=dict)  # of parts that later ones can do without
    left: dict[str, str] = field(default_factory=dict)  # what stays undone beside them

    def __call__(self, job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        self.hold.check()
        done: R = self.wrap(job)(*args, **kwargs)
        return done

    def part(self, name: str, steps: Callable[[], R]) -> R | None:
        """Do steps that later ones can do without; what fails in them is kept, and fails the day once all is done."""
        try:
            return steps()
        except LeaseLost:
            raise  # the other run does what is left
        except Exception as error:
            self.failed[name] = error
            return None

    def fail(
        self,
        error: Exception,
        watchlist: Sequence[str] | None,
        digest: Callable[[SentAlerts | None], SentDigest | str | None] = lambda _: _NO_DIGEST,
    ) -> None:
        """Send the alerts and the digest of a day that an error ends; the log says what became of them.

        Args:
            error: the error.
            watchlist: as in `alert`.
            digest: sends the digest once alerts are checked, where the day has forecasts.
        """
        if isinstance(error, LeaseLost):
            return  # the other run sends them
        failure = self._failure(error)
        checked = said(lambda: self.alert(watchlist, failure))  # it may need what has failed
        if not isinstance(checked, SentAlerts):
            log.error("alerts: %s", checked)
        sent = digest(checked if isinstance(checked, SentAlerts) else None)
        if sent and self.services.digest_receivers:
            log.log(logging.INFO if isinstance(sent, SentDigest) else logging.ERROR, "digest: %s", sent)

    def _failure(self, error: Exception) -> str:
        """The failure of a day in words; all but the error that ends it is written to the log, too."""
        said = {name: reason(each) for name, each in self.failed.items()} | self.left
        for name, why in said.items():
            if self.failed.get(name) is not error:
                log.error("%s: %s", name, why)
        return " ".join(f"{name}: {why}" for name, why in said.items()) if len(said) > 1 else reason(error)

    def or_reason(self, job: Callable[P, R]) -> Callable[P, R | str]:
        """Make a step of a job whose errors are reasons; whatever fails in it never stops the day."""
        return or_reason(job, lambda attempt: functools.partial(self, attempt))

    def alert(self, watchlist: Sequence[str] | None, failure: str) -> SentAlerts | AlertUnavailable:
        """Send the news; a receiver that does not accept its message gets it at the next check."""
        return self(
            _or_error(send_alerts, AlertUnavailable),
            notifiers=self.services.notifiers,
            ended=EndedRun(self.last, failure),
            **self._looked_at(watchlist),
        )

    def digest(
        self,
        day: date,
        checked: SentAlerts | None,
        symbols: Sequence[str],
        watchlist: Sequence[str] | None,
    ) -> SentDigest | str | None:
        """Send the day's digest to those who asked for it; whatever fails there is said, and never fails the day."""
        services = self.services
        if not services.digest_receivers:
            return None
        try:
            return self(
                send_digest,
                day,
                symbols,
                checked or send_alerts(notifiers=(), **self._looked_at(watchlist)),
                store=services.store,
                warehouse=services.warehouse,
                receivers=services.digest_receivers,
                write=services.write_digest,
                now=services.now,
            )
        except Exception as error:  # the day is done
            return reason(error)

    def _looked_at(self, watchlist: Sequence[str] | None) -> dict[str, Any]:
        """The places in which alerts are sought; the run has ended, so no forecast of a session is still under way."""
        services = self.services
        return {
            "store": services.store,
            "models": services.models,
            "warehouse": services.warehouse,
            "now": services.now(),
            "watchlist": watchlist,
            "coins": services.watched_coins(),
            "grace": timedelta(0),
        }


_LEFT = "none, since the registry is needed for it"
_NO_DIGEST = "none is sent, since the day has ended before its forecasts."

E = TypeVar("E", bound=Exception)


def _named(job: Callable[P, R], name: str) -> Callable[P, R]:
    """The same job under a name, by which its step is shown."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return job(*args, **kwargs)

    call.__name__ = name
    return call


def _or_error(job: Callable[P, R], *kinds: type[E]) -> Callable[P, R | E]:
    """The same job, with errors of some kinds as results."""

    @functools.wraps(job)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R | E:
        try:
            return job(*args, **kwargs)
        except kinds as error:
            return error

    return attempt


@dataclass(frozen=True)
class _Forecasts:
    market: Market
    events: FetchedEvents | str
    caught_up: CaughtUp
    results: Answers
    lost: Sequence[FunctionUnavailable]


@dataclass(frozen=True)
class _Judged:
    scores: Scores
    portfolios: Mapping[str, PortfolioRecord | str]
    probation: Decided | str
    drift: DriftCheck | str
    planned: TrainingPlan
    decided: Decided | str
    finished: Decided | None


def _forecasts(step: _Steps, symbols: Sequence[str], source: MarketData) -> _Forecasts:
    """Fetch bars and results days, and have everything forecast."""
    services = step.services
    store, warehouse = services.store, services.warehouse
    market = step(fetch, symbols, FIRST, step.last, source=source, warehouse=warehouse, now=services.now())
    events = _events(step, market)
    caught_up = step(catch_up, market, store=store, warehouse=warehouse, now=services.now())
    results, lost = step(collect_results, caught_up, market, warehouse=warehouse, patience=services.patience())
    return _Forecasts(market, events, caught_up, results, lost)


def _follow_up(
    step: _Steps,
    forecasts: _Forecasts,
    members: Sequence[str],
    on_progress: Callable[[int, int], None],
) -> Day:
    """Do what follows the forecasts. A part that fails leaves the others to do, and fails the day at the end."""
    services, market = step.services, forecasts.market
    models, warehouse = services.models, services.warehouse
    judged, losses = step.part("decision", lambda: _judge(step, market, on_progress)) or (None, ())
    step.part(
        "widths", lambda: step(refresh_widths, market, models=models, load=services.load_bundle, warehouse=warehouse)
    )
    renewed = step.part("forecasts by the new champion", lambda: _reforecast(step, market))
    traded = _traded(step, members)
    if isinstance(losses, str) and losses not in traded.values():
        traded["results"] = losses
    if is_due(market.day):
        step.part("compaction", lambda: step(compact_warehouse, warehouse=warehouse))
    if judged is None or renewed is None or step.failed:
        step.left.update(undone({"events": forecasts.events, **_named_each("on paper", traded)}))
        raise next(iter(step.failed.values()))
    return Day(**vars(forecasts), **vars(judged), reforecast=renewed, traded=traded)


def _named_each(step: str, found: Mapping[str, object]) -> dict[str, object]:
    return {f"{step} {name}".strip(): each for name, each in found.items()}


def _judge(
    step: _Steps, market: Market, on_progress: Callable[[int, int], None]
) -> tuple[_Judged, Sequence[str] | str]:
    """Score what came true, and decide which model is served; beside it, what `_losses` gives."""
    services = step.services
    models, warehouse, registry = services.models, services.warehouse, services.registry
    finished = step(finish_decisions, models=models, warehouse=warehouse, now=services.now())
    scores = step(read_scores, market, models=models, warehouse=warehouse)
    portfolios = _portfolios(step)
    step.left.update(undone(_named_each("portfolio", portfolios)))
    alone = _without_registry(services)
    probation: Decided | str = _LEFT
    if not alone:
        probation = step(
            review_probation, market, scores, models=models, registry=registry, warehouse=warehouse, now=services.now()
        )
    drift = _drift(step, market)
    losses = _losses(services)
    condition = scores.condition(
        () if isinstance(drift, str) else tuple(drift.reasons), () if isinstance(losses, str) else losses
    )
    if alone:
        step.left.update(undone({"training": alone}))
        return _Judged(scores, portfolios, probation, drift, TrainingPlan(False, alone), _LEFT, finished), losses
    planned = step(plan_training, market, condition, models=models, warehouse=warehouse)
    contest = _contest(step, market, planned, on_progress) if planned.wanted else None
    decided = step(
        decide_promotion,
        market,
        planned,
        contest,
        models=models,
        registry=registry,
        warehouse=warehouse,
        now=services.now(),
    )
    return _Judged(scores, portfolios, probation, drift, planned, decided, finished), losses


def _without_registry(services: Services) -> str:
    """Bring the registry up to what is served; why nothing is trained where it does not answer, else empty."""
    try:
        seed(services.registry, services.models)
        follow(services.registry, services.models)
    except (StoreUnavailable, EngineUnusable, UsageError) as error:
        served = services.models.pointer()
        return Lasting(
            f"nothing is trained or decided. {error} The forecasts are by {served.name} {served.serving}, which "
            f"{services.models.url} serves without the registry; the next run of the day does the rest."
        )
    return ""


def _events(step: _Steps, market: Market) -> FetchedEvents | str:
    """Keep the results days of the watchlist; whatever fails there is said, and never stops the day."""
    services = step.services
    if step.last < step.today:
        return f"none are fetched for {step.last}: a source tells what is known today, {step.today} in UTC"
    symbols = [symbol for symbol in market.symbols if is_stock(symbol)]
    source = said(lambda: services.results_source(bars=market.source.name))
    if isinstance(source, str):
        return source
    if source is None or not symbols:
        return "none: no source of them is configured" if symbols else "none: no symbol is a company's"
    since = step.last - _RECENT_RESULTS
    return step.or_reason(fetch_events)(symbols, source=source, store=services.store, now=services.now(), since=since)


def _portfolios(step: _Steps) -> dict[str, PortfolioRecord | str]:
    """Score the portfolios that the settings name; whatever fails there is said, and never stops the day."""
    services = step.services
    held = said(services.portfolios)
    if isinstance(held, str):
        return {"": held}
    scoring, now = step.or_reason(score_portfolio), services.now()
    return {name: scoring(each, name, warehouse=services.warehouse, now=now) for name, each in held}


def _losses(services: Services) -> Sequence[str] | str:
    """The strategies whose last results on paper were bad, or which setting is wrong."""
    try:
        return services.trading_losses()
    except UsageError as error:
        return reason(error)


def _traded(step: _Steps, symbols: Sequence[str]) -> dict[str, Traded | str]:
    """Trade on paper what the settings name; whatever fails there is said, and never stops the day."""
    services = step.services
    wanted = said(lambda: services.trades(DAILY))
    if isinstance(wanted, str):
        return {"": wanted}
    if wanted and step.last < step.today:
        return {"": f"nothing is ordered for {step.last}: orders follow today's bars, and today is {step.today} in UTC"}
    trading, members = step.or_reason(services.trade), always(symbols)
    return {f"{made.name}@{broker}": trading(made, broker, frequency=DAILY, members=members) for made, broker in wanted}


def _drift(step: _Steps, market: Market) -> DriftCheck | str:
    """Check for drift, once a day; the reason if that is not possible."""
    services = step.services
    if recorded_decision(services.models, services.models.pointer().name, market.day, "promotion") is not None:
        return f"{market.day} has been checked already"
    found = step(
        _or_error(check_drift, EngineUnusable, UsageError, TooFewSessions),
        market.day,
        market.symbols,
        warehouse=services.warehouse,
        store=services.store,
        models=services.models,
        load=services.load_bundle,
        reporter=services.drift_reporter,
        now=services.now(),
    )
    return found if isinstance(found, DriftCheck) else reason(found)


def _contest(step: _Steps, market: Market, planned: TrainingPlan, on_progress: Callable[[int, int], None]) -> Any:
    """Train a challenger and evaluate it beside the champion; the reason if it cannot be trained."""
    services = step.services
    challenger = step(
        _or_error(train_challenger, Permanent),
        market,
        planned,
        fit=services.fit,
        tuning=services.tuned_recipe,
        baselines=services.evaluation_baselines,
        models=services.models,
        warehouse=services.warehouse,
        registry=services.registry,
        picture=services.draw_evaluation,
        seeds=services.seeds,
        on_progress=on_progress,
    )
    if isinstance(challenger, Permanent):
        return challenger
    return step(
        evaluate_challenger,
        market,
        challenger,
        models=services.models,
        load=services.load_bundle,
        baselines=services.promotion_baselines,
        warehouse=services.warehouse,
        picture=services.draw_evaluation,
    )


def _reforecast(step: _Steps, market: Market) -> int:
    """Make the newest forecasts again if another model made them; the number of symbols."""
    services = step.services
    served = services.models.pointer()
    if not outdated_files(market, served, services.warehouse, services.now()):
        return 0
    store = services.store_with_new_champion()
    again = step(reforecast, market, served, store=store, warehouse=services.warehouse, now=services.now())
    collect_results(CaughtUp(again), market, warehouse=services.warehouse, patience=services.patience())
    return sum(len(sent.symbols) for sent in again)
