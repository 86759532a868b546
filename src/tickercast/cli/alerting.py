"""The command about what is wrong, and about telling people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli.terminal import SOME_FAILED, bar, say, symbols_of, terminal
from tickercast.domain.alerts import Changes, open_alerts
from tickercast.errors import UsageError
from tickercast.jobs.operations.alerts import look, watch
from tickercast.show import tables as screen

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Example: tickercast alerts --watchlist watchlist.txt --send")
def alerts(
    watchlist: Annotated[
        str, typer.Option(metavar="FILE", help="Symbols that shall have a forecast from their newest session.")
    ] = "",
    send: Annotated[
        bool, typer.Option("--send", help="Tell the receivers of TICKERCAST_ALERT_URLS what is new to them.")
    ] = False,
) -> None:
    """List what is wrong now: exit code 1 where there is something."""
    settings = config.load()
    notifiers = bootstrap.notifiers(settings)
    if send and not notifiers:
        raise UsageError("--send was given and TICKERCAST_ALERT_URLS names nobody: set it to one or more Apprise URLs.")
    symbols = symbols_of([], watchlist) if watchlist else None
    store, warehouse = bootstrap.object_store(settings, announce=False), bootstrap.warehouse(settings)
    models, now = bootstrap.model_store(settings), datetime.now(UTC)
    news: Sequence[tuple[str, Changes]] = ()
    with bar("looking"):
        if send:
            watched = watch(
                store=store, models=models, warehouse=warehouse, notifiers=notifiers, now=now, watchlist=symbols
            )
            found, news = watched.found, watched.news
        else:
            found = open_alerts(look(store=store, models=models, warehouse=warehouse, now=now, watchlist=symbols))
    terminal().print(screen.alerts_table(found))
    for service, changes in news:
        say(f"told {service}: {_counted(changes)}")
    if send and not news:
        say("Nothing is new, so nobody was told anything.")
    if any(alert.severity != "info" for alert in found):
        raise typer.Exit(SOME_FAILED)


def _counted(changes: Changes) -> str:
    counts = {"new": changes.new, "changed": changes.changed, "over": changes.resolved}
    return ", ".join(f"{len(told)} {what}" for what, told in counts.items() if told)
