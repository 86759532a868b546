"""The command that serves the dashboard."""

from typing import Annotated

import typer

from tickercast.cli.commands import Commands
from tickercast.cli.terminal import log_written, open_app, say

app = Commands()


@app.command(epilog="Example: tickercast dashboard --port 8600")
def dashboard(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; any other address than this machine's needs a login."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="The port.")] = 8501,
    looker: Annotated[
        bool, typer.Option("--looker", help="Print links that open the views in Looker Studio, and serve nothing.")
    ] = False,
) -> None:
    """Serve the dashboard.

    It shows forecasts, track records and operations of the configured warehouse.
    """
    from tickercast.dashboard import launch
    from tickercast.show.looker import report_urls

    service = open_app()
    if looker:
        for view, url in report_urls(service.settings.warehouse).items():
            say(f"{view}  {url}")
        return
    url = service.tables.url  # a wrong setting is refused here, and not on the page
    place = launch.require(service.settings, host, port)
    say(f"dashboard of {url} at {place.url}; press Ctrl-C to stop")
    with log_written(service):
        launch.serve(place)
