"""The results of a backfill, as its flow prints them."""

from collections import Counter
from collections.abc import Sequence

import typer

from tickercast.cli.terminal import NOTHING_WORKED, SOME_FAILED, complain, say
from tickercast.jobs.requests.backfill import Backfilled, BackfillPlan

_LISTED = 20


def print_backfill(plan: BackfillPlan, results: Sequence[Backfilled], failures: Sequence[Exception]) -> None:
    """Print the results, and exit with a code that says whether all succeeded.

    Args:
        plan: the work.
        results: of each symbol and session.
        failures: of whole parts.
    """
    if plan.forecast_before or plan.rejected_before:
        say(
            f"{plan.forecast_before} forecasts existed, and {plan.rejected_before} sessions had been rejected; none of "
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
    others = [each for each in results if each.status != "forecast"]
    for each in others[:_LISTED]:
        complain(f"{each.symbol} {each.as_of} {each.status}: {each.reason}")
    if len(others) > _LISTED:
        complain(f"… and {len(others) - _LISTED} more.")
    for reason in (*plan.failures.values(), *failures):
        complain(f"{reason} The same command sends the rest.")
    if others or failures or plan.failures:
        raise typer.Exit(SOME_FAILED if forecast or plan.forecast_before else NOTHING_WORKED)
