"""Commands for looking: the dashboard."""

from typing import Annotated

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli.terminal import say
from tickercast.dashboard import launch
from tickercast.show.looker import report_urls

app = typer.Typer(rich_markup_mode=None)


@app.command(epilog="Example: tickercast dashboard --port 8600")
def dashboard(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it is served, on this machine alone.")] = 8501,
    looker: Annotated[
        bool, typer.Option("--looker", help="Print links that open the views in Looker Studio, and serve nothing.")
    ] = False,
) -> None:
    """Serve the dashboard on this machine: forecast, track record and operations, over the configured warehouse."""
    settings = config.load()
    if looker:
        for view, url in report_urls(settings.warehouse).items():
            say(f"{view}  {url}")
        return
    warehouse = bootstrap.warehouse(settings)  # a setting that is wrong ends here, and not on the page
    launch.require(port)
    say(f"dashboard of {warehouse.url} on http://{launch.ADDRESS}:{port}, Ctrl-C ends it")
    launch.serve(port)
