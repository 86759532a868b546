"""Commands for running the service: check engines and drift, list and send alerts."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from tickercast.cli import completion, outputs
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import (
    SOME_FAILED,
    Every,
    bar,
    complain,
    day_of,
    open_app,
    print_data,
    print_table,
    say,
    symbols_of,
)
from tickercast.errors import UsageError

if TYPE_CHECKING:
    from tickercast.app import App
    from tickercast.domain.alerts import Alert, Changes

app = Commands()

_UNCOUNTED = "Those of doubtful or simulated bars do not count, nor backfills of dates that the model was trained on."


@app.command(epilog="Example: tickercast doctor")
def doctor() -> None:
    """List the configured engines, and whether each answers.

    It changes nothing; exit code 1 if one does not answer, is closed to writing on this machine, or is of another
    release.
    """
    from tickercast.show.tables import checks_table

    with bar("asking the engines") as progress:
        checks = list(open_app().doctor(lambda names: progress.say(f"waiting for {', '.join(names)}")))
    print_table(checks_table(checks))
    if not all(check.well for check in checks):
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast costs --days 7")
def costs(
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3650, help="The last days, UTC.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show what forecasts cost at list prices, day by day.

    The prices are Google Cloud's; beside them stands how long the forecasts took.
    """
    from tickercast.show.costs import costs_json, costs_table

    service = open_app()
    with bar("adding up"):
        rows = service.costs(service.now().date() - timedelta(days=days - 1))
    if as_json:
        print_data(costs_json(rows))
    else:
        print_table(costs_table(rows, days))


@app.command(epilog="Example: tickercast drift MSFT AAPL --day 2012-08-15")
def drift(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.symbols,
            metavar="[TICKER]...",
            help="The watchlist.",
            show_default="all that have been forecast",
        ),
    ] = None,
    day: Annotated[
        str, typer.Option(metavar="DATE", help="The last date to check.", show_default="the newest session")
    ] = "",
    every: Annotated[
        str, typer.Option(metavar="1d|1h", help="The bars: days, or hours up to the end of a day.")
    ] = "1d",
) -> None:
    """Compare the newest bars with the champion's training.

    Its report has the figures. Exit code 1 means drift. A day that was checked before is shown again and not changed.
    """
    from tickercast.domain.frequency import frequency_of
    from tickercast.show.tables import drift_table

    frequency, service = frequency_of(every), open_app()
    symbols = symbols_of(tickers) if tickers else []
    with bar("comparing"):
        found = service.check_drift(symbols, day_of(day) if day else None, frequency=frequency)
    for reason in found.skipped.values():
        complain(f"left out: {reason}")
    print_table(drift_table(found.rows))
    for reason in found.reasons:
        say(reason)
    simulated = ", on simulated bars" if found.simulated else ""
    verdict = f"{len(found.reasons)} of {len(found.rows)} measures have drifted" if found.drifted else "no drift"
    stands_in = f"{found.served} is served in its place" if found.served != found.model_name else ""
    served = f"; {stands_in}{'' if found.unmeasured else ', and the performance is its own'}" if stands_in else ""
    say(f"{found.day}: {verdict} from {found.model_name} version {found.model_version}{simulated}{served}")
    earlier = "" if found.new else ", from an earlier run, of the symbols that it was asked for"
    if found.unmeasured:
        say(found.unmeasured)
    say(f"report: {found.report} in {service.store.url}{earlier}")
    if found.drifted:
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast calibration NVDA MSFT")
def calibration(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=completion.symbols,
            metavar="[TICKER]...",
            help="Symbols.",
            show_default="all that have a record",
        ),
    ] = None,
    every: Every = "1d",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show how the 80% intervals of each symbol have held.

    Covers three years; flags intervals that were too narrow or too wide.
    """
    from tickercast.domain.frequency import DAILY, HOURLY, frequency_of
    from tickercast.show.calibration import calibration_json, calibration_table

    symbols, frequency, service = symbols_of(tickers) if tickers else None, frequency_of(every), open_app()
    found = service.calibrations(symbols, frequency)
    bars, others, option = "hours", "days", "leave --every 1h out"
    if frequency.is_daily:
        bars, others, option = "days", "hours", "add --every 1h"
    missing = sorted(set(symbols or ()) - {row.symbol for row in found})
    wanted = None if symbols is None and not found else missing
    elsewhere = [row.symbol for row in service.calibrations(wanted, HOURLY if frequency.is_daily else DAILY)]
    for symbol in missing:
        if symbol in elsewhere:
            complain(f"{symbol} has no record of {bars}, and one of {others}: {option}.")
        else:
            complain(f"{symbol} has no record of {bars}: none of its forecasts that count has come true. {_UNCOUNTED}")
    seen = service.seen_in_training([row.symbol for row in found], frequency, recent=True) if found else ()
    if as_json:
        print_data(json.dumps(calibration_json(found, seen), indent=2) + "\n")
    elif found:
        print_table(calibration_table(found, seen))
    elif symbols is None:
        say(f"There is no record of {bars} yet: no forecast that counts has come true. {_UNCOUNTED}")
        if elsewhere:
            say(f"There is one of {others}: {option}.")
    if symbols and not found:
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast alerts --watchlist watchlist.txt --send")
def alerts(
    watchlist: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Alert when the forecast of one of these symbols is stale; a file, or an object of the data bucket by "
            "its URL.",
            show_default="TICKERCAST_WATCHLIST",
        ),
    ] = "",
    send: Annotated[
        bool, typer.Option("--send", help="Send the receivers of TICKERCAST_ALERT_URLS what is new to them.")
    ] = False,
    failures_only: Annotated[
        bool, typer.Option("--failures-only", help="Exit with 0 if there are only warnings.")
    ] = False,
) -> None:
    """List the open alerts; exit code 1 if any is a warning or worse."""
    from tickercast.show.tables import alerts_table

    service = open_app()
    if send and not service.notifiers:
        raise UsageError("--send was given, and TICKERCAST_ALERT_URLS is empty: set it to one or more Apprise URLs.")
    symbols = symbols_of([], watchlist) if watchlist else None
    found: Sequence[Alert]
    news: Sequence[tuple[str, Changes]] = ()
    with bar("checking"):
        if send:
            sent = service.send_alerts(symbols)
            found, news = sent.found, sent.news
        else:
            found = service.open_alerts(symbols)
    print_table(alerts_table(found))
    for receiver, changes in news:
        say(f"sent to {receiver}: {_counted(changes)}")
    if send and not news:
        say("Nothing is new, so nothing was sent.")
    harmless = ("info", "warning") if failures_only else ("info",)
    if any(alert.severity not in harmless for alert in found):
        raise typer.Exit(SOME_FAILED)


@app.command(epilog="Example: tickercast digest --print")
def digest(
    print_: Annotated[bool, typer.Option("--print", help="Print the text, and send nothing.")] = False,
    html: Annotated[str, typer.Option(metavar="FILE", help="Write the page to FILE, and send nothing.")] = "",
    png: Annotated[str, typer.Option(metavar="FILE", help="Write the picture to FILE, and send nothing.")] = "",
    watchlist: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="Its symbols; a file, or an object of the data bucket.",
            show_default="all still forecast",
        ),
    ] = "",
) -> None:
    """Send the digest of the newest session, or show it.

    It goes to those receivers of TICKERCAST_DIGEST_URLS that have not got it.

    It has the overview, how the previous session's forecasts turned out, and what has changed since the last digest.
    """
    outputs.check_file("--html", html, outputs.PAGE)
    outputs.check_file("--png", png, outputs.PICTURE)
    service = open_app()
    only_show = bool(print_ or html or png)
    if not only_show and not service.digest_receivers:
        raise UsageError(
            "TICKERCAST_DIGEST_URLS is empty: set it to one or more Apprise URLs, or add --print to see the digest."
        )
    symbols = symbols_of([], watchlist) if watchlist else None
    if only_show:
        _show_digest(service, symbols, html, png, as_text=print_)
    else:
        _send_digest(service, symbols)


def _show_digest(service: "App", symbols: Sequence[str] | None, html: str, png: str, *, as_text: bool) -> None:
    with bar("reading"):
        found = service.digest(symbols)
        letter = service.write_digest(found) if found else None
    if letter is None:
        raise UsageError(_NOTHING)
    if as_text:
        print_data(f"{letter.title}\n\n{letter.text}\n")
    if png and not letter.picture:
        raise UsageError("There is no picture: the model of the newest forecasts cannot be read. Leave --png out.")
    for file, content in ((html, letter.html.encode()), (png, letter.picture)):
        if file:
            say(f"written: {outputs.write_file(file, content).resolve()}")


def _send_digest(service: "App", symbols: Sequence[str] | None) -> None:
    with bar("sending"):
        sent = service.send_digest(symbols)
    if sent is None:
        raise UsageError(_NOTHING)
    say(f"digest {sent}")
    if sent.refusals:
        raise typer.Exit(SOME_FAILED)


_NOTHING = (
    "No forecast of days is stored, and the digest is of days. Run tickercast daily, or tickercast forecast MSFT "
    "2023-07-22."
)


def _counted(changes: "Changes") -> str:
    counts = {"new": changes.new, "changed": changes.changed, "over": changes.over}
    return ", ".join(f"{len(alerts)} {what}" for what, alerts in counts.items() if alerts)
