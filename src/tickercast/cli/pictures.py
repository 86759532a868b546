"""The pictures of the command `forecast`: on the terminal, and in the files that are asked for."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.app import App
from tickercast.app.reports import LARGEST
from tickercast.cli import outputs
from tickercast.cli.terminal import Terminal, bar
from tickercast.domain.forecast import Forecast
from tickercast.domain.freshness import freshness_of
from tickercast.errors import UsageError
from tickercast.jobs.requests.request_forecast import Requested
from tickercast.show import fan, sentences, tables
from tickercast.show.overview import STATES, overview_table


def check_files(report_out: str, chart_out: str, symbols: int, *, unattended: bool) -> None:
    """Refuse files that could not be written later, before anything is sent.

    Args:
        report_out: the file of the report, or empty.
        chart_out: the file of the chart, or empty.
        symbols: the number of symbols.
        unattended: whether the results are not waited for.

    Raises:
        UsageError: a file cannot be written, its name ends otherwise than its content, there are too many symbols for
            one file, or there will be nothing to show.
    """
    if unattended and (report_out or chart_out):
        raise UsageError("--no-wait was given, and a report or chart needs the results. Leave one of them out.")
    for option, name, endings in (("--report", report_out, outputs.PAGE), ("--chart", chart_out, outputs.PICTURE)):
        if name:
            outputs.check_file(option, name, endings)
            if symbols > LARGEST:
                raise UsageError(
                    f"{option} was given with {symbols} symbols, and one file takes {LARGEST}. Name fewer symbols, or "
                    "leave it out."
                )


def write_files(made: Requested, service: App, report_out: str, chart_out: str) -> list[Path]:
    """Write the report and the chart that were asked for; neither if nothing was forecast."""
    if not made or not (report_out or chart_out):
        return []
    from tickercast.show import chart

    with bar("drawing"):
        written: list[Path] = []
        if report_out:
            written.append(outputs.write_file(report_out, service.report(list(made), made.actual).encode()))
        if chart_out:
            found = [service.details(forecast, _closes(made, forecast)) for forecast in made]
            written.append(outputs.write_file(chart_out, chart.forecast_png(found)))
    return written


def below(
    made: Forecast, actual: Mapping[date, float] | None, service: App, *, why: bool = False
) -> list[RenderableType]:
    """The lines under a forecast's table: the fan, if there is room for it, why it is so wide, and the track record."""
    console = Terminal()
    lines: list[RenderableType] = []
    if console.is_terminal and console.width >= fan.NARROWEST and console.encoding.startswith("utf"):
        lines.append(fan.fan(made, service.closes_before(made), actual, console.width))
    if why:
        lines.append(why_sentence(made, service))
    current = freshness_of(made, service.now())
    if current.state != "fresh" and actual is None:
        lines.append(Text(current.sentence, style=STATES[current.state]))
    record = service.track_record(made)
    if record:
        lines.append(Text.assemble(("track record  ", "bold"), sentences.record_sentence(made, record)))
    if record and record.n:
        seen = service.seen_in_training([made.symbol], made.frequency, role=made.role)
        if said := sentences.had_seen_of(seen, model_name=made.model_name):
            lines.append(Text(said, style="yellow"))
    return lines


def overview(forecasts: Sequence[Forecast], service: App, as_of: date, *, is_champion: bool = True) -> RenderableType:
    """One row a symbol: the overview, or of hours, other models and what the overview has not, its last step."""
    if is_champion and all(made.frequency.is_daily for made in forecasts):
        rows = {row.symbol: row for row in service.overview([made.symbol for made in forecasts], as_of)}
        known = {(made.symbol, made.cutoff, made.simulated) for made in forecasts}
        if known == {(row.symbol, row.cutoff, row.simulated) for row in rows.values()}:
            wanted = [made.symbol for made in forecasts]
            calibrations, seen = service.calibrations(wanted), service.seen_in_training(wanted)
            table = overview_table([rows[symbol] for symbol in wanted], calibrations, seen=seen)
            return Group(table, *tables.results_notes(forecasts))
    return tables.summary_table(forecasts)


def about(
    made: Forecast, actual: Mapping[str, Mapping[date, float]] | None, service: App, *, why: bool
) -> Iterator[RenderableType]:
    """The sentences about one of several forecasts that were asked for."""
    if actual is not None:
        yield Text.assemble((f"{made.symbol}  ", "bold"), sentences.outcome(made, actual.get(made.symbol, {})))
    if why:
        yield why_sentence(made, service)


def seen(made: Requested) -> list[date]:
    """The last days of training of models whose forecasts are compared with dates that they were trained on."""
    if made.actual is None:
        return []
    through = [
        (made.trained_through.get(forecast.symbol, date.min), forecast.steps[0].target_date) for forecast in made
    ]
    return sorted({day for day, first in through if day >= first})


def why_sentence(made: Forecast, service: App) -> Text:
    """One sentence about the width of a forecast, after a picture of a year's volatility."""
    found = service.why(made)
    return Text.assemble((f"{made.symbol} ", "bold"), fan.spark(found.sigmas), " ", sentences.why(made, found))


def _closes(made: Requested, forecast: Forecast) -> Mapping[date, float] | None:
    return None if made.actual is None else made.actual.get(forecast.symbol, {})
