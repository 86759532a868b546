"""Backfill as a Prefect flow: parts side by side in threads, or on the workers of a Dask cluster.

    python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31 --every 5 --source sample

It needs no Prefect server; with PREFECT_API_URL set the runs show in its UI. See `jobs.requests.backfill`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from tickercast import config
from tickercast import engines as bootstrap

config.silence_prefect()

from prefect import flow, task
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from tickercast.cli import run
from tickercast.cli.terminal import NOTHING_WORKED, SOME_FAILED, bar, complain, say, symbols_of
from tickercast.errors import Transient
from tickercast.jobs.requests.backfill import Made, Part, Plan, plan, send
from tickercast.jobs.requests.ledger import Patience

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def _passes(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), Transient)


@task(task_run_name="{part}", retries=2, retry_delay_seconds=[2, 20], retry_condition_fn=_passes)
def send_part(part: Part, source: str, wait: float) -> list[Made]:
    """Sends the files of a part, in whichever process the task runner has chosen."""
    ports = bootstrap.ports(config.load(), source)
    return send(part, **ports._asdict(), now=datetime.now(UTC), patience=Patience(wait))


@flow(name="backfill", validate_parameters=False)
def backfill(parts: Sequence[Part], source: str, wait: float) -> tuple[list[Made], list[Exception]]:
    """Sends all parts; one that fails does not sink the others."""
    made: list[Made] = []
    failures: list[Exception] = []
    futures = [send_part.submit(part, source, wait) for part in parts]
    with bar("sending sessions", sum(map(len, parts))) as progress:
        for part, future in zip(parts, futures, strict=True):
            done = future.result(raise_on_failure=False)
            if isinstance(done, Exception):
                failures.append(done)
            else:
                made += done
            progress.advance(len(part))
    return made, failures


@app.command(epilog="Example: python flows/backfill.py MSFT AAPL --from 2012-01-01 --to 2012-12-31 --every 5")
def main(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first date.")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last date, inclusive.")],
    symbols: Annotated[list[str] | None, typer.Argument(metavar="SYMBOLS...", help="As Yahoo spells them.")] = None,
    symbols_file: Annotated[str, typer.Option(metavar="FILE", help="More symbols, separated by blanks or lines.")] = "",
    every: Annotated[int, typer.Option(min=1, help="Take each so many-th session.")] = 1,
    source: Annotated[str, typer.Option(help="yahoo, sample, simulated, or a folder of CSV or Parquet files.")] = "",
    workers: Annotated[int, typer.Option(min=1, help="So many parts at once.")] = 2,
    dask: Annotated[bool, typer.Option("--dask", help="In processes of a Dask cluster, and not in threads.")] = False,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For a remote function, a part.")] = 300,
) -> None:
    """Forecast from past sessions as it would have been done then, and store the forecasts."""
    settings = config.load()
    ports = bootstrap.ports(settings, source)
    todo = _plan(symbols_of(symbols or [], symbols_file), first.date(), last.date(), every, ports)
    made: list[Made] = []
    failures: list[Exception] = []
    if todo.parts:
        patience = 0.0 if bootstrap.delivers_at_once(settings) else wait
        made, failures = backfill.with_options(task_runner=_runner(workers, dask))(todo.parts, source, patience)
    _report(todo, made, failures)


def _plan(symbols: Sequence[str], first: date, last: date, every: int, ports: bootstrap.Ports) -> Plan:
    made_up = ports.source.name == "simulated"
    return plan(symbols, first, last, every=every, warehouse=ports.warehouse, now=datetime.now(UTC), simulated=made_up)


def _runner(workers: int, dask: bool) -> TaskRunner[Any]:
    if not dask:
        return ThreadPoolTaskRunner(max_workers=workers)
    from prefect_dask.task_runners import DaskTaskRunner

    cluster = {"n_workers": workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    return DaskTaskRunner(cluster_kwargs=cluster)


def _report(todo: Plan, made: Sequence[Made], failures: Sequence[Exception]) -> None:
    if todo.forecast_before or todo.rejected_before:
        say(
            f"{todo.forecast_before} forecasts were there before, and {todo.rejected_before} sessions had been "
            "rejected; none of them was sent again."
        )
    forecast = [each for each in made if each.status == "forecast"]
    for note, count in sorted(Counter(each.reason for each in forecast).items()):
        say(f"{count} forecasts: {note}")
    if not forecast and not failures and not todo.parts:
        say("Nothing is left to do.")
    if any(each.has_seen for each in forecast):
        complain("What the model has seen shows nothing of its skill. Publish a version that was trained before it.")
    others = [each for each in made if each.status != "forecast"]
    for each in others[:20]:
        complain(f"{each.symbol} {each.as_of} {each.status}: {each.reason}")
    if len(others) > 20:
        complain(f"… and {len(others) - 20} more.")
    for reason in (*todo.failures.values(), *failures):
        complain(f"{reason} The same command goes on with the rest.")
    if others or failures or todo.failures:
        raise typer.Exit(SOME_FAILED if forecast or todo.forecast_before else NOTHING_WORKED)


if __name__ == "__main__":
    run(door=app, name="backfill")
