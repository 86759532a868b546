"""What the main command draws beside its table: on the terminal, and into the files that are asked for."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from tickercast.cli.terminal import bar
from tickercast.errors import UsageError
from tickercast.jobs.requests.results import StoredForecast
from tickercast.ports import ObjectStore, Warehouse
from tickercast.reading.track_record import closes_before, recall, track_record
from tickercast.show import chart, fan, report
from tickercast.show import tables as screen

Followed = Mapping[str, Mapping[date, float]]


def check_files(report_out: str, chart_out: str, symbols: int, *, left_alone: bool) -> None:
    """Refuses, before anything is sent, files that could not be written later.

    Args:
        report_out: where the report shall go, or empty.
        chart_out: where the chart shall go, or empty.
        symbols: how many there are.
        left_alone: whether the forecasts are not waited for.

    Raises:
        UsageError: there is no such folder, something that is no file is in the way, the picture is to be something
            other than PNG, the symbols are too many for one file, or there will be nothing to show.
    """
    if left_alone and (report_out or chart_out):
        raise UsageError(
            "--no-wait was given, and a report or chart shows what has been waited for. Leave one of them out."
        )
    for option, name in (("--report", report_out), ("--chart", chart_out)):
        if name:
            _check_file(option, Path(name).expanduser(), symbols)
    if chart_out and Path(chart_out).suffix.lower() != ".png":
        raise UsageError(
            f"--chart {chart_out[:80]!r} does not end in .png, and PNG is what is drawn. Name it NAME.png."
        )


def _check_file(option: str, path: Path, symbols: int) -> None:
    try:
        if not path.parent.is_dir():
            raise UsageError(f"{option} {path}: there is no folder {path.parent}. Make it, or name another.")
        if path.exists() and not path.is_file():
            raise UsageError(f"{option} {path} is there and is no file, and a file was needed. Name another.")
    except OSError as error:
        raise UsageError(f"{option} {str(path)[:80]!r} cannot be a file: {error.strerror}. Name another.") from error
    if symbols > report.LARGEST:
        raise UsageError(
            f"{option} was given with {symbols} symbols, and one file takes {report.LARGEST}. Name fewer of them, or "
            "leave it out."
        )


def write_files(
    forecasts: Sequence[StoredForecast],
    followed: Followed | None,
    *,
    report_out: str,
    chart_out: str,
    warehouse: Warehouse,
    models: ObjectStore,
    url: str,
) -> list[Path]:
    """Writes the report and the chart that were asked for; where nothing was forecast, neither."""
    if not forecasts or not (report_out or chart_out):
        return []
    with bar("drawing"):
        recalled = [recall(made, _of(followed, made), warehouse=warehouse, store=models) for made in forecasts]
        written: list[Path] = []
        if report_out:
            written.append(Path(report_out).expanduser())
            written[-1].write_text(report.page(recalled, url), encoding="utf-8")
        if chart_out:
            written.append(Path(chart_out).expanduser())
            written[-1].write_bytes(chart.forecast_png(recalled))
    return written


def below(
    made: StoredForecast, followed: Followed | None, warehouse: Warehouse, console: Console
) -> list[RenderableType]:
    """What stands under a forecast's table: the fan, where there is room for it, and the track record."""
    lines: list[RenderableType] = []
    if console.is_terminal and console.width >= fan.NARROWEST and console.encoding.startswith("utf"):
        closes = closes_before(made, warehouse=warehouse)
        lines.append(fan.fan(made, closes, _of(followed, made), console.width))
    record = track_record(made, warehouse=warehouse)
    if record:
        lines.append(Text.assemble(("track record  ", "bold"), screen.track_record(made, record)))
    return lines


def _of(followed: Followed | None, made: StoredForecast) -> Mapping[date, float] | None:
    return None if followed is None else followed.get(made.symbol, {})
