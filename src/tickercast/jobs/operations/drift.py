"""Check for drift: compare the newest bars with the champion's training, store the findings, and draw a report.

Performance is that of what is served: of the champion, or of the baseline in its place.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd

from tickercast.domain import objects
from tickercast.domain.asset_classes import is_stock
from tickercast.domain.bars import BAR_COLUMNS, Bars
from tickercast.domain.cards.model_card import Bundle, ModelCard
from tickercast.domain.forecast import Role, RollingPredictor
from tickercast.domain.frequency import Frequency
from tickercast.domain.hourly.hours import PRICES, WANTED, hourly_bars
from tickercast.domain.measures.drift import (
    COVERAGE,
    LOSS,
    NOMINAL,
    DriftFinding,
    Reference,
    Watched,
    fared_columns,
    furthest_first,
    judge_distances,
    judge_performance,
    reasons,
    watched,
)
from tickercast.domain.measures.reference import Observed, observe, observe_hours
from tickercast.domain.symbols import sample_symbols
from tickercast.errors import Permanent, PreconditionFailed, TooFewSessions, UsageError
from tickercast.model_store import ModelStore
from tickercast.ports import Between, DriftReport, DriftReporter, ObjectStore, Warehouse
from tickercast.reading.queries import ask

_DAYS_A_SESSION = timedelta(days=2)  # at least, holidays included
_NEAR, _FIRST = timedelta(days=14), date(1900, 1, 1)
_LOOK_BACK = timedelta(days=550)  # the volatility's weights reach 256 sessions back
_LOOK_BACK_HOURS = timedelta(days=60)  # 912 hours, and gaps
_RESOLVED = timedelta(days=60)  # twenty origins a session apart, and the ten sessions after them
_RESOLVED_HOURS = timedelta(days=14)
_WIDTH = ["symbol", "cutoff", "step", "close_lo_95", "close_hi_95", "simulated"]
_SCORE = ["symbol", "cutoff", "target_date", "loss", "walk_loss", "scale", "inside_80", "simulated"]

BACKTEST_RATIO = "sp_vs_random_walk"
"""The measure of a card that performance is compared with."""


@dataclass(frozen=True)
class DriftCheck:
    """The result of a day.

    Attributes:
        day: the newest session that was checked, or the UTC day of hours.
        model_name: the registered name of the champion.
        model_version: the version whose training was the reference.
        served: the served model, whose performance was measured if it could be: the champion, or the baseline in its
            place.
        unmeasured: why performance was not measured; empty if it was.
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
    served: str
    unmeasured: str
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
    frequency: Frequency

    @property
    def symbols(self) -> list[str]:
        return [bars.symbol for bars in self.series]

    @property
    def measures(self) -> Watched:
        return watched(self.frequency)


@dataclass(frozen=True)
class _Served:
    """The served model, with its measure in a backtest.

    Attributes:
        card: the card of the champion, whose training is the reference.
        baseline: the baseline that is served in the champion's place; empty while the champion is served itself.
        backtest: the served model's loss over the random walk's in a backtest: of a champion by its card or the
            reference of its training, of a baseline when it took the place; None where that was not measured.
    """

    card: ModelCard
    baseline: str
    backtest: float | None

    @property
    def name(self) -> str:
        return self.baseline or self.card.name


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

    Hourly bars are compared over the last week, up to the end of a UTC day.

    Args:
        day: the last date to check; of hours one that is over.
        symbols: the watchlist, of which a sample is checked if it is long. Of daily bars, symbols of other asset
            classes than the network's training are left out; simulated bars are, too, unless there are no others.
        warehouse: where bars, forecasts and scores are read, and findings stored.
        store: where the report goes.
        models: where the champion is published; its frequency is that of the bars.
        load: loads the champion.
        reporter: draws the report.
        now: the time.

    Raises:
        UsageError: the champion has no reference, or no forecasts can be made of what it gives.
        TooFewSessions: no symbol has enough bars.
        BundleError, ModelUnavailable: the champion cannot be read.
        Transient: try again.
    """
    champion, pointer = models.champion(), models.pointer()
    card, frequency = champion.card, models.frequency
    reference = models.reference(card)
    needed = (card.min_sessions if frequency.is_daily else WANTED) + watched(frequency).window - 1
    checked = sample_symbols(symbols)
    bars = _recent(warehouse, checked, day, needed, frequency)
    watch = _watch(bars, checked, reference, day, needed, frequency)
    stored = _stored(warehouse, card, watch)
    new = stored.empty
    if new:
        own = card.metrics.get(BACKTEST_RATIO, reference.walk_ratio)
        served = _Served(card, pointer.baseline, pointer.baseline_ratio if pointer.baseline else own)
        seen = _seen(watch, load(champion), warehouse, card)
        fared = _fared(watch, warehouse, served)
        findings = _judge(reference, seen, fared, watch, served)
        names = [finding.name for finding in findings]
        sample = _sample(reference, served, watch.measures)[names]
        report = _named(card, watch, findings)
        _draw(store, report, reporter.report(_together(seen, fared)[names], sample, furthest_first(findings)))
        rows = _rows(findings, served, watch, report, now)
        new = warehouse.append("drift", rows, key=_key(card, watch))
        stored = _stored(warehouse, card, watch)
    return _result(stored, watch, card, pointer.baseline or card.name, new)


# ---------------------------------------------------------------- gather


def _recent(warehouse: Warehouse, symbols: Sequence[str], day: date, needed: int, frequency: Frequency) -> pd.DataFrame:
    """The newest bars, as many as the features look back."""
    last = _newest(warehouse, symbols, day, frequency)
    first = last - (max(_LOOK_BACK, needed * _DAYS_A_SESSION) if frequency.is_daily else _LOOK_BACK_HOURS)
    where = {"symbol": list(symbols), "frequency": frequency.name, "session_date": Between(first, last)}
    ends = [] if frequency.is_daily else ["closed_at"]
    return warehouse.read("latest_prices", where, ["symbol", "simulated", *ends, *BAR_COLUMNS])


def _newest(warehouse: Warehouse, symbols: Sequence[str], day: date, frequency: Frequency) -> date:
    """The newest stored session up to a day, of simulated bars only if there are no others; the day itself if none is.

    That of real bars is mostly near.
    """
    newest = day
    for since in (day - _NEAR, _FIRST):
        given = {"symbols": list(symbols), "since": since, "day": day, "frequency": frequency.name}
        [found] = ask(warehouse, "newest_session", **given).to_dict("records")
        if pd.notna(found["real_session_date"]):
            return pd.Timestamp(found["real_session_date"]).date()
        if pd.notna(found["session_date"]):
            newest = pd.Timestamp(found["session_date"]).date()
    return newest


def _watch(
    bars: pd.DataFrame, symbols: Sequence[str], reference: Reference, day: date, needed: int, frequency: Frequency
) -> _Watch:
    simulated = bool(len(bars)) and bool(bars["simulated"].all())
    bars = bars[(bars["simulated"] == simulated) & (bars["session_date"] <= pd.Timestamp(day))]
    newest = bars["session_date"].max().date() if len(bars) else day
    of_stocks = any(map(is_stock, reference.symbols))
    others = {symbol for symbol in symbols if is_stock(symbol) != of_stocks} if frequency.is_daily else set()
    made = _bars if frequency.is_daily else _hours
    found = {str(symbol): made(str(symbol), rows) for symbol, rows in bars.groupby("symbol")}
    series: list[Bars] = []
    skipped: dict[str, str] = {}
    for symbol in dict.fromkeys(symbols):
        try:
            series.append(_usable(symbol, found, others, newest, needed))
        except Permanent as error:
            skipped[symbol] = str(error)
    if not series:
        raise TooFewSessions(
            f"No symbol of {len(skipped)} can be checked on {newest}"
            f"{': ' + next(iter(skipped.values())) if skipped else '.'} Forecast some symbols first, or name others or "
            "a later day."
        )
    return _Watch(newest, series, skipped, simulated, frequency)


def _bars(symbol: str, rows: pd.DataFrame) -> Bars:
    bars = rows.sort_values("session_date", ignore_index=True)[list(BAR_COLUMNS)]
    return Bars(symbol, bars.astype({"session_date": "datetime64[s]"} | dict.fromkeys(BAR_COLUMNS[1:], float)))


def _hours(symbol: str, rows: pd.DataFrame) -> Bars:
    rows = rows.sort_values("closed_at", ignore_index=True)
    closed_at = rows["closed_at"].dt.tz_convert(None).to_numpy().astype("datetime64[h]")
    prices = {name: rows[name].to_numpy(float) for name in PRICES}
    return hourly_bars(symbol, closed_at, prices, rows["volume"].to_numpy(float))


def _usable(symbol: str, found: Mapping[str, Bars], others: Collection[str], day: date, needed: int) -> Bars:
    if symbol in others:
        raise UsageError(f"{symbol} is of another asset class than the champion's training.")
    if symbol not in found:
        raise TooFewSessions(f"{symbol} has no recent bars up to {day} in the warehouse.")
    bars = found[symbol]
    stretches = bars.until(bars.frequency.parse(day)).stretches
    bars = stretches[-1]
    if len(bars) < needed:
        noun, since = f"{bars.frequency.noun}(s)", " since a gap of more than a month" * (len(stretches) > 1)
        raise TooFewSessions(f"{symbol} has {len(bars)} {noun} up to {day}{since}: at least {needed} were needed.")
    return bars


def _observed(bars: Bars, model: RollingPredictor, card: ModelCard) -> Observed:
    window = watched(bars.frequency).window
    if bars.frequency.is_daily:
        return observe(bars, model, window)
    assert card.hour_tables, "every model of hourly bars has tables"
    return observe_hours(bars, model, np.array(card.hour_tables.season), window)


def _seen(watch: _Watch, model: RollingPredictor, warehouse: Warehouse, card: ModelCard) -> pd.DataFrame:
    """The last bars of every symbol, one row each: the columns of `Watched`, by symbol and end.

    The widths of days are those of the stored forecasts; where there are none, and of hours, those that the champion
    would have made.
    """
    observed = [_observed(bars, model, card) for bars in watch.series]
    parts = [
        pd.DataFrame(
            one.values,
            columns=list(watch.measures.columns),
            index=pd.MultiIndex.from_product([[one.symbol], one.session_dates.astype("datetime64[s]")]),
        )
        for one in observed
    ]
    seen = pd.concat(parts)
    if not watch.frequency.is_daily:
        return seen
    first = min(one.session_dates[0] for one in observed).astype("datetime64[D]").item()
    made = _by(watch, card.name, card.version) | {"cutoff": Between(first, watch.day)}
    stored = _real(warehouse.read("forecast_history", made, _WIDTH), watch)
    if len(stored):
        width = np.log(stored["close_hi_95"] / stored["close_lo_95"])
        named = stored.assign(width=width, name="width_" + stored["step"].astype(str))
        seen.update(named.pivot(index=["symbol", "cutoff"], columns="name", values="width"))
    return seen


def _fared(watch: _Watch, warehouse: Warehouse, served: _Served) -> pd.DataFrame:
    """The last resolved origins that the model had not seen, one row a forecast; empty if there are too few.

    Of hours all versions of a model count, since each month brings one.

    Returns:
        `loss` and `walk_loss`, in units of the random walk's width, and `inside_80`: means over the steps.
    """
    card, daily, origins = served.card, watch.frequency.is_daily, watch.measures.origins
    version = card.version if daily and not served.baseline else ""
    span = Between(watch.day - (_RESOLVED if daily else _RESOLVED_HOURS), watch.day)
    recent = _by(watch, served.name, version) | {"cutoff": span, "doubtful": False}
    key = watch.frequency.key("cutoff")
    columns = _SCORE if daily else [*_SCORE, key]
    scores = _real(warehouse.read("forecast_scores", recent | ({} if daily else _UNSEEN), columns), watch)
    known = (scores["target_date"] <= pd.Timestamp(watch.day)) & (scores["scale"] > 0)
    known &= scores["loss"].notna()  # 0.2.0 scored what a damaged model answered
    if daily and not served.baseline:
        known &= scores["cutoff"] > pd.Timestamp(card.trained_through)
    scores = scores[known]
    scaled = scores.assign(loss=scores["loss"] / scores["scale"], walk_loss=scores["walk_loss"] / scores["scale"])
    forecasts = scaled.groupby(["symbol", key])[["loss", "walk_loss", "inside_80"]]
    fared = forecasts.mean()[forecasts.size() == card.horizon].astype(float)
    cutoffs = fared.index.get_level_values(key).unique().sort_values()[-origins:]
    return fared[fared.index.get_level_values(key).isin(cutoffs if len(cutoffs) == origins else [])]


_UNSEEN = {"model_has_seen": False}


def _by(watch: _Watch, name: str, version: str) -> dict[str, object]:
    model = {"model_name": name, "role": Role.CHAMPION} | ({"model_version": version} if version else {})
    return {"symbol": watch.symbols, "frequency": watch.frequency.name, **model}


def _real(rows: pd.DataFrame, watch: _Watch) -> pd.DataFrame:
    return rows[rows["simulated"].astype(bool) == watch.simulated]


def _stored(warehouse: Warehouse, card: ModelCard, watch: _Watch) -> pd.DataFrame:
    """The rows of the day and version, those of the performance of a baseline in its place among them."""
    rows = warehouse.read("drift", {"day": watch.day, "simulated": watch.simulated})
    own = rows[(rows["model_name"] == card.name) & (rows["model_version"] == card.version)]
    return rows[rows["report"].isin(own["report"])]


# ---------------------------------------------------------------- decide


def _judge(
    reference: Reference, seen: pd.DataFrame, fared: pd.DataFrame, watch: _Watch, served: _Served
) -> list[DriftFinding]:
    found = judge_distances(reference, seen.to_numpy(), len(watch.series), watch.measures)
    if fared.empty:
        return found
    ratio, coverage = fared_columns(fared).mean()
    count = max(len(fared) // watch.measures.origins, 1)
    return found + judge_performance(reference, ratio, coverage, count, served.backtest)


def _together(seen: pd.DataFrame, fared: pd.DataFrame) -> pd.DataFrame:
    """A column for each finding: first the bars, then the forecasts."""
    return pd.concat([seen, fared_columns(fared)] if len(fared) else [seen]).reset_index(drop=True)


def _sample(reference: Reference, served: _Served, of: Watched) -> pd.DataFrame:
    """The same columns of the training; for performance, the values that it is compared with."""
    sample = pd.DataFrame(reference.values(of), columns=list(of.columns))
    return sample.assign(**{LOSS: served.backtest, COVERAGE: NOMINAL})


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


def _rows(findings: Sequence[DriftFinding], served: _Served, watch: _Watch, report: str, now: datetime) -> pd.DataFrame:
    card, stands_in = served.card, served.baseline
    rows = pd.DataFrame([asdict(finding) for finding in findings])
    of_baseline = (rows["kind"] == "performance") & bool(stands_in)
    rows.insert(0, "day", watch.day)
    return rows.assign(
        frequency=watch.frequency.name,
        model_name=np.where(of_baseline, stands_in, card.name),
        model_version=np.where(of_baseline, BASELINE_VERSION, card.version),
        report=report,
        created_at=now,
        simulated=watch.simulated,
    )


def _unmeasured(watch: _Watch) -> str:
    resolved = _RESOLVED if watch.frequency.is_daily else _RESOLVED_HOURS
    return (
        f"Performance was not measured: {watch.measures.origins} forecast origins of the last {resolved.days} days "
        "whose closes are all known were needed."
    )


BASELINE_VERSION = "1"
"""The version of whatever learns from each series alone."""


def _result(rows: pd.DataFrame, watch: _Watch, card: ModelCard, served: str, new: bool) -> DriftCheck:
    names = [field.name for field in fields(DriftFinding)]
    findings = [DriftFinding(**dict(zip(names, row, strict=True))) for row in rows[names].itertuples(index=False)]
    performed = rows.loc[rows["kind"] == "performance", "model_name"]
    return DriftCheck(
        day=watch.day,
        model_name=card.name,
        model_version=card.version,
        served=performed.iloc[0] if len(performed) else served,
        unmeasured="" if len(performed) else _unmeasured(watch),
        drifted=any(finding.drifted for finding in findings),
        reasons=reasons(findings),
        report=rows["report"].iloc[0],
        rows=rows.reset_index(drop=True),
        new=new,
        skipped=watch.skipped,
        simulated=watch.simulated,
    )
