"""Check for drift: compare the newest sessions with the champion's training, store the findings, and draw a report."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from tickercast.domain import objects
from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.drift import (
    COLUMNS,
    COVERAGE,
    LOSS,
    NOMINAL,
    ORIGINS,
    WINDOW,
    DriftFinding,
    Reference,
    fared_columns,
    furthest_first,
    judge_distances,
    judge_performance,
    reasons,
)
from tickercast.domain.forecast import Role, RollingPredictor
from tickercast.domain.frequency import DAILY
from tickercast.domain.model_card import Bundle, ModelCard
from tickercast.domain.reference import observe
from tickercast.domain.symbols import sample_symbols
from tickercast.errors import Permanent, PreconditionFailed, TooFewSessions, UsageError
from tickercast.model_store import ModelStore
from tickercast.ports import Between, DriftReport, DriftReporter, ObjectStore, Warehouse
from tickercast.reading.queries import ask

_DAYS_A_SESSION = timedelta(days=2)  # at least, holidays included
_LOOK_BACK = timedelta(days=550)  # the volatility's weights reach 256 sessions back
_RESOLVED = timedelta(days=60)  # twenty origins a session apart, and the ten sessions after them
_WIDTH = ["symbol", "cutoff", "step", "close_lo_95", "close_hi_95", "simulated"]
_SCORE = ["symbol", "cutoff", "target_date", "loss", "walk_loss", "scale", "inside_80", "simulated"]

BACKTEST_RATIO = "sp_vs_random_walk"
"""The measure of a card that performance is compared with."""


@dataclass(frozen=True)
class DriftCheck:
    """The result of a day.

    Attributes:
        day: the newest session that was checked.
        model_name: the registered name of the champion.
        model_version: the version whose training was the reference.
        drifted: whether any measure is beyond its threshold.
        reasons: a sentence with numbers for each such measure, the furthest first.
        report: the object that holds the page; the same figures are beside it, ending in `.json`.
        rows: the rows of the table `drift` for the day and version.
        new: whether they were stored now, and not by an earlier run.
        skipped: the symbols that could not be checked, and why.
        simulated: whether the bars are simulated.
    """

    day: date
    model_name: str
    model_version: str
    drifted: bool
    reasons: Sequence[str]
    report: str
    rows: pd.DataFrame
    new: bool
    skipped: Mapping[str, str]
    simulated: bool


@dataclass(frozen=True)
class _Watch:
    """The bars to check: of each symbol up to its newest session, and the newest session of all."""

    day: date
    series: Sequence[Bars]
    skipped: Mapping[str, str]
    simulated: bool

    @property
    def symbols(self) -> list[str]:
        return [bars.symbol for bars in self.series]


def check_drift(
    day: date,
    symbols: Sequence[str],
    *,
    warehouse: Warehouse,
    store: ObjectStore,
    models: ModelStore,
    load: Callable[[Bundle], RollingPredictor],
    reporter: DriftReporter,
    now: datetime,
) -> DriftCheck:
    """Check the last sessions on or before a day, and store the findings, once for each day and version.

    If a run was interrupted between the report and the rows, the next one draws the report again under the same name,
    or under another if the figures have changed meanwhile; the rows name the report that holds them.

    Args:
        day: the last date to check.
        symbols: the watchlist, of which a sample is checked if it is long.
            Symbols of other asset classes than the network's training are left out, and simulated
            bars too, unless there are no others.
        warehouse: where bars, forecasts and scores are read, and findings stored.
        store: where the report goes.
        models: where the champion is published.
        load: loads the champion.
        reporter: draws the report.
        now: the time.

    Raises:
        UsageError: the champion has no reference.
        TooFewSessions: no symbol has enough bars.
        BundleError, ModelUnavailable: the champion cannot be read.
        Transient: try again.
    """
    champion = models.champion()
    reference = models.reference(champion.card)
    needed = champion.card.min_sessions + WINDOW - 1
    checked = sample_symbols(symbols)
    bars = _recent(warehouse, checked, day, needed)
    watch = _watch(bars, checked, reference, day, needed)
    stored = _stored(warehouse, champion.card, watch)
    new = stored.empty
    if new:
        seen = _seen(watch, load(champion), warehouse, champion.card)
        fared = _fared(watch, warehouse, champion.card)
        findings = _judge(reference, seen, fared, watch, champion.card)
        sample = _sample(reference, fared, champion.card)
        report = _named(champion.card, watch, findings)
        _draw(store, report, reporter.report(_together(seen, fared), sample, furthest_first(findings)))
        rows = _rows(findings, champion.card, watch, report, now)
        new = warehouse.append("drift", rows, key=_key(champion.card, watch))
        stored = _stored(warehouse, champion.card, watch)
    return _result(stored, watch, new)


# ---------------------------------------------------------------- gather


def _recent(warehouse: Warehouse, symbols: Sequence[str], day: date, needed: int) -> pd.DataFrame:
    """The newest bars, as many as the features look back."""
    newest = ask(warehouse, "newest_session", symbols=list(symbols), day=day, frequency=DAILY.name)[
        "session_date"
    ].iloc[0]
    last = day if pd.isna(newest) else pd.Timestamp(newest).date()
    first = last - max(_LOOK_BACK, needed * _DAYS_A_SESSION)
    where = {"symbol": list(symbols), "frequency": DAILY.name, "session_date": Between(first, last)}
    return warehouse.read("latest_prices", where, ["symbol", "simulated", *BAR_COLUMNS])


def _watch(bars: pd.DataFrame, symbols: Sequence[str], reference: Reference, day: date, needed: int) -> _Watch:
    simulated = bool(len(bars)) and bool(bars["simulated"].all())
    bars = bars[(bars["simulated"] == simulated) & (bars["session_date"] <= pd.Timestamp(day))]
    newest = bars["session_date"].max().date() if len(bars) else day
    of_stocks = any(map(is_stock, reference.symbols))
    found = {str(symbol): _bars(str(symbol), rows) for symbol, rows in bars.groupby("symbol")}
    series: list[Bars] = []
    skipped: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        try:
            series.append(_usable(symbol, found, of_stocks, newest, needed))
        except Permanent as error:
            skipped[symbol] = str(error)
    if not series:
        raise TooFewSessions(
            f"No symbol of {len(skipped)} can be checked on {newest}"
            f"{': ' + next(iter(skipped.values())) if skipped else '.'} Forecast some symbols first, or name others."
        )
    return _Watch(newest, series, skipped, simulated)


def _bars(symbol: str, rows: pd.DataFrame) -> Bars:
    bars = rows.sort_values("session_date", ignore_index=True)[list(BAR_COLUMNS)]
    return Bars(symbol, bars.astype({"session_date": "datetime64[s]"} | dict.fromkeys(BAR_COLUMNS[1:], float)))


def _usable(symbol: str, found: Mapping[str, Bars], of_stocks: bool, day: date, needed: int) -> Bars:
    if is_stock(symbol) != of_stocks:
        raise UsageError(f"{symbol} is of another asset class than the champion's training.")
    if symbol not in found:
        raise TooFewSessions(f"{symbol} has no bars in the warehouse.")
    bars = found[symbol].until(day)
    if len(bars) < needed:
        raise TooFewSessions(f"{symbol} has {len(bars)} session(s) up to {day}: at least {needed} were needed.")
    return bars


def _seen(watch: _Watch, model: RollingPredictor, warehouse: Warehouse, card: ModelCard) -> pd.DataFrame:
    """The last sessions of every symbol, one row each: `COLUMNS`, by symbol and session.

    The widths are those of the stored forecasts; where there are none, those that the champion would have made.
    """
    observed = [observe(bars, model, WINDOW) for bars in watch.series]
    parts = [
        pd.DataFrame(
            one.values,
            columns=list(COLUMNS),
            index=pd.MultiIndex.from_product([[one.symbol], one.session_dates.astype("datetime64[s]")]),
        )
        for one in observed
    ]
    seen = pd.concat(parts)
    first = min(one.session_dates[0] for one in observed).astype("datetime64[D]").item()
    made = _by(watch, card) | {"cutoff": Between(first, watch.day)}
    stored = _real(warehouse.read("forecast_history", made, _WIDTH), watch)
    if len(stored):
        width = np.log(stored["close_hi_95"] / stored["close_lo_95"])
        named = stored.assign(width=width, name="width_" + stored["step"].astype(str))
        seen.update(named.pivot(index=["symbol", "cutoff"], columns="name", values="width"))
    return seen


def _fared(watch: _Watch, warehouse: Warehouse, card: ModelCard) -> pd.DataFrame:
    """The last `ORIGINS` resolved origins that the model had not seen, one row a forecast; empty if there are fewer.

    Returns:
        `loss` and `walk_loss`, in units of the random walk's width, and `inside_80`: means over the steps.
    """
    recent = _by(watch, card) | {"cutoff": Between(watch.day - _RESOLVED, watch.day), "doubtful": False}
    scores = _real(warehouse.read("forecast_scores", recent, _SCORE), watch)
    unseen = scores["cutoff"] > pd.Timestamp(card.trained_through)
    known = scores["target_date"] <= pd.Timestamp(watch.day)
    scores = scores[unseen & known & (scores["scale"] > 0)]
    scaled = scores.assign(loss=scores["loss"] / scores["scale"], walk_loss=scores["walk_loss"] / scores["scale"])
    forecasts = scaled.groupby(["symbol", "cutoff"])[["loss", "walk_loss", "inside_80"]]
    fared = forecasts.mean()[forecasts.size() == card.horizon].astype(float)
    cutoffs = fared.index.get_level_values("cutoff").unique().sort_values()[-ORIGINS:]
    return fared[fared.index.get_level_values("cutoff").isin(cutoffs if len(cutoffs) == ORIGINS else [])]


def _by(watch: _Watch, card: ModelCard) -> dict[str, object]:
    model = {"model_name": card.name, "model_version": card.version, "role": Role.CHAMPION}
    return {"symbol": watch.symbols, "frequency": DAILY.name, **model}


def _real(rows: pd.DataFrame, watch: _Watch) -> pd.DataFrame:
    return rows[rows["simulated"].astype(bool) == watch.simulated]


def _stored(warehouse: Warehouse, card: ModelCard, watch: _Watch) -> pd.DataFrame:
    key = {"day": watch.day, "model_name": card.name, "model_version": card.version}
    return warehouse.read("drift", {**key, "simulated": watch.simulated})


# ---------------------------------------------------------------- decide


def _judge(
    reference: Reference, seen: pd.DataFrame, fared: pd.DataFrame, watch: _Watch, card: ModelCard
) -> list[DriftFinding]:
    found = judge_distances(reference, seen.to_numpy(), len(watch.series))
    if fared.empty:
        return found
    ratio, coverage = fared_columns(fared).mean()
    watched = max(len(fared) // ORIGINS, 1)
    return found + judge_performance(reference, ratio, coverage, watched, card.metrics.get(BACKTEST_RATIO))


def _together(seen: pd.DataFrame, fared: pd.DataFrame) -> pd.DataFrame:
    """A column for each finding: first the sessions, then the forecasts."""
    return pd.concat([seen, fared_columns(fared)] if len(fared) else [seen]).reset_index(drop=True)


def _sample(reference: Reference, fared: pd.DataFrame, card: ModelCard) -> pd.DataFrame:
    """The same columns of the training; for performance, the values that it is compared with."""
    sample = pd.DataFrame(reference.values(), columns=list(COLUMNS))
    due = {LOSS: card.metrics.get(BACKTEST_RATIO, reference.walk_ratio), COVERAGE: NOMINAL}
    return sample.assign(**due) if len(fared) else sample


# ---------------------------------------------------------------- apply


def _draw(store: ObjectStore, name: str, drawn: DriftReport) -> None:
    """Write the report, unless one of the same findings exists."""
    for path, content in ((name, drawn.html), (name.removesuffix(".html") + ".json", drawn.json)):
        with suppress(PreconditionFailed):
            store.write(path, content, if_generation="")


def _named(card: ModelCard, watch: _Watch, findings: Sequence[DriftFinding]) -> str:
    """The report's name: the same for the same findings, another for others."""
    text = json.dumps([asdict(finding) for finding in findings])
    return objects.drift_report(watch.day, card.name, card.version, hashlib.sha256(text.encode()).hexdigest()[:8])


def _key(card: ModelCard, watch: _Watch) -> str:
    return f"drift/{card.name}/{card.version}/{watch.day}" + ("/simulated" if watch.simulated else "")


def _rows(findings: Sequence[DriftFinding], card: ModelCard, watch: _Watch, report: str, now: datetime) -> pd.DataFrame:
    rows = pd.DataFrame([asdict(finding) for finding in findings])
    rows.insert(0, "day", watch.day)
    return rows.assign(
        model_name=card.name,
        model_version=card.version,
        report=report,
        created_at=now,
        simulated=watch.simulated,
    )


def _result(rows: pd.DataFrame, watch: _Watch, new: bool) -> DriftCheck:
    names = [field.name for field in fields(DriftFinding)]
    findings = [DriftFinding(**dict(zip(names, row, strict=True))) for row in rows[names].itertuples(index=False)]
    first = rows.iloc[0]
    return DriftCheck(
        day=watch.day,
        model_name=first["model_name"],
        model_version=first["model_version"],
        drifted=any(finding.drifted for finding in findings),
        reasons=reasons(findings),
        report=first["report"],
        rows=rows.reset_index(drop=True),
        new=new,
        skipped=watch.skipped,
        simulated=watch.simulated,
    )
