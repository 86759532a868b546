"""Commands about the warehouse: ask it, and keep it in order."""

from typing import Annotated

import typer

from tickercast import plain
from tickercast.cli import completion
from tickercast.cli.commands import Commands
from tickercast.cli.terminal import SOME_FAILED, bar, open_app, print_data, print_table, say
from tickercast.errors import UsageError

app = Commands()

_AS_WIDE_AS_NEEDED = 10_000  # a query may ask for any number of columns


@app.command(epilog='Example: tickercast query "SELECT symbol, verdict FROM forecast_skill WHERE step IS NULL"')
def query(
    text: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT in BigQuery's dialect, over plain names.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="Print CSV and nothing else; a text that a spreadsheet would take for a formula begins with '.",
        ),
    ] = False,
) -> None:
    """Query the warehouse, whichever engine is configured.

    A function that DuckDB does not answer as BigQuery does is refused by its name.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv were given, and one form was needed. Leave one out.")
    found = open_app().query(text)
    if as_json:
        print_data(plain.json(found))
    elif as_csv:
        print_data(plain.csv(found))
    else:
        from tickercast.show.tables import rows_table

        print_table(rows_table(found), _AS_WIDE_AS_NEEDED)


@app.command(epilog="Example: tickercast provision --check")
def provision(
    check: Annotated[
        bool, typer.Option("--check", help="Only list what is missing; exit code 1 if anything is.")
    ] = False,
) -> None:
    """Create the tables, views and champion that a forecast needs.

    Migrates those of an earlier release; so does every command that stores something.
    """
    service = open_app()
    where = f"{service.tables.url} and {service.models.url}"
    if check:
        pending = service.pending()
        for name, how in pending.items():
            say(f"{how}  {name}")
        if pending:
            raise typer.Exit(SOME_FAILED)
        made = []
    else:
        with bar(f"provisioning {where}"):
            made = service.provision()
    say(f"made: {', '.join(made)}" if made else f"{where} have everything that a forecast needs")


@app.command(epilog="Example: tickercast compact")
def compact() -> None:
    """Drop the rows that newer files have replaced.

    No view changes, and events may arrive meanwhile.
    """
    service = open_app()
    with bar(f"compacting {service.tables.url}"):
        dropped = service.tables.compact()
    say(", ".join(f"{count:,} rows of {table}" for table, count in dropped.items()) + " dropped")


@app.command(epilog="Example: tickercast copy duckdb:///home/me/.tickercast/warehouse.duckdb")
def copy(
    source: Annotated[
        str, typer.Argument(metavar="URL", help="duckdb://PATH or bigquery://PROJECT/DATASET.", show_default=False)
    ],
) -> None:
    """Copy every row of another warehouse into this one.

    This one has to be empty. Nobody may write to either meanwhile. Interrupted, the same command goes on.
    """
    service = open_app()
    with bar(f"copying {source} to {service.tables.url}") as progress:
        copied = service.copy_tables(source, on_chunk=lambda table, rows: progress.say(f"{table}: {rows:,} rows"))
    told = ", ".join(f"{rows:,} rows of {table}" for table, rows in copied.items() if rows)
    say(f"copied: {told}" if told else f"{service.tables.url} holds every row of {source}")


sql_app = Commands(name="sql", no_args_is_help=True, epilog="Example: tickercast sql show indicators")
app.add_typer(sql_app)


@sql_app.callback()
def sql() -> None:
    """Look at the tables and views, and apply changes of their files."""


@sql_app.command("diff", epilog="Example: tickercast sql diff")
def sql_diff() -> None:
    """List the tables and views that are missing or have changed.

    Exit code 1 if there are any.
    """
    tables = open_app().tables
    pending = tables.pending()
    for name, how in pending.items():
        say(f"{how}  {name}")
    if pending:
        raise typer.Exit(SOME_FAILED)
    say(f"{tables.url} has every table and view as its file defines it")


@sql_app.command("apply", epilog="Example: tickercast sql apply")
def sql_apply() -> None:
    """Create what is missing, and replace views that have changed.

    No row is lost.
    """
    tables = open_app().tables
    with bar(f"applying sql to {tables.url}"):
        applied = tables.provision()
    say(f"applied: {', '.join(applied)}" if applied else f"nothing to apply to {tables.url}")


@sql_app.command("show", epilog="Example: tickercast sql show indicators")
def sql_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A table or view.", autocompletion=completion.views)],
) -> None:
    """Print the statement behind a table or view."""
    from tickercast.engines import statement

    print_data(statement(name))
