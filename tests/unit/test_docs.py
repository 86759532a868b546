"""The README cannot drift from what it describes."""

import re
from pathlib import Path

import pytest
import typer.main

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


@pytest.mark.parametrize("command", typer.main.get_command(app).commands)  # type: ignore[attr-defined]
def test_every_command_stands_in_the_readme_and_its_help_ends_with_an_example(command: str) -> None:
    assert f"tickercast {command}" in README
    help_of = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert help_of.epilog.startswith(f"Example: tickercast {command}")


@pytest.mark.parametrize("command", ["list", "show", "release"])
def test_every_command_of_the_quarantine_stands_in_the_readme_and_its_help_ends_with_an_example(command: str) -> None:
    assert f"quarantine {command}" in README
    group = typer.main.get_command(app).commands["quarantine"]  # type: ignore[attr-defined]
    assert group.commands[command].epilog.startswith(f"Example: tickercast quarantine {command}")


def test_every_task_that_the_readme_names_exists() -> None:
    assert set(re.findall(r"`?make ([a-z-]+)`?", README)) <= TARGETS


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target


def test_every_view_stands_in_the_readme() -> None:
    for path in (PROJECT / "sql" / "views").glob("*.sql"):
        assert path.stem in README
