"""The options of a backfill, and its results as the flow prints them."""

import functools
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from tickercast.app import App
from tickercast.cli import completion
from tickercast.cli.terminal import (
    NOTHING_WORKED,
    SOME_FAILED,
    AnySource,
    SymbolsFile,
    complain,
    say,
    step_of,
    symbols_of,
)
from tickercast.domain.frequency import stamp
from tickercast.jobs.requests.backfill import Backfilled, BackfillPlan, Part

__all__ = [
    "AnySource",
    "Backfilled",
    "Dask",
    "Every",
    "First",
    "Last",
    "Part",
    "SymbolsFile",
    "Tickers",
    "Wait",
    "Workers",
    "end",
    "opened",
    "print_backfill",
    "send",
    "step_of",
    "symbols_of",
    "undone",
]

First = Annotated[datetime, typer.Option("--from", metavar="DATE", formats=["%Y-%m-%d"], help="The first date.")]
Last = Annotated[datetime, typer.Option("--to", metavar="DATE", formats=["%Y-%m-%d"], help="The last date, inclusive.")]
Tickers = Annotated[
    list[str] | None,
    typer.Argument(autocompletion=completion.symbols, metavar="TICKER...", help="Symbols as Yahoo spells them."),
]
Every = Annotated[
    str, typer.Option(metavar="N|Nh", help="Forecast from every N-th session; 1h: from every hour of hourly bars.")
]
Workers = Annotated[int, typer.Option(metavar="N", min=1, help="The number of parts at a time.")]
Dask = Annotated[bool, typer.Option("--dask", help="Use processes of a Dask cluster instead of threads.")]
Wait = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a part waits for a remote function.")]

_LISTED = 20


@functools.cache
def opened() -> App:
    """The application of this process: a local store loads the function, which takes seconds.

    It is here and not in the flow, whose workers import it.
    """
    return App()


_ENDING = threading.Event()
_SENT: list[int] = []


def send(part: Part, source: str, wait: float) -> list[Backfilled]:
    """Send the files of a part, or as many as there is time for until `end`."""
    return opened().backfill_part(part, source=source, wait=wait, advance=_SENT.append, is_over=_ENDING.is_set)


def end(parts: Sequence[Part]) -> None:
    """Let no further file be begun, and say how many of the parts' are left."""
    _ENDING.set()
    left = sum(map(len, parts)) - len(_SENT)
    complain(
        f"Ending after the files that are at work: at most {left:,} are left, with which the same command goes on."
    )


def undone(results: Sequence[Backfilled], failures: Sequence[Exception]) -> dict[str, str]:
    """The sessions and parts that were not forecast, each with the reason."""
    others = {f"{each.symbol} {stamp(each.as_of)} {each.status}": each.reason for each in _not_forecast(results)}
    return others | {f"part {number}": str(error) for number, error in enumerate(failures, start=1)}


def _not_forecast(results: Sequence[Backfilled]) -> list[Backfilled]:
    return [each for each in results if each.status != "forecast"]


def print_backfill(plan: BackfillPlan, results: Sequence[Backfilled], failures: Sequence[Exception]) -> None:
    """Print the results, and exit with a code that says whether all succeeded.

    Args:
        plan: the work.
        results: the results of each symbol and session.
        failures: the failures of whole parts.
    """
    if plan.forecast_before or plan.rejected_before:
        say(
            f"{plan.forecast_before} forecasts existed, and {plan.rejected_before} origins had been rejected; none of "
            "them was sent again."
        )
    forecast = [each for each in results if each.status == "forecast"]
    for note, count in sorted(Counter(each.reason or "live model" for each in forecast).items()):
        say(f"{count} forecasts: {note}")
    if not forecast and not failures and not plan.parts:
        say("Nothing is left to do.")
    if any(each.model_has_seen for each in forecast):
        complain(
            "Forecasts of dates that the model was trained on show nothing of its skill. Publish a version that was "
            "trained before them."
        )
    others = _not_forecast(results)
    for each in others[:_LISTED]:
        complain(f"{each.symbol} {stamp(each.as_of)} {each.status}: {each.reason}")
    if len(others) > _LISTED:
        complain(f"… and {len(others) - _LISTED} more.")
    for reason in (*plan.failures.values(), *failures):
        complain(f"{reason} The same command sends the rest.")
    if others or failures or plan.failures:
        raise typer.Exit(SOME_FAILED if forecast or plan.forecast_before else NOTHING_WORKED)
