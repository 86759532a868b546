"""The daily run as a Prefect flow: each job is a task of the same name, retried while it may pass.

python flows/daily.py MSFT AAPL --source sample --as-of 2012-08-15      once, now; no server is needed
python flows/daily.py --serve                                           every trading day, under a Prefect server
"""

import functools
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any

import typer

from tickercast import config
from tickercast.app import App

config.silence_prefect()

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.schedules import Cron, Schedule
from prefect.tasks import exponential_backoff

from tickercast.cli import run
from tickercast.cli.daily import AsOf, Watchlist, print_day
from tickercast.cli.terminal import Source, SymbolsFile, day_of, some_symbols_of
from tickercast.domain.calendar import time_zone
from tickercast.errors import Transient
from tickercast.show.artifacts import artifacts

EVENING = "30 18 * * 1-5"
"""Half past six in the evening of the exchange: Yahoo has the day's bars by then."""


def _may_pass(_: Any, __: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), Transient)


def as_task(job: Callable[..., Any], app: App) -> Callable[..., Any]:
    """A Prefect task around a job, which shows the job's result as artifacts; a training is not retried."""

    @functools.wraps(job)
    def step(*args: Any, **kwargs: Any) -> Any:
        result = job(*args, **kwargs)
        for made in artifacts(job.__name__, result, app.models, app.store):
            if made.table is not None:
                create_table_artifact(made.table, key=made.key, description=made.description)
            else:
                create_markdown_artifact(made.markdown, key=made.key, description=made.description)
        return result

    retries = 0 if job.__name__ == "train_challenger" else 3
    options: dict[str, Any] = {"retry_delay_seconds": exponential_backoff(10), "retry_jitter_factor": 0.5}
    return task(name=job.__name__, cache_policy=NO_CACHE, retries=retries, retry_condition_fn=_may_pass, **options)(
        step
    )


@flow(name="daily")
def daily(symbols: Sequence[str] | None = None, as_of: date | None = None, source: str = "") -> Any:
    """Do the day's work for a watchlist; see `jobs.daily.run_day`."""
    app = App()
    return app.run_day(symbols or (), as_of, source=source, wrap=functools.partial(as_task, app=app))


def schedule(symbols: Sequence[str], cron: str) -> Schedule:
    """The evenings of the first symbol's exchange, in its time zone, summer and winter."""
    return Cron(cron, timezone=time_zone(symbols[0]))


def main(
    tickers: Watchlist = None,
    source: Source = "",
    symbols_file: SymbolsFile = "",
    as_of: AsOf = "",
    serve: Annotated[bool, typer.Option("--serve", help="Run every trading day, under a Prefect server.")] = False,
    cron: Annotated[str, typer.Option(help="When, in the time zone of the first symbol's exchange.")] = EVENING,
) -> None:
    """Run the day: fetch bars, forecast, score, check drift, retrain, promote what is better, and send alerts."""
    symbols = some_symbols_of(tickers or [], symbols_file)
    if serve:
        watched = App().watchlist(symbols, source)
        parameters = {"symbols": watched, "source": source}
        daily.serve(name="evening", schedule=schedule(watched, cron), parameters=parameters, limit=1)
        return
    done: Any = daily(symbols, day_of(as_of) if as_of else None, source)
    print_day(done)


if __name__ == "__main__":
    commands = typer.Typer(rich_markup_mode=None, add_completion=False)
    commands.command(epilog="Example: python flows/daily.py MSFT AAPL --source sample --as-of 2012-08-15")(main)
    run(door=commands, name="daily")
