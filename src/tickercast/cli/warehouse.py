"""Commands about the warehouse: ask it, and keep it in order."""

from typing import Annotated

import typer

from tickercast import config
from tickercast import engines as bootstrap
from tickercast.cli.terminal import SOME_FAILED, bar, say, terminal
from tickercast.errors import UsageError
from tickercast.jobs.operations import provision as provisioning
from tickercast.show import tables as screen

app = typer.Typer(rich_markup_mode=None)

_AS_WIDE_AS_NEEDED = 10_000  # a query may ask for any number of columns


@app.command(epilog='Example: tickercast query "SELECT symbol, verdict FROM forecast_skill WHERE step IS NULL"')
def query(
    text: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT in BigQuery's dialect, over plain names.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV and nothing else.")] = False,
) -> None:
    """Ask the warehouse, whichever engine is configured."""
    if as_json and as_csv:
        raise UsageError("--json and --csv were given, and one form was needed. Leave one out.")
    found = bootstrap.warehouse(config.load()).query(text)
    if as_json:
        print(found.to_json(orient="records", date_format="iso", double_precision=15, indent=2))
    elif as_csv:
        print(found.to_csv(index=False), end="")
    else:
        terminal(_AS_WIDE_AS_NEEDED).print(screen.rows_table(found))


@app.command(epilog="Example: tickercast provision --check")
def provision(
    check: Annotated[bool, typer.Option("--check", help="Only list what is missing; exit code 1 where it is.")] = False,
) -> None:
    """Make ready what a forecast needs: tables, views, and the shipped champion where none has been published."""
    settings = config.load()
    models, warehouse = bootstrap.model_store(settings), bootstrap.warehouse(settings)
    if check:
        pending = provisioning.pending(store=models, warehouse=warehouse)
        for name, how in pending.items():
            say(f"{how}  {name}")
        if pending:
            raise typer.Exit(SOME_FAILED)
        made = []
    else:
        with bar(f"making {warehouse.url} and {models.url} ready"):
            made = provisioning.provision(store=models, warehouse=warehouse, shipped=bootstrap.shipped_bundle)
    say(f"made: {', '.join(made)}" if made else f"{warehouse.url} and {models.url} have all that a forecast needs")


@app.command(epilog="Example: tickercast compact")
def compact() -> None:
    """Drop the rows that newer files have replaced; no view changes, and events may go on coming in."""
    warehouse = bootstrap.warehouse(config.load())
    with bar(f"compacting {warehouse.url}"):
        dropped = warehouse.compact()
    say(", ".join(f"{count:,} rows of {table}" for table, count in dropped.items()) + " dropped")


sql_app = typer.Typer(
    name="sql", no_args_is_help=True, rich_markup_mode=None, epilog="Example: tickercast sql show indicators"
)


app.add_typer(sql_app)


@sql_app.callback()
def sql() -> None:
    """Look at the tables and views, and bring the warehouse up to their files."""


@sql_app.command("diff", epilog="Example: tickercast sql diff")
def sql_diff() -> None:
    """List what is missing in the warehouse or has changed; exit code 1 where there is something."""
    warehouse = bootstrap.warehouse(config.load())
    pending = warehouse.pending()
    for name, how in pending.items():
        say(f"{how}  {name}")
    if pending:
        raise typer.Exit(SOME_FAILED)
    say(f"{warehouse.url} has every table and view as its file states it")


@sql_app.command("apply", epilog="Example: tickercast sql apply")
def sql_apply() -> None:
    """Create what is missing, and replace views whose file has changed; no row is lost."""
    warehouse = bootstrap.warehouse(config.load())
    with bar(f"applying sql to {warehouse.url}"):
        applied = warehouse.provision()
    say(f"applied: {', '.join(applied)}" if applied else f"nothing to apply to {warehouse.url}")


@sql_app.command("show", epilog="Example: tickercast sql show indicators")
def sql_show(name: Annotated[str, typer.Argument(metavar="NAME", help="A table or view.")]) -> None:
    """Print the statement behind a table or view."""
    print(bootstrap.statement(name), end="")
