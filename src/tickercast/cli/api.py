"""Commands of the API: serve it, and create, list and revoke its tokens."""

from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from tickercast.cli.commands import Commands
from tickercast.cli.terminal import log_written, open_app, print_data, print_table, say

app = Commands()
tokens = Commands(no_args_is_help=True, epilog="Example: tickercast tokens list")
app.add_typer(tokens, name="tokens", help="Create, list and revoke tokens of the API.")


@app.command(epilog="Example: tickercast serve --port 8700")
def serve(
    host: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Where to listen; any other address than this machine's needs tokens."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="The port.")] = 8700,
) -> None:
    """Serve forecasts, records and odds over HTTP.

    The routes are described at /openapi.json.
    """
    from tickercast.api import launch

    service = open_app()
    launch.require(service, host, port)
    say(f"API of {service.settings.warehouse} at http://{host}:{port}; press Ctrl-C to stop")
    with log_written(service):
        launch.serve(service, host, port)


@tokens.command(epilog="Example: tickercast tokens create desk --per-month 1000 --scopes read,forecast")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for.", show_default=False)],
    per_month: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=10**9, help="Calls a calendar month, UTC.", show_default="no limit"),
    ] = None,
    scopes: Annotated[str, typer.Option(metavar="SCOPES", help="read, forecast, or both with a comma.")] = "read",
    expires: Annotated[
        str, typer.Option(metavar="DATE", help="The first day on which it is refused.", show_default="never")
    ] = "",
) -> None:
    """Make a token, and print it this once.

    Only its SHA-256 is stored.
    """
    from tickercast.domain.calendar import parse_day
    from tickercast.domain.tokens import parse_scopes

    ends = _midnight(parse_day(expires)) if expires else None
    token, text = open_app().create_token(name, parse_scopes(scopes), per_month=per_month, expires_at=ends)
    say(f"token {token.id} of {token.owner}, for {' and '.join(token.scopes)}; it is shown this once:")
    print_data(f"{text}\n")


@tokens.command("list", epilog="Example: tickercast tokens list")
def list_tokens() -> None:
    """List all tokens, with the calls of this month.

    Counts the calls that servers have leased from each quota.
    """
    from tickercast.show.tables import tokens_table

    service = open_app()
    found = service.tokens().tokens
    if not found:
        say("no tokens: tickercast tokens create makes one")
        return
    now = service.now()
    limited = {token.id: service.leased_calls(token) for token in found if token.per_month}
    print_table(tokens_table([(token, token.state(now), limited.get(token.id)) for token in found]))


@tokens.command(epilog="Example: tickercast tokens revoke desk")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its id or owner.", show_default=False)],
) -> None:
    """Revoke a token; servers refuse it within five seconds."""
    token = open_app().revoke_token(name)
    say(f"token {token.id} of {token.owner} is revoked")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
