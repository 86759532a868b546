"""A backfill as a Prefect flow: parts side by side in threads, or on the workers of a Dask cluster.

    python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31 --every 5 --source sample
    python flows/backfill.py BTCUSDT --from 2023-07-01 --to 2023-07-22 --every 1h

It needs no Prefect server; with PREFECT_API_URL set the runs show in its UI. See `jobs.requests.backfill`.
"""

from collections.abc import Sequence

from tickercast import config, engines, start

start.end_on_interrupt()
config.silence_prefect()

from prefect import flow, tags

from tickercast.cli import backfill as cli
from tickercast.cli import run, single_command
from tickercast.cli.terminal import bar
from tickercast.show.artifacts import run_name, run_tags

send_part = engines.flow_task(cli.send, retried=True).with_options(
    name="send_part", task_run_name="{part}", retries=2, retry_delay_seconds=[2, 20]
)
"""The task that sends the files of a part, in the process that the task runner has chosen."""


@flow(name="backfill", validate_parameters=False)
def backfill(parts: Sequence[cli.Part], source: str, wait: float) -> tuple[list[cli.Backfilled], list[Exception]]:
    """Send all parts; one that fails does not sink the others."""
    results, failures = list[cli.Backfilled](), list[Exception]()
    try:
        with engines.flow_interruptible(), bar("sending sessions", sum(map(len, parts))) as progress:
            futures = [send_part.submit(part, source, wait) for part in parts]
            for part, future in zip(parts, futures, strict=True):
                done = future.result(raise_on_failure=False)
                results += [] if isinstance(done, Exception) else done
                failures += [done] if isinstance(done, Exception) else []
                progress.advance(len(part))
    except KeyboardInterrupt:
        cli.end(parts)
        raise
    return engines.flow_outcome((results, failures), cli.undone(results, failures))


def main(
    first: cli.First,
    last: cli.Last,
    tickers: cli.Tickers = None,
    symbols_file: cli.SymbolsFile = "",
    every: cli.Every = "1",
    source: cli.AnySource = "",
    workers: cli.Workers = 2,
    dask: cli.Dask = False,
    wait: cli.Wait = 300,
) -> None:
    """Forecast from past sessions, or hours, as it would have been done then, and store the forecasts."""
    symbols = cli.symbols_of(tickers or [], symbols_file)
    frequency, step = cli.step_of(every)
    app = cli.opened()
    plan = app.plan_backfill(symbols, first.date(), last.date(), every=step, source=source, frequency=frequency)
    done: tuple[list[cli.Backfilled], list[Exception]] = [], []
    if plan.parts:
        named = run_name("backfill", first.date(), symbols)
        runner = engines.flow_runner(workers, dask=dask)
        data = source or (app.settings.source if frequency.is_daily else engines.hourly_source(app.settings))
        with engines.flow_server(), tags(*run_tags(frequency, data, app.settings.warehouse)):
            made = backfill.with_options(task_runner=runner, flow_run_name=named)
            done = engines.flow_result(made, plan.parts, source, wait)
    cli.print_backfill(plan, *done)


if __name__ == "__main__":
    run(
        door=single_command(main, "python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31"),
        name="backfill",
    )
