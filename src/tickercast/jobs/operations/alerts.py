"""Alert: look for what is wrong, and tell people what of it they have not been told.

What each receiver was told is kept in one object of the bucket. A message is delivered before that is recorded: whoever
is killed in between, or comes second of two at once, tells the same again under the same keys, and nothing is lost. A
receiver that does not take its message is told at the next look; the others are not told twice for its sake.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from tickercast.domain import alerts
from tickercast.domain.alerts import Alert, Champion, Changes, Coverage, Drift, Facts, Rejected, Stale
from tickercast.domain.calendar import newest_closed, sessions_between
from tickercast.domain.forecast import HORIZON
from tickercast.errors import (
    AlertUnavailable,
    BundleError,
    CalendarError,
    ModelUnavailable,
    ObjectNotFound,
    PreconditionFailed,
    StoreUnavailable,
    UsageError,
    WarehouseUnavailable,
)
from tickercast.jobs.champion.model_store import read_pointer
from tickercast.ports import Notifier, ObjectStore, Warehouse

log = logging.getLogger(__name__)

TOLD = "alerts/open.json"
"""The object that holds what each receiver was told to be open."""

_ONE_DAY = timedelta(days=1)
_ATTEMPTS = 20
_REQUESTS_AT_ONCE = 16

_Told = dict[str, dict[str, Alert]]  # by receiver and key
_TOLD = TypeAdapter(_Told)

_REJECTED = """
WITH marked AS (
  SELECT
    object, generation, symbol, status, reason,
    MAX(IF(status = 'forecast', generation, 0)) OVER (PARTITION BY symbol) AS symbol_forecast,
    MAX(IF(status = 'forecast', generation, 0)) OVER (PARTITION BY object) AS object_forecast,
    MAX(generation) OVER (PARTITION BY object) AS newest
  FROM ingestions
)
SELECT object, generation, symbol, reason
FROM marked
WHERE status = 'rejected' AND generation = newest AND generation >= object_forecast
  AND (symbol IS NULL OR generation > symbol_forecast) AND NOT object LIKE '%/backfill-%'
ORDER BY object, symbol
"""

_DRIFT = """
SELECT day, kind, n, n_drifted, furthest, furthest_score, furthest_threshold, report
FROM drift_daily
QUALIFY day = MAX(day) OVER ()
ORDER BY kind
"""

_RESOLVED = f"""
SELECT cutoff, COUNTIF(inside_80) AS inside
FROM forecast_scores
WHERE model_name NOT IN ('random-walk', 'shadow') AND NOT simulated AND NOT backfilled
GROUP BY model_name, symbol, cutoff
HAVING COUNT(*) = {HORIZON}
ORDER BY cutoff DESC, symbol
LIMIT {alerts.ORIGINS}
"""  # noqa: S608  # numbers of ours

_CURRENT = """
SELECT symbol, MAX(cutoff) AS cutoff
FROM latest_forecasts
WHERE model_name NOT IN ('random-walk', 'shadow') AND NOT simulated
GROUP BY symbol
"""


@dataclass(frozen=True)
class Watched:
    """What a look has found.

    Attributes:
        found: what is open now, the most urgent first.
        news: what was told to each receiver, with its service; those for whom nothing was new are left out.
    """

    found: tuple[Alert, ...]
    news: Sequence[tuple[str, Changes]] = ()


def watch(
    *,
    store: ObjectStore,
    models: ObjectStore,
    warehouse: Warehouse,
    notifiers: Sequence[Notifier],
    now: datetime,
    watchlist: Sequence[str] | None = None,
    flow_failure: str | None = None,
) -> Watched:
    """Looks, and tells each receiver what is new to it, has changed or is over.

    Args:
        store: where it is recorded what was told.
        models: where the champion is published.
        warehouse: where the facts are; that it does not answer is told too.
        notifiers: those who are told.
        now: the time.
        watchlist: the symbols that shall have a current forecast; None: that is not looked at.
        flow_failure: why the daily flow failed, empty where it went well; None: that is not known.

    Raises:
        AlertUnavailable: a receiver did not take its message; all others have theirs, and it gets it at the next look.
        StoreUnavailable: what was told cannot be recorded; it is told again at the next look.
    """
    facts = look(
        store=store, models=models, warehouse=warehouse, now=now, watchlist=watchlist, flow_failure=flow_failure
    )
    found = alerts.open_alerts(facts)
    told = _told(store) if notifiers else {}
    news = {each.key: alerts.changes(found, told.get(each.key, {}), facts.looked_at) for each in notifiers}
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
    return Watched(found, [(notifier.service, news[key]) for key, notifier in delivered.items()])


def look(
    *,
    store: ObjectStore,
    models: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
    watchlist: Sequence[str] | None = None,
    flow_failure: str | None = None,
) -> Facts:
    """Gathers the facts that alerts follow from; see `watch`.

    An engine that does not answer is a fact, and what it alone can tell is not looked at.
    """
    facts: dict[str, Any] = {"flow": flow_failure, "engine": ""}
    try:
        warehouse.provision()
        facts["drift"] = _drift(warehouse)
        facts["coverage"] = _coverage(warehouse)
        facts["stale"] = None if watchlist is None else _stale(watchlist, warehouse, now)
        rejected = warehouse.query(_REJECTED)
        with suppress(StoreUnavailable):
            facts["rejected"] = _rejected(rejected, store)
            facts["champion"] = _champion(models, warehouse)
    except WarehouseUnavailable as error:
        facts["engine"] = str(error)
    return Facts(**facts)


def _rejected(ledger: pd.DataFrame, store: ObjectStore) -> list[Rejected]:
    """The files that are still there as they were rejected: what was replaced or deleted is settled."""
    reasons: dict[tuple[str, int], dict[str, str]] = {}
    for row in ledger.to_dict("records"):
        symbol = row["symbol"] if pd.notna(row["symbol"]) else ""
        reasons.setdefault((row["object"], int(row["generation"])), {})[symbol] = row["reason"]
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        live = list(pool.map(lambda file: _is_live(file[0], file[1], store), reasons))
    return [Rejected(*file, why) for (file, why), there in zip(reasons.items(), live, strict=True) if there]


def _is_live(name: str, generation: int, store: ObjectStore) -> bool:
    try:
        return store.generation(name) == generation
    except UsageError:  # the event named what the bucket cannot hold
        return False


def _drift(warehouse: Warehouse) -> list[Drift]:
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
        )
        for row in warehouse.query(_DRIFT).to_dict("records")
    ]


def _coverage(warehouse: Warehouse) -> list[Coverage]:
    resolved = warehouse.query(_RESOLVED)
    if resolved.empty:
        return []
    days = pd.to_datetime(resolved["cutoff"]).dt.date
    return [Coverage(len(resolved), float(resolved["inside"].mean()) / HORIZON, days.min(), days.max())]


def _stale(watchlist: Sequence[str], warehouse: Warehouse, now: datetime) -> list[Stale]:
    current = warehouse.query(_CURRENT)
    cutoffs = dict(zip(current["symbol"], pd.to_datetime(current["cutoff"]).dt.date, strict=True))
    found: list[Stale] = []
    for symbol in watchlist:
        try:
            newest = newest_closed(symbol, now)
            cutoff = cutoffs.get(symbol)
            missed = sessions_between(symbol, cutoff + _ONE_DAY, newest) if cutoff and newest else ()
        except CalendarError as error:
            log.warning("Whether %s has a current forecast is not known: %s", symbol, error)
            continue
        if newest and (missed or cutoff is None):
            found.append(Stale(symbol, newest, cutoff, len(missed)))
    return found


def _champion(models: ObjectStore, warehouse: Warehouse) -> list[Champion]:
    try:
        pointer = read_pointer(models)
    except (ModelUnavailable, BundleError) as error:
        log.warning("No champion is served: %s", error)
        return []
    decided = warehouse.read("retrains", {"model_name": pointer.name, "challenger_version": pointer.version})
    decided = decided[decided["decision"].isin(["promoted", "rolled back"])].sort_values("created_at")
    why = f"{decided['decision'].iloc[-1]}: {decided['reason'].iloc[-1]}" if len(decided) else "No flow decided it."
    return [Champion(pointer.name, pointer.version, why)]


def _deliver(notifier: Notifier, news: Changes) -> None:
    made = alerts.message(news)
    notifier.notify(made.title, made.text, made.severity)


def _told(store: ObjectStore) -> _Told:
    """What was told; where that cannot be read, nothing: to tell twice is better than to be silent."""
    try:
        return _read(store, store.generation(TOLD))
    except StoreUnavailable as error:
        log.error("What was told cannot be read, so that all is told again: %s", error)
        return {}


def _read(store: ObjectStore, generation: int) -> _Told:
    try:
        return _TOLD.validate_json(store.read(TOLD, generation=generation)) if generation else {}
    except ObjectNotFound:  # replaced in between, which the write will notice
        return {}
    except ValidationError:
        log.error("%s in %s does not parse, so that all is told again.", TOLD, store.url)
        return {}


def _record(store: ObjectStore, delivered: Mapping[str, Changes]) -> None:
    for _ in range(_ATTEMPTS):
        generation = store.generation(TOLD)
        told = _read(store, generation)
        told |= {key: alerts.tell(told.get(key, {}), news) for key, news in delivered.items()}
        try:
            store.write(TOLD, _TOLD.dump_json(told, indent=2), if_generation=generation)
            return
        except PreconditionFailed:
            continue  # another look was recorded in between
    raise StoreUnavailable(f"{TOLD} in {store.url} was replaced by others {_ATTEMPTS} times meanwhile. Try again.")
