"""Use cases about models: train, tune, evaluate, and choose which one is served."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from tickercast import engines
from tickercast.app.ports import Ports, nothing
from tickercast.app.telling import Telling
from tickercast.domain.calendar import parse_day
from tickercast.domain.cards.model_card import (
    MODEL,
    Bundle,
    Pointer,
    PublishedVersion,
    RegisteredVersion,
)
from tickercast.domain.findings import Findings
from tickercast.domain.forecast import Predictor
from tickercast.domain.frequency import DAILY, Frequency, frequency_of
from tickercast.domain.learning.recipe import Recipe
from tickercast.domain.measures.evaluation import labelled
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbols
from tickercast.errors import BundleError, Permanent, UsageError
from tickercast.jobs.operations.provision import check_published, publish_shipped
from tickercast.jobs.training.registration import PATIENCE
from tickercast.models import catalogue
from tickercast.ports import MarketData, StudyResult

if TYPE_CHECKING:
    from tickercast.domain.bars import Bars
    from tickercast.domain.events import ResultsDays
    from tickercast.domain.learning.market import Market
    from tickercast.domain.measures.promotion import Decision
    from tickercast.jobs.training.evaluate import Baselines
    from tickercast.jobs.training.train import Fit


FIRST_TRAINED = date(2000, 1, 1)
"""The first date that is trained on."""

STORED = "stored"
"""The name of the results days in the warehouse."""

_HOURLY_BASELINES = ("har-season", "ewma-season", "ewma-t")
"""The models that any hourly one is compared with."""

_TUNING_TRIALS, _TUNING_TIME = 8, timedelta(minutes=30)


class Models(Ports):
    """Trainings, evaluations and the champion."""

    @property
    def fit(self) -> "Fit":
        """The training of the LSTM."""
        return engines.fit()

    @property
    def seeds(self) -> Sequence[int]:
        """The seeds of the networks of a training."""
        from tickercast.jobs.daily.retrain import SEEDS

        return SEEDS

    def train(
        self,
        symbols: Symbols,
        through: date | str,
        *,
        source: str = "",
        recipe: Recipe | None = None,
        hold_out: int = 0,
        events: str = "",
        seeds: Sequence[int] = (1, 2, 3, 4, 5),
        patience: timedelta = PATIENCE,
        on_progress: Callable[[int, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> Bundle:
        """Train the LSTM and register it as the challenger; see `jobs.training.train`.

        Args:
            symbols: the symbols to train on; empty: all that the source holds.
            through: the last date to train on; later dates evaluate the model.
            source: the market data; the configured one by default.
            recipe: the hyperparameters; by default those that suit the data.
            hold_out: hold out every N-th symbol for evaluation; 0 holds out none.
            events: results days to learn from; see `results_of`.
            seeds: one network each, which are averaged.
            patience: the time limit for waiting where the registry does not answer once the model is trained.
            on_progress: called with the epochs done and their total.
            on_failure: called with each symbol that the source could not give, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.
        """
        from tickercast.jobs.training.seed import seed
        from tickercast.jobs.training.train import train

        through = parse_day(through)
        data, fit = Telling(self.market_data(source), on_findings), self.fit
        symbols = parse_symbols(symbols) or data.symbols()
        seed(self.registry, self.models)
        return train(
            data,
            symbols,
            FIRST_TRAINED,
            self.now().date(),
            through,
            fit=fit,
            baselines=catalogue.evaluation_baselines,
            registry=self.registry,
            picture=self.draw_evaluation,
            seeds=seeds,
            recipe=recipe,
            hold_out=hold_out,
            results=self.results_of(events, symbols, FIRST_TRAINED),
            patience=patience,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    def tune(
        self,
        symbols: Symbols,
        through: date | str,
        *,
        trials: int,
        source: str | MarketData = "",
        is_over: Callable[[], bool] = lambda: False,
        on_progress: Callable[[float, StudyResult[Recipe]], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> StudyResult[Recipe]:
        """Search for a better recipe for the LSTM; an interrupted search is resumed. See `jobs.training.tune`."""
        from tickercast.jobs.training.tune import tune

        through = parse_day(through)
        data = Telling(self.market_data(source) if isinstance(source, str) else source, on_findings)
        return tune(
            data,
            parse_symbols(symbols) or data.symbols(),
            FIRST_TRAINED,
            through,
            trials=trials,
            prepare=engines.prepare(),
            search=engines.recipe_search(self.settings),
            tracker=engines.model_registry(self.settings),
            is_over=is_over,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    @property
    def studies_url(self) -> str:
        """The URL of the studies of recipes."""
        return engines.recipe_search(self.settings).url

    def tuned_recipe(self, market: "Market", through: date) -> Recipe:
        """Search for a recipe in bounded time, using nothing after a date."""
        until = self.now() + _TUNING_TIME
        study = self.tune(
            market.symbols, through, trials=_TUNING_TRIALS, source=market.source, is_over=lambda: self.now() >= until
        )
        return study.best.recipe

    def evaluate(
        self,
        models: str | Sequence[str],
        first: date | str,
        last: date | str,
        *,
        source: str,
        symbols: Symbols = (),
        frequency: Frequency | str = DAILY,
        every: int | None = None,
        windows: int | None = None,
        events: str = "",
        dask: str = "",
        on_progress: Callable[[int, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> tuple[Mapping[str, pd.DataFrame], Mapping[str, Predictor]]:
        """Evaluate models on past bars, beside the baselines; see `jobs.training.evaluate`.

        Tables of hourly models are refreshed monthly.

        Args:
            models: their names, the judged one first; see `models.catalogue.named`, or `hourly` for hours.
            first: the first date to forecast from.
            last: the last date to forecast from.
            source: the market data.
            symbols: only these; empty: all that the source holds.
            frequency: the frequency of the bars.
            every: bars from one origin to the next; by default a horizon of sessions, or each hour.
            windows: the number of origins to draw at random; None: all.
            events: results days that the models may read; see `results_of`.
            dask: the processes to spread the forecasts over, or the address of a Dask scheduler; by default this one.
            on_progress: called with the forecasts made and their total.
            on_failure: called with each symbol that is left out, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.

        Returns:
            The losses of each model, and these models, the judged one first; see `domain.measures.evaluation.labelled`.
        """
        from tickercast.jobs.training.evaluate import evaluate

        frequency = frequency_of(frequency)
        first, last = parse_day(first), parse_day(last)
        build = self._compared(one_or_more(models), frequency)
        data = Telling(self.source_of(source, frequency), on_findings)
        chosen, made = parse_symbols(symbols) or data.symbols(), list[Predictor]()

        def beside(series: "Sequence[Bars]", through: date) -> Sequence[Predictor]:
            made.extend(build(series, through))
            return made

        with engines.spread(dask) as spread:
            tables = evaluate(
                data,
                chosen,
                first,
                last,
                models={},
                baselines=beside,
                every=every or (DAILY.horizon if frequency.is_daily else 1),
                windows=windows,
                results=self.results_of(events, chosen, first),
                spread=spread,
                on_progress=on_progress,
                on_failure=on_failure,
            )
        return tables, labelled(made)

    def _compared(self, names: Sequence[str], frequency: Frequency) -> "Baselines":
        """Make the named models, the judged one first, then the baselines of a frequency."""
        if not names:
            raise UsageError("No model was named, and at least one was needed, such as champion. Name one.")
        if not frequency.is_daily:
            return partial(self._compared_hourly, names)
        judged, *more = (self.load_model(name) for name in names)
        catalogue.check_versions([judged, *more])
        return lambda series, through: [judged, *catalogue.evaluation_baselines(series, through, more=more)]

    def _compared_hourly(self, names: Sequence[str], series: "Sequence[Bars]", _: date) -> list[Predictor]:
        """The same of hourly bars: whatever its version, a baseline that is named is not made again."""
        made = [catalogue.hourly(name, self.hourly_store, series) for name in names]
        catalogue.check_versions(made)
        others = [name for name in _HOURLY_BASELINES if name not in {model.name for model in made}]
        return [*made, *(catalogue.hourly(name, self.hourly_store, series) for name in others)]

    def results_of(self, events: str, symbols: Symbols, first: date) -> "Mapping[str, ResultsDays]":
        """The results days of some symbols.

        Args:
            events: the path of a CSV file of them, `stored` for those in the warehouse; empty for none.
            symbols: one or several, as Yahoo spells them.
            first: the first date that is forecast from.

        Raises:
            UsageError: the file cannot be read, or has no results day of the symbols.
            WarehouseUnavailable: try again.
        """
        from tickercast.reading.events import of_rows, results_days

        if not events:
            return {}
        wanted = parse_symbols(symbols)
        if events == STORED:
            return results_days(wanted, first, self.now().date(), warehouse=self.readable)
        if events in engines.RESULTS_SOURCES:
            raise UsageError(
                f"--events {events} was given, and a CSV file or {STORED} was needed: "
                f"tickercast events fetch --source {events} stores what it knows."
            )
        source = engines.results_source(events, self.settings)
        found = of_rows(source.fetch(wanted, FIRST_TRAINED, advance=nothing).rows)
        if not found:
            raise UsageError(
                f"{source.name} has no results day of the {len(wanted)} symbol(s). Name another file, or leave it out."
            )
        return found

    def leaks(
        self,
        models: str | Sequence[str],
        first: date | str,
        last: date | str,
        *,
        source: str,
        symbols: Symbols = (),
        frequency: Frequency | str = DAILY,
        events: str = "",
        on_progress: Callable[[int, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> Mapping[str, float]:
        """The change of forecasts when all bars after their origins are cut off; see `jobs.training.leaks`.

        Args:
            models: their names; the baselines are checked, too.
            first: the first date that may be an origin.
            last: the last date that may be an origin.
            source: the market data.
            symbols: only these; empty: all that the source holds.
            frequency: the frequency of the bars.
            events: results days that the models may read; see `results_of`.
            on_progress: called with the origins checked and their total.
            on_failure: called with each symbol that is left out, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.

        Returns:
            The largest difference of a log-return by model; 0 where nothing looks ahead.
        """
        from tickercast.jobs.training.leaks import leaks

        frequency = frequency_of(frequency)
        begin, end = parse_day(first), parse_day(last)
        build = self._compared(one_or_more(models), frequency)
        data = Telling(self.source_of(source, frequency), on_findings)
        chosen = parse_symbols(symbols) or data.symbols()
        return leaks(
            data,
            chosen,
            begin,
            end,
            build=lambda series: build(series, begin - timedelta(days=1)),
            results=self.results_of(events, chosen, begin),
            on_progress=on_progress,
            on_failure=on_failure,
        )

    def registered_models(
        self, *, on_failure: Callable[[str, BundleError], None] = nothing
    ) -> tuple[Sequence[RegisteredVersion], Pointer, list[str], list[str]]:
        """The registered versions of daily bars, the pointer at what is served, and the published versions.

        Args:
            on_failure: called with each registered version that cannot be read, and why.

        Returns:
            Last the registered versions whose number was published with other content, as where a registry was
            replaced.
        """
        pointer = self.models.pointer() if self.models.generation() else self.models.shipped_pointer
        versions = self.registry.versions(MODEL, on_failure=on_failure)
        others = [version.card.version for version in versions if self.models.differs(version.card)]
        return versions, pointer, self.models.versions(MODEL), others

    def hourly_versions(self) -> tuple[Sequence[PublishedVersion], Pointer]:
        """The published versions of the models of hours, and the pointer at them; those of directions where served.

        Raises:
            BundleError: a pointer or a card is corrupt.
            Transient: try again.
        """
        store = self.hourly_store
        pointer = store.pointer() if store.generation() else store.shipped_pointer
        directions = self.direction_store.listed() if self.serves_direction else []
        return [*store.listed(), *directions], pointer

    def promote(
        self,
        first: date | str,
        last: date | str,
        *,
        source: str,
        version: str = "",
        symbols: Symbols = (),
        events: str = "",
        on_progress: Callable[[int, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> "tuple[Decision, Bundle]":
        """Compare a challenger with what is served, and serve it if it is better; see `jobs.champion.promote`.

        Args:
            first: the first date to forecast from; neither model may have seen it.
            last: the last date to forecast from.
            source: the market data.
            version: the challenger; the version registered last by default, whether it has the alias or not.
            symbols: only these; empty: all that the source holds.
            events: results days that the models may read; see `results_of`.
            on_progress: called with the forecasts made and their total.
            on_failure: called with each symbol that is left out, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.
        """
        from tickercast.jobs.champion.promote import promote

        first, last = parse_day(first), parse_day(last)
        check_published([self.models], self.tables)
        publish_shipped(self.models)
        challenger = self.registry.bundle(MODEL, version or self._registered_last())
        data = Telling(self.market_data(source), on_findings)
        chosen = parse_symbols(symbols) or data.symbols()
        decision = promote(
            challenger,
            self.models.champion(),
            data,
            chosen,
            first,
            last,
            load=self.load_bundle,
            baselines=catalogue.promotion_baselines,
            models=self.models,
            registry=self.registry,
            results=self.results_of(events, chosen, first),
            on_progress=on_progress,
            on_failure=on_failure,
        )
        return decision, challenger

    def publish(self, version: str) -> Pointer | None:
        """Serve a registered version of daily bars, without a comparison; a running probation ends.

        Returns:
            The pointer that was replaced; None where there was none.
        """
        from tickercast.jobs.champion.promote import publish

        check_published([self.models], self.tables)
        publish_shipped(self.models)
        bundle = self.registry.bundle(MODEL, version)
        return publish(bundle, models=self.models, registry=self.registry, load=self.load_bundle)

    def rollback(self, to: str | None = None, *, frequency: Frequency | str = DAILY, direction: bool = False) -> Bundle:
        """Serve an older published version again, or the champion in a baseline's place, and return it.

        Args:
            to: the version, or a companion's name; what was served before by default, see `ModelStore.rollback`.
            frequency: the frequency of the bars; of hours nothing newer is served until a month begins.
            direction: whether it is the model of the next hour's direction; with hours alone.

        Raises:
            UsageError: no such version is published, or directions are asked for of days.
            BundleError: a file is corrupt.
            ModelUnavailable: nothing has been published.
            PreconditionFailed: another version has come to be served meanwhile.
            Transient: try again.
        """
        frequency = frequency_of(frequency)
        if direction and frequency.is_daily:
            raise UsageError("direction=True is for hourly bars: give frequency=HOURLY, or leave it out.")
        store = self.direction_store if direction else self.store_of(frequency)
        return store.rollback(to, now=self.now())

    def _registered_last(self) -> str:
        """The newest registered version, even if it cannot be read; a killed training may have left it no alias."""
        unreadable: dict[str, BundleError] = {}
        found = [made.card.version for made in self.registry.versions(MODEL, on_failure=unreadable.__setitem__)]
        if not found and not unreadable:
            raise UsageError(
                f"{self.registry.url} has no version of {MODEL}. Train one: tickercast train --source sample."
            )
        return max([*found, *unreadable], key=int)
