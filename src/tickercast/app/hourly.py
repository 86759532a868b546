"""Use cases about the models of hourly bars: run the hour, and train them."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tickercast import engines
from tickercast.app.ports import WAIT_S, nothing
from tickercast.app.telling import Telling
from tickercast.app.trading import Trading
from tickercast.domain.calendar import parse_day
from tickercast.domain.findings import Findings
from tickercast.domain.frequency import HOURLY
from tickercast.domain.symbols import Symbols, one_or_more, parse_symbols
from tickercast.errors import Permanent
from tickercast.jobs.training.registration import PATIENCE
from tickercast.models import catalogue
from tickercast.ports import Wrap

if TYPE_CHECKING:
    from tickercast.jobs.hourly.run_hour import Hour
    from tickercast.jobs.training.refit_direction import Refit
    from tickercast.jobs.training.train_direction import DirectionTraining
    from tickercast.jobs.training.train_hourly import HourlyTraining

_FIRST = date(2000, 1, 1)


class Hourly(Trading):
    """The hourly run, and trainings of hourly models."""

    def run_hour(self, symbols: Symbols, *, source: str = "", wait: float = WAIT_S, wrap: Wrap | None = None) -> "Hour":
        """Do an hour's work for some symbols; see `jobs.hourly.run_hour`.

        Args:
            symbols: the coins; those of `TICKERCAST_HOURLY_WATCHLIST` by default.
            source: `binance`, `simulated`, or a file or folder of hourly bars; by default the
                configured one, and `binance` where none is.
            wait: seconds to wait for a remote function.
            wrap: makes of each job the step that is called instead.

        Raises:
            UsageError: no symbol is named, or the source is not valid.
            Transient: an engine does not answer; the next hour catches up.
        """
        from tickercast.jobs.hourly.run_hour import Learning, run_hour
        from tickercast.models.hourly.volatility import fit

        data, coins, _ = self.source_of(source, HOURLY), self.hourly_watchlist(symbols), self.warehouse

        def refit_direction(named: Sequence[str]) -> "Refit":
            return self.refit_direction(named, source=source)

        learning = Learning(
            fit=fit,
            evaluated=catalogue.hourly_evaluation,
            train=lambda named, through: self.train_hourly(named, through, source=source, patience=timedelta(0)),
            refit=refit_direction,
        )
        steps: dict[str, Any] = {"wrap": wrap} if wrap else {}
        return run_hour(
            coins,
            source=data,
            services=self,
            learning=learning,
            patience=lambda: self.patience(wait),
            **steps,
        )

    @property
    def retrains_by_rule(self) -> bool:
        """Whether the settings name a rule by which the direction model is trained again."""
        return bool(self.settings.retrain_below)

    def train_hourly(
        self,
        symbols: Symbols,
        through: date | str,
        *,
        source: str = "",
        seeds: Sequence[int] = (1, 2, 3),
        patience: timedelta = PATIENCE,
        on_progress: Callable[[int, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> "HourlyTraining":
        """Train and register the hourly models, and decide which is the champion; see `jobs.training.train_hourly`.

        Args:
            symbols: the symbols to train on; empty: all that the source holds.
            through: the last date to train on; later dates measure the models.
            source: `binance`, `simulated`, or a file or folder of hourly bars; by default the
                configured one, and `binance` where none is.
            seeds: one network each, which are averaged.
            patience: the time limit for waiting where the registry does not answer once the model is trained.
            on_progress: called with the steps done and their total.
            on_failure: called with each symbol that the source could not give, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.
        """
        from tickercast.jobs.training.seed import seed
        from tickercast.jobs.training.train_hourly import train_hourly

        through = parse_day(through)
        engines.require_training()
        data = Telling(self.source_of(source, HOURLY), on_findings)
        seed(self.registry, self.hourly_store)
        return train_hourly(
            data,
            parse_symbols(symbols) or data.symbols(),
            _FIRST,
            self.now().date(),
            through,
            models=engines.hourly_models,
            registry=self.registry,
            seeds=seeds,
            patience=patience,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    def train_direction(
        self,
        symbols: Symbols,
        through: date | str,
        *,
        source: str = "",
        trials: int,
        asked: Symbols = (),
        usual: bool = False,
        patience: timedelta = PATIENCE,
        on_progress: Callable[[float, int], None] = nothing,
        on_failure: Callable[[str, Permanent], None] = nothing,
        on_findings: Callable[[Findings], None] = nothing,
    ) -> "DirectionTraining":
        """Search for a recipe of the direction model, train and register it; see `jobs.training.train_direction`.

        Args:
            symbols: the symbols to learn from; empty: all that the source holds.
            through: the last date to learn from; the months after it measure the model.
            source: `binance`, `simulated`, or a file or folder of hourly bars; by default the
                configured one, and `binance` where none is.
            trials: recipes to try; 0 trains by the default.
            asked: the symbols whose direction is measured; all by default.
            usual: search the usual ranges alone, without shallow trees.
            patience: the time limit for waiting where the registry does not answer once the model is trained.
            on_progress: called with the trials done and their total.
            on_failure: called with each symbol that the source could not give, and why.
            on_findings: called with what was left out of bars or changed when they were read, by symbol.
        """
        from tickercast.domain.learning.boosting import USUAL, Boosting
        from tickercast.jobs.training.seed import seed
        from tickercast.jobs.training.train_direction import train_direction

        through = parse_day(through)
        data, boost = Telling(self.source_of(source, HOURLY), on_findings), engines.boost()
        seed(self.registry, self.direction_store)
        return train_direction(
            data,
            parse_symbols(symbols) or data.symbols(),
            _FIRST,
            self.now().date(),
            through,
            boost=boost,
            search=engines.boosting_search(self.settings, usual=usual),
            tracker=engines.model_registry(self.settings),
            registry=self.registry,
            trials=trials,
            recipe=USUAL if usual else Boosting(),
            asked=one_or_more(asked),
            patience=patience,
            on_progress=on_progress,
            on_failure=on_failure,
        )

    def refit_direction(
        self,
        symbols: Symbols,
        *,
        source: str = "",
    ) -> "Refit":
        """Grow the trees of the direction model again if that is due; see `jobs.training.refit_direction`.

        Args:
            symbols: the symbols to learn from; empty: all that the source holds.
            source: `binance`, `simulated`, or a file or folder of hourly bars; by default the
                configured one, and `binance` where none is.
        """
        from tickercast.domain.learning.boosting import Boosting
        from tickercast.domain.measures.direction import RetrainBelow
        from tickercast.jobs.operations.provision import publish_shipped
        from tickercast.jobs.training.refit_direction import refit_direction
        from tickercast.models.direction import DirectionModel

        below = self.settings.retrain_below
        rule = RetrainBelow.parse(below) if below else None
        data, boost = self.source_of(source, HOURLY), engines.boost()
        publish_shipped(self.direction_store)
        return refit_direction(
            parse_symbols(symbols) or data.symbols(),
            source=data,
            boost=boost,
            load=DirectionModel,
            models=self.direction_store,
            registry=self.registry,
            warehouse=self.warehouse,
            now=self.now(),
            rule=rule,
            recipe=Boosting(),
        )
