"""The README cannot drift from what it describes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from tickercast.cli import app
from tickercast.config import PREFIX, Settings

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def variable(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_stands_in_the_readme_with_its_default(field: str) -> None:
    default = Settings.model_fields[field].default
    assert f"| `{variable(field)}` | {f'`{default}`' if default else ''}".rstrip() in README


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Every command and group, by the words that lead there."""
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


COMMANDS = sorted(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_stands_in_the_readme_and_its_help_ends_with_an_example(path: tuple[str, ...]) -> None:
    named = " ".join(path) if len(path) > 1 else " ".join(("tickercast", *path))
    assert named in README
    shown = CliRunner().invoke(app, [*path, "--help"], prog_name="tickercast", terminal_width=200).output
    assert shown.rstrip().splitlines()[-1].startswith(" ".join(("  Example: tickercast", *path)))


def test_every_task_that_the_readme_names_exists() -> None:
    assert set(re.findall(r"`?make ([a-z-]+)`?", README)) <= TARGETS


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_every_view_stands_in_the_readme() -> None:
    for path in (PROJECT / "sql" / "views").glob("*.sql"):
        assert path.stem in README


FIGURES = json.loads((PROJECT / "benchmarks" / "accuracy.json").read_text())["figures"]
GUIDE = (PROJECT / "docs" / "reading-intervals.md").read_text(encoding="utf-8")
TOLD = {
    "coverage_80": "79.3 %",
    "coverage_80_min_year": "75.9",
    "coverage_80_max_year": "82.5 %",
    "coverage_80_min_step": "77.3",
    "coverage_80_max_step": "81.6 %",
    "coverage_95": "95.4 %",
    "crypto_coverage_80": "79.4 %",
    "crypto_coverage_95": "93.7 %",
    "mae_vs_naive": "0.995",
    "mae_vs_naive_max_year": "1.008",
    "sp_vs_random_walk": "0.978",
    "sp_vs_ewma_t": "0.982",
}


@pytest.mark.parametrize("figure", TOLD)
def test_the_guide_to_intervals_tells_what_was_measured(figure: str) -> None:
    told = TOLD[figure]
    assert told in GUIDE
    scale = 1 if told.startswith(("0", "1")) else 100
    assert float(told.split()[0]) / scale == pytest.approx(FIGURES[figure], abs=0.000501)


def test_the_readme_names_every_field_of_the_json() -> None:
    item = json.loads((PROJECT / "docs" / "forecast.schema.json").read_text())["items"]["properties"]
    for name in (*item, *item["forecast"]["items"]["properties"]):
        assert name in README
