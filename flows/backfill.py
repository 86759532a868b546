"""A backfill as a Prefect flow: parts side by side in threads, or on the workers of a Dask cluster.

    python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31 --every 5 --source sample

It needs no Prefect server; with PREFECT_API_URL set the runs show in its UI. See `jobs.requests.backfill`.
"""

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from tickercast import config
from tickercast.app import App

config.silence_prefect()

from prefect import flow, task
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tickercast.cli import run
from tickercast.cli.backfill import print_backfill
from tickercast.cli.terminal import Source, SymbolsFile, bar, symbols_of
from tickercast.errors import Transient
from tickercast.jobs.requests.backfill import Backfilled, Part

commands = typer.Typer(rich_markup_mode=None, add_completion=False)
opened = functools.cache(App)  # once a process: a local store loads the function, which takes seconds


def _may_pass(_: Any, __: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), Transient)


@task(task_run_name="{part}", retries=2, retry_delay_seconds=[2, 20], retry_condition_fn=_may_pass)
def send_part(part: Part, source: str, wait: float) -> list[Backfilled]:
    """Send the files of a part, in the process that the task runner has chosen."""
    return opened().backfill_part(part, source=source, wait=wait)


@flow(name="backfill", validate_parameters=False)
def backfill(parts: Sequence[Part], source: str, wait: float) -> tuple[list[Backfilled], list[Exception]]:
    """Send all parts; one that fails does not sink the others."""
    results: list[Backfilled] = []
    failures: list[Exception] = []
    futures = [send_part.submit(part, source, wait) for part in parts]
    with bar("sending sessions", sum(map(len, parts))) as progress:
        for part, future in zip(parts, futures, strict=True):
            done = future.result(raise_on_failure=False)
            if isinstance(done, Exception):
                failures.append(done)
            else:
                results += done
            progress.advance(len(part))
    return results, failures


def _runner(workers: int, dask: bool) -> TaskRunner[Any]:
    if not dask:
        return ThreadPoolTaskRunner(max_workers=workers)
    from prefect_dask.task_runners import DaskTaskRunner

    cluster = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    return DaskTaskRunner(cluster_kwargs=cluster)


@commands.command(epilog="Example: python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31 --every 5")
def main(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first date.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last date, inclusive.")],
    tickers: Annotated[list[str] | None, typer.Argument(metavar="TICKER...", help="As Yahoo spells them.")] = None,
    symbols_file: SymbolsFile = "",
    every: Annotated[int, typer.Option(min=1, help="Forecast from every N-th session.")] = 1,
    source: Source = "",
    workers: Annotated[int, typer.Option(min=1, help="Parts at a time.")] = 2,
    dask: Annotated[bool, typer.Option("--dask", help="Use processes of a Dask cluster instead of threads.")] = False,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For a remote function, a part.")] = 300,
) -> None:
    """Forecast from past sessions as it would have been done then, and store the forecasts."""
    symbols = symbols_of(tickers or [], symbols_file)
    plan = opened().plan_backfill(symbols, first.date(), last.date(), every=every, source=source)
    results: list[Backfilled] = []
    failures: list[Exception] = []
    if plan.parts:
        results, failures = backfill.with_options(task_runner=_runner(workers, dask))(plan.parts, source, wait)
    print_backfill(plan, results, failures)


if __name__ == "__main__":
    run(door=commands, name="backfill")
