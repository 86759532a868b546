"""The digest: one message a day with the overview, how the previous session's forecasts turned out, and what changed.

Each receiver gets the digest of a day once. A delivery is recorded right after it, under a lease that keeps two runs
apart: one that is killed in between sends it again, and nothing is lost. A receiver that does not accept it is tried
three times, and again by the next run of the day; it never makes the day fail.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tickercast.domain import alerts
from tickercast.domain.alerts import Alert, Anomaly, Changes
from tickercast.domain.calendar import LONGEST_CLOSURE, sessions_between
from tickercast.errors import AlertUnavailable, CalendarError, ObjectNotFound
from tickercast.jobs.daily.lease import lease
from tickercast.jobs.operations.alerts import SentAlerts
from tickercast.ports import Letter, Notifier, ObjectStore, Warehouse
from tickercast.reading.anomalies import anomalies
from tickercast.reading.outcomes import Outcome, outcomes
from tickercast.reading.overview import Row, newest_session, overview
from tickercast.reading.trading import TradingStatus, read_status

log = logging.getLogger(__name__)

SENT = "alerts/digest.json"
"""The object that holds the last day whose digest was sent, to whom, and the alerts that were open then."""

PAUSES_S = (2.0, 10.0)
"""Seconds before the second and third attempt at a receiver."""

_LOCK = "digest"


@dataclass(frozen=True)
class Digest:
    """Everything that a digest says.

    Attributes:
        day: the newest session.
        rows: the overview.
        outcomes: the closes that are new since the digest of the day before, beside their forecasts.
        anomalies: the closes, out of `outcomes`, that hardly anybody could expect.
        news: the alerts that opened, changed or ended since the digest of the day before.
        open: all open alerts, the most urgent first.
        trading: the holdings on paper; None: nothing was ever traded.
    """

    day: date
    rows: Sequence[Row]
    outcomes: Sequence[Outcome]
    anomalies: Sequence[Anomaly]
    news: Changes
    open: Sequence[Alert]
    trading: TradingStatus | None = None


@dataclass(frozen=True)
class SentDigest:
    """The deliveries of a digest.

    Attributes:
        day: the session of the digest.
        services: the receivers that have got it now, by their services.
        refusals: the reasons why other receivers have not got it.
    """

    day: date
    services: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The receivers that have got it now, and why others have not."""
        given = f"of {self.day} sent to {', '.join(self.services)}" if self.services else ""
        return "; ".join(filter(None, [given, *self.refusals])) or f"of {self.day} had been sent before"


class _Known(BaseModel):
    """The state of a digest's receivers: the alerts that were open, and the last session of each symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open: Mapping[str, Alert] = Field(default_factory=dict)
    sessions: Mapping[str, date] = Field(default_factory=dict)


class _Record(BaseModel):
    """The content of the object `SENT`: what is known with the digest of a day, and what was known before it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date = date.min
    known: _Known = _Known()
    before: _Known = _Known()
    receivers: Sequence[str] = ()

    def base(self, day: date) -> _Known:
        """The state that a day's digest is compared with."""
        return self.before if day == self.day else self.known


def read_digest(
    day: date | None,
    symbols: Sequence[str],
    checked: SentAlerts,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    now: datetime,
) -> Digest | None:
    """Read what the digest of a day says; None if nothing has been forecast.

    Args:
        day: the session of the digest; None: the newest one, of simulated bars only if there are no others.
        symbols: the watchlist; none for all that are still forecast.
        checked: the open alerts.
        store: where the digest of the day before is recorded.
        warehouse: where forecasts and scores are.
        now: the time.

    Raises:
        WarehouseUnavailable, StoreUnavailable: try again.
    """
    rows = overview(warehouse, now=now, symbols=symbols, as_of=day)
    if not rows:
        return None
    session = day or newest_session(rows)
    base = _read(store, store.generation(SENT)).base(session)
    last = {row.symbol: row.cutoff for row in rows if row.cutoff > base.sessions.get(row.symbol, _before(row, session))}
    return Digest(
        day=session,
        rows=rows,
        outcomes=outcomes(warehouse, last),
        anomalies=anomalies(warehouse, last),
        news=alerts.changes(checked.found, base.open, checked.checked),
        open=checked.found,
        trading=_trading(warehouse),
    )


def _before(row: Row, session: date) -> date:
    """The day before the newest session of its exchange, as if a digest had told of a symbol up to there."""
    try:
        newest = sessions_between(row.symbol, session - LONGEST_CLOSURE, session)[-1:]
    except CalendarError:
        newest = ()
    return newest[0] - timedelta(days=1) if newest else date.min


def _trading(warehouse: Warehouse) -> TradingStatus | None:
    found = read_status(warehouse)
    return found if len(found.accounts) else None


def send_digest(
    day: date | None,
    symbols: Sequence[str],
    checked: SentAlerts,
    *,
    store: ObjectStore,
    warehouse: Warehouse,
    receivers: Sequence[Notifier],
    write: Callable[[Digest], Letter],
    now: Callable[[], datetime],
) -> SentDigest | None:
    """Send the digest of a day to those receivers that have not got it; None if nothing has been forecast.

    Args:
        day: the session of the digest; None: the newest one. One before that of the last digest is sent to nobody.
        symbols: the watchlist; none for all that are still forecast.
        checked: the open alerts.
        store: where deliveries are recorded.
        warehouse: where forecasts and scores are.
        receivers: the receivers that asked for digests.
        write: makes a letter of it.
        now: the clock.

    Raises:
        LeaseHeld, LeaseLost: another run sends it, or may have begun to.
        WarehouseUnavailable, StoreUnavailable: try again; whoever has got it is recorded.
    """
    with lease(store, _LOCK, now=now) as hold:
        found = read_digest(day, symbols, checked, store=store, warehouse=warehouse, now=now())
        if found is None:
            return None
        generation = store.generation(SENT)
        record = _read(store, generation)
        if found.day < record.day:
            return SentDigest(found.day)
        if found.day > record.day:
            record = _Record(day=found.day, before=record.known)
        sessions = {**record.before.sessions, **{row.symbol: row.cutoff for row in found.rows}}
        known = _Known(open=alerts.after(record.before.open, found.news), sessions=sessions)
        record = record.model_copy(update={"known": known})
        waiting = [each for each in receivers if each.key not in record.receivers]
        if not waiting:
            return SentDigest(found.day)
        generation = _write(store, record, generation)
        letter = write(found)
        refusals: dict[str, str] = {}
        for receiver in waiting:
            hold.check()
            refusal = _deliver(receiver, letter)
            if refusal:
                refusals[receiver.key] = refusal
                log.error("%s", refusal)
            else:
                record = record.model_copy(update={"receivers": (*record.receivers, receiver.key)})
                generation = _write(store, record, generation)
        sent = tuple(each.service for each in waiting if each.key not in refusals)
        return SentDigest(found.day, sent, tuple(refusals.values()))


def _deliver(receiver: Notifier, letter: Letter) -> str:
    """Try a receiver three times; why it did not accept the letter, empty if it did."""
    refusal = ""
    for seconds in (0.0, *PAUSES_S):
        time.sleep(seconds)
        try:
            receiver.send(letter)
            return ""
        except AlertUnavailable as error:
            refusal = str(error)
    return refusal


def _read(store: ObjectStore, generation: str) -> _Record:
    try:
        return _Record.model_validate_json(store.read(SENT, generation=generation)) if generation else _Record()
    except ObjectNotFound:
        return _Record()
    except ValidationError:
        log.error("%s in %s does not parse, so the digest is sent again.", SENT, store.url)
        return _Record()


def _write(store: ObjectStore, record: _Record, generation: str) -> str:
    return store.write(SENT, record.model_dump_json(indent=2).encode(), if_generation=generation)
