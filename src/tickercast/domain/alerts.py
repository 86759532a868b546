"""Alerts: what is wrong now, and which of it is new to a receiver. All by value.

An alert stays open as long as its cause lasts. It is sent when it opens, when its title or severity changes, and when
it is over; figures that change from day to day stand in its text, which is not compared.

>>> stale = Stale("MSFT", date(2023, 7, 21), date(2023, 7, 20), missed=1)
>>> (alert,) = open_alerts(Facts(stale=[stale]))
>>> alert.key, alert.severity, alert.title
('stale:MSFT', 'warning', 'MSFT has no fresh forecast')
>>> changes([alert], {}, {"stale"}).new == (alert,)
True
>>> changes([alert], {alert.key: alert}, {"stale"}).is_quiet
True
>>> message(changes([], {alert.key: alert}, {"stale"})).title
'tickercast: 1 over'
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.freshness import STALE_HOURS
from tickercast.domain.measures.calibration import NARROW, Calibration
from tickercast.domain.measures.promotion import COVERAGE_80, MIN_ORIGINS
from tickercast.domain.text import price

Severity = Literal["info", "success", "warning", "failure"]
"""The severities by rising urgency, except `success`, which says only that an alert is over."""

ORIGINS = 250
"""The newest resolved forecasts whose intervals are checked."""

COVERED_DAYS = 28
"""The days of hourly forecasts whose intervals are checked: over fewer, their coverage varies by itself."""

_LEAST_HOURS = 504  # three of those four weeks

LONG_STALE = 5
"""Sessions without a forecast after which staleness is a failure rather than a warning."""

UNUSUAL = 3.0
"""Standard deviations, without the market's part, from which on a close outside its 95% interval is an alert."""

_MOST_LINES = 20
_LONGEST_TEXT = 300
_RANK: Mapping[Severity, int] = {"success": 0, "info": 1, "warning": 2, "failure": 3}


@dataclass(frozen=True)
class Alert:
    """A condition that people should know about as long as it lasts.

    Attributes:
        key: the subject of the alert, stable for as long as it is open: a kind of `Facts`, a colon, and a name.
        severity: `info` if it is not a fault, `warning`, or `failure`.
        title: the alert in a few words; a change of title is sent again.
        text: the alert in a sentence or two, with the figures of the day.
    """

    key: str
    severity: Severity
    title: str
    text: str

    @property
    def kind(self) -> str:
        """The field of `Facts` that it follows from."""
        return self.key.partition(":")[0]


@dataclass(frozen=True)
class Rejected:
    """A file with symbols that were rejected and have not been forecast since.

    Attributes:
        object: the file.
        generation: the version of it.
        reasons: the reason by symbol; the key `` stands for the whole file.
    """

    object: str
    generation: str
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Drift:
    """One kind of drift in the newest report; see the view `drift_daily`.

    Attributes:
        kind: `input`, `prediction` or `performance`.
        day: the last session that was checked.
        n: the number of features or measures.
        n_drifted: the number of them beyond their threshold.
        furthest: the feature or measure furthest beyond its threshold.
        score: the value of that feature or measure.
        threshold: where drift begins.
        report: the object that holds the whole report, or empty.
        frequency: the frequency of the bars.
    """

    kind: str
    day: date
    n: int
    n_drifted: int
    furthest: str
    score: float
    threshold: float
    report: str
    frequency: Frequency = DAILY


@dataclass(frozen=True)
class Coverage:
    """The coverage of the 80% intervals of the newest resolved origins.

    Attributes:
        origins: the number of origins.
        coverage_80: the share of closes inside the intervals.
        first: the earliest cutoff.
        last: the latest cutoff.
        frequency: the frequency of the bars.
    """

    origins: int
    coverage_80: float
    first: date
    last: date
    frequency: Frequency = DAILY


@dataclass(frozen=True)
class Anomaly:
    """A close outside the 95% interval of the day before, from the view `anomalies`.

    Attributes:
        symbol: the series.
        day: the session of the close.
        last_close: the close of the session before.
        close: the close.
        low: the lower end of the 95% interval.
        high: the upper end of the 95% interval.
        sigmas: the surprise in standard deviations of the forecast.
        market_sigmas: the mean of it over all other symbols of the day; None where there are none.
    """

    symbol: str
    day: date
    last_close: float
    close: float
    low: float
    high: float
    sigmas: float
    market_sigmas: float | None

    @property
    def own_sigmas(self) -> float:
        """The surprise without the market's share."""
        return self.sigmas - (self.market_sigmas or 0.0)


@dataclass(frozen=True)
class Stale:
    """A symbol on the watchlist whose newest forecast is stale or has expired, or that has none.

    Attributes:
        symbol: the series.
        newest: the newest session that has closed.
        cutoff: the cutoff of the newest forecast; None if there is none.
        missed: sessions since then; 0 if it has no forecast.
    """

    symbol: str
    newest: date
    cutoff: date | None
    missed: int


@dataclass(frozen=True)
class MissedHours:
    """A coin that needs a forecast each hour.

    Attributes:
        symbol: the series.
        cutoff_at: the end of the hour of its newest forecast, UTC; None if it has none.
        missed: hours that have ended since then; 0 if it has no forecast.
    """

    symbol: str
    cutoff_at: datetime | None
    missed: int


@dataclass(frozen=True)
class Silence:
    """A trading day on which nothing arrived: no symbol of the watchlist has a forecast from its newest session.

    Attributes:
        sessions: the number of symbols on the watchlist by the newest session that has closed for them: exchanges close
            at different hours, and coins have a session on every day.
    """

    sessions: Mapping[date, int]


@dataclass(frozen=True)
class CalendarEnd:
    """An exchange whose holidays are known for little longer than a month.

    Attributes:
        exchange: the name of the exchange's calendar.
        until: the last date whose holidays are known.
    """

    exchange: str
    until: date


@dataclass(frozen=True)
class Champion:
    """The champion, and the decision behind what is served.

    Attributes:
        name: the champion.
        version: the version of the champion.
        reason: the decision.
        baseline: the baseline that is served in the champion's place, because the champion was shown to be worse; empty
            while the champion is served itself.
        frequency: the frequency of the bars.
    """

    name: str
    version: str
    reason: str
    baseline: str = ""
    frequency: Frequency = DAILY


@dataclass(frozen=True)
class NoChampion:
    """A frequency whose forecasts cannot be made, since what names its champion is damaged.

    Attributes:
        reason: the damage that was seen, and the remedy.
        frequency: the frequency of the bars.
    """

    reason: str
    frequency: Frequency = DAILY


@dataclass(frozen=True)
class Trading:
    """A strategy on paper that is halted, or met a limit.

    Attributes:
        account: the account; empty: every one.
        strategy: the strategy; empty: every one.
        halted: whether it is halted until a person resumes it.
        cause: the cause: `person`, `stop`, `mismatch`, `position`, `turnover` or `orders`.
        reason: the reason, in a sentence.
    """

    account: str
    strategy: str
    halted: bool
    cause: str
    reason: str


@dataclass(frozen=True)
class Facts:
    """The known facts; each field is a kind of alert. None: not checked, so that its open alerts stay open.

    Attributes:
        flow: why the last run of the flow failed, empty if it succeeded.
        engine: why the warehouse does not answer, empty if it does.
        bucket: why the bucket cannot be used, empty if it can.
        rejected: the rejected files.
        drift: the newest report, one entry a kind.
        coverage: the coverage of the champion; `()` if nothing has been resolved.
        calibration: the calibration of each symbol's intervals.
        anomaly: the closes of the last session that the forecasts did not expect.
        stale: symbols on the watchlist without a fresh forecast.
        hours: the coins that need a forecast each hour.
        silent: the trading day on which nothing arrived, if the newest is one.
        champion: the served model, or why there is none; `()` if none has been published yet.
        calendar: the exchanges of forecast symbols whose known holidays end soon.
        trading: the strategies on paper that are halted, or met a limit within a day.
        tables: which tables and views are missing or of an earlier release, empty if none is.
    """

    flow: str | None = None
    engine: str | None = None
    bucket: str | None = None
    rejected: Sequence[Rejected] | None = None
    drift: Sequence[Drift] | None = None
    coverage: Sequence[Coverage] | None = None
    calibration: Sequence[Calibration] | None = None
    anomaly: Sequence[Anomaly] | None = None
    stale: Sequence[Stale] | None = None
    hours: Sequence[MissedHours] | None = None
    silent: Sequence[Silence] | None = None
    champion: Sequence[Champion | NoChampion] | None = None
    calendar: Sequence[CalendarEnd] | None = None
    trading: Sequence[Trading] | None = None
    tables: str | None = None

    @property
    def checked(self) -> frozenset[str]:
        """The kinds that are known."""
        return frozenset(name for name, value in vars(self).items() if value is not None)


@dataclass(frozen=True)
class Changes:
    """The news for one receiver."""

    new: tuple[Alert, ...] = ()
    changed: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()

    @property
    def over(self) -> tuple[Alert, ...]:
        """The alerts that are resolved and whose end is news; that a close was unusual on an earlier day is none."""
        return tuple(alert for alert in self.resolved if alert.kind != "anomaly")

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to send."""
        return not (self.new or self.changed or self.over)


@dataclass(frozen=True)
class Message:
    """One message about all changes."""

    title: str
    text: str
    severity: Severity


def open_alerts(facts: Facts) -> tuple[Alert, ...]:
    """The alerts that follow from the facts, the most urgent first."""
    found = [
        *_of_flow(facts.flow),
        *_of_engine(facts.engine),
        *_of_bucket(facts.bucket),
        *_of_tables(facts.tables),
        *(_of_silence(each) for each in facts.silent or ()),
        *(_of_trading(each) for each in facts.trading or ()),
        *(_of_champion(each) for each in facts.champion or ()),
        *(_of_rejected(each) for each in facts.rejected or ()),
        *(_of_drift(each) for each in facts.drift or () if each.n_drifted),
        *(_of_coverage(each) for each in facts.coverage or () if _misleads(each)),
        *(_of_calibration(each) for each in facts.calibration or () if each.flagged),
        *(_of_anomaly(each) for each in facts.anomaly or () if is_unusual(each)),
        *(_of_stale(each) for each in facts.stale or ()),
        *(_of_hours(each) for each in facts.hours or () if not each.cutoff_at or each.missed >= STALE_HOURS),
        *(_of_calendar(each) for each in facts.calendar or ()),
    ]
    return tuple(sorted(found, key=lambda alert: -_RANK[alert.severity]))


def changes(found: Sequence[Alert], sent: Mapping[str, Alert], checked: Collection[str]) -> Changes:
    """Compare the open alerts with those sent before.

    Args:
        found: the open alerts.
        sent: the alerts that were sent and not over, by key.
        checked: the kinds that are known; sent alerts of other kinds are neither open nor over.
    """
    keys = {alert.key for alert in found}
    return Changes(
        new=tuple(alert for alert in found if alert.key not in sent),
        changed=tuple(alert for alert in found if alert.key in sent and not _same(alert, sent[alert.key])),
        resolved=tuple(alert for key, alert in sent.items() if key not in keys and alert.kind in checked),
    )


def after(sent: Mapping[str, Alert], news: Changes) -> dict[str, Alert]:
    """The alerts that are open for a receiver once the changes have been sent."""
    over = {alert.key for alert in news.resolved}
    return {key: alert for key, alert in sent.items() if key not in over} | {
        alert.key: alert for alert in (*news.new, *news.changed)
    }


def message(news: Changes) -> Message:
    """Put all changes into one message, with the highest severity among them."""
    lasting = sorted((*news.new, *news.changed), key=lambda alert: -_RANK[alert.severity])
    counts = {"new": len(news.new), "changed": len(news.changed), "over": len(news.over)}
    lines = [f"{alert.severity}: {alert.title}. {_cut(alert.text)}" for alert in lasting]
    lines += [f"over: {alert.title}." for alert in news.over]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [f"… and {len(lines) - _MOST_LINES} more: tickercast alerts lists what is open."]
    return Message(
        title="tickercast: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count),
        text="\n".join(lines),
        severity=lasting[0].severity if lasting else "success",
    )


def _same(one: Alert, other: Alert) -> bool:
    return (one.severity, one.title) == (other.severity, other.title)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else line[:_LONGEST_TEXT] + "…"


def _of_flow(failure: str | None) -> Iterator[Alert]:
    if failure:
        yield Alert("flow:daily", "failure", "The daily flow failed", failure)


def _of_engine(failure: str | None) -> Iterator[Alert]:
    if failure:
        yield Alert("engine:warehouse", "failure", "The warehouse does not answer", failure)


def _of_bucket(failure: str | None) -> Iterator[Alert]:
    if failure:
        yield Alert("bucket:store", "failure", "The bucket cannot be used", failure)


def _of_tables(lacking: str | None) -> Iterator[Alert]:
    if lacking:
        yield Alert("tables:warehouse", "failure", "Tables of the warehouse are missing or old", lacking)


def _of_silence(day: Silence) -> Alert:
    days = sorted(day.sessions)
    each = ", ".join(f"{at} for {day.sessions[at]} of them" for at in days)
    newest = f", {days[0]}" if len(days) == 1 else f": {each}"
    count = sum(day.sessions.values())
    none = f"None of {count} symbols of the watchlist has a" if count > 1 else "The symbol of the watchlist has no"
    text = f"{none} forecast from its newest session{newest}."
    return Alert("silent:day", "failure", "Nothing arrived on a trading day", text)


def _of_trading(found: Trading) -> Alert:
    who = f"{found.strategy or 'every strategy'} in {found.account or 'every account'}"
    if not found.halted:
        key = f"trading:{found.account}/{found.strategy}/{found.cause}"
        return Alert(key, "warning", f"The limit of {found.cause} cut orders of {who}", found.reason)
    severity: Severity = "warning" if found.cause == "person" else "failure"
    title = f"Trading is halted: {who}"
    return Alert(f"trading:{found.account}/{found.strategy}", severity, title, found.reason)


def _of_champion(champion: Champion | NoChampion) -> Alert:
    key, hourly = f"champion:served{_apart(champion.frequency)}", "" if champion.frequency.is_daily else " for hours"
    if isinstance(champion, NoChampion):
        return Alert(key, "failure", f"No champion can be served{hourly}", champion.reason)
    if champion.baseline:
        title = f"The baseline {champion.baseline} is served{hourly} in the place of {champion.name} {champion.version}"
        return Alert(key, "warning", title, champion.reason)
    return Alert(key, "info", f"{champion.name} {champion.version} is served{hourly}", champion.reason)


def _apart(frequency: Frequency) -> str:
    """The end of a key, so that an alert of hours is not one of days."""
    return "" if frequency.is_daily else f"-{frequency}"


def _of_rejected(file: Rejected) -> Alert:
    reasons = list(file.reasons.items())
    text = " ".join(f"{symbol}: {why}" if symbol and symbol not in why else why for symbol, why in reasons[:3])
    more = f" And {len(reasons) - 3} more symbols." if len(reasons) > 3 else ""
    return Alert(f"rejected:{file.object}", "warning", f"{file.object}#{file.generation} was rejected", f"{text}{more}")


def _of_drift(found: Drift) -> Alert:
    the = "The" if found.frequency.is_daily else "The hourly"
    subject = {"input": f"{the} inputs have", "prediction": f"{the} forecasts have"}
    subject |= {"performance": f"{the} performance has"}
    text = (
        f"{found.day}: {found.n_drifted} of {found.n} are beyond their threshold, {found.furthest} furthest "
        f"with {found.score:.3g} of {found.threshold:.3g}."
    )
    report = f" The report is {found.report}." if found.report else ""
    key = f"drift:{found.kind}{_apart(found.frequency)}"
    return Alert(key, "warning", f"{subject.get(found.kind, found.kind)} drifted", text + report)


def _misleads(found: Coverage) -> bool:
    low, high = COVERAGE_80
    enough = MIN_ORIGINS if found.frequency.is_daily else _LEAST_HOURS
    return found.origins >= enough and not low <= found.coverage_80 <= high


def _of_coverage(found: Coverage) -> Alert:
    low, high = COVERAGE_80
    side = "narrow" if found.coverage_80 < low else "wide"
    daily = found.frequency.is_daily
    text = (
        f"They covered {found.coverage_80:.1%} of the closes after the {found.origins} newest "
        f"{'origins' if daily else 'hours'}, {found.first} to {found.last}: {low:.0%} to {high:.0%} was needed."
    )
    champion = "The champion's" if daily else "The hourly champion's"
    return Alert(f"coverage:80{_apart(found.frequency)}", "warning", f"{champion} 80% intervals are too {side}", text)


def _of_calibration(found: Calibration) -> Alert:
    is_narrow = found.calibration == NARROW
    text = (
        f"They held {found.coverage_80:.0%} ({found.coverage_80_lo:.0%} to {found.coverage_80_hi:.0%}) of "
        f"{found.closes}, and 80% was stated. Read them as {found.coverage_80:.0%} intervals; the daily run "
        f"{'widens' if is_narrow else 'narrows'} later ones by what earlier ones held. "
        f"tickercast calibration {found.symbol} shows it."
    )
    title = f"The 80% intervals of {found.symbol} are {found.calibration}"
    return Alert(f"calibration:{found.symbol}", "warning", title, text)


def is_unusual(found: Anomaly) -> bool:
    """Whether a close outside its interval is unusual without the market's part, and so is news of the symbol alone."""
    return abs(found.own_sigmas) >= UNUSUAL


def _of_anomaly(found: Anomaly) -> Alert:
    beside = "" if found.market_sigmas is None else f", {found.own_sigmas:+.1f} of them without the market's"
    text = (
        f"{found.close / found.last_close - 1:+.1%} to {price(found.close, found.last_close)}; the session before, "
        f"{price(found.low, found.last_close)} to {price(found.high, found.last_close)} was expected. "
        f"{found.sigmas:+.1f} standard deviations{beside}. Look for news, a split or a wrong bar."
    )
    title = f"{found.symbol} closed outside its 95% interval on {found.day}"
    return Alert(f"anomaly:{found.symbol}:{found.day}", "info", title, text)


def _of_calendar(end: CalendarEnd) -> Alert:
    text = (
        f"exchange_calendars knows them until {end.until}. Upgrade it once a release knows more; until then weekdays "
        "without the exchange's fixed holidays are taken, and forecasts that this touches say so."
    )
    return Alert(f"calendar:{end.exchange}", "warning", f"The holidays of {end.exchange} are not known for long", text)


def _of_hours(coin: MissedHours) -> Alert:
    is_long = coin.missed >= _A_DAY
    last = (
        f"Its newest hourly forecast is from {coin.cutoff_at:%Y-%m-%d %H:%M} UTC, {coin.missed} hours ago."
        if coin.cutoff_at
        else "It has never been forecast by the hour."
    )
    text = (
        f"{last} Look at tickercast ingestions --failed, then run tickercast hourly {coin.symbol}; or leave it out of "
        "the file that TICKERCAST_HOURLY_WATCHLIST names."
    )
    missing = "had no hourly forecast for a day or more" if is_long else "no fresh hourly forecast"
    return Alert(f"hours:{coin.symbol}", "failure" if is_long else "warning", f"{coin.symbol} has {missing}", text)


_A_DAY = 24  # hours


def _of_stale(symbol: Stale) -> Alert:
    is_long = symbol.missed >= LONG_STALE
    missing = f"had no forecast for {LONG_STALE} or more sessions" if is_long else "no fresh forecast"
    last = f"its newest forecast is from {symbol.cutoff}" if symbol.cutoff else "it has never been forecast"
    return Alert(
        f"stale:{symbol.symbol}",
        "failure" if is_long else "warning",
        f"{symbol.symbol} has {missing}",
        f"Its newest session was {symbol.newest}, and {last}.",
    )
