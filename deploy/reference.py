"""Render the reference pages of docs/ from the code: commands, views and tables, and the library."""

import csv
import functools
import importlib.util
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import typer
import typer.main
from deploy.scans import UNREACHED

from tickercast import library
from tickercast.backends.warehouse.sql import SqlObject, columns, from_duckdb, read_objects, to_duckdb
from tickercast.cli import app, single_command
from tickercast.domain.bars import Reading
from tickercast.domain.forecast import Step
from tickercast.domain.trading.strategy import Targets, Variant
from tickercast.domain.trading.strategy_backtest import Backtest, Result
from tickercast.jobs.requests.request_forecast import Requested
from tickercast.reading.outlook import Outlook, SymbolOdds

PROJECT = Path(__file__).parents[1]

_CLI = """# Command line

Every command, argument and option. `python src/main.py …` is `tickercast forecast …`. Exit codes: 0 everything
succeeded, 1 something failed, 2 wrong usage or nothing worked. `tickercast --install-completion` completes commands in
your shell; `NO_COLOR` switches colours off. This page is generated from the commands by `make docs`.
"""
_FLOWS = """## Flows

The flows need `make setup-dev`; see [the daily flow](daily.md) and [vintages](vintages.md#live-and-backfill).
"""
_VIEWS = """# Views and tables

Events only append to the tables: bars that are new or differ, forecasts, scores as closes come true, and a line in the
ledger. People, dashboards and queries read the views. Each view is one file in `sql/views`, in BigQuery's dialect, and
gives the same rows on BigQuery and DuckDB. `tickercast sql show NAME` prints a statement. This page is generated from
`sql/` by `make docs`.
"""
_FILTERS = """## Filters

BigQuery bills what a query reads, not what it returns. Most tables are partitioned by the month of a date and clustered
by symbol. Through a view, a filter on a symbol, frequency or date reaches them, too, except for these columns:

{unreached}

A filter on a time, such as `cutoff_at`, never does: name its date as well.
"""
_JOINS = """## Joins

To join scores with their forecasts, take these from the table `forecasts`, and name what identifies one: `symbol`,
`frequency`, `role`, `model_name`, `cutoff`, `step`, `simulated`, and its file, `object` and `generation`; of hours also
`cutoff_at`. Do not join days by `cutoff_at` or `target_at`: the scores of daily bars have NULL in the one, and those of
an earlier release in the other, and NULL equals nothing.

```sql
SELECT made.symbol, made.cutoff, made.step, made.quantiles, scored.loss
FROM forecasts AS made
INNER JOIN forecast_scores AS scored
  USING (symbol, frequency, role, model_name, cutoff, step, simulated, object, generation)
WHERE frequency = '1d' OR made.cutoff_at = scored.cutoff_at
```
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table.

    >>> print(table(("a", "b"), [("1", "")]))
    | a | b |
    |---|---|
    | 1 |  |
    """
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


# ---------------------------------------------------------------- commands


def cli() -> str:
    """Render docs/cli.md."""
    parts = [_CLI, *_commands(typer.main.get_command(app), "tickercast")]
    parts += [_FLOWS]
    for name in ("daily", "hourly", "backfill"):
        [example] = re.findall(
            r'single_command\(main, "(.+?)"\)', (PROJECT / "flows" / f"{name}.py").read_text(encoding="utf-8")
        )
        parts += _commands(typer.main.get_command(single_command(flow(name).main, example)), f"python flows/{name}.py")
    return "\n".join(parts)


def flow(name: str) -> ModuleType:
    """Import a module of flows/."""
    spec = importlib.util.spec_from_file_location(f"flows_{name}", PROJECT / "flows" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"flows/{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def _commands(command: Any, path: str) -> Iterator[str]:
    below: Mapping[str, Any] = getattr(command, "commands", {})
    yield from _command(command, path, group=bool(below))
    for name in sorted(below, key=lambda name: hasattr(below[name], "commands")):  # groups last
        yield from _commands(below[name], f"{path} {name}")


def _command(command: Any, path: str, *, group: bool) -> Iterator[str]:
    yield f"## {path}\n" if path == "tickercast" or group else f"### {path}\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    arguments = [each for each in command.params if type(each).__name__ == "TyperArgument"]
    options = [each for each in command.params if each not in arguments and each.name not in _COMPLETION]
    if not group:
        words = " ".join(each.metavar for each in arguments)
        yield f"```text\n{path}{f' {words}' if words else ''}{' [OPTIONS]' if options else ''}\n```\n"
    described = [(_code(each.metavar), _help(each), _default(each)) for each in arguments if each.help]
    described += [(_option(each), _help(each), _default(each)) for each in options]
    if described:
        yield table(("", "meaning", "default"), described) + "\n"
    yield f"```sh\n{(command.epilog or '').removeprefix('Example: ')}\n```\n"


_COMPLETION = ("install_completion", "show_completion")


def _option(option: Any) -> str:
    return _code(f"{', '.join(option.opts)}{'' if option.is_flag else f' {option.metavar}'}")


def _code(text: str) -> str:
    """Code in a cell of a table: GitHub and the site agree on a bar in HTML alone.

    >>> _code("--every N"), _code("--every 1d|1h")
    ('`--every N`', '<code>--every 1d&#124;1h</code>')
    """
    return f"<code>{text.replace('|', '&#124;')}</code>" if "|" in text else f"`{text}`"


def _help(param: Any) -> str:
    return (param.help or "").replace("|", r"\|")


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if isinstance(param.show_default, str):
        return param.show_default
    return "" if param.default in (None, "") or param.default is False else f"`{param.default}`"


# ---------------------------------------------------------------- views and tables


def views() -> str:
    """Render docs/views.md."""
    objects = read_objects(PROJECT / "sql")
    made = [found for found in objects if found.is_view]
    stored = [found for found in objects if not found.is_view]
    listed = table(("view", ""), [(_link(found), _summary(found)) for found in by_name(made)])
    unreached = [(f"`{name}`", ", ".join(map(_code, held)), better) for name, (held, better) in UNREACHED.items()]
    filters = _FILTERS.format(unreached=table(("view", "column", "name instead"), unreached))
    parts = [_VIEWS, "## Views\n", listed, "", filters, _JOINS]
    kinds, describe = _kinds(objects), _descriptions(stored)
    for found in by_name(made):
        described = [(f"`{name}`", _column_type(kind), describe(found.name, name)) for name, kind in kinds[found.name]]
        head = ("column", "type", "description")
        parts += [f"### {found.name}\n", f"{_comment(found)}\n", table(head, described), ""]
    parts += ["## Tables\n"]
    for found in by_name(stored):
        rows = [
            (f"`{column.name}`", _column_type(column.kind), "" if column.required else "yes", _tidy(column.description))
            for column in columns(found)
        ]
        titles = ("column", "type", "nullable", "description")
        parts += [f"### {found.name}\n", f"{_tidy(_about(found))}.\n", table(titles, rows), ""]
    return "\n".join(parts).rstrip() + "\n"


def _column_type(kind: str) -> str:
    return f"`{kind}`" if "<" in kind else kind  # which would be taken for HTML


def by_name(objects: Iterable[SqlObject]) -> list[SqlObject]:
    """Objects in alphabetical order."""
    return sorted(objects, key=lambda found: found.name)


def _link(found: SqlObject) -> str:
    return f"[`{found.name}`](#{found.name})"


def _comment(found: SqlObject) -> str:
    """The comment at the top of a view's file, as Markdown: an empty comment line begins a paragraph."""
    lines = [line.removeprefix("--").strip() for line in found.text.splitlines()]
    end = next(number for number, line in enumerate(found.text.splitlines()) if not line.startswith("--"))
    return _tidy("\n".join(lines[:end]))


def _summary(found: SqlObject) -> str:
    """The first sentence of a view's comment."""
    return re.split(r"(?<=\.)\s", " ".join(_comment(found).split("\n\n")[0].split()))[0].rstrip(".")


def _about(found: SqlObject) -> str:
    return "".join(re.findall(r"^OPTIONS \(description = '(.+)'\)$", found.text, re.MULTILINE))


def _tidy(text: str) -> str:
    return re.sub(r"(\d) %", r"\1%", text).replace("|", r"\|")


def _kinds(objects: Sequence[SqlObject]) -> dict[str, list[tuple[str, str]]]:
    """The columns of every view and their types, in BigQuery's words."""
    with duckdb.connect() as connection:
        for found in objects:
            connection.execute(to_duckdb(found.text))
        described = {
            found.name: connection.execute(f"DESCRIBE {found.name}").fetchall() for found in objects if found.is_view
        }
    return {name: [(row[0], from_duckdb(row[1])) for row in rows] for name, rows in described.items()}


def _descriptions(stored: Iterable[SqlObject]) -> Any:
    """Create the lookup of a view column's description: its own, that of its name in any view, or that of its table."""
    rows = csv.DictReader((PROJECT / "deploy" / "columns.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\t")
    own = {(row["view"], row["column"]): row["description"] for row in rows}
    of_table = {found.name: {column.name: column.description for column in columns(found)} for found in stored}

    def describe(view: str, column: str) -> str:
        tables = ("directions",) if "direction" in view else ("forecasts", "prices")
        text = own.get((view, column)) or own.get(("*", column))
        text = text or next((of_table[table][column] for table in tables if column in of_table[table]), None)
        if not text:
            raise KeyError(f"{view}.{column} has no description. Add it to deploy/columns.tsv.")
        return _tidy(text)

    return describe


# ---------------------------------------------------------------- the library


INTERNALS = frozenset(
    [
        *("dropped", "linked", "send_dropped", "models_of", "store_of", "source_of", "patience", "handle", "send"),
        *("watched", "kept_watchlist", "hourly_watchlist", "watched_coins", "universe_of_the_day", "portfolios"),
        *(
            "trades",
            "traders",
            "trading_losses",
            "make_ready",
            "load_bundle",
            "store_with_new_champion",
            "tuned_recipe",
        ),
        *("evaluation_baselines", "promotion_baselines", "draw_evaluation", "results_source", "results_of"),
        *("portfolio_of", "portfolio_record_of", "closes_before", "set_up_logs", "set_up_memory", "wait_for_entries"),
        *("gate", "usage_log", "leased_calls", "usage_of", "usage_by_owner", "entries_of", "newest_ingestion"),
        *("no_days", "revision", "revisions", "left_out_of_overview", "forecast_closes", "forecast_unstored"),
    ]
)
"""The methods of `App` that only the command line, the flows, the function, the dashboard and the API need."""


VALUES = [
    *(library.Forecast, Step, library.Bars, Reading, Requested, library.Model, library.Evaluation),
    *(SymbolOdds, Outlook, library.Known, library.Decision, Variant, Targets, library.Costs, Backtest, Result),
]
"""The classes of what the library answers with, or takes."""


def api() -> str:
    """Render the reference of the library, for docs/library.md."""
    functions = [
        *(library.open, library.read_csv, library.read_frame, library.read_events, library.load_model),
        library.evaluate,
    ]
    parts = [text for made in functions for text in (f"### tickercast.{made.__name__}\n", *_function(made))]
    calls = [row for row in _methods(library.App) if "(" in row[0]]
    used = [row for row in calls if re.split(r"[`(]", row[0])[1] not in INTERNALS]
    parts += [f"### App\n\n{_prose(library.App)}\n", table(("use case", ""), used), ""]
    for kind in VALUES:
        parts += [f"### {kind.__name__}\n", f"{_prose(kind)}\n", *_fields(kind)]
        methods = _methods(kind)
        if methods:
            parts += [table(("", ""), methods), ""]
    return "\n".join(parts).strip()


def _function(made: Any) -> Iterator[str]:
    yield f"```python\n{made.__name__}{_signature(made)}\n```\n"
    yield f"{_prose(made)}\n"
    entries = _section(made, "Args")
    if entries:
        yield table(("argument", ""), [(f"`{name}`", text) for name, text in entries]) + "\n"
    for title in ("Returns", "Raises"):
        text = _text(made, title)
        if text:
            yield f"*{title}*: {text}\n"


def _fields(kind: Any) -> Iterator[str]:
    entries = _section(kind, "Attributes")
    if entries:
        yield table(("attribute", ""), [(f"`{name}`", text) for name, text in entries]) + "\n"


def _methods(kind: Any) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    ours = [base for base in kind.__mro__ if base.__module__.startswith("tickercast.")]
    for name, made in (member for base in reversed(ours) for member in vars(base).items()):
        doc = inspect.getdoc(made)
        if name.startswith("_") or not doc:
            continue
        call = f"({', '.join(_arguments(made))})" if inspect.isfunction(made) else ""
        if call or isinstance(made, property | functools.cached_property):
            found[f"{name}{call}"] = _line(doc)
    return [(f"`{name}`", text) for name, text in found.items()]


def _arguments(made: Any) -> Iterator[str]:
    for name, parameter in list(inspect.signature(made).parameters.items())[1:]:
        if name.startswith("on_") or name in ("advance", "is_over", "pause", "wrap"):
            continue
        yield name if parameter.default is parameter.empty else f"{name}={_default_text(parameter.default)}"


def _default_text(value: Any) -> str:
    if isinstance(value, timedelta):
        return f"timedelta(hours={value / timedelta(hours=1):g})" if value else "timedelta(0)"
    return _named(repr(value))


def _signature(made: Any) -> str:
    return _named(re.sub(r"(?:[a-z_]+\.)+(?=[A-Za-z])", "", str(inspect.signature(made))))


def _named(text: str) -> str:
    """The text with frequencies by their names, which stand for them in every argument."""
    return re.sub(r"Frequency\(('\w+')\)", r"\1", text)


def _line(doc: str) -> str:
    first = " ".join(doc.split("\n\n")[0].split())
    return re.sub(r"; see `[^`]+`\.", ".", re.sub(r" See `[^`]+`\.", "", first)).replace("|", r"\|")


def _prose(made: Any) -> str:
    """A docstring up to its sections, without its examples."""
    text = re.split(r"\n(?:Args|Returns|Raises|Attributes|Example):\n", inspect.getdoc(made) or "")[0]
    paragraphs = [part for part in text.split("\n\n") if not part.startswith(">>>")]
    return "\n\n".join(" ".join(part.split()) for part in paragraphs)


def _text(made: Any, title: str) -> str:
    entries = _section(made, title)
    if entries:
        return " ".join(f"`{name}`, {text}" for name, text in entries)
    found = re.findall(rf"^{title}:\n((?:    .*\n?|\n)+)", inspect.getdoc(made) or "", re.MULTILINE)
    return " ".join(found[0].split()) if found else ""


def _section(made: Any, title: str) -> list[tuple[str, str]]:
    found = re.findall(rf"^{title}:\n((?:    .*\n?|\n)+)", inspect.getdoc(made) or "", re.MULTILINE)
    entries = re.findall(r"^    (\w+): ((?:.+\n?)(?:        .+\n?)*)", found[0] if found else "", re.MULTILINE)
    return [(name, " ".join(text.split())) for name, text in entries]
