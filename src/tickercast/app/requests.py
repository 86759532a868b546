"""Use cases about forecasts: request and handle them, and look after the files they are made from."""

import difflib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from tickercast import config, engines, logs
from tickercast.app.ports import WAIT_S, Ports, nothing
from tickercast.domain.forecast import Forecast, Served
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbol, parse_symbols
from tickercast.errors import Permanent, PreconditionFailed, TickercastError, UsageError
from tickercast.jobs.requests import quarantine as quarantines
from tickercast.jobs.requests.poll import poll
from tickercast.jobs.requests.replay import Replayed, replay
from tickercast.jobs.requests.request_forecast import Requested, request_forecast
from tickercast.jobs.requests.results import Patience, wait_for_ledger
from tickercast.jobs.requests.send_drop import send_drop
from tickercast.jobs.requests.send_file import Sent, send_file
from tickercast.jobs.requests.watch_folder import watch_folder
from tickercast.jobs.serving.champion_cache import ChampionCache
from tickercast.jobs.serving.directions import DirectionPredictor, ServedDirection
from tickercast.jobs.serving.handle_event import Limits, Outcome, handle_event
from tickercast.jobs.serving.past_models import PastModels
from tickercast.models import catalogue
from tickercast.models.baselines import EwmaT
from tickercast.ports import ObjectFinalized, PolledBucket, Warehouse
from tickercast.reading import ledger, quarantine
from tickercast.reading.directions import Directions, directions
from tickercast.reading.ledger import Entry
from tickercast.reading.quarantine import Quarantined
from tickercast.reading.track_record import ForecastDetails, TrackRecord, closes_before, details, track_record


class Requests(Ports):
    """Forecasts, the function, the ledger and the quarantine."""

    def forecast(
        self,
        symbols: Symbols,
        as_of: date | str,
        *,
        source: str = "",
        model: str = "",
        wait: float | None = WAIT_S,
        again: bool = False,
        actual: bool = False,
        frequency: Frequency | str = DAILY,
        advance: Callable[[int], None] = nothing,
        on_wait: Callable[[float], None] = nothing,
        on_resume: Callable[[int], None] = nothing,
        on_interrupt: Callable[[str], None] = nothing,
    ) -> Requested:
        """Forecast the sessions that follow a date, or the hours that follow a moment, and store the forecasts.

        Args:
            symbols: one or several, as Yahoo spells them, or as the exchange does where bars are hourly.
            as_of: forecast from the last bar on or before this date, or of hourly bars this moment, UTC.
            source: the market data; the configured one by default, and binance for hourly bars.
            model: the model whose forecasts are returned, of those in `TICKERCAST_MODELS`; the champion by default.
            wait: seconds to wait for a remote function; None does not wait for its results.
            again: whether symbols that an interrupted run has forecast are sent again, where there are more than 50.
            actual: whether to fetch the closes that followed.
            frequency: the frequency of the bars: `1d` or `1h`.
            advance: called with the number of symbols fetched since the last call.
            on_wait: called with the seconds waited so far for a remote function.
            on_resume: called with the number of symbols that an interrupted run has forecast.
            on_interrupt: called with a sentence if an error or Ctrl-C ends the upload when some files were sent.

        Returns:
            A sequence of `Forecast`, in the order of the symbols, with the reason for each other symbol in `failures`.

        Raises:
            UsageError: no symbol is named, or the date, source, model or `wait` is not valid.
            Transient: an engine does not answer.
        """
        frequency, words = frequency_of(frequency), one_or_more(symbols)
        if not words:
            raise UsageError("No symbol was named, and at least one was needed. Name one, such as MSFT.")
        if wait is not None and wait < 0:
            raise UsageError(f"wait is {wait:g}: a number of seconds from 0 on, or None, was needed. Give that.")
        shown = self._shown(model, frequency)
        valid: dict[str, None] = {}
        refused: dict[str, Permanent] = {}
        for word in words:
            try:
                valid[parse_symbol(word)] = None
            except UsageError as error:
                refused[word] = error
        if not valid:
            return Requested(failures=refused, frequency=frequency)
        made = request_forecast(
            list(valid),
            frequency.parse(as_of),
            source=self.source_of(source, frequency),
            store=self.store,
            warehouse=self.warehouse,
            models=self.store_of(frequency),
            now=self.now,
            frequency=frequency,
            patience=lambda: self.patience(wait or 0.0, on_wait),
            wait=wait is not None,
            model=shown,
            again=again,
            actual=actual,
            advance=advance,
            on_resume=on_resume,
            on_interrupt=on_interrupt,
        )
        return replace(made, failures={**refused, **made.failures})

    def _shown(self, model: str, frequency: Frequency) -> str:
        """The stored name of a model, empty for the champion; a function elsewhere may serve more than the settings."""
        if model in ("", catalogue.CHAMPION):
            return ""
        self.make_ready()
        pointer = self.store_of(frequency).pointer()
        served = [one.name for one in pointer.served]
        further = [*catalogue.BASELINES, *catalogue.STATISTICAL] if frequency.is_daily else [EwmaT.name]
        known = list(dict.fromkeys([catalogue.CHAMPION, *served, *further]))
        if model not in known:
            close = difflib.get_close_matches(model, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Name one of them."
            raise UsageError(f"{model[:40]!r} is no model that can be served: {', '.join(known)} can. {hint}")
        is_here = self.delivers_at_once and not self.settings.function_url
        if is_here and model not in (*served, pointer.baseline, *self.companions):
            raise UsageError(
                f"{model} is not served: TICKERCAST_MODELS is {self.settings.models}. Set it to "
                f"{self.settings.models},{model}, or name another model."
            )
        return model

    def upload(
        self, path: str | Path, as_of: date | str | None = None, *, symbol: str = "", frequency: Frequency | str = DAILY
    ) -> Sent:
        """Send a file as it is, so that an event forecasts what is in it; see `jobs.requests.send_file`.

        Args:
            path: the file: CSV, also in gzip or zip, or Parquet.
            as_of: forecast from the last bar on or before this date, or of hourly bars this moment, UTC; today or the
                hour that has just ended by default.
            symbol: the symbol of the bars; by default the one in the file, or else its name.
            frequency: the frequency of the bars: `1d` or `1h`.

        Raises:
            UsageError: the file cannot be read, the date or symbol is not valid, or the file holds several symbols and
                `symbol` is given.
            Transient: an engine does not answer.
        """
        file, frequency = Path(path), frequency_of(frequency)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}. Name another file.") from error
        newest = self.now() if not frequency.is_daily else self.now().date()
        self.make_ready()
        return send_file(
            file.name, data, frequency.parse(as_of or newest), symbol=symbol, store=self.store, frequency=frequency
        )

    def details(self, made: Forecast, actual: Mapping[date | datetime, float] | None = None) -> ForecastDetails:
        """Everything that a report shows beside a forecast; see `reading.track_record.details`.

        Args:
            made: the forecast.
            actual: the closes that followed, by date or, of hours, the moment at which each ends; None: not asked for.
        """
        return details(made, actual, warehouse=self.tables, models=self.models)

    def track_record(self, made: Forecast) -> TrackRecord | None:
        """The record of a forecast's model on its symbol; None where the bars are simulated."""
        return track_record(made, warehouse=self.tables)

    def closes_before(self, made: Forecast) -> list[float]:
        """The closes up to a forecast's cutoff, oldest first."""
        return closes_before(made, warehouse=self.tables)

    def handle(self, event: ObjectFinalized) -> Outcome:
        """Handle the event of an uploaded file; see `jobs.serving.handle_event`."""
        if not event.generation:  # some stores announce a write without its version
            event = replace(event, generation=self.silent_store.generation(event.name))
        return handle_event(
            event,
            store=self.silent_store,
            warehouse=self._event_tables,
            served=lambda frequency: self._champion_cache(frequency)(),
            past=lambda frequency, cutoff: self._past_models(frequency)(cutoff),
            now=self.now,
            limits=Limits(
                self._largest_file,
                timedelta(hours=self.settings.max_event_age_h),
                timedelta(seconds=self.settings.companion_deadline_s),
            ),
            direction=self._direction,
        )

    @property
    def _largest_file(self) -> int:
        """The bytes that a file may have, unpacked."""
        return int(self.settings.max_file_mb * 1e6)

    def _direction(self, frequency: Frequency) -> DirectionPredictor | None:
        """The served model of directions of a frequency."""
        if frequency.is_daily or not self.serves_direction:
            return None
        return self._direction_cache()[0].model

    @cached_property
    def _direction_cache(self) -> ChampionCache[ServedDirection]:
        def load() -> Sequence[ServedDirection]:
            return [ServedDirection(catalogue.direction_model(self.direction_store))]

        return ChampionCache(self.direction_store, load, time.monotonic)

    def directions(self, symbols: Symbols = ()) -> Directions:
        """The chance that the next hour closes higher, and the scores of such forecasts; see `reading.directions`.

        Args:
            symbols: only these; empty: all.
        """
        return directions(self.readable, parse_symbols(symbols))

    def set_up_logs(self, *, is_alone: bool = False) -> None:
        """Send log lines to standard output as JSON, if the settings, Cloud Run or AWS Lambda ask for that.

        Args:
            is_alone: whether nobody else writes the log of this process: elsewhere they are text on standard error.
        """
        chosen = self.settings.log_format
        as_json = chosen == "json" or (chosen == "auto" and (config.on_cloud_run() or config.on_lambda()))
        if as_json or is_alone:
            logs.set_up(self.settings.google_cloud_project, as_json=as_json)

    def set_up_memory(self) -> None:
        """Let Arrow take memory from the system: its own pool would keep what a large file needed."""
        pa.set_memory_pool(pa.system_memory_pool())

    @cached_property
    def _event_tables(self) -> Warehouse:
        """The warehouse for events, whose queries are given up in time for another delivery."""
        return engines.warehouse(self.settings, patient=False)

    def _champion_cache(self, frequency: Frequency) -> ChampionCache[Served]:
        models = self.store_of(frequency)
        made = ChampionCache(models, lambda: self.served_models(frequency), time.monotonic)
        return self._champions.setdefault(frequency, made)

    def _past_models(self, frequency: Frequency) -> PastModels:
        made = PastModels(self.store_of(frequency), self._champion_cache(frequency), self.load_bundle)
        return self._pasts.setdefault(frequency, made)

    @cached_property
    def _champions(self) -> dict[Frequency, ChampionCache[Served]]:
        return {}

    @cached_property
    def _pasts(self) -> dict[Frequency, PastModels]:
        return {}

    def ingestions(self, name: str = "", *, limit: int = 50) -> tuple[list[Entry], int]:
        """The newest entries of the ledger, or those of one file, and how many there are."""
        return ledger.newest(self.readable, limit, name)

    def failed_ingestions(self) -> list[Entry]:
        """The live files that were not forecast whole: rejected, not accounted for, or never sent."""
        copied = self.dropped()
        return [*ledger.failed(self.store, self.readable, copied), *ledger.dropped(copied, self.linked())]

    def send_dropped(self, name: str) -> Sent | None:
        """Send a file that was copied into the folder of a local bucket; None where somebody else has sent it.

        Raises:
            UsageError: the bucket is no folder, or the file cannot be sent.
            PreconditionFailed: another such file is where this one belongs.
            Transient: try again.
        """
        if self.drops is None:
            raise UsageError(f"{self.settings.bucket} is no folder, where every file is announced. Use upload.")
        self.make_ready()
        return send_drop(name, drops=self.drops, store=self.store, today=self.now().date())

    def watch(
        self, every_s: float = 10.0, *, pause: Callable[[float], None] = time.sleep
    ) -> Iterator[Sent | TickercastError]:
        """Handle every file that is written into an S3 bucket or copied into the folder of a local one, until Ctrl-C.

        Args:
            every_s: seconds between two looks into an S3 bucket; a folder reports its changes.
            pause: waits so many seconds.

        Yields:
            What was sent, or why a file could not be.

        Raises:
            UsageError: the bucket is neither.
            EngineUnusable: an S3 bucket is closed to us.
        """
        if self.polled is not None:
            yield from self._poll(self.polled, every_s, pause)
            return
        if self.drops is None:
            raise UsageError(
                f"TICKERCAST_BUCKET is {self.settings.bucket}, which announces its files itself: file://FOLDER or "
                "s3://BUCKET was needed. There is nothing to watch."
            )
        self.make_ready()
        yield from watch_folder(self.drops, send=self.send_dropped, unaccounted=self._unaccounted, clock=time.monotonic)

    def _unaccounted(self) -> list[Entry]:
        """The live files whose events are under way, or were lost."""
        found = ledger.failed(self.store, self.readable, self.dropped())
        return [entry for entry in found if entry.status == ledger.UNACCOUNTED]

    def _poll(
        self, bucket: PolledBucket, every_s: float, pause: Callable[[float], None]
    ) -> Iterator[Sent | TickercastError]:
        self.make_ready()
        for found in poll(bucket, warehouse=self.tables, handle=self.handle, every_s=every_s, pause=pause):
            yield found if isinstance(found, TickercastError) else Sent(found.name, found.name, found.generation)

    def replay(self, name: str, *, listed: str = "") -> Replayed:
        """Send what a file holds again, but for what has been forecast; see `jobs.requests.replay`.

        Args:
            name: the file, optionally with `#GENERATION`.
            listed: the generation that `failed_ingestions` gave for it; nothing is sent if another is live by now.

        Raises:
            UsageError: no such file is in the bucket, or it cannot be sent.
            PreconditionFailed: somebody else wrote the file in between.
            Transient: try again.
        """
        if why := self.linked().get(name):
            raise UsageError(why)
        if name in self.dropped():
            sent = self.send_dropped(name)
            if sent is None:
                raise PreconditionFailed(f"{name} was sent or removed by another command meanwhile; nothing was sent.")
            return Replayed(sent.object, sent.generation)
        return replay(
            name,
            store=self.store,
            warehouse=self.warehouse,
            now=self.now(),
            largest=self._largest_file,
            listed=listed,
        )

    def wait_for_entries(self, name: str, generation: str, patience: Patience) -> list[Entry]:
        """Wait for the entries of one write; empty if there are none when the time is up."""
        rows = wait_for_ledger(name, generation, warehouse=self.warehouse, patience=patience)
        return ledger.entries(rows)

    def quarantined(self) -> list[Quarantined]:
        """The files in quarantine, the newest first."""
        return quarantine.quarantined(self.silent_store)

    def quarantined_file(self, name: str) -> tuple[Quarantined, bytes]:
        """A file in quarantine, and its content."""
        found = quarantine.find(name, self.silent_store)
        return found, self.silent_store.read(found.name)

    def release(self, name: str) -> tuple[str, str]:
        """Put a file back under its old name, so that it is handled again; its name and generation."""
        self.make_ready()
        return quarantines.release(name, self.store)
