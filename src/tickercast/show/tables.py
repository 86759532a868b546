"""Tables: Rich renderables, frames and JSON made from values; nothing is printed here."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from rich.console import Group, RenderableType
from rich.text import Text

from tickercast.domain.alerts import Alert
from tickercast.domain.cards.model_card import (
    CHAMPION_ALIAS,
    HOURLY_KIND,
    ModelCard,
    Pointer,
    PublishedVersion,
    RegisteredVersion,
    learned_through,
)
from tickercast.domain.events import ResultsDay
from tickercast.domain.files.price_files import first_lines
from tickercast.domain.forecast import LEVELS, QUANTILES, Forecast, Step
from tickercast.domain.frequency import DAILY, Frequency, stamp
from tickercast.domain.learning.width import Width
from tickercast.domain.text import about, price, shown
from tickercast.domain.tokens import State, Token
from tickercast.jobs.operations.doctor import Check
from tickercast.plain import first_of
from tickercast.ports import StudyResult
from tickercast.reading.ledger import DONE, Entry
from tickercast.reading.quarantine import Quarantined
from tickercast.show.fitting import Table, Widest
from tickercast.show.sentences import SEEN, SIMULATED, doubt, evaluated, interval, moment, outcome, results


def forecast_table(
    made: Forecast,
    actual: Mapping[date, float] | None,
    url: str,
    trained_through: date = date.min,
    below: Sequence[RenderableType] = (),
) -> RenderableType:
    """One forecast: a row a step, with the closes that followed if given; then further lines, and the stored file."""
    lines: list[RenderableType] = [Widest([_steps_table(made, actual, left_out) for left_out in _NARROWER])]
    if made.simulated:
        lines.append(Text(SIMULATED, style="bold red"))
    if made.results:
        lines.append(Text(results(made.results), style="magenta"))
    if made.doubtful:
        lines.append(Text(doubt(made.findings, doubtful=made.doubtful), style="yellow"))
    if actual is not None:
        lines.append(Text(outcome(made, actual)))
        if trained_through >= made.steps[0].target_date:
            lines.append(Text(SEEN.format(trained_through), style="yellow"))
    lines.extend(below)
    lines.append(Text(f"stored as {url}/{made.object}#{made.generation}", style="dim"))
    return Group(*lines)


_NARROWER = ((), ("95% interval",), ("95% interval", "change"), ("95% interval", "change", "year", "inside"))
"""The columns that a forecast's table leaves out, the narrower the terminal is."""


def _steps_table(made: Forecast, actual: Mapping[date, float] | None, left_out: Collection[str]) -> Table:
    """A forecast, a row a step, without some columns, and without the year of its dates."""
    table = Table(title=_title(made))
    ends = "date" if made.frequency.is_daily else "UTC"
    headings = [ends, "median", "change", "80% interval", "95% interval"]
    headings += ["actual", "inside"] if actual is not None else []
    kept = [number for number, heading in enumerate(headings) if heading not in left_out]
    for number in kept:
        left = headings[number] in (ends, "inside")
        table.add_column(headings[number], justify="left" if left else "right", no_wrap=True)
    for step in made.steps:
        cells = step_cells(step, made.last_close, actual)
        cells = (cells[0][len("2023-") :], *cells[1:]) if "year" in left_out else cells
        table.add_row(*(cells[number] for number in kept))
    return table


def summary_table(forecasts: Sequence[Forecast]) -> RenderableType:
    """The forecasts of many symbols: one row each, for the last step."""
    table = Table()
    hours = any(not made.frequency.is_daily for made in forecasts)
    for heading in (
        "symbol",
        "cutoff (UTC)" if hours else "cutoff",
        "last close",
        "last hour (UTC)" if hours else "last session",
        "median",
        "change",
        "80% interval",
        "95% interval",
    ):
        table.add_column(heading, justify="left" if heading == "symbol" else "right", no_wrap=True)
    for made in forecasts:
        target, *rest = step_cells(made.steps[-1], made.last_close)
        table.add_row(made.symbol, stamp(made.end), price(made.last_close), target, *rest)
    notes = [Text(SIMULATED, style="bold red")] if any(made.simulated for made in forecasts) else []
    notes += results_notes(forecasts)
    notes += [
        Text(f"{made.symbol}: {doubt(made.findings, doubtful=made.doubtful)}", style="yellow")
        for made in forecasts
        if made.doubtful
    ]
    return Group(table, *notes)


def results_notes(forecasts: Sequence[Forecast]) -> list[Text]:
    """The results days inside the horizons of forecasts, a line each."""
    return [Text(f"{made.symbol}: {results(made.results)}", style="magenta") for made in forecasts if made.results]


def forecasts_json(
    forecasts: Sequence[Forecast],
    as_of: date,
    widths: Mapping[str, Width] | None = None,
    actual: Mapping[str, Mapping[date, float]] | None = None,
) -> str:
    """The stable machine-readable form; `simulated`, `findings`, `doubtful`, `results` are there where one applies.

    Args:
        forecasts: one a symbol.
        as_of: the date that was asked for.
        widths: the width of each interval as a product of its factors, by symbol, where that was asked for.
        actual: the closes that followed, by symbol and date or end of the hour, where they were asked for.
    """
    made = [forecast_values(each, as_of) for each in forecasts]
    for values, forecast in zip(made, forecasts, strict=True) if actual is not None else ():
        closes = (actual or {}).get(forecast.symbol, {})
        for step, stated in zip(forecast.steps, values["forecast"], strict=True):
            stated["close_actual"] = closes.get(step.end)
    for each in made:
        found = (widths or {}).get(each["symbol"])
        if found:
            names = ("step", "width", "usual", "now", "model", "sigma", "rank")
            each["why"] = {name: getattr(found, name) for name in names}
    return json.dumps(made, indent=2)


def checks_table(checks: Sequence[Check]) -> RenderableType:
    """The answers of the engines: one row each."""
    table = Table()
    for heading in ("", "part", "where", "says"):
        table.add_column(heading, overflow="fold")
    for each in checks:
        well = Text("ok", style="green") if each.well else Text("NO", style="bold red")
        table.add_row(well, each.name, each.where, each.answer)
    return table


def entries_table(entries: Sequence[Entry]) -> RenderableType:
    """The status of files: one row a symbol."""
    table = Table()
    for heading in ("received (UTC)", "object#generation", "symbol", "status", "cutoff"):
        table.add_column(heading, no_wrap=True)
    table.add_column("reason or findings", overflow="fold")
    for entry in entries:
        table.add_row(
            f"{entry.received_at:%Y-%m-%d %H:%M:%S}" if entry.received_at else "–",
            Text(f"{shown(entry.object, 1_024)}#{entry.generation}"),
            entry.symbol or "–",
            Text(entry.status, style="green" if entry.status in DONE else "red"),
            stamp(entry.cutoff) if entry.cutoff else "–",
            Text("; ".join(filter(None, [entry.reason, entry.findings]))),
        )
    return table


def events_table(rows: pd.DataFrame) -> RenderableType:
    """Results days as they became known: one row each time that something new was known of one."""
    table = Table()
    for heading in ("symbol", "date", "session", "known from (UTC)", "source", "object#generation"):
        table.add_column(heading, no_wrap=True)
    for row in rows.to_dict("records"):
        known_at, file = f"{row['known_at']:%Y-%m-%d %H:%M:%S}", Text(f"{row['object']}#{row['generation']}")
        table.add_row(row["symbol"], f"{row['date']:%Y-%m-%d}", row["session"], known_at, Text(row["source"]), file)
    return table


def entries_json(entries: Sequence[Entry]) -> str:
    """The same in a stable machine-readable form."""
    names = ("symbol", "status", "reason", "findings", "rows", "cutoff", "object", "generation")
    rows = [{name: getattr(entry, name) for name in names} for entry in entries]
    for row in rows:
        row |= {"reason": row["reason"] or None, "findings": row["findings"] or None}
        row |= {"cutoff": row["cutoff"] and stamp(row["cutoff"])}
    return json.dumps(rows, indent=2)


def quarantine_table(kept: Sequence[Quarantined]) -> RenderableType:
    """The files in quarantine: one row each."""
    table = Table()
    for heading in ("since (UTC)", "name"):
        table.add_column(heading, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for each in kept:
        table.add_row(_to_second(each.quarantined_at), Text(each.name), Text("\n".join(each.reasons)))
    return table


def quarantined_file(kept: Quarantined, data: bytes) -> RenderableType:
    """One file in quarantine: its origin, the reasons, and its first lines."""
    return Group(
        Text(kept.name, style="bold"),
        Text(f"was {kept.object}#{kept.generation}, rejected {_to_second(kept.quarantined_at)}, {len(data):,} bytes"),
        *(Text(reason, style="red") for reason in kept.reasons),
        *(Text(_printable(line), style="dim") for line in first_lines(data, _HEAD_LINES)),
    )


_HEAD_LINES = 10


def _printable(line: str) -> str:
    """Replace what is not printable: a rejected file may contain anything, even commands to the terminal."""
    return "".join(letter if letter.isprintable() else "·" for letter in line)


def _to_second(moment: str) -> str:
    return moment[:19].replace("T", " ") or "–"


def drift_table(rows: pd.DataFrame) -> RenderableType:
    """The drift findings: every drifted measure, then those nearest to their thresholds."""
    table = Table()
    for heading in ("kind", "name"):
        table.add_column(heading, no_wrap=True)
    for heading in ("score", "threshold"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("method", overflow="fold")
    beyond = (rows["score"] / rows["threshold"] - 1).abs() * np.where(rows["drifted"], 1, -1)
    drifted = int(rows["drifted"].sum())
    order = beyond.sort_values(ascending=False).index[: max(_DRIFT_SHOWN, drifted)]
    for row in rows.loc[order].to_dict("records"):
        name = Text(str(row["name"]), style="red" if row["drifted"] else "")
        table.add_row(row["kind"], name, f"{row['score']:.3f}", f"{row['threshold']:.3f}", row["method"])
    if len(order) == len(rows):
        return table
    which = ["those that have drifted"] * bool(drifted) + ["those nearest to their thresholds"] * (drifted < len(order))
    return Group(table, Text(f"{len(order)} of {len(rows)} measures: {', then '.join(which)}", style="dim"))


def rows_table(rows: pd.DataFrame) -> RenderableType:
    """The rows of a query; the first ones if there are many, and their count."""
    table = Table()
    for name in rows.columns:
        table.add_column(str(name), justify="right" if is_numeric_dtype(rows[name]) else "left")
    for row in rows.head(_ROWS_SHOWN).itertuples(index=False):
        table.add_row(*map(_cell, row))
    more = len(rows) - _ROWS_SHOWN
    note = (
        f"and {more:,} more rows: --csv or --json prints all"
        if more > 0
        else f"{len(rows)} row{'s' * (len(rows) != 1)}"
    )
    return Group(table, Text(note, style="dim"))


def _cell(value: Any) -> str:
    if value is np.ma.masked:
        return "–"
    if isinstance(value, list | np.ndarray):
        return f"[{', '.join(map(_cell, value))}]"
    if pd.isna(value):
        return "–"
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if isinstance(value, pd.Timestamp):
        return str(value.date()) if value == value.normalize() and value.tz is None else f"{value:%Y-%m-%d %H:%M:%S}"
    return _decimal(value) if isinstance(value, float) else str(value)


def _decimal(value: float) -> str:
    """Six digits, or two decimals of a large number: a price keeps its cents.

    >>> _decimal(0.0123456789), _decimal(118234.561), _decimal(1.5e7), _decimal(1e-9)
    ('0.0123457', '118234.56', '15000000', '1e-09')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") if 1e4 <= abs(value) < 1e15 else f"{value:.6g}"


_ROWS_SHOWN = 100
_DRIFT_SHOWN = 10  # more where more have drifted


def report_table(report: Mapping[str, Any]) -> RenderableType:
    """An evaluation: overall, by year, class and results window, the ratios to each baseline, and its origins."""
    title = Text(evaluated(report), style="bold")
    measured = Table(title=title)
    names = ("n", "sp", "w80", "w95", "coverage_80", "coverage_95", "mae_vs_naive", "rmse_vs_naive")
    measured.add_column("")
    for name in (*names, "direction"):
        measured.add_column(name, justify="right")
    for label, rows in _report_rows(report):
        measured.add_row(label, f"{rows['n']:,.0f}", *(f"{rows[name]:.4f}" for name in names[1:]), _direction(rows))
    ratios = Table(title="ratio to (below 1 is better)")
    for heading in ("baseline", "sp", "w95"):
        ratios.add_column(heading)
    for baseline, losses in report["ratios"].items():
        ratios.add_row(baseline, *(_interval(*losses[loss]) for loss in ("sp", "w95")))
    return Group(measured, ratios, *map(Text, _made_of(report)))


def _direction(rows: Mapping[str, float]) -> str:
    """The share of right directions, that of always saying up, and of how many forecasts these are if not of all."""
    if not rows["direction_stated"]:
        return "none stated"
    some = "" if rows["direction_stated"] == 1 else f", of {rows['direction_stated']:.0%}"
    return f"{rows['direction']:.3f} (up {rows['always_up']:.3f}{some})"


def _interval(ratio: float, low: float, high: float) -> str:
    return f"{ratio:.4f} [{low:.4f}, {high:.4f}]" if math.isfinite(high) else f"{ratio:.4f} [too short a time]"


def _report_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, float]]]:
    yield "overall", report["overall"]
    yield from report["by_year"].items()
    if len(report["by_class"]) > 1:
        yield from report["by_class"].items()
    for window, rows in report["results_window"].items():
        yield f"results {window}", rows


def _made_of(report: Mapping[str, Any]) -> Iterator[str]:
    """The symbols and versions of an evaluation, and each symbol that was left out, with the reason."""
    yield f"symbols   {first_of(report['symbols'], _NAMED)}"
    yield f"versions  {', '.join(_with_version(*each) for each in report.get('versions', {}).items())}"
    left_out = report.get("left_out", {})
    yield f"left out  {len(left_out) or 'none'}"
    for symbol, reason in left_out.items():
        yield f"          {about(symbol, reason)}"


def _with_version(label: str, version: str) -> str:
    return label if label.endswith(f" {version}") else f"{label} {version}"


_NAMED = 20


def models_table(
    versions: Sequence[RegisteredVersion],
    pointer: Pointer,
    published: Sequence[str],
    others: Sequence[str] = (),
    *,
    shipped: str,
) -> RenderableType:
    """The registered versions, newest first, with aliases and what is published or served; where none is, no table.

    Args:
        versions: those that the registry holds.
        pointer: what is served.
        published: the published versions.
        others: the registered versions whose number was published with other content.
        shipped: the version that comes with the package.
    """
    served, stands_served = pointer.version, "demoted" if pointer.baseline else "served"
    table = Table()
    for heading in ("version", "registered", "trained through", *_MEASURED, "alias", "status"):
        table.add_column(heading)
    for version in versions:
        card = version.card
        measured = [f"{card.metrics[name]:.4f}" if name in card.metrics else "–" for name in _MEASURED.values()]
        stands = "published" if card.version in published else "registered"
        stands = stands_served if card.version == served else stands
        stands = "registered" if card.version in others else stands
        registered = f"{version.registered_at:%Y-%m-%d %H:%M}"
        table.add_row(
            card.version, registered, str(card.trained_through), *measured, ", ".join(version.aliases), stands
        )
    same = [version for version in versions if version.card.version not in others]
    notes = [*_baseline_notes(pointer), *_registry_notes(same, pointer, shipped), *_number_notes(others)]
    return Group(*([table] if versions else []), *map(Text, notes))


def hourly_models_table(versions: Sequence[PublishedVersion], pointer: Pointer) -> RenderableType:
    """The published versions of hourly models, with the dates that they learned up to, and what is served of them."""
    table = Table()
    for heading in ("model", "version", "learned through", "network through", "status"):
        table.add_column(heading)
    for version in versions:
        card = version.card
        network = str(learned_through(card)) if card.kind == HOURLY_KIND else "–"
        table.add_row(card.name, card.version, str(card.trained_through), network, version.stands)
    return Group(table, *map(Text, _baseline_notes(pointer)))


def _baseline_notes(pointer: Pointer) -> list[str]:
    if not pointer.baseline:
        return []
    return [f"served: {pointer.baseline}, a baseline, in the place of {pointer.name} version {pointer.version}"]


def _registry_notes(versions: Sequence[RegisteredVersion], pointer: Pointer, shipped: str) -> list[str]:
    """Sentences on how the registry and the pointer, which is what counts, disagree."""
    served = f"{pointer.name} version {pointer.version}"
    if pointer.version not in {version.card.version for version in versions}:
        if pointer.version == shipped:
            return [] if pointer.baseline else [f"served: {served}, shipped"]
        return [
            f"{served} can be read from the bucket alone, not from the registry. It serves on; to serve another, "
            "publish a version that is listed."
        ]
    named = [version.card.version for version in versions if CHAMPION_ALIAS in version.aliases]
    if named == [pointer.version]:
        return []
    seen = f"names version {named[0]}" if named else "names no version that is listed"
    return [
        f"The registry's alias champion {seen}, and the pointer, which decides, version {pointer.version}. The next "
        "daily run sets the alias."
    ]


def _number_notes(others: Sequence[str]) -> list[str]:
    if not others:
        return []
    numbers = ", ".join(sorted(others, key=int))
    return [
        f"Other networks were published under these numbers of the registry, which was replaced: {numbers}. Published "
        "versions never change, so these cannot be served. What is trained from now on gets numbers of its own."
    ]


_MEASURED = {"loss / ewma-t": "sp_vs_ewma_t", "coverage 80": "coverage_80", "coverage 95": "coverage_95"}


def card_table(card: ModelCard) -> RenderableType:
    """A trained model, and its measures on later dates."""
    table = Table(title=f"{card.name} version {card.version}")
    table.add_column(f"after {card.trained_through}")
    table.add_column("measured", justify="right")
    for name, value in card.metrics.items():
        table.add_row(name, f"{value:g}")
    return table


def study_line(study: StudyResult[Any]) -> str:
    """The label of a study's progress bar."""
    if not study.trials or study.best.loss is None or math.isnan(study.best.loss):
        return "trials"
    return f"trials, best loss {study.best.loss:.5f} ({'default' if study.best is study.default else 'tuned'})"


def study_table(study: StudyResult[Any]) -> RenderableType:
    """The best trial of a study beside the default: the losses, and the differences of their recipes."""
    best, default = asdict(study.best.recipe), asdict(study.default.recipe)
    title = f"{len(study.trials)} trials, {study.pruned} pruned"
    table = Table(title=title)
    table.add_column("")
    table.add_column("default", justify="right")
    table.add_column(f"best, trial {study.best.number}", justify="right")
    table.add_row("loss on validation blocks", f"{study.default.loss:.5f}", f"{study.best.loss:.5f}")
    for name in best:
        if best[name] != default[name]:
            table.add_row(name, f"{default[name]:g}", f"{best[name]:.4g}")
    note = "nothing better than the default was found; " if study.best is study.default else ""
    return Group(table, Text(f"{note}study {study.study}"))


def _title(made: Forecast) -> Text:
    return Text.assemble(
        (made.symbol, "bold"),
        f"  cutoff {moment(made)}, last close {price(made.last_close)}, "
        f"model {made.model_name} version {made.model_version}",
    )


def step_cells(step: Step, last_close: float, actual: Mapping[date, float] | None = None) -> tuple[str, ...]:
    """One step of a forecast: date, median, change, both intervals; then the close that followed, if given.

    All prices have the decimals of the last close.
    """
    cells = (
        stamp(step.end),
        price(step.close_median, last_close),
        f"{step.close_median / last_close - 1:+.2%}",
        interval(*step.interval(80), last_close),
        interval(*step.interval(95), last_close),
    )
    return cells if actual is None else (*cells, *_actual_cells(step, last_close, actual))


def _actual_cells(step: Step, last_close: float, actual: Mapping[date, float]) -> tuple[str, str]:
    close = actual.get(step.end)
    if close is None:
        return "–", ""
    return price(close, last_close), next((f"{level}%" for level in (80, 95) if step.covers(close, level)), "outside")


def forecast_frame(fan: pd.DataFrame, frequency: Frequency = DAILY) -> pd.DataFrame:
    """A forecast as text, one row a session or hour, for a page.

    Args:
        fan: rows from `reading.views.with_actuals`.
        frequency: the frequency of the bars.
    """
    heading, form = ("session", "%a %Y-%m-%d") if frequency.is_daily else ("UTC", "%a %Y-%m-%d %H:%M")
    last_close = fan["last_close"].iloc[0]
    table = {
        heading: [f"{end:{form}}" for end in fan["target_date"]],
        "median": [price(close, last_close) for close in fan["close_median"]],
        "change": [f"{ratio - 1:+.2%}" for ratio in fan["close_median"] / fan["last_close"]],
        **{
            f"{level}% interval": [
                interval(low, high, last_close)
                for low, high in zip(fan[f"close_lo_{level}"], fan[f"close_hi_{level}"], strict=True)
            ]
            for level in (80, 95)
        },
    }
    if fan["actual"].notna().any():
        table["actual"] = ["–" if pd.isna(close) else price(close, last_close) for close in fan["actual"]]
        table["inside"] = list(fan["inside"])
    return pd.DataFrame(table)


def forecast_values(made: Forecast, as_of: date) -> dict[str, Any]:
    """A forecast as the JSON of the command line and of the API has it."""
    return {
        "symbol": made.symbol,
        "as_of": (as_of.replace(tzinfo=UTC) if isinstance(as_of, datetime) else as_of).isoformat(),
        **({} if made.frequency.is_daily else {"frequency": made.frequency.name}),
        "cutoff": made.cutoff.isoformat(),
        **({"cutoff_at": made.cutoff_at.isoformat()} if made.cutoff_at else {}),
        "last_close": made.last_close,
        "model_name": made.model_name,
        "model_version": made.model_version,
        "object": made.object,
        "generation": made.generation,
        "forecast": list(_json_steps(made)),
        **({"simulated": True} if made.simulated else {}),
        **({"findings": made.findings} if made.findings else {}),
        **({"doubtful": True} if made.doubtful else {}),
        **({"results": _results_json(made.results)} if made.results else {}),
    }


def _results_json(expected: ResultsDay) -> dict[str, Any]:
    return {
        "date": expected.day.isoformat(),
        "session": expected.session,
        "target_date": expected.effect and expected.effect.isoformat(),
        "predicted": expected.is_predicted,
    }


def _json_steps(made: Forecast) -> Iterator[dict[str, Any]]:
    for step in made.steps:
        yield {
            "step": step.step,
            "target_date": step.target_date.isoformat(),
            **({"target_at": step.target_at.isoformat()} if step.target_at else {}),
            **{name: getattr(step, name) for name in LEVELS},
            **({"quantiles": dict(zip(map(str, QUANTILES), step.quantiles, strict=True))} if step.quantiles else {}),
        }


def tokens_table(found: Sequence[tuple[Token, State, int | None]]) -> RenderableType:
    """One line a token, with its state and the calls of this month that were taken from its quota."""
    table = Table()
    for heading in ("token", "owner", "scopes", "state", "made", "ends"):
        table.add_column(heading)
    for heading in ("calls a month", "taken"):
        table.add_column(heading, justify="right")
    for token, state, leased in found:
        ends = f"{token.expires_at:%Y-%m-%d}" if token.expires_at else "never"
        limit = f"{token.per_month:,}" if token.per_month else "no limit"
        taken = "" if leased is None else f"{leased:,}"
        made = f"{token.created_at:%Y-%m-%d}"
        table.add_row(token.id, Text(token.owner), ", ".join(token.scopes), state, made, ends, limit, taken)
    return table


def alerts_table(found: Sequence[Alert]) -> RenderableType:
    """One line an alert, the most urgent first."""
    table = Table()
    for heading in ("severity", "what", "details"):
        table.add_column(heading)
    for alert in found:
        table.add_row(alert.severity, Text(alert.title), Text(alert.text))
    return table
