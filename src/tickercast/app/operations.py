"""Use cases of running the service: the day, drift, alerts, backfills and the doctor."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickercast import config, engines
from tickercast.app.events import Events
from tickercast.app.models import Models
from tickercast.app.outlooks import Outlooks
from tickercast.app.ports import nothing
from tickercast.app.symbols import WatchlistFile, read_symbols
from tickercast.app.trading import Trading
from tickercast.domain.calendar import check_every, ending_calendars, parse_day
from tickercast.domain.cards.model_card import CHAMPION, MODEL
from tickercast.domain.forecast import Role
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.domain.measures.direction import RetrainBelow
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbols
from tickercast.domain.trading.limits import parse_limits
from tickercast.domain.trading.universe import parse_choice
from tickercast.errors import BundleError, TickercastError, UsageError
from tickercast.jobs.operations.alerts import CALENDAR_NOTICE
from tickercast.jobs.operations.doctor import Check, Probe, check_engines
from tickercast.jobs.operations.provision import check_published, publish_prices
from tickercast.jobs.requests.results import Patience
from tickercast.jobs.serving.champion_cache import REFRESH_AFTER_S
from tickercast.jobs.serving.trial import serve_another, try_out
from tickercast.models import catalogue
from tickercast.plain import first_of
from tickercast.ports import Letter, ObjectStore, QueryLimits, Wrap
from tickercast.reading.calibration import calibrations
from tickercast.reading.forecasts import champion_forecasts
from tickercast.reading.ledger import check_kept
from tickercast.reading.queries import ask
from tickercast.reading.track_record import Seen, details, seen_in_training

if TYPE_CHECKING:
    import pandas as pd

    from tickercast.domain.alerts import Alert
    from tickercast.domain.measures.calibration import Calibration
    from tickercast.jobs.daily.run_day import Day
    from tickercast.jobs.operations.alerts import SentAlerts
    from tickercast.jobs.operations.digest import Digest, SentDigest
    from tickercast.jobs.operations.drift import DriftCheck
    from tickercast.jobs.operations.export import Exported
    from tickercast.jobs.requests.backfill import Backfilled, BackfillPlan, Part

log = logging.getLogger(__name__)


_CLOCKS_DIFFER = timedelta(minutes=5)

_COUNTED = 10_000  # objects: to list them takes a bucket of Google Cloud some seconds

_WORK = (
    *("trade", "trade_hourly", "trade_limits", "universe", "portfolios", "retrain_on_losses", "retrain_below"),
    *("hourly_watchlist", "events_source"),
)
"""The settings that only the flows read."""


class Operations(Models, Events, Outlooks, Trading):
    """The daily run, and everything around it."""

    def run_day(
        self,
        symbols: Symbols = (),
        as_of: date | str | None = None,
        *,
        source: str = "",
        wrap: Wrap | None = None,
        patience: timedelta = timedelta(0),
        on_progress: Callable[[int, int], None] = nothing,
    ) -> "Day":
        """Do the day's work for a watchlist; see `jobs.daily.run_day`.

        Args:
            symbols: the watchlist; the configured one by default, or all symbols that the source holds.
            as_of: the last date wanted; today by default.
            source: the market data; the configured one by default.
            wrap: makes of each job the step that is called instead.
            patience: the time limit for waiting for another run to end.
            on_progress: called with the epochs of a training done and their total.
        """
        from tickercast.jobs.daily.run_day import run_day

        ranked = bool(self.settings.universe) and not symbols
        watched = [] if ranked else self.watchlist(symbols, source)
        # whatever is missing is said first
        _ = self.fit, self.registry, self.drift_reporter, self.notifiers, self.digest_receivers, self.warehouse
        steps: dict[str, Any] = {"wrap": wrap} if wrap else {}
        return run_day(
            watched,
            None if as_of is None else parse_day(as_of),
            source=self.market_data(source),
            services=self,
            universe=partial(self.universe_of_the_day, source=source) if ranked else None,
            patience=patience,
            on_progress=on_progress,
            **steps,
        )

    def watchlist(self, symbols: Symbols = (), source: str = "") -> list[str]:
        """The symbols that were named, or those of `TICKERCAST_UNIVERSE` or `…_WATCHLIST`, or all of the source.

        Raises:
            UsageError: no symbol is named, or one is not valid.
        """
        words: Sequence[str] = one_or_more(symbols) or self.kept_watchlist()
        if not words and self.settings.universe:
            words = [row.symbol for row in self.universe_of_the_day(self.now().date(), source).rows]
        if not words:
            try:
                words = self.market_data(source).symbols()
            except UsageError as error:
                raise UsageError(
                    f"No symbol was named, and {source or self.settings.source} cannot list its symbols. Name some, or "
                    "set TICKERCAST_WATCHLIST to a file of symbols."
                ) from error
        return parse_symbols(words)

    @property
    def watchlist_file(self) -> WatchlistFile:
        """The file of the watchlist: the configured one, or `watchlist.txt` of the home."""
        kept = self.settings.watchlist_file or str(self.settings.home_folder / "watchlist.txt")
        return WatchlistFile(kept, self.settings)

    def costs(self, since: date | str) -> "pd.DataFrame":
        """The cost of forecasts at list prices, by the day on which their files arrived.

        Args:
            since: the first day, UTC.

        Returns:
            `day, files, forecasts, duration_ms_p50, duration_ms_p95, usd_compute, usd_queries, usd_storage, usd,
            estimated`, the oldest first; amounts in US dollars.

        Raises:
            Transient: an engine does not answer.
        """
        publish_prices(self.readable)
        return ask(self.readable, "costs", since=parse_day(since))

    def store_with_new_champion(self) -> ObjectStore:
        """The data bucket, once the function serves a champion that was just published.

        A function in this process is made anew with its store; another one checks the pointer once a minute.
        """
        if self.settings.function_url or not self.delivers_at_once:
            time.sleep(REFRESH_AFTER_S + 5)
        return engines.object_store(self.settings)

    def export(
        self,
        kind: str,
        path: str | Path,
        *,
        first: date | str | None = None,
        last: date | str | None = None,
        symbols: Symbols = (),
        frequency: Frequency | str | None = None,
        advance: Callable[[int], None] = nothing,
    ) -> "Exported":
        """Write forecasts, prices or scores to a Parquet file; see `jobs.operations.export`.

        Args:
            kind: `forecasts`, `prices` or `scores`.
            path: the file; one that exists is replaced once the new one is whole.
            first: the first cutoff or session wanted.
            last: the last one wanted.
            symbols: the symbols to export; all by default.
            frequency: the frequency wanted, `1d` or `1h`; both by default.
            advance: called with the number of rows written so far.

        Raises:
            UsageError: no such kind is known, a date is none, or the file cannot be written.
            Outdated: the warehouse is of another release, whose views have other columns.
            WarehouseUnavailable: try again.
        """
        from tickercast.jobs.operations.export import export

        limits = QueryLimits(self.settings.query_timeout_s, self.settings.query_memory_mb)
        return export(
            kind,
            Path(path).expanduser(),
            first=None if first is None else parse_day(first),
            last=None if last is None else parse_day(last),
            symbols=parse_symbols(symbols),
            frequency=frequency_of(frequency) if frequency else None,
            warehouse=self.tables,
            limits=limits,
            advance=advance,
        )

    def copy_tables(self, source: str, *, on_chunk: Callable[[str, int], None] = nothing) -> dict[str, int]:
        """Copy every row of another warehouse into this one; see `jobs.operations.copy_tables`.

        Args:
            source: the URL of the other warehouse, as in `TICKERCAST_WAREHOUSE`.
            on_chunk: called with a table and the number of its rows copied so far.

        Returns:
            The rows copied now, by table.

        Raises:
            UsageError: `source` is no such URL, holds no tables, or lacks rows that this warehouse holds.
            Outdated: the tables of `source` are of an earlier release.
            WarehouseUnavailable: try again.
        """
        from tickercast.jobs.operations.copy_tables import copy_tables

        scheme, _, place = source.partition("://")
        if scheme not in engines.WAREHOUSES or not place:
            raise UsageError(f"{source!r} was given, and duckdb://PATH or bigquery://PROJECT/DATASET was needed.")
        settings = self.settings.model_copy(update={"warehouse": source})
        return copy_tables(engines.warehouse(settings), self.tables, engines.dated_tables(), on_chunk=on_chunk)

    def check_drift(
        self, symbols: Symbols = (), day: date | str | None = None, *, frequency: Frequency | str = DAILY
    ) -> "DriftCheck":
        """Compare the newest bars with the champion's training; see `jobs.operations.drift`.

        Args:
            symbols: the watchlist; all that have been forecast by default.
            day: the last date to check; today by default, or of hours yesterday.
            frequency: the frequency of the bars.
        """
        from tickercast.jobs.operations.drift import check_drift

        frequency = frequency_of(frequency)
        reporter = self.drift_reporter
        watched = parse_symbols(symbols) or list(ask(self.warehouse, "symbols", frequency=frequency.name)["symbol"])
        if not watched:
            example = "MSFT 2023-07-22" if frequency.is_daily else f"BTCUSDT 2023-07-22 --every {frequency}"
            raise UsageError(f"No symbol has been forecast yet. Name some, after tickercast forecast {example}.")
        today = self.now().date()
        asked = today if day is None else parse_day(day)
        whole = asked if frequency.is_daily else min(asked, today - timedelta(days=1))
        return check_drift(
            whole,
            watched,
            warehouse=self.warehouse,
            store=self.store,
            models=self.store_of(frequency),
            load=self.load_bundle,
            reporter=reporter,
            now=self.now(),
        )

    def open_alerts(self, watchlist: Symbols | None = None, *, only_reads: bool = False) -> "Sequence[Alert]":
        """The open alerts, the most urgent first.

        Args:
            watchlist: the symbols that need a fresh forecast; those of `TICKERCAST_WATCHLIST` by default, and none
                where it is empty.
            only_reads: take the warehouse as it is, where otherwise missing tables and views are created.
        """
        from tickercast.domain.alerts import open_alerts
        from tickercast.jobs.operations.alerts import gather_facts

        return open_alerts(
            gather_facts(
                store=self.silent_store,
                models=self.models,
                warehouse=self.tables,
                now=self.now(),
                watchlist=self.watched(watchlist),
                coins=self.watched_coins(),
                only_reads=only_reads,
            )
        )

    def send_alerts(self, watchlist: Symbols | None = None) -> "SentAlerts":
        """Send each receiver the alerts that are new to it; see `jobs.operations.alerts`."""
        from tickercast.jobs.operations.alerts import send_alerts

        return send_alerts(
            store=self.silent_store,
            models=self.models,
            warehouse=self.tables,
            notifiers=self.notifiers,
            now=self.now(),
            watchlist=self.watched(watchlist),
            coins=self.watched_coins(),
        )

    def calibrations(
        self, symbols: Symbols | None = None, frequency: Frequency | str = DAILY
    ) -> "Sequence[Calibration]":
        """The calibration of the champion's 80% intervals, a row a symbol; see the view `calibration`.

        Args:
            symbols: the symbols to read; None: all.
            frequency: the frequency of the bars.
        """
        frequency = frequency_of(frequency)
        return calibrations(self.readable, None if symbols is None else parse_symbols(symbols), frequency)

    def seen_in_training(
        self,
        symbols: Symbols | None = None,
        frequency: Frequency | str = DAILY,
        *,
        role: Role | None = Role.CHAMPION,
        recent: bool = False,
    ) -> Sequence[Seen]:
        """The records that rest on dates that the model was trained on; see `reading.track_record`.

        Args:
            symbols: the symbols to look at; None: all.
            frequency: the frequency of the bars.
            role: the role of the model; None: every role.
            recent: whether to look only at the forecasts that `calibrations` counts, not at the whole record.
        """
        frequency = frequency_of(frequency)
        return seen_in_training(
            None if symbols is None else parse_symbols(symbols),
            frequency,
            warehouse=self.readable,
            models=self.store_of(frequency),
            role=role,
            recent=recent,
        )

    def digest(self, watchlist: Symbols | None = None) -> "Digest | None":
        """The digest of the newest session; None if nothing has been forecast.

        Args:
            watchlist: the symbols; those of `TICKERCAST_WATCHLIST` by default, or all that are still forecast.

        Raises:
            WarehouseUnavailable, StoreUnavailable: try again.
        """
        from tickercast.jobs.operations.digest import read_digest

        watched = self.watched(watchlist)
        return read_digest(
            None,
            watched or (),
            self._checked(watched),
            store=self.silent_store,
            warehouse=self.readable,
            now=self.now(),
        )

    def send_digest(self, watchlist: Symbols | None = None) -> "SentDigest | None":
        """Send it to those receivers that have not got it; see `jobs.operations.digest`."""
        from tickercast.jobs.operations.digest import send_digest

        watched = self.watched(watchlist)
        return send_digest(
            None,
            watched or (),
            self._checked(watched),
            store=self.silent_store,
            warehouse=self.warehouse,
            receivers=self.digest_receivers,
            write=self.write_digest,
            now=self.now,
        )

    def write_digest(self, found: "Digest") -> Letter:
        """Write a digest as text and page, with a picture of the forecasts of its most notable symbols."""
        from tickercast.show import chart
        from tickercast.show.digest import PICTURED, letter, notable

        cutoffs = {row.symbol: row.cutoff for row in found.rows}
        wanted = notable(found)[:PICTURED]
        try:
            made = champion_forecasts({symbol: cutoffs[symbol] for symbol in wanted}, self.tables)
            shown = [details(made[symbol], None, warehouse=self.tables, models=self.models) for symbol in wanted]
            return letter(found, chart.forecast_png(shown))
        except TickercastError as error:  # such as a model that is published no more
            log.warning("The digest goes without its picture: %s", error)
            return letter(found)

    def _checked(self, watchlist: Sequence[str] | None) -> "SentAlerts":
        """The open alerts, which are sent to nobody."""
        from tickercast.jobs.operations.alerts import send_alerts

        return send_alerts(
            store=self.silent_store,
            models=self.models,
            warehouse=self.tables,
            notifiers=(),
            now=self.now(),
            watchlist=watchlist,
            coins=self.watched_coins(),
        )

    def plan_backfill(
        self,
        symbols: Symbols,
        first: date | str,
        last: date | str,
        *,
        every: int = 1,
        source: str = "",
        frequency: Frequency | str = DAILY,
    ) -> "BackfillPlan":
        """Find the past sessions or hours that have not been forecast from; see `jobs.requests.backfill`.

        Raises:
            UsageError: a date, `every` or the source is not valid.
            WarehouseUnavailable: try again.
        """
        from tickercast.jobs.requests.backfill import plan_backfill

        frequency = frequency_of(frequency)
        check_every(every)
        return plan_backfill(
            parse_symbols(symbols),
            parse_day(first),
            parse_day(last),
            every=every,
            warehouse=self.warehouse,
            now=self.now(),
            simulated=self.source_of(source, frequency).simulated,
            frequency=frequency,
        )

    def backfill_part(
        self,
        part: "Part",
        *,
        source: str = "",
        wait: float = 0.0,
        advance: Callable[[int], None] = nothing,
        is_over: Callable[[], bool] = lambda: False,
    ) -> "list[Backfilled]":
        """Send the files of one part of a backfill, and read their results; see `jobs.requests.backfill.send_part`."""
        from tickercast.jobs.requests.backfill import send_part

        return send_part(
            part,
            source=self.source_of(source, part.frequency),
            store=self.store,
            warehouse=self.warehouse,
            now=self.now(),
            patience=Patience(0.0 if self.delivers_at_once else wait),
            advance=advance,
            is_over=is_over,
        )

    def doctor(self, on_wait: Callable[[Sequence[str]], None] = nothing) -> Iterator[Check]:
        """Ask every configured engine whether it answers and, on this machine, may be written; change nothing.

        Args:
            on_wait: called with the names of those that have not answered yet.
        """
        settings = self.settings
        work = {f"TICKERCAST_{name.upper()}": getattr(settings, name) for name in _WORK}
        chosen = [name for name, value in work.items() if value]
        return check_engines(
            [
                Probe("object store", settings.bucket, self._store_says),
                Probe("warehouse", settings.warehouse, self._warehouse_says),
                Probe("champion", CHAMPION, self._champion_says),
                Probe("companions", "TICKERCAST_MODELS", self._companions_say),
                Probe("market data", settings.source, self._source_says),
                Probe("function", settings.function_url or self._function_place, self._function_says),
                Probe("alerts", "TICKERCAST_ALERT_URLS", self._alerts_say),
                Probe("digest", "TICKERCAST_DIGEST_URLS", self._digest_says),
                Probe("calendars", "exchange_calendars", self._calendars_say),
                Probe("model registry", settings.mlflow_tracking_uri, self._registry_says),
                *([Probe("work of the flows", ", ".join(chosen), self._work_says)] if chosen else []),
            ],
            on_wait=on_wait,
        )

    def _store_says(self) -> str:
        engines.check_writable(self.settings.bucket)
        dropped, objects = self.dropped(), self.store.names("", limit=_COUNTED + 1)
        if not objects and self._has_ledger():
            check_kept(self.store, self.tables, dropped)
        if dropped:
            raise UsageError(
                f"{first_of(dropped, 3)} {'was' if len(dropped) == 1 else 'were'} copied into the folder, so that no "
                f"event followed. tickercast replay --failed sends {'it' if len(dropped) == 1 else 'them'}, and "
                "tickercast watch sends whatever is copied there."
            )
        for refusal in self.linked().values():
            raise UsageError(refusal)
        if self.polled:
            self.polled.check()
        return f"more than {_COUNTED:,} objects" if len(objects) > _COUNTED else f"{len(objects):,} objects"

    def _has_ledger(self) -> bool:
        """Whether there is a ledger; a warehouse that does not answer says that itself."""
        try:
            return self.tables.pending().get("ingestions") != "missing"
        except TickercastError:
            return False

    def _warehouse_says(self) -> str:
        engines.check_writable(self.settings.warehouse)
        lacking = self.tables.pending()
        if lacking == dict.fromkeys(engines.statements(), "missing"):
            return "no tables yet: the first forecast makes them"
        if lacking:
            raise UsageError(
                f"{len(lacking)} of its tables and views {'is' if len(lacking) == 1 else 'are'} missing or of "
                "another release. Run `tickercast provision`, which keeps every row."
            )
        found = self.tables.query("SELECT COUNT(*) AS ingestions, MAX(written_at) AS newest FROM ingestions")
        [(count, newest)] = found[["ingestions", "newest"]].itertuples(index=False)
        if count and newest > self.now() + _CLOCKS_DIFFER:
            raise UsageError(
                f"The newest file was written at {newest:%Y-%m-%d %H:%M} UTC, which is still to come: a clock was "
                "ahead. Until then every other file counts as older, and its prices do not replace those. Put the "
                "clock right, and restore a copy from before that file."
            )
        return f"{count:,} ingestion{'s' * (count != 1)}"

    def _champion_says(self) -> str:
        engines.check_writable(self.settings.model_bucket or self.settings.bucket)
        if not self.models.generation():
            if self._has_ledger():
                check_published([self.models], self.tables)
            shipped = self.models.shipped_pointer
            return f"none is published yet: the first forecast publishes {shipped.name} version {shipped.version}"
        champion, pointer = self.served_models()[0].model, self.models.pointer()
        try_out(champion, DAILY, serve_another(DAILY))
        if pointer.baseline:
            worse = f"{pointer.name} version {pointer.version}, which was shown to be worse"
            return f"{champion.name}, a baseline, is served in the place of {worse}"
        return f"{champion.name} version {champion.version}"

    def _companions_say(self) -> str:
        if self.models.generation():
            beside = [served.model for served in self.served_models() if served.role is Role.COMPANION]
        else:
            beside = [catalogue.companion(name, DAILY) for name in self.companions]
        for model in beside:
            if isinstance(model, catalogue.Unavailable):
                raise UsageError(model.reason)
        names = [model.name for model in beside]
        if self.serves_direction:
            store = self.direction_store
            direction = catalogue.direction_model(store) if store.generation() else store.shipped_pointer
            names.append(f"{direction.name} version {direction.version}")
        return ", ".join(names) or "none: only the champion and the random walk are served"

    def _source_says(self) -> str:
        if self.settings.source == "simulated":
            return "generates bars for any symbol"
        if self.settings.source != "yahoo":
            return f"{len(self.market_data().symbols())} symbols"
        today = self.now().date()
        reading = self.market_data().fetch(["SPY"], today - timedelta(days=10), today, advance=nothing)
        for reason in reading.failures.values():
            raise reason
        return f"SPY up to {reading.bars['SPY'].cutoff}"

    @property
    def _function_place(self) -> str:
        return "in this process" if self.delivers_at_once else self.settings.bucket

    def _function_says(self) -> str:
        if self.polled:
            return "called by the bucket's notifications on AWS; tickercast watch handles files where there are none"
        if not self.settings.function_url and not self.delivers_at_once:
            _ = self.silent_store  # refuses a bucket that no engine is known for
            return (
                "called by the bucket's notifications on Google Cloud; whether it answers, tickercast ingestions shows"
            )
        if not self.settings.function_url:
            return f"runs {config.resource('cloud_function') / 'main.py'}"
        return engines.ping_function(self.settings.function_url)

    def _alerts_say(self) -> str:
        services = [notifier.service for notifier in self.notifiers]
        return f"go to {', '.join(services)}" if services else "no receivers, so no alerts are sent"

    def _digest_says(self) -> str:
        services = [receiver.service for receiver in self.digest_receivers]
        return f"goes to {', '.join(services)}" if services else "no receivers, so the daily flow sends none"

    def _work_says(self) -> str:
        """Read what the settings of the flows name, as the flows will."""
        settings = self.settings
        traded = self.traders()
        coins = self.watched_coins() or ()
        self.results_source()
        parse_limits(settings.trade_limits)
        for rule in filter(None, (settings.retrain_on_losses, settings.retrain_below)):
            RetrainBelow.parse(rule)
        members = self.members(parse_choice(settings.universe).file) if settings.universe else None
        portfolios = self.portfolios()
        return (
            f"{len(traded)} strateg{'y' if len(traded) == 1 else 'ies'} on paper, {len(portfolios)} "
            f"portfolio{'s' * (len(portfolios) != 1)}, {'no universe' if members is None else 'a universe'}, "
            f"{len(coins)} coin{'s' * (len(coins) != 1)} by the hour"
        )

    def _calendars_say(self) -> str:
        watched = read_symbols(self.settings.watchlist_file, self.settings)
        symbols = [*self._forecast_before(), *parse_symbols(watched)]
        ending = ending_calendars(symbols, self.now().date() + CALENDAR_NOTICE)
        if not ending:
            return "know the holidays of every exchange in use for more than a month"
        named = ", ".join(f"{name} until {until}" for name, until in ending.items())
        return (
            f"know the holidays of {named} only: later sessions are weekdays without fixed holidays. Upgrade "
            "exchange_calendars once a release knows more."
        )

    def _forecast_before(self) -> list[str]:
        try:
            return list(ask(self.tables, "symbols", frequency=DAILY.name)["symbol"])
        except TickercastError:  # the warehouse says that itself
            return []

    def _registry_says(self) -> str:
        if not engines.can_train():
            return "not installed: only training needs it (make setup-dev)"
        engines.check_writable(self.settings.mlflow_tracking_uri)
        if engines.registry_is_new(self.settings):
            return "no file yet: the first training makes it"
        damaged: list[BundleError] = []
        versions = self.registry.versions(MODEL, on_failure=lambda version, reason: damaged.append(reason))
        if damaged:
            raise damaged[0]
        return f"{len(versions)} versions of {MODEL}"
