"""README, pages and notebook cannot drift from what they describe."""

import doctest
import inspect
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
import typer.main
from deploy import docs, notebook, site
from deploy.reference import INTERNALS
from typer.testing import CliRunner

import tickercast
from tickercast import engines
from tickercast.app import App
from tickercast.backends.warehouse.sql import columns, read_objects, to_duckdb
from tickercast.cli import app
from tickercast.config import Settings
from tickercast.domain.files.price_files import to_csv
from tickercast.domain.frequency import HOURLY
from tickercast.errors import SourceUnavailable, UnknownSymbol, UsageError
from tickercast.models import baselines, catalogue

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
DOCS = PROJECT / "docs"
PAGES = {
    str(path.relative_to(DOCS).with_suffix("")): path.read_text(encoding="utf-8")
    for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("models/*.md")])
}
WRITTEN = {"README": README, **{name: text for name, text in PAGES.items() if name != "deployment"}}
"""Everything but the recorded run of a deployment, which shows other programs' words."""

TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(text: str, kind: str) -> list[str]:
    return [found for language, found in FENCE.findall(text) if language == kind]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower()).replace(" ", "-")


# ---------------------------------------------------------------- the README


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    assert len(README.splitlines()) <= 150
    assert [line.split("#")[0].strip() for line in fenced(README, "sh")[0].splitlines()] == ["make demo", "make test"]
    assert README.index("make demo") < 600


def test_the_readme_shows_what_the_demo_prints(workspace: Path) -> None:
    [recipe] = re.findall(r"^demo:.*\n\t\$\(PYTHON\) (.+)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    script, *words = recipe.split()
    done = subprocess.run(
        [sys.executable, PROJECT / script, *words], cwd=workspace, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = [line.rstrip() for line in done.stdout.splitlines()]
    shown = [line.rstrip() for line in fenced(README, "text")[0].splitlines()]
    assert shown == printed[: len(shown)]
    assert len(shown) > 15


# ---------------------------------------------------------------- links, targets, words


@pytest.mark.parametrize("name", WRITTEN)
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    text, folder = WRITTEN[name], PROJECT if name == "README" else (DOCS / name).parent
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        path = (folder / target) if target else (PROJECT if name == "README" else DOCS) / f"{name}.md"
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{target}#{anchor}"


@pytest.mark.parametrize("name", WRITTEN)
def test_every_task_that_is_named_exists(name: str) -> None:
    commands = "\n".join([*fenced(WRITTEN[name], "sh"), *re.findall(r"`([^`\n]+)`", WRITTEN[name])])
    assert set(re.findall(r"(?:^|[= ])make ([a-z-]+)", commands, re.MULTILINE)) <= TARGETS


@pytest.mark.parametrize("name", WRITTEN)
def test_percentages_and_quotes_are_english(name: str) -> None:
    assert not re.findall(r"\d %|[«»„“”]", WRITTEN[name])


@pytest.mark.parametrize("name", WRITTEN)
def test_no_page_has_the_package_fetched_by_its_name(name: str) -> None:
    assert not re.search(r"pip install [^`\n]*\btickercast", WRITTEN[name]), "the name may be somebody else's"


# ---------------------------------------------------------------- generated pages


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert PAGES[name] == docs.PAGES[name](), "run `make docs`"


def test_every_model_has_a_page() -> None:
    from tickercast.domain.measures.direction import DIRECTION
    from tickercast.models import catalogue

    named = {DIRECTION, "timesfm", "ewma-fhs", *catalogue.BASELINES, *catalogue.STATISTICAL}
    named |= {path.name for path in (PROJECT / "src/tickercast/shipped/models").iterdir() if path.is_dir()}
    assert {f"models/{name}" for name in named} <= set(PAGES)


def test_the_page_of_the_direction_model_has_the_moves_of_the_guide_and_says_what_its_record_is_of() -> None:
    from tickercast.jobs.training.train_direction import SIZES
    from tickercast.show.directions import MOVES

    page = PAGES["models/xgb-direction"]
    hits = re.findall(r"^\| ([^|]*\d%) \| ([\d.]+%) \|$", PAGES["direction"].partition("| move |")[2], re.MULTILINE)
    assert [words for words, _ in hits] == list(MOVES)
    assert [float(words.rstrip("%").split()[-1]) / 100 for words in MOVES] == pytest.approx([*SIZES, SIZES[-1]])
    for words, right in hits:
        assert f"| right where the move was {words} | {right} |" in page
    assert "BTCUSDT alone" in page
    assert "The verdict is the card's" in page


def test_a_model_is_compared_with_the_champion_on_the_origins_of_the_page_on_accuracy() -> None:
    figures = measured("accuracy")
    found = {
        name: re.search(
            r"^\| the champion's pinball loss, over this one's \| ([\d.]+).* \| ([\d,]+) \|$", text, re.MULTILINE
        )
        for name, text in PAGES.items()
    }
    compared = {name.removeprefix("models/"): match.groups() for name, match in found.items() if match}
    slow = {"auto-arima", "auto-ets", "auto-theta", "prophet"}
    assert compared == {
        name: (
            f"{figures['sp_vs_' + name.replace('-', '_')]:.4f}",
            f"{figures['n_slow' if name in slow else 'n']:,.0f}",
        )
        for name in {"random-walk", "ewma-t", "ewma-fhs", "historical-simulation", "garch", *slow}
    }


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if "<!--" in text])
def test_the_generated_parts_of_a_page_are_up_to_date(name: str) -> None:
    assert PAGES[name] == docs.filled(PAGES[name]), "run `make docs`"


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_on_its_page_with_its_default(field: str) -> None:
    default = docs.default(Settings.model_fields[field])
    assert "Undefined" not in default
    assert default or str(Settings.model_fields[field].default) == ""
    assert f"| `{docs.variable(field)}` | {default}".rstrip() in PAGES["configuration"]


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command and group, by the words that lead there."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


COMMANDS = sorted(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_is_on_its_page_and_its_help_ends_with_an_example(path: tuple[str, ...]) -> None:
    heading = re.escape(" ".join(("tickercast", *path)))
    [entry] = re.findall(rf"^#+ {heading}\n(.*?)(?=^#+ |\Z)", PAGES["cli"], re.MULTILINE | re.DOTALL)
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="tickercast", terminal_width=200).output
    example = shown.rstrip().splitlines()[-1].strip()
    assert example.startswith(" ".join(("Example: tickercast", *path)))
    assert example.removeprefix("Example: ") in entry
    for option in re.findall(r"^  (--[a-z-]+)", shown, re.MULTILINE):
        assert option in ("--help", "--install-completion", "--show-completion") or re.search(f"[`>]{option}", entry)


@pytest.mark.parametrize(
    ("command", "row"),
    [
        ("train", "| `--hold-out N` | Hold out every N-th symbol for evaluation; 0 holds out none. | `0` |"),
        ("train", "| `--seeds N` | Networks to average. | 5; hourly: 3 |"),
        ("train", "| `--direction` | With --every 1h: train the model of the next hour's direction. |  |"),
        ("daily", "| `--wait MINUTES` | Wait up to that long for another run to end. | `0` |"),
    ],
)
def test_a_default_of_zero_is_shown_and_that_of_a_flag_is_not(command: str, row: str) -> None:
    entry = PAGES["cli"].partition(f"\n### tickercast {command}\n")[2].partition("\n### ")[0]
    assert row in entry.splitlines()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_summary_of_a_command_is_cut_off_in_the_list_of_its_group(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="tickercast", terminal_width=80).output
    assert not re.search(r"\.\.\.$", shown.partition("Commands:\n")[2], re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("forecast", "TICKER or --symbols-file is required."),
        ("odds MSFT", "Give PRICE, --between or --chance."),
        ("paths", "TICKER or --symbols-file is required."),
        ("replay", "OBJECT or --failed is required."),
        ("strategy signals", "NAME or --from-file is required."),
        ("strategy backtest --from 2011-01-03 --to 2012-06-28", "NAME or --from-file is required."),
        ("trade", "--strategy or --from-file is required."),
    ],
)
def test_what_must_be_given_in_one_of_several_ways_is_in_the_help(words: str, needed: str) -> None:
    with pytest.raises(UsageError):
        CliRunner().invoke(app, words.split(), catch_exceptions=False)
    path = [word for word in words.split(" --")[0].split() if word.islower()]
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="tickercast", terminal_width=80).output
    assert needed in " ".join(shown.split())


def test_every_source_is_described_in_the_same_words() -> None:
    rows = set(re.findall(r"^\| `--source SOURCE` \| (.+?) \|", PAGES["cli"], re.MULTILINE))
    daily, hourly = (
        "yahoo, sample, simulated, or a CSV/Parquet file or folder",
        "binance, simulated, or a file or folder",
    )
    stored = "or stored: the bars of the warehouse."
    assert rows == {
        f"{daily}.",
        f"{hourly}.",
        f"{daily}; hourly: {hourly}.",
        f"{daily}; {stored}",
        f"Walk forward through these bars: {daily}; hourly: {hourly}; {stored}",
    }


def test_who_looks_for_a_command_that_backfills_is_led_to_the_flow() -> None:
    done = CliRunner().invoke(app, ["backfill", "MSFT"])
    assert done.exit_code == 2
    assert "No such command 'backfill'. A backfill is a flow: python flows/backfill.py --help." in done.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_names_its_values_in_words_and_has_the_usage_of_the_page(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="tickercast", terminal_width=200).output
    usage = shown.splitlines()[0].removeprefix("Usage: ")
    assert not re.search(r"<\w|\]\]|\{|\]\.\.\.\.", shown)
    if "COMMAND" not in usage:
        assert re.search(rf"^{re.escape(usage.replace(' [OPTIONS]', ''))}( \[OPTIONS\])?$", PAGES["cli"], re.MULTILINE)


@pytest.mark.parametrize("name", WRITTEN)
def test_no_bar_splits_a_row_of_a_table(name: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", WRITTEN[name], flags=re.MULTILINE | re.DOTALL)
    for found in re.findall(r"(?:^\|.*\|\n)+", prose, re.MULTILINE):
        head, *rows = (re.sub(r"\\\|", "", row).count("|") for row in found.splitlines())
        assert set(rows) == {head}, found
        assert not re.search(r"`[^`|]*\\\|[^`|]*`", found), "the site shows the backslash"


@pytest.mark.parametrize("found", read_objects(PROJECT / "sql"), ids=lambda found: found.name)
def test_every_view_and_table_is_on_its_page_with_its_columns(found: Any) -> None:
    [entry] = re.findall(rf"^### {found.name}\n(.*?)(?=^#+ |\Z)", PAGES["views"], re.MULTILINE | re.DOTALL)
    with duckdb.connect() as connection:
        for other in read_objects(PROJECT / "sql"):
            connection.execute(to_duckdb(other.text))
        names = [row[0] for row in connection.execute(f"DESCRIBE {found.name}").fetchall()]
    rows = re.findall(r"^\| `(\w+)` \| (?:\w+|`\w+<\w+>`) \| .*\w.* \|$", entry, re.MULTILINE)
    assert rows == (names if found.is_view else [column.name for column in columns(found)])


# ---------------------------------------------------------------- figures


def measured(name: str) -> dict[str, float]:
    figures: dict[str, float] = json.loads((PROJECT / "benchmarks" / f"{name}.json").read_text())["figures"]
    return figures


INTERVALS = {
    "coverage_80": "79.2%",
    "coverage_80_min_year": "75.3",
    "coverage_80_max_year": "82.6%",
    "coverage_80_min_step": "78.1",
    "coverage_80_max_step": "80.2%",
    "coverage_95": "95.0%",
    "crypto_coverage_80": "80.1%",
    "crypto_coverage_95": "94.2%",
    "mae_vs_naive": "0.994",
    "mae_vs_naive_max_year": "1.000",
    "sp_vs_random_walk": "0.976",
    "sp_vs_ewma_t": "0.983",
}
ACCURACY = INTERVALS | {
    "sp_vs_ewma_t_lo": "0.974",
    "sp_vs_ewma_t_hi": "0.992",
    "sp_vs_ewma_fhs": "0.991",
    "sp_vs_ewma_fhs_lo": "0.982",
    "sp_vs_ewma_fhs_hi": "0.998",
    "sp_vs_historical_simulation": "0.969",
    "sp_vs_garch": "0.989",
    "sp_vs_auto_arima": "0.945",
    "sp_vs_auto_ets": "0.959",
    "sp_vs_auto_theta": "0.969",
    "sp_vs_prophet": "0.501",
    "w95_vs_ewma_t": "0.952",
    "w95_vs_ewma_t_lo": "0.907",
    "w95_vs_ewma_t_hi": "0.986",
    "symbols_outside_76_84": "8.3%",
    "fixed_coverage_80": "77.9%",
    "fixed_coverage_80_min_year": "73.3",
    "fixed_coverage_80_max_year": "81.7%",
    "fixed_coverage_95": "94.5%",
    "fixed_symbols_outside_76_84": "33.3%",
    "fixed_sp_vs_ewma_t": "0.983",
    "fixed_sp_vs_ewma_fhs": "0.991",
    "fixed_w95_vs_ewma_t": "0.947",
    "results_coverage_80": "81.6%",
    "results_coverage_95": "96.1%",
    "results_predicted_coverage_80": "81.2%",
    "results_previous_coverage_80": "74.9%",
    "results_previous_coverage_95": "92.5%",
    "results_sp_vs_previous": "0.999",
    "sp_vs_previous": "1.002",
    "previous_sp_vs_ewma_t": "0.984",
    "previous_sp_vs_ewma_fhs": "0.991",
    "previous_w95_vs_ewma_t": "0.962",
    "previous_coverage_80": "78.6%",
    "previous_symbols_outside_76_84": "27.8%",
    "crypto_sp_vs_ewma_t": "0.987",
    "crypto_sp_vs_ewma_fhs": "0.995",
    "fx_sp_vs_ewma_fhs": "1.000",
    "fx_coverage_80": "80.4%",
    "futures_sp_vs_ewma_fhs": "0.992",
    "futures_coverage_80": "81.9%",
    "etf_coverage_80_step_1": "77.4%",
    "index_coverage_80_step_1": "79.0%",
    "simulated_vs_oracle": "1.001",
}
SHORT = {
    name: ACCURACY[name]
    for name in (
        "sp_vs_ewma_fhs",
        "sp_vs_ewma_t",
        "coverage_80",
        "coverage_95",
        "fixed_coverage_80",
        "fixed_coverage_95",
        "results_coverage_80",
        "mae_vs_naive",
    )
}


@pytest.mark.parametrize(
    ("page", "figure", "told"),
    [
        (page, figure, told)
        for page, figures in (("reading-intervals", INTERVALS), ("accuracy", ACCURACY), ("README", SHORT))
        for figure, told in figures.items()
    ],
)
def test_a_page_tells_the_accuracy_that_was_measured(page: str, figure: str, told: str) -> None:
    assert told in WRITTEN[page]
    scale = 1 if told.startswith(("0", "1")) else 100
    assert float(told.rstrip("%")) / scale == pytest.approx(measured("accuracy")[figure], abs=0.000501)


BENCHMARKS = {
    ("main", "main_command_s"): "1.0 s",
    ("main", "main_with_tensorflow_s"): "5.1 s",
    ("main", "main_vs_tensorflow"): "0.19",
    ("main", "main_cpu_vs_old"): "0.78",
    ("main", "help_cpu_vs_old"): "0.29",
    ("main", "clone_to_table_s"): "14 s",
    ("main", "light_environment_mb"): "781 MB",
    ("serving", "cold_s"): "0.9 s",
    ("serving", "cold_rss_mib"): "190 MiB",
    ("serving", "cold_time_vs_tensorflow"): "0.20",
    ("serving", "cold_memory_vs_tensorflow"): "0.25",
    ("serving", "warm_p50_ms"): "78 ms",
    ("serving", "warm_p99_ms"): "100 ms",
    ("serving", "symbols_per_second_500"): "3146",
    ("serving", "speedup_vs_autoets"): "18.6",
    ("serving", "speedup_vs_autoarima"): "238",
    ("serving", "speedup_vs_prophet"): "270 times",
    ("serving", "batch_10000_s"): "14 s",
    ("serving", "batch_10000_rss_mib"): "318 MiB",
    ("serving", "batch_rss_after_5_events_mib"): "271 MiB",
    ("serving", "batch_rss_at_the_end_mib"): "282 MiB",
    ("dashboard", "first_chart_of_a_new_server_s"): "2.9 s",
    ("dashboard", "first_chart_s"): "2.6 s",
    ("dashboard", "change_of_symbol_s"): "0.5 s",
    ("dashboard", "track_record_first_s"): "10.4 s",
    ("dashboard", "track_record_s"): "2.6 s",
    ("warehouse", "indicators_s"): "13 s",
    ("warehouse", "indicators_one_symbol_s"): "0.10 s",
    ("warehouse", "predicted_prices_one_symbol_s"): "0.11 s",
    ("warehouse", "forecast_skill_s"): "3.0 s",
    ("warehouse", "bigquery_refresh_mb_most"): "410 MB",
    ("faults", "faults_injected"): "491 faults",
    ("faults", "kills"): "248 of them kills",
    ("faults", "s3_killed_faults_injected"): "90 faults",
    ("faults", "s3_kills"): "42 of them kills",
    ("api", "read_p50_ms"): "0.4 ms",
    ("api", "read_p99_ms"): "16 ms",
    ("api", "requests_s_vs_bare_fastapi"): "1.5",
    ("api", "read_fresh_p50_ms"): "0.4 ms",
    ("api", "read_changed_processor_ms"): "67 ms",
    ("api", "questions_processor_ms"): "58 ms",
    ("api", "forecast_store_false_p50_ms"): "67 ms",
    ("api", "start_vs_function"): "1.26",
    ("api", "quota_granted"): "1000",
    ("training", "train_5_seeds_100_symbols_cpu_s"): "58 s",
}


@pytest.mark.parametrize(("file", "figure"), BENCHMARKS)
def test_the_benchmarks_tell_what_was_measured(file: str, figure: str) -> None:
    told = BENCHMARKS[file, figure]
    assert told in PAGES["benchmarks"]
    number = told.split()[0]
    decimals = len(number.partition(".")[2])
    assert f"{measured(file)[figure]:.{decimals}f}" == number


# ---------------------------------------------------------------- formats


def test_every_field_of_the_json_is_described() -> None:
    item = json.loads((PROJECT / "docs" / "forecast.schema.json").read_text())["items"]["properties"]
    described = PAGES["forecasting"].split("## JSON")[1]
    for name in (*item, *item["forecast"]["items"]["properties"]):
        assert f"`{name}`" in described, name


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [listed] = fenced(PAGES["architecture"], "text")
    shown = [line.removeprefix("  > ").strip() for line in listed.splitlines()]
    assert shown == [layer.replace("tickercast.", "") for layer in contracts[0]["layers"]]


@pytest.mark.parametrize(
    "alert", ["rejected", "stale", "hours", "silent", "drift", "coverage", "engine", "tables", "flow", "champion"]
)
def test_every_kind_of_alert_is_listed(alert: str) -> None:
    listed = PAGES["operations"].split("## Alerts")[1].split("## ")[0]
    assert f"`{alert}`" in listed


# ---------------------------------------------------------------- examples


def test_the_examples_of_the_library_run(workspace: Path) -> None:
    source = "\n".join(fenced(PAGES["library"], "pycon"))
    examples = doctest.DocTestParser().get_doctest(source, {}, "library.md", "library.md", 0)
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=said.append)
    assert result.attempted > 20
    assert result.failed == 0, "".join(said)


def test_every_public_name_of_the_library_has_an_entry_in_its_reference() -> None:
    entries = re.findall(r"^##+ (?:tickercast\.)?(\w+)$", PAGES["library"], re.MULTILINE)
    assert {name.title() if name == "errors" else name for name in tickercast.__all__} <= set(entries)


def test_every_use_case_that_a_command_calls_is_in_the_reference_of_the_library() -> None:
    methods = {name for name, made in inspect.getmembers(App, inspect.isfunction) if name[0] != "_"}
    listed = set(re.findall(r"^\| `(\w+)\(", PAGES["library"].split("### App")[1].split("\n### ")[0], re.MULTILINE))
    assert listed | INTERNALS == methods
    assert not listed & INTERNALS


def test_the_notebook_carries_the_outputs_that_it_gives(workspace: Path) -> None:
    book = notebook.read()
    stored = said(book)
    held = notebook.run(book)
    assert said(book) == stored, "run `make docs`"
    assert {forecast.symbol for forecast in held["made"]} == {"MSFT", "AAPL", "IBM"}
    assert len(held["figure"].axes[0].lines) == 3
    assert site.notebook(notebook.read()).count("](data:image/png;base64,") == 1


def said(book: dict[str, Any]) -> list[str]:
    """What the cells print, in figures that every machine gives, and what kinds of outputs they have."""
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    shown = [(each, each.get("data", {})) for cell in cells for each in cell["outputs"]]
    texts = ["".join(data.get("text/plain", each.get("text"))) + " ".join(sorted(data)) for each, data in shown]
    return [re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.3g}", text) for text in texts]


def test_the_model_of_the_guide_predicts(workspace: Path) -> None:
    code = next(found for found in fenced(PAGES["contributing"], "python") if "class SlowWalk" in found)
    held = dict(vars(baselines))
    exec(code, held)
    bars = engines.market_data("sample").fetch(["MSFT"], date(2010, 1, 1), date(2012, 8, 15), advance=lambda _: None)
    cone = held["SlowWalk"]().predict([bars["MSFT"]])
    assert cone.shape == (1, 10, 13)
    assert (np.diff(cone) > 0).all()


def test_the_model_of_the_guide_is_evaluated_by_its_command_and_gives_the_figures_of_the_page(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = PAGES["contributing"]
    code = next(found for found in fenced(page, "python") if "class SlowWalk" in found)
    held = dict(vars(baselines))
    exec(code, held)
    monkeypatch.setattr(catalogue, "BASELINES", {**catalogue.BASELINES, "slow-walk": held["SlowWalk"]})
    [command] = [found for found in fenced(page, "sh") if "--model slow-walk" in found]
    done = CliRunner().invoke(app, [*command.split()[1:], "--json", "out.json"])
    assert done.exit_code == 0, done.output
    report = json.loads(Path("out.json").read_text())
    ratio, low, high = report["ratios"]["random-walk"]["sp"]
    told = (
        f"On these {report['overall']['n']:.0f} origins its loss is {ratio:.3f} of the random walk's, with an interval "
        f"of {low:.3f} to {high:.3f}: no edge."
    )
    assert told in " ".join(page.split())


def test_the_source_of_the_guide_reads_its_file(workspace: Path) -> None:
    code = next(found for found in fenced(PAGES["contributing"], "python") if "class Desk" in found)
    held: dict[str, Any] = {"__name__": "desk"}
    exec(code, held)
    first, last = date(2012, 1, 1), date(2012, 8, 15)
    bars = engines.market_data("sample").fetch(["MSFT", "IBM"], first, last, advance=lambda _: None)
    with pytest.raises(SourceUnavailable, match="cannot be read"):
        held["Desk"]().symbols()
    with sqlite3.connect("prices.db") as connection:
        pd.read_csv(io.BytesIO(to_csv(bars.values()))).to_sql("bars", connection, index=False)
    connection.close()
    desk = held["Desk"]()
    assert desk.symbols() == ["IBM", "MSFT"]
    reading = desk.fetch(["MSFT", "NOPE"], first, last, advance=lambda _: None)
    assert reading["MSFT"].last_close == bars["MSFT"].last_close
    with pytest.raises(UnknownSymbol, match="holds no bar of NOPE"):
        reading["NOPE"]


def test_the_view_of_the_guide_gives_the_last_close_of_each_week() -> None:
    [statement] = fenced(PAGES["contributing"], "sql")
    with duckdb.connect() as connection:
        for other in read_objects(PROJECT / "sql"):
            connection.execute(to_duckdb(other.text))
        connection.execute(to_duckdb(statement))
        described = dict(row[:2] for row in connection.execute("DESCRIBE weekly_closes").fetchall())
    assert described["week"] == "DATE"


# ---------------------------------------------------------------- the site


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [Path(sys.executable).parent / "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=PROJECT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_holds_every_page_and_the_files_from_elsewhere(built: Path) -> None:
    for name in (*PAGES, "changelog", "model-card"):
        assert (built / f"{name}.html").exists()
    for place in site.ELSEWHERE.values():
        assert (built / place).with_suffix(".html" if place.endswith(".md") else Path(place).suffix).exists()
    assert "MSFT: 8 of 10" in (built / "notebook.html").read_text(encoding="utf-8")
    assert 'href="notebook.html"' in (built / "library.html").read_text(encoding="utf-8")


def test_no_page_of_the_site_loads_anything_from_elsewhere(built: Path) -> None:
    for page in built.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link(?![^>]+rel=\"canonical\")[^>]+href=\"([^\"]+)\"", text)
        assert not [url for url in loaded if re.match(r"(?:https?:)?//", url)], page.name
        assert 'class="mermaid"' not in text  # it would fetch its script when the page is opened


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_every_page_fits_on_a_phone_and_the_search_finds_from_a_folder(built: Path) -> None:
    from playwright.sync_api import sync_playwright

    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.append(request.url))
        for name in sorted(path.stem for path in built.glob("*.html")):
            page.goto(f"file://{built / name}.html")
            width = page.evaluate("document.scrollingElement.scrollWidth")
            assert width <= 390, (name, width)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.click("input[name=query]")
        page.keyboard.type("quarantine")
        page.wait_for_selector(".md-search-result__link")
        assert "operations.html" in " ".join(
            link.get_attribute("href") or "" for link in page.query_selector_all(".md-search-result__link")
        )
        browser.close()
    assert [url for url in asked if not url.startswith(("file://", "data:", "blob:"))] == []


def test_the_month_of_the_archive_is_sent_with_its_last_hour() -> None:
    text = Path("docs/hourly.md").read_text()
    [(month, as_of)] = re.findall(r'upload BTCUSDT-1h-(\d{4}-\d\d)\.zip --every 1h --as-of "([^"]+)"', text)
    next_month = np.datetime64(month, "M") + 1
    assert HOURLY.parse(as_of) == next_month.astype("datetime64[s]").item()
