"""Alert people: find what is wrong, and send each receiver what is new to it.

The alerts sent to each receiver are recorded in one object of the bucket. A message is delivered before it is recorded:
a run that is killed in between, or that runs beside another, sends the same again under the same keys, and nothing is
lost. A receiver that does not accept its message gets it at the next check; the others do not get theirs twice.
"""

import logging
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from tickercast.domain import alerts
from tickercast.domain.alerts import (
    Alert,
    CalendarEnd,
    Champion,
    Changes,
    Coverage,
    Drift,
    Facts,
    MissedHours,
    NoChampion,
    Rejected,
    Silence,
    Stale,
    Trading,
)
from tickercast.domain.calendar import ending_calendars, newest_closed
from tickercast.domain.frequency import DAILY, HOURLY, Frequency
from tickercast.domain.freshness import GRACE, freshness
from tickercast.domain.symbols import sample_symbols
from tickercast.domain.trading.limits import Action, halted
from tickercast.errors import (
    AlertUnavailable,
    BundleError,
    CalendarError,
    EngineUnusable,
    InvalidName,
    ModelUnavailable,
    NotSetUp,
    ObjectNotFound,
    Outdated,
    StoreUnavailable,
    UsageError,
    WarehouseUnavailable,
)
from tickercast.jobs.champion.decisions import decided_by
from tickercast.jobs.operations.provision import check_published, complete
from tickercast.jobs.rewrite import rewrite
from tickercast.model_store import ModelStore
from tickercast.ports import Notifier, ObjectStore, Warehouse
from tickercast.reading.anomalies import anomalies
from tickercast.reading.calibration import calibrations
from tickercast.reading.overview import KEPT_FOR
from tickercast.reading.queries import ask
from tickercast.reading.trading import read_trading_events

log = logging.getLogger(__name__)

SENT = "alerts/open.json"
"""The object that holds the alerts that are open for each receiver."""

CALENDAR_NOTICE = timedelta(days=45)
"""The notice of an exchange's last known holidays: a month before forecasts, two weeks ahead, reach beyond them."""

FLOW = "alerts/flow.txt"
"""The object that says when and why the daily flow failed; empty once a run of that day or a later one went well."""

_LIMIT_SHOWN = timedelta(days=1)
_HOURLY_SINCE, _FIRST = timedelta(days=45), date(2020, 1, 1)  # there were no forecasts before
_RECENTLY, _LONG_AGO = timedelta(days=30), timedelta(days=800)
_REQUESTS_AT_ONCE = 16

_FAILED_ON = re.compile(
    r"(?P<at>[\d-]{10}) [\d:]{5} UTC(, for (?P<day>[\d-]{10}))?: "
)  # how the content of `FLOW` begins

_Sent = dict[str, dict[str, Alert]]  # the open alerts by receiver and key
_SENT = TypeAdapter(_Sent)


@dataclass(frozen=True)
class EndedRun:
    """The end of a run of the daily flow.

    Attributes:
        day: the date of the run: the last one that it forecasts from.
        failure: why it failed; empty if it succeeded.
    """

    day: date
    failure: str


@dataclass(frozen=True)
class SentAlerts:
    """The result of a check.

    Attributes:
        found: the open alerts, the most urgent first.
        news: the changes sent to each receiver, with its service; receivers for whom nothing was new are left out.
        checked: the kinds of alerts that were checked.
    """

    found: tuple[Alert, ...]
    news: Sequence[tuple[str, Changes]] = ()
    checked: frozenset[str] = frozenset()


def send_alerts(
    *,
    store: ObjectStore,
    models: ModelStore,
    warehouse: Warehouse,
    notifiers: Sequence[Notifier],
    now: datetime,
    watchlist: Sequence[str] | None = None,
    coins: Sequence[str] | None = None,
    ended: EndedRun | None = None,
    grace: timedelta = GRACE,
) -> SentAlerts:
    """Check, and send each receiver what is new to it, has changed or is over.

    Args:
        store: where the sent alerts are recorded.
        models: where the champions are published.
        warehouse: where the facts are; if it does not answer, that is an alert too.
        notifiers: the receivers.
        now: the time.
        watchlist: the symbols that need a fresh forecast; None: not checked.
        coins: the symbols that need a fresh hourly forecast; None: those that were forecast hour by hour of late.
        ended: the run of the daily flow that has just ended, which is recorded; see `FLOW`. None: none has.
        grace: how long a session's forecast may be under way after its close; 0 once a run has ended.

    Raises:
        AlertUnavailable: a receiver did not accept its message; all others have theirs, and it gets it at the next
            check.
        StoreUnavailable: the sent alerts cannot be recorded; they are sent again at the next check.
    """
    facts = gather_facts(
        store=store,
        models=models,
        warehouse=warehouse,
        now=now,
        watchlist=watchlist,
        coins=coins,
        flow=_record_flow(store, ended, now) if ended else None,
        grace=grace,
    )
    found = alerts.open_alerts(facts)
    sent = _read_sent(store) if notifiers else {}
    news = {each.key: alerts.changes(found, sent.get(each.key, {}), facts.checked) for each in notifiers}
    refusals: list[str] = []
    delivered: dict[str, Notifier] = {}
    for notifier in notifiers:
        if not news[notifier.key].is_quiet:
            try:
                _deliver(notifier, news[notifier.key])
                delivered[notifier.key] = notifier
            except AlertUnavailable as error:
                refusals.append(str(error))
    if delivered:
        _record(store, {key: news[key] for key in delivered})
    if refusals:
        raise AlertUnavailable(" ".join(refusals))
    return SentAlerts(found, [(notifier.service, news[key]) for key, notifier in delivered.items()], facts.checked)


def gather_facts(
    *,
    store: ObjectStore,
    models: ModelStore,
    warehouse: Warehouse,
    now: datetime,
    watchlist: Sequence[str] | None = None,
    coins: Sequence[str] | None = None,
    flow: str | None = None,
    grace: timedelta = GRACE,
    only_reads: bool = False,
) -> Facts:
    """Gather the facts that alerts follow from; see `send_alerts`.

    An engine that does not answer is a fact itself; the facts that only it knows are left out. With `only_reads` the
    warehouse is taken as it is, where otherwise missing tables and views are created. `flow` is why the daily flow
    failed, empty if it succeeded; None: as recorded.
    """
    facts: dict[str, Any] = {
        "flow": _recorded_flow(store) if flow is None else flow,
        "engine": "",
        "bucket": "",
        "tables": "",
    }
    try:
        if not only_reads:
            complete(models=(), warehouse=warehouse)
        current = ask(warehouse, "current_forecasts", frequency=DAILY.name)
        facts["hours"] = hours = _missed_hours(warehouse, now, coins)
        ends = {coin.symbol: coin.cutoff_at for coin in hours if coin.cutoff_at}
        facts["drift"] = [*_drift(warehouse, DAILY), *(_drift(warehouse, HOURLY) if ends else ())]
        covered = _coverage(warehouse, now, sample_symbols(list(current["symbol"])))
        facts["coverage"] = [*covered, *(_hours_covered(warehouse, ends) if ends else ())]
        shown = _still_forecast(current) if watchlist is None else list(watchlist)
        facts["calibration"] = calibrations(warehouse, shown)
        facts["anomaly"] = anomalies(warehouse, _cutoffs(current, shown))
        if watchlist is not None:
            facts["stale"] = stale = _stale(watchlist, current, now, grace)
            facts["silent"] = _silence(watchlist, stale)
        known = [*(watchlist or ()), *current["symbol"]]
        ending = ending_calendars(known, now.date() + CALENDAR_NOTICE)
        facts["calendar"] = [CalendarEnd(*end) for end in ending.items()]
        facts["trading"] = _trading(warehouse, now)
        rejected = ask(warehouse, "alert_rejected")
        facts |= _facts_of_bucket(rejected, [models, *([models.of(HOURLY)] if ends else [])], store, warehouse)
    except (NotSetUp, Outdated) as error:
        facts["tables"] = str(error)
    except (WarehouseUnavailable, EngineUnusable, UsageError) as error:
        facts["engine"] = str(error)
    return Facts(**facts)


def _record_flow(store: ObjectStore, ended: EndedRun, now: datetime) -> str:
    """Record the end of a run, and return what is known of the flow since: why it failed, empty if it succeeded.

    The failure of a later day's run outlasts it. The receivers are told of the run even where it cannot be recorded.
    """
    at = now.astimezone(UTC)
    of = f", for {ended.day}" * (ended.day != at.date())
    known = said = f"{at:%Y-%m-%d %H:%M} UTC{of}: {ended.failure}" if ended.failure else ""

    def recorded(before: bytes) -> bytes | None:
        nonlocal known
        stored = before.decode(errors="replace")
        known = stored if _is_later(stored, ended.day) else said
        return None if known.encode() == before else known.encode()

    try:
        rewrite(FLOW, store, recorded)
    except (StoreUnavailable, EngineUnusable, UsageError) as error:
        log.error("How the daily flow ended cannot be recorded: %s", error)
    return known


def _is_later(recorded: str, day: date) -> bool:
    """Whether a failure was recorded by a run of a day after another."""
    found = _FAILED_ON.match(recorded)
    return found is not None and (found["day"] or found["at"]) > str(day)


def _recorded_flow(store: ObjectStore) -> str | None:
    """The failure that is recorded, empty if none is; None if no run has recorded its end, or it cannot be read now."""
    try:
        generation = store.generation(FLOW)
        return store.read(FLOW, generation=generation).decode(errors="replace") if generation else None
    except (ObjectNotFound, StoreUnavailable, EngineUnusable, UsageError):  # the bucket has an alert of its own
        return None


def _facts_of_bucket(
    rejected: pd.DataFrame, served: Sequence[ModelStore], store: ObjectStore, warehouse: Warehouse
) -> dict[str, Any]:
    try:
        check_published(served, warehouse)
        return {
            "rejected": _rejected(rejected, store),
            "champion": [found for one in served for found in _champion(one, warehouse)],
        }
    except (StoreUnavailable, EngineUnusable) as error:
        return {"bucket": str(error)}


def _rejected(ledger: pd.DataFrame, store: ObjectStore) -> list[Rejected]:
    """The rejected files that are still there unchanged; files that were replaced or deleted are settled."""
    reasons: dict[tuple[str, str], dict[str, str]] = {}
    for row in ledger.to_dict("records"):
        symbol = row["symbol"] if pd.notna(row["symbol"]) else ""
        reasons.setdefault((row["object"], row["generation"]), {})[symbol] = row["reason"]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        live = list(pool.map(lambda file: _is_live(file[0], file[1], store), reasons))
    return [Rejected(*file, why) for (file, why), there in zip(reasons.items(), live, strict=True) if there]


def _is_live(name: str, generation: str, store: ObjectStore) -> bool:
    try:
        return store.generation(name) == generation
    except InvalidName:  # whoever wrote it has other rules for names, or the event named what the bucket cannot hold
        return name in store.names(name)


def _drift(warehouse: Warehouse, frequency: Frequency) -> list[Drift]:
    return [
        Drift(
            kind=row["kind"],
            day=pd.Timestamp(row["day"]).date(),
            n=int(row["n"]),
            n_drifted=int(row["n_drifted"]),
            furthest=row["furthest"],
            score=float(row["furthest_score"]),
            threshold=float(row["furthest_threshold"]),
            report=row["report"] if pd.notna(row["report"]) else "",
            frequency=frequency,
        )
        for row in ask(warehouse, "alert_drift", frequency=frequency.name).to_dict("records")
    ]


def _resolved(warehouse: Warehouse, since: date, symbols: Sequence[str]) -> pd.DataFrame:
    given = {
        "since": since,
        "symbols": symbols,
        "steps": DAILY.horizon,
        "frequency": DAILY.name,
        "origins": alerts.ORIGINS,
    }
    return ask(warehouse, "alert_coverage", **given)


def _coverage(warehouse: Warehouse, now: datetime, symbols: Sequence[str]) -> list[Coverage]:
    resolved = _resolved(warehouse, now.date() - _RECENTLY, symbols)
    if len(resolved) < alerts.ORIGINS:  # few symbols: their origins reach further back, and cost little
        resolved = _resolved(warehouse, now.date() - _LONG_AGO, symbols)
    if resolved.empty:
        return []
    days = pd.to_datetime(resolved["cutoff"]).dt.date
    return [Coverage(len(resolved), float(resolved["coverage_80"].mean()), days.min(), days.max())]


def _hours_covered(warehouse: Warehouse, ends: Mapping[str, datetime]) -> list[Coverage]:
    """The coverage of the weeks up to the newest forecast: an outage does not end what was found before it."""
    since = max(ends.values()).date() - timedelta(days=alerts.COVERED_DAYS)
    given = {"since": since, "symbols": sample_symbols(list(ends)), "frequency": HOURLY.name}
    return [
        Coverage(int(row["hours"]), float(row["coverage_80"]), row["first"].date(), row["last"].date(), HOURLY)
        for row in ask(warehouse, "alert_coverage_hours", **given).to_dict("records")
    ]


def _still_forecast(current: pd.DataFrame) -> list[str]:
    """The symbols whose newest forecast is not much older than the newest of all."""
    cutoffs = pd.to_datetime(current["cutoff"])
    return list(current["symbol"][cutoffs > cutoffs.max() - KEPT_FOR])


def _cutoffs(current: pd.DataFrame, symbols: Collection[str]) -> dict[str, date]:
    days = zip(current["symbol"], pd.to_datetime(current["cutoff"]).dt.date, strict=True)
    return {symbol: day for symbol, day in days if symbol in symbols}


def _stale(watchlist: Sequence[str], current: pd.DataFrame, now: datetime, grace: timedelta) -> list[Stale]:
    cutoffs = dict(zip(current["symbol"], pd.to_datetime(current["cutoff"]).dt.date, strict=True))
    found: list[Stale] = []
    for symbol in watchlist:
        cutoff = cutoffs.get(symbol)
        try:
            newest = newest_closed(symbol, now)
        except CalendarError as error:
            log.warning("Whether %s has a fresh forecast is not known: %s", symbol, error)
            continue
        age = freshness(symbol, cutoff, now, grace=grace) if cutoff else None
        if newest and (age is None or age.is_missing):
            found.append(Stale(symbol, newest, cutoff, age.missed if age else 0))
    return found


def _hours_since(day: date, warehouse: Warehouse) -> pd.DataFrame:
    return ask(warehouse, "current_hours", since=day, frequency=HOURLY.name)


def _missed_hours(warehouse: Warehouse, now: datetime, coins: Sequence[str] | None) -> list[MissedHours]:
    """The coins that need a forecast each hour: named ones whenever their last was, or recent ones."""
    made = _hours_since(now.date() - _HOURLY_SINCE, warehouse)
    if coins is not None and not {*coins} <= {*made["symbol"]}:
        made = _hours_since(_FIRST, warehouse)  # all rows, which cost more, and only where some coin stands still
    newest = {row["symbol"]: row["cutoff_at"].to_pydatetime() for row in made.to_dict("records")}
    needed = list(made["symbol"][made["hours"] >= HOURLY.horizon]) if coins is None else coins
    return [
        MissedHours(symbol, end := newest.get(symbol), (now - end) // timedelta(hours=1) if end else 0)
        for symbol in needed
    ]


def _silence(watchlist: Sequence[str], stale: Sequence[Stale]) -> list[Silence]:
    if not stale or len(stale) < len(watchlist):
        return []
    return [Silence(Counter(each.newest for each in stale))]


def _trading(warehouse: Warehouse, now: datetime) -> list[Trading]:
    """The halts that hold, and the newest of each limit that was met within a day."""
    events = read_trading_events(warehouse)
    found: dict[tuple[str, str, str], Trading] = {}
    for event in events:
        if event.action is Action.LIMIT and now - event.happened_at < _LIMIT_SHOWN:
            key = (event.account, event.strategy, event.cause.value)
            found[key] = Trading(event.account, event.strategy, False, event.cause.value, event.reason)
        if event.action is Action.HALT and (halt := halted(events, event.account, event.strategy)):
            key = (event.account, event.strategy, "")
            found[key] = Trading(event.account, event.strategy, True, halt.cause.value, halt.reason)
    return list(found.values())


def _champion(models: ModelStore, warehouse: Warehouse) -> list[Champion | NoChampion]:
    try:
        pointer = models.pointer()
    except ModelUnavailable:  # the first forecast publishes one
        return []
    except BundleError as error:
        return [NoChampion(str(error), models.frequency)]
    why = decided_by(pointer, models.frequency, warehouse) or "No flow decided it."
    return [Champion(pointer.name, pointer.version, why, pointer.baseline, models.frequency)]


def _deliver(notifier: Notifier, news: Changes) -> None:
    made = alerts.message(news)
    notifier.notify(made.title, made.text, made.severity)


def _read_sent(store: ObjectStore) -> _Sent:
    """The alerts sent before; none if they cannot be read, since sending twice is better than silence."""
    try:
        generation = store.generation(SENT)
        return _parsed(store.read(SENT, generation=generation), store) if generation else {}
    except ObjectNotFound:  # replaced in between, which the write will notice
        return {}
    except (StoreUnavailable, EngineUnusable) as error:
        log.error("The record of sent alerts cannot be read, so all are sent again: %s", error)
        return {}


def _parsed(data: bytes, store: ObjectStore) -> _Sent:
    try:
        return _SENT.validate_json(data)
    except ValidationError:
        log.error("%s in %s does not parse, so all alerts are sent again.", SENT, store.url)
        return {}


def _record(store: ObjectStore, delivered: Mapping[str, Changes]) -> None:
    def recorded(before: bytes) -> bytes:
        sent = _parsed(before, store) if before else {}
        sent |= {key: alerts.after(sent.get(key, {}), news) for key, news in delivered.items()}
        return _SENT.dump_json(sent, indent=2)

    rewrite(SENT, store, recorded)
