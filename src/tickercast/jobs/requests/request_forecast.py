"""Request forecasts: upload bars, wait for the function, and read what it stored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import overload

import pandas as pd

from tickercast.domain.forecast import Forecast, frame_of
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.spelling import advice
from tickercast.errors import FunctionUnavailable, Permanent, TickercastError, UnknownSymbol
from tickercast.jobs.requests.results import Patience, Results, read_all_results
from tickercast.jobs.requests.resume import MANY, forecast_before
from tickercast.jobs.requests.suggest import suggest
from tickercast.jobs.requests.upload import Upload, batches, upload
from tickercast.model_store import ModelStore
from tickercast.ports import MarketData, ObjectStore, Warehouse
from tickercast.reading.forecasts import actual_closes
from tickercast.reading.track_record import trained_through


@dataclass(frozen=True)
class Requested(Sequence[Forecast]):
    """The forecasts that were requested, in the order of the symbols; it is a sequence of them.

    Attributes:
        forecasts: one a symbol.
        failures: the reason for each symbol without a forecast.
        lost: a reason for each upload that is not accounted for.
        uploads: the files that were sent now.
        forecast_before: the number of symbols that were forecast by an earlier run and not sent again.
        actual: the closes that followed, by symbol and date, or end of the hour; None where they were not asked for.
        trained_through: the last date each forecast's model was trained on, by symbol, where `actual` is known.
        frequency: the frequency of the bars.
    """

    forecasts: Sequence[Forecast] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)
    lost: Sequence[FunctionUnavailable] = ()
    uploads: Sequence[Upload] = ()
    forecast_before: int = 0
    actual: Mapping[str, Mapping[date, float]] | None = None
    trained_through: Mapping[str, date] = field(default_factory=dict)
    frequency: Frequency = DAILY

    def __len__(self) -> int:
        return len(self.forecasts)

    @overload
    def __getitem__(self, index: int) -> Forecast: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Forecast]: ...

    def __getitem__(self, index: int | slice) -> Forecast | Sequence[Forecast]:
        return self.forecasts[index]

    def __iter__(self) -> Iterator[Forecast]:
        return iter(self.forecasts)

    def frame(self) -> pd.DataFrame:
        """All forecasts below each other; see `Forecast.frame`."""
        return frame_of(self.forecasts, self.frequency)


def request_forecast(
    symbols: Sequence[str],
    as_of: date,
    *,
    source: MarketData,
    store: ObjectStore,
    warehouse: Warehouse,
    models: ModelStore,
    now: Callable[[], datetime],
    patience: Callable[[], Patience],
    wait: bool = True,
    model: str = "",
    again: bool = False,
    actual: bool = False,
    frequency: Frequency = DAILY,
    advance: Callable[[int], None] = lambda _: None,
    on_resume: Callable[[int], None] = lambda _: None,
    on_interrupt: Callable[[str], None] = lambda _: None,
) -> Requested:
    """Upload the bars of the symbols, so that events make the forecasts, and read those.

    Args:
        symbols: the symbols, as Yahoo spells them, without duplicates.
        as_of: forecast from the last bar on or before this date, or moment (UTC, naive) of hourly bars.
        source: where the bars come from.
        store: where the files go.
        warehouse: where the function stores.
        models: where the models are published.
        now: the clock.
        patience: starts to wait for the function.
        wait: whether to wait for the results at all.
        model: the model whose forecasts are read; the champion if it is empty.
        again: whether symbols of an interrupted run that were forecast already are sent too.
        actual: whether to fetch the closes that followed.
        frequency: the frequency of the bars; a run of hourly ones is never resumed.
        advance: called with the number of symbols fetched since the last call.
        on_resume: called with the number of symbols that an earlier run has forecast, if there are any.
        on_interrupt: called with a sentence if an error or Ctrl-C ends the upload when some files were sent.

    Raises:
        FunctionUnavailable: nothing is accounted for.
        Transient: an engine does not answer.
    """
    before: list[Upload] = []
    if len(symbols) > MANY and not again and frequency.is_daily:
        before = forecast_before(symbols, as_of, warehouse=warehouse, now=now(), simulated=source.simulated)
    done = {symbol for uploaded in before for symbol in uploaded.symbols}
    if done:
        on_resume(len(done))
        advance(len(done))
    rest = [symbol for symbol in symbols if symbol not in done]
    uploads = _upload(rest, as_of, source, store, now, frequency, advance, on_interrupt)
    sent = [uploaded for uploaded in uploads if uploaded.object]
    results, lost = Results(), list[FunctionUnavailable]()
    if wait:
        results, lost = read_all_results(
            [*before, *sent], symbols, warehouse=warehouse, patience=patience(), model=model
        )
    failures = {name: reason for uploaded in uploads for name, reason in uploaded.failures.items()}
    return Requested(
        results.forecasts,
        _with_hints({**failures, **results.failures}, warehouse, frequency),
        lost,
        sent,
        len(done),
        actual_closes(results.forecasts, source=source) if actual else None,
        trained_through(results.forecasts, models=models) if actual else {},
        frequency,
    )


def _upload(
    symbols: Sequence[str],
    as_of: date,
    source: MarketData,
    store: ObjectStore,
    now: Callable[[], datetime],
    frequency: Frequency,
    advance: Callable[[int], None],
    on_interrupt: Callable[[str], None],
) -> list[Upload]:
    uploads: list[Upload] = []
    try:
        for batch in batches(symbols):
            uploads.append(
                upload(batch, as_of, source=source, store=store, now=now(), frequency=frequency, advance=advance)
            )
    except (TickercastError, KeyboardInterrupt):
        if uploads:
            sent = sum(len(uploaded.symbols) for uploaded in uploads)
            on_interrupt(f"{sent} of {len(symbols)} symbols were sent. The same command sends the others.")
        raise
    return uploads


def _with_hints(failures: Mapping[str, Permanent], warehouse: Warehouse, frequency: Frequency) -> dict[str, Permanent]:
    """Add the symbol that was probably meant by one that the source does not know, unless the source says so itself.

    Of hours only symbols that were forecast before are known: coins are spelled as their exchange does, not as Yahoo.
    """
    unknown = [name for name, why in failures.items() if isinstance(why, UnknownSymbol) and not why.meant]
    spelt = {name: known for name in unknown if frequency.is_daily and (known := advice(name))}
    hints = {
        name: UnknownSymbol(f"{failures[name]} Did you mean {known}?", meant=known) for name, known in spelt.items()
    }
    rest = [name for name in unknown if name not in spelt]
    hints |= {
        name: UnknownSymbol(f"{failures[name]} Did you mean {known}, which was forecast before?", meant=known)
        for name, known in suggest(rest, warehouse=warehouse, frequency=frequency).items()
        if known != name
    }
    return {**failures, **hints}
