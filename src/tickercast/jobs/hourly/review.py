"""Review what is served of hourly bars at the beginning of each month, on the half-year before it.

A champion that is shown to be worse than the best baseline makes place for it, and wins the place back once it is shown
to be better. The LSTM and `har-season` challenge each other: the network takes the place by two half-years that it has
not learned from, the regression by the last one. Decisions are recorded and carried out as those of the daily run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pandas as pd

from tickercast.domain.bars import Bars
from tickercast.domain.cards.model_card import HAR_SEASON, HOURLY_NETWORK, Bundle, ModelCard, Pointer, learned_through
from tickercast.domain.forecast import RANDOM_WALK, Predictor, Role
from tickercast.domain.frequency import HOURLY
from tickercast.domain.measures.evaluation import loss_ratio, rolling_losses, summary
from tickercast.domain.measures.intervals import Interval, in_words, interval_of
from tickercast.domain.measures.promotion import (
    Decision,
    Evidence,
    decide,
    decide_demotion,
    decide_network,
    decide_rival,
)
from tickercast.errors import TooFewSessions
from tickercast.jobs.champion.decisions import (
    HOURLY_RECORD,
    Decided,
    carry_out,
    decisions,
    ratio_figures,
    recorded_decision,
)
from tickercast.jobs.training.train import training_bars
from tickercast.jobs.training.train_hourly import HALF_YEAR
from tickercast.model_store import ModelStore
from tickercast.ports import MarketData, Warehouse

SPAN = 2 * HALF_YEAR + timedelta(days=365 + 32)
"""The span of the fetched bars: two half-years, the year that their first tables are learned from, and its history."""

_EVERY = 5  # hours from one origin to the next: each hour of the day comes in turn

Evaluated = Callable[[Sequence[Bundle], Sequence[Bars]], Sequence[Predictor]]
"""The models of bundles, with tables of each month, and the baselines that need none: `catalogue.hourly_evaluation`."""


@dataclass(frozen=True)
class _Contest:
    """The served model on the last half-year, and its rivals.

    Attributes:
        pointer: the pointer.
        tables: the losses by model.
        baseline: the served baseline, else the best one.
        rival: the challenger of a champion that is served; empty if there is none.
        before: the ratio of the rival's loss to the champion's on the half-year before; None where none was measured.
        why_not: why the rival cannot challenge; empty if it can.
    """

    pointer: Pointer
    tables: Mapping[str, pd.DataFrame]
    baseline: str
    rival: str = ""
    before: Interval | None = None
    why_not: str = ""

    def ratio(self, name: str, other: str) -> Interval:
        return loss_ratio(self.tables[name], self.tables[other], "sp", frequency=HOURLY)


def review_champion(
    symbols: Sequence[str],
    *,
    source: MarketData,
    models: ModelStore,
    warehouse: Warehouse,
    evaluated: Evaluated,
    now: datetime,
) -> Decided | str:
    """Decide what is served of hourly bars, once a month.

    Args:
        symbols: the symbols whose bars the models are measured on.
        source: where the bars come from; nothing is decided on simulated ones.
        models: the published models of hourly bars.
        warehouse: where the decision is kept.
        evaluated: makes models of bundles.
        now: the time.

    Returns:
        The decision, or why there was none: that of a month is returned by the run that carries it out.

    Raises:
        PreconditionFailed: another model has come to be served meanwhile.
        Transient: try again.
    """
    through, pointer = month_before(now), models.pointer()
    decided = recorded_decision(models, HOURLY_RECORD, through, "promotion")
    if decided and decided.among(decisions(warehouse, decided.model_name)):
        return f"the half-year to {through} has been reviewed: {decided.decision}"
    if decided is None:
        if source.simulated:
            return "nothing is decided on simulated bars"
        if pointer.returned_in_month(now):
            return f"{pointer.name} {pointer.version} was chosen by hand in this month, and is reviewed in the next"
        decided = _decided(pointer, through, symbols, source, models, evaluated)
    return carry_out(decided, models=models, registry=None, warehouse=warehouse, now=now)


def month_before(now: datetime) -> date:
    """The last day of the month before, up to which everything is measured."""
    return now.astimezone(UTC).date().replace(day=1) - timedelta(days=1)


def _decided(
    pointer: Pointer,
    through: date,
    symbols: Sequence[str],
    source: MarketData,
    models: ModelStore,
    evaluated: Evaluated,
) -> Decided:
    kept = Decided(
        day=through,
        kind="promotion",
        decision="kept",
        reason="",
        model_name=pointer.name,
        champion_version=pointer.serving,
        frequency="1h",
    )
    try:
        contest = _measured(pointer, through, symbols, source, models, evaluated)
    except TooFewSessions as error:
        return kept.model_copy(update={"reason": f"nothing could be measured: {error}"})
    decision, candidate, ratio = _decide(contest)
    own = contest.tables[pointer.name]
    return kept.model_copy(
        update={
            "decision": decision.action,
            "reason": decision.reason,
            "candidate_version": candidate,
            "origins": _origins(own),
            "walk_ratio": contest.ratio(pointer.name, RANDOM_WALK)[0],
            "coverage_80": summary(own)["coverage_80"],
            **ratio_figures(ratio),
        }
    )


def _measured(
    pointer: Pointer,
    through: date,
    symbols: Sequence[str],
    source: MarketData,
    models: ModelStore,
    evaluated: Evaluated,
) -> _Contest:
    beside = {one.name: one for one in pointer.served}
    names = [pointer.name, *(name for name in beside if models.versions(name))]
    bundles = {name: models.read(name, beside[name].version if name in beside else pointer.version) for name in names}
    baselines = [name for name in bundles if name in beside and beside[name].role is Role.BASELINE]
    rival = HAR_SEASON if pointer.name == HOURLY_NETWORK else HOURLY_NETWORK
    rival = rival if rival in bundles and not pointer.baseline else ""
    wanted = [bundles[name] for name in dict.fromkeys([pointer.name, *baselines, *([rival] if rival else [])])]
    series = training_bars(source, symbols, through - SPAN, through, lambda *_: None)
    made = {model.name: model for model in evaluated(wanted, series)}
    middle = through - HALF_YEAR
    tables = _losses(made, series, middle, through)
    rivals = [name for name in made if name not in (RANDOM_WALK, pointer.name, rival)]
    best = min(rivals, key=lambda name: float(tables[name]["sp"].mean()), default="")
    before, why_not = None, ""
    if rival == HOURLY_NETWORK:
        try:
            before = _before(bundles[rival].card, pointer.name, made, series, middle)
        except TooFewSessions as error:
            why_not = f"{rival} cannot challenge: {error}"
    return _Contest(pointer, tables, pointer.baseline or best, rival, before, why_not)


def _before(
    card: ModelCard, champion: str, models: Mapping[str, Predictor], series: Sequence[Bars], middle: date
) -> Interval:
    """The ratio of a network's loss to the champion's on the half-year before the last one.

    Where the network has learned from that, the ratio is on its card: of a network that was trained without.

    Raises:
        TooFewSessions: the network has seen later dates, or the half-year cannot be measured.
    """
    first, learned = middle - HALF_YEAR, learned_through(card)
    if learned <= first:
        earlier = _losses({name: models[name] for name in (card.name, champion)}, series, first, middle)
        return loss_ratio(earlier[card.name], earlier[champion], "sp", frequency=HOURLY)
    if learned > middle or BEFORE not in card.metrics:
        raise TooFewSessions(f"it learned up to {learned}, and the half-year after {middle} has to be new to it")
    return interval_of(card.metrics, BEFORE)


BEFORE = "before_sp_vs_har_season"
"""The measure of a network's card that the half-year before its training gave; see `jobs.training.train_hourly`."""


def _losses(
    models: Mapping[str, Predictor], series: Sequence[Bars], after: date, through: date
) -> Mapping[str, pd.DataFrame]:
    """The losses on the days after one date up to another.

    Raises:
        TooFewSessions: there is no hour to forecast from, or tables cannot be learned.
    """
    tables = rolling_losses(models, series, after + timedelta(days=1), through, every=_EVERY)
    if any(table.empty for table in tables.values()):
        raise TooFewSessions(f"no hour after {after} up to {through} can be forecast from")
    return tables


def _origins(table: pd.DataFrame) -> int:
    return len(table[["symbol", "cutoff"]].drop_duplicates())


def _decide(contest: _Contest) -> tuple[Decision, str, Interval]:
    """The decision, the candidate, and the ratio that it rests on."""
    pointer, baseline, rival = contest.pointer, contest.baseline, contest.rival
    own = contest.tables[pointer.name]
    evidence = Evidence(
        origins=_origins(own),
        vs_champion=contest.ratio(pointer.name, baseline),
        vs_random_walk=contest.ratio(pointer.name, RANDOM_WALK),
        coverage_80=summary(own)["coverage_80"],
        fresher_days=0,
        baseline=baseline,
    )
    if pointer.baseline:  # the former champion wants its place back
        return decide(evidence), pointer.name, evidence.vs_champion
    challenged, ratio = _challenge(contest)
    worse = decide_demotion(pointer.name, baseline, evidence.vs_champion)
    if worse.action == "demoted" and not challenged.promote:
        return worse, baseline, evidence.vs_champion
    return challenged, rival or baseline, ratio


def _challenge(contest: _Contest) -> tuple[Decision, Interval]:
    name, rival = contest.pointer.name, contest.rival
    if not rival:
        ratio = contest.ratio(name, contest.baseline)
        return decide_demotion(name, contest.baseline, ratio), ratio
    ratio = contest.ratio(rival, name)
    if rival != HOURLY_NETWORK:
        return decide_rival(rival, name, ratio), ratio
    if contest.before is None:
        return Decision("kept", f"{contest.why_not}; its ratio to {name} is {in_words(ratio)}"), ratio
    return decide_network(contest.before, ratio), ratio
