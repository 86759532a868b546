"""Run an hour: refresh what is due, forecast the hour that has just ended, and look after the models once a day.

An hour that fails is not lost: the next one's file brings its bars and its scores. The forecasts come first; what takes
longer, and whatever of it fails, leaves them as they are.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import ParamSpec, Protocol, TypeVar

from tickercast.domain.cards.model_card import Bundle
from tickercast.domain.forecast import RollingPredictor
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.domain.trading.strategy import Variant
from tickercast.domain.trading.universe import Members, always
from tickercast.errors import PreconditionFailed, Transient
from tickercast.jobs.champion.decisions import HOURLY_RECORD, Decided, recorded_decision
from tickercast.jobs.daily.lease import Hold, lease
from tickercast.jobs.daily.steps import held_beside, or_reason, reason, said, undone
from tickercast.jobs.hourly.refresh import Fit, Refreshed, refresh
from tickercast.jobs.hourly.retrain import Train, retrain_networks
from tickercast.jobs.hourly.review import Evaluated, month_before, review_champion
from tickercast.jobs.operations.alerts import SentAlerts, send_alerts
from tickercast.jobs.operations.drift import DriftCheck, check_drift
from tickercast.jobs.requests.request_forecast import Requested, request_forecast
from tickercast.jobs.requests.results import Patience
from tickercast.jobs.trading.trade import Traded
from tickercast.jobs.training.refit_direction import Refit
from tickercast.model_store import ModelStore
from tickercast.ports import DriftReporter, MarketData, Notifier, ObjectStore, Warehouse, Wrap

P = ParamSpec("P")
R = TypeVar("R")

LOCK = "hourly"
"""The name of the lock that keeps the forecasts of two runs apart."""

_UNLEARNT = "the {} do not learn from simulated bars"

_UPKEEP_LOCK = "hourly-upkeep"  # a lock of its own: a training must not hold up the next hour


class Services(Protocol):
    """Everything one hourly run needs; `tickercast.app.App` offers it."""

    @property
    def store(self) -> ObjectStore:
        """The data bucket; a write is followed by its event."""

    @property
    def models(self) -> ModelStore:
        """The published models of daily bars."""

    @property
    def warehouse(self) -> Warehouse:
        """The tables and views, ready for use."""

    def trades(self, frequency: Frequency) -> Sequence[tuple[Variant, str]]:
        """The strategies that are traded on paper, and their brokers."""

    def held_on_paper(self, frequency: Frequency) -> Sequence[str]:
        """The symbols of which the accounts of these strategies hold something, or have an open order."""

    def trade(self, variant: Variant, broker: str, *, frequency: Frequency, members: Members) -> Traded:
        """Trade a strategy on paper; see `jobs.trading.trade`."""

    @property
    def notifiers(self) -> Sequence[Notifier]:
        """The receivers of alerts; empty if none are configured."""

    @property
    def drift_reporter(self) -> DriftReporter:
        """Draw drift reports."""

    @property
    def serves_direction(self) -> bool:
        """Whether directions are forecast, too."""

    @property
    def retrains_by_rule(self) -> bool:
        """Whether the model of directions is to be looked at each hour, by the rule that the settings name."""

    def store_of(self, frequency: Frequency) -> ModelStore:
        """The published models of a frequency."""

    def watched(self) -> Sequence[str] | None:
        """The symbols of the daily flow, which its alerts are about; None: all that are forecast."""

    def watched_coins(self) -> Sequence[str] | None:
        """The coins that alerts of hours are about; None: those that were forecast hour by hour of late."""

    def now(self) -> datetime:
        """The time."""

    def load_bundle(self, bundle: Bundle) -> RollingPredictor:
        """Load a bundle, ready to predict."""


@dataclass(frozen=True)
class Learning:
    """The trainings of models of hourly bars, from one source.

    Attributes:
        fit: learns tables.
        evaluated: makes models of bundles, with tables of each month.
        train: trains the networks.
        refit: grows the trees of the direction model again if that is due.
    """

    fit: Fit
    evaluated: Evaluated
    train: Train
    refit: Callable[[Sequence[str]], Refit]


@dataclass(frozen=True)
class Upkeep:
    """The upkeep of the models; each part is its result, or why there is none. Empty: it was not its turn.

    Attributes:
        left: why all of it was left to the next hour; empty if it was not.
        refit: the trees of the direction model, each day, or each hour by a rule.
        drift: the check, each day.
        trained: the networks, each half-year.
        decided: the decision on the champion, each month.
        alerts: the open alerts, each day.
    """

    left: str = ""
    refit: Refit | str = ""
    drift: DriftCheck | str = ""
    trained: str = ""
    decided: Decided | str = ""
    alerts: SentAlerts | str = ""


@dataclass(frozen=True)
class Hour:
    """The result of an hour.

    Attributes:
        moment: the end of the hour that was forecast from, UTC and naive.
        made: the forecasts, and the reason for each symbol without one.
        refreshed: the tables that are served; None if they could not be refreshed.
        remark: why the tables are not newer; empty where nothing was due, or they are.
        upkeep: the upkeep of the models.
        traded: the orders on paper, or why there were none, by strategy and broker.
    """

    moment: datetime
    made: Requested
    refreshed: Refreshed | None = None
    remark: str = ""
    upkeep: Upkeep = field(default_factory=Upkeep)
    traded: Mapping[str, Traded | str] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, str]:
        """Everything that could not be forecast, by symbol or upload."""
        failures = {symbol: str(why) for symbol, why in self.made.failures.items()}
        return failures | {f"upload {number}": str(why) for number, why in enumerate(self.made.lost, start=1)}

    @property
    def undone(self) -> dict[str, str]:
        """The steps that stay undone until somebody acts, each with the reason; see `steps.undone`.

        A drift report and a training need packages that an hour may do without.
        """
        return undone(
            {
                "tables": self.remark,
                "directions": self.upkeep.refit,
                "decision": self.upkeep.decided,
                "alerts": self.upkeep.alerts,
                **{f"on paper {name}".strip(): found for name, found in self.traded.items()},
            }
        )


def run_hour(
    symbols: Sequence[str],
    *,
    source: MarketData,
    services: Services,
    learning: Learning,
    patience: Callable[[], Patience],
    wrap: Wrap = lambda job: job,
) -> Hour:
    """Do an hour's work for some symbols.

    Args:
        symbols: the symbols, as the exchange spells them.
        source: where the bars come from.
        services: everything else.
        learning: the trainings of the models from that source.
        patience: starts to wait for the function.
        wrap: turns each job into the step that is called instead.

    Raises:
        LeaseHeld, LeaseLost: another run is at work, or may have begun.
        Transient: an engine does not answer; the next hour catches up.
    """
    models = services.store_of(HOURLY)
    with lease(models.store, LOCK, now=services.now) as hold, _alerting(services, _guarded(hold, wrap)):
        refreshed, remark = _refreshed(symbols, source, services, learning, _guarded(hold, wrap))
        moment = HOURLY.parse(services.now().astimezone(UTC))
        assert isinstance(moment, datetime), "hours end at moments"
        beside = held_beside(symbols, lambda: services.held_on_paper(HOURLY))
        made = _guarded(hold, wrap)(request_forecast)(
            [*symbols, *beside],
            moment,
            source=source,
            store=services.store,
            warehouse=services.warehouse,
            models=models,
            now=services.now,
            patience=patience,
            frequency=HOURLY,
        )
        hold.check()  # what follows belongs to the run that forecasts the hour
    made = replace(made, failures={symbol: why for symbol, why in made.failures.items() if symbol not in beside})
    traded = _traded(symbols, services, wrap)
    return Hour(moment, made, refreshed, remark, _look_after(symbols, source, services, learning, wrap), traded)


def _guarded(hold: Hold, wrap: Wrap) -> Wrap:
    """Check before each step that no other run may have begun."""

    def guarded(job: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(job)
        def step(*args: P.args, **kwargs: P.kwargs) -> R:
            hold.check()
            done: R = wrap(job)(*args, **kwargs)
            return done

        return step

    return guarded


@contextmanager
def _alerting(services: Services, wrap: Wrap) -> Iterator[None]:
    """Send the alerts of an hour that cannot be forecast: in an outage no later step of a run would."""
    try:
        yield
    except Transient:
        said(lambda: _alerted(services, wrap))
        raise


def _refreshed(
    symbols: Sequence[str], source: MarketData, services: Services, learning: Learning, wrap: Wrap
) -> tuple[Refreshed | None, str]:
    """The tables that are served, or why they could not be refreshed: the earlier ones serve on then."""
    try:
        done = wrap(refresh)(
            symbols,
            source=source,
            models=services.store_of(HOURLY),
            fit=learning.fit,
            load=services.load_bundle,
            now=services.now(),
        )
    except Transient:
        raise
    except Exception as error:
        return None, reason(error)
    return done, ""


def _traded(symbols: Sequence[str], services: Services, wrap: Wrap) -> dict[str, Traded | str]:
    """Trade on paper what the settings name; whatever fails there is said, and never stops the hour."""
    found: dict[str, Traded | str] = {}
    try:
        for made, broker in services.trades(HOURLY):
            name = f"{made.name}@{broker}"
            found[name] = or_reason(services.trade, wrap)(made, broker, frequency=HOURLY, members=always(symbols))
    except Exception as error:
        found[""] = reason(error)
    return found


def _look_after(
    symbols: Sequence[str], source: MarketData, services: Services, learning: Learning, wrap: Wrap
) -> Upkeep:
    """Look after the models, unless a run of an earlier hour is still at it; the next hour does what is left."""
    try:
        with lease(services.store_of(HOURLY).store, _UPKEEP_LOCK, now=services.now) as hold:
            return _upkeep(symbols, source, services, learning, hold, wrap)
    except Transient as error:
        return Upkeep(left=f"left to the next hour. {error}")


def _upkeep(
    symbols: Sequence[str], source: MarketData, services: Services, learning: Learning, hold: Hold, wrap: Wrap
) -> Upkeep:
    wrap = _guarded(hold, wrap)
    models, yesterday = services.store_of(HOURLY), services.now().astimezone(UTC).date() - timedelta(days=1)
    marker, first = f"decisions/{HOURLY_RECORD}/{yesterday}/upkeep.json", False
    with suppress(Transient):
        first = not models.store.generation(marker)
    done = Upkeep()
    if services.serves_direction and (first or services.retrains_by_rule):
        refit = or_reason(learning.refit, wrap)
        done = replace(done, refit=_UNLEARNT.format("trees") if source.simulated else refit(symbols))
    if not first:
        return done
    done = replace(done, drift=said(lambda: _checked(yesterday, symbols, services, wrap)))
    done = replace(done, trained=said(lambda: _trained(symbols, source, services, learning, wrap)))
    done = replace(
        done,
        decided=or_reason(review_champion, wrap)(
            symbols,
            source=source,
            models=models,
            warehouse=services.warehouse,
            evaluated=learning.evaluated,
            now=services.now(),
        ),
    )
    done = replace(done, alerts=said(lambda: _alerted(services, wrap)))
    hold.check()  # a step that was refused has only given its reason
    with suppress(PreconditionFailed, Transient):  # another run was faster; or the next hour does it again
        models.store.write(marker, json.dumps({"day": str(yesterday)}).encode(), if_generation="")
    return done


def _checked(day: date, symbols: Sequence[str], services: Services, wrap: Wrap) -> DriftCheck | str:
    return or_reason(check_drift, wrap)(
        day,
        symbols,
        warehouse=services.warehouse,
        store=services.store,
        models=services.store_of(HOURLY),
        load=services.load_bundle,
        reporter=services.drift_reporter,
        now=services.now(),
    )


def _trained(symbols: Sequence[str], source: MarketData, services: Services, learning: Learning, wrap: Wrap) -> str:
    models = services.store_of(HOURLY)
    if recorded_decision(models, HOURLY_RECORD, month_before(services.now()), "promotion") is not None:
        return ""  # this month has had its turn
    if source.simulated:
        return _UNLEARNT.format("networks")
    return or_reason(retrain_networks, wrap)(symbols, train=learning.train, models=models, now=services.now())


def _alerted(services: Services, wrap: Wrap) -> SentAlerts | str:
    return or_reason(send_alerts, wrap)(
        store=services.store,
        models=services.store_of(DAILY),
        warehouse=services.warehouse,
        notifiers=services.notifiers,
        now=services.now(),
        watchlist=services.watched(),
        coins=services.watched_coins(),
    )
