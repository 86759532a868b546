"""The hourly run as a Prefect flow: each job of `jobs.hourly.run_hour` is a task of the same name.

python flows/hourly.py BTCUSDT ETHUSDT            once, now; no server is needed
python flows/hourly.py BTCUSDT ETHUSDT --serve    every hour, under a Prefect server
"""

from collections.abc import Callable, Sequence
from typing import Any

from tickercast import config, engines, start
from tickercast.app import App, read_symbols

start.end_on_interrupt()
config.silence_prefect()

from prefect import flow, tags
from prefect.runtime import flow_run
from prefect.schedules import Cron

from tickercast.cli import hourly as cli
from tickercast.cli import run, single_command
from tickercast.domain.frequency import HOURLY
from tickercast.show.artifacts import run_name, run_tags

EVERY_HOUR = "2 * * * *"  # a bar is there some seconds after its hour has ended


def as_task(job: Callable[..., Any]) -> Callable[..., Any]:
    """A task around a job; a training is not retried."""
    return engines.flow_task(job, retried=job.__name__ != "retrain_networks")


def _name() -> str:
    given, moment = flow_run.parameters, flow_run.scheduled_start_time
    return run_name("hourly", HOURLY.parse(moment), given.get("symbols") or ())


@flow(flow_run_name=_name)
def hourly(symbols: Sequence[str] | None = None, source: str = "") -> Any:
    """Do an hour's work for some coins; see `jobs.hourly.run_hour`."""
    with engines.flow_interruptible():
        hour = App().run_hour(symbols or (), source=source, wrap=as_task)
        return engines.flow_outcome(hour, hour.failures | hour.undone)


def main(
    symbols: cli.Coins = None,
    source: cli.HourlySource = "",
    symbols_file: cli.SymbolsFile = "",
    serve: cli.Serve = False,
) -> None:
    """Run the hour: refresh tables when a month begins, forecast the hour that has just ended, score what came true."""
    app = App()
    words = app.hourly_watchlist([*(symbols or []), *read_symbols(symbols_file)])
    tagged = run_tags(HOURLY, source or engines.hourly_source(app.settings), app.settings.warehouse)
    if serve:
        given = {"symbols": words, "source": source}
        with engines.flow_server():
            hourly.serve("hour", schedule=Cron(EVERY_HOUR), parameters=given, limit=1, tags=tagged)
    else:
        with engines.flow_server(), tags(*tagged):
            done = engines.flow_result(hourly, words, source)
        cli.print_hour(done)


if __name__ == "__main__":
    run(door=single_command(main, "python flows/hourly.py BTCUSDT ETHUSDT --source simulated"), name="hourly")
