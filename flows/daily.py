"""The daily run as a Prefect flow: each job is a task of the same name, retried while it may pass.

python flows/daily.py MSFT AAPL --source sample --as-of 2012-08-15      once, now; no server is needed
python flows/daily.py --serve                                           every trading day, under a Prefect server
"""

import functools
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from tickercast import config, engines, start
from tickercast.app import App

start.end_on_interrupt()
config.silence_prefect()

from prefect import flow, tags
from prefect.runtime import flow_run
from prefect.schedules import Cron, Schedule

from tickercast.cli import daily as cli
from tickercast.cli import run, single_command
from tickercast.domain.calendar import time_zone
from tickercast.domain.frequency import DAILY
from tickercast.show.artifacts import artifacts_of, run_name, run_tags

EVENING = "30 18 * * 1-5"  # in the exchange's time: Yahoo has the day's bars by then


def as_task(job: Callable[..., Any], app: App) -> Callable[..., Any]:
    """A task around a job, which shows the job's result as artifacts; a training is not retried."""
    shown = functools.partial(artifacts_of, job.__name__, models=app.models, store=app.store)
    return engines.flow_task(cli.telling(job), retried=job.__name__ != "train_challenger", artifacts=shown)


def _name() -> str:
    given = flow_run.parameters
    return run_name("daily", given.get("as_of") or flow_run.scheduled_start_time.date(), given.get("symbols") or ())


@flow(flow_run_name=_name)
def daily(symbols: Sequence[str] | None = None, as_of: date | None = None, source: str = "") -> Any:
    """Do the day's work for a watchlist; see `jobs.daily.run_day`."""
    cli.print_tasks(on_terminal=True)
    engines.show_in_flow("tickercast.day")
    with engines.flow_interruptible():
        day = (app := App()).run_day(symbols or (), as_of, source=source, wrap=functools.partial(as_task, app=app))
        return engines.flow_outcome(day, day.failures | day.undone)


def schedule(symbols: Sequence[str], cron: str) -> Schedule:
    """The evenings of the first symbol's exchange, in its time zone, summer and winter."""
    return Cron(cron, timezone=time_zone(symbols[0]))


def main(
    tickers: cli.Watchlist = None,
    source: cli.Source = "",
    symbols_file: cli.SymbolsFile = "",
    as_of: cli.AsOf = "",
    serve: cli.Serve = False,
    cron: cli.Schedule = EVENING,
) -> None:
    """Run the day: fetch bars, forecast, score, check drift, retrain, promote what is better, and send alerts."""
    app, given = App(), cli.some_symbols_of(tickers or [], symbols_file)
    watched = app.watchlist(given, source)
    named = watched if given or not app.settings.universe else []  # a universe is chosen in each run
    tagged = run_tags(DAILY, source or app.settings.source, app.settings.warehouse)
    with engines.flow_server(), tags(*tagged):
        if serve:
            parameters = {"symbols": named, "source": source}
            daily.serve("evening", schedule=schedule(watched, cron), parameters=parameters, limit=1, tags=tagged)
            return
        day = engines.flow_result(daily, named, cli.day_of(as_of) if as_of else None, source)
    cli.print_day(day)


if __name__ == "__main__":
    run(door=single_command(main, "python flows/daily.py MSFT AAPL --source sample --as-of 2012-08-15"), name="daily")
