"""The command about drift: whether the newest sessions are still like what the champion was trained on."""

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli.terminal import SOME_FAILED, bar, complain, day_of, say, terminal
from tickercast.domain.symbols import parse_symbol
from tickercast.errors import UsageError
from tickercast.jobs.operations.drift import Monitored, monitor
from tickercast.ports import Warehouse
from tickercast.show import tables as screen

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Example: tickercast drift MSFT AAPL --day 2012-08-15")
def drift(
    tickers: Annotated[
        list[str] | None,
        typer.Argument(metavar="TICKER", help="The watchlist.", show_default="all that have been forecast"),
    ] = None,
    day: Annotated[
        str, typer.Option(metavar="DATE", help="The last date to look at.", show_default="the newest session")
    ] = "",
) -> None:
    """Compare the newest sessions with the champion's training, and say where the report lies.

    Exit code 1 means drift. A day that was judged before is shown again and not changed.
    """
    settings, reporter = config.load(), bootstrap.drift_reporter()
    store = bootstrap.object_store(settings)
    models = bootstrap.model_store(settings)
    warehouse = bootstrap.provisioned(models, bootstrap.warehouse(settings))
    symbols = [parse_symbol(word) for word in tickers or []] or _forecast(warehouse)
    with bar("comparing"):
        found = monitor(
            day_of(day) if day else date.today(),
            symbols,
            warehouse=warehouse,
            store=store,
            models=models,
            load=bootstrap.load_bundle,
            reporter=reporter,
            now=datetime.now(UTC),
        )
    _show(found, store.url)
    if found.drifted:
        raise typer.Exit(SOME_FAILED)


def _forecast(warehouse: Warehouse) -> list[str]:
    symbols = warehouse.query("SELECT DISTINCT symbol FROM latest_forecasts ORDER BY symbol")["symbol"]
    if symbols.empty:
        raise UsageError("No symbol has been forecast yet: name some, after tickercast forecast MSFT 2023-07-22.")
    return [str(symbol) for symbol in symbols]


def _show(found: Monitored, url: str) -> None:
    for reason in found.skipped.values():
        complain(f"left out: {reason}")
    terminal().print(screen.drift_table(found.rows))
    for reason in found.reasons:
        say(reason)
    made_up = ", of made-up bars" if found.simulated else ""
    verdict = f"{len(found.reasons)} of {len(found.rows)} measures have drifted" if found.drifted else "no drift"
    say(f"{found.day}: {verdict} from {found.model_name} version {found.model_version}{made_up}")
    say(f"the report is {found.report} in {url}" + ("" if found.new else ", from an earlier run"))
