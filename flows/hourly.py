"""The hourly run as a Prefect flow; what it does is `jobs.hourly.run_hour`.

python flows/hourly.py BTCUSDT ETHUSDT            once, now; no server is needed
python flows/hourly.py BTCUSDT ETHUSDT --serve    every hour, under a Prefect server
"""

from collections.abc import Sequence
from typing import Any

from tickercast import config, engines, start
from tickercast.app import App, read_symbols

start.end_on_interrupt()
config.silence_prefect()

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.schedules import Cron
from prefect.tasks import exponential_backoff

from tickercast.cli import hourly as cli
from tickercast.cli import run, single_command
from tickercast.errors import retry_if_transient

EVERY_HOUR = "2 * * * *"  # a bar is there some seconds after its hour has ended


@task(
    retries=3,
    retry_delay_seconds=exponential_backoff(10),
    retry_jitter_factor=0.5,
    retry_condition_fn=retry_if_transient,
    cache_policy=NO_CACHE,
)
def run_hour(symbols: Sequence[str], source: str) -> Any:
    """Refresh, forecast and score."""
    return App().run_hour(symbols, source=source)


@flow
def hourly(symbols: Sequence[str] | None = None, source: str = "") -> Any:
    """Do an hour's work for some coins; see `jobs.hourly.run_hour`."""
    return run_hour(symbols or (), source)


def main(
    symbols: cli.Coins = None,
    source: cli.HourlySource = "",
    symbols_file: cli.SymbolsFile = "",
    serve: cli.Serve = False,
) -> None:
    """Run the hour: refresh tables when a month begins, forecast the hour that has just ended, score what came true."""
    words = [*(symbols or []), *read_symbols(symbols_file)]
    if serve:
        with engines.flow_server():
            hourly.serve("hour", schedule=Cron(EVERY_HOUR), parameters={"symbols": words, "source": source}, limit=1)
    else:
        with engines.flow_server():
            done: Any = hourly(words, source)
        cli.print_hour(done)


if __name__ == "__main__":
    run(door=single_command(main, "python flows/hourly.py BTCUSDT ETHUSDT --source simulated"), name="hourly")
