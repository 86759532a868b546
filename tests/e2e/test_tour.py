"""The tour is run as it stands: its commands in their order, and their output."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
TOUR = (PROJECT / "docs" / "tour.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME, GENERATION = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), re.compile(r"#\d{10,}")
NUMBER = re.compile(r"\d+\.\d+")


@dataclass
class Step:
    """Commands of the tour, and the excerpts of their output."""

    commands: str
    shows: list[str]


def steps() -> list[Step]:
    found: list[Step] = []
    for kind, text in FENCE.findall(TOUR):
        if kind == "sh":
            found.append(Step(text, []))
        else:
            found[-1].shows.append(text)
    return found


def squeezed(text: str) -> list[str]:
    """Lines without blanks and rules, times and generations; decimals beyond the second may differ with libraries."""
    lines = [" ".join(GENERATION.sub("", TIME.sub("", line)).split()) for line in text.splitlines()]
    return [NUMBER.sub(lambda number: f"{float(number[0]):.2f}", line) for line in lines if line.strip("─ ")]


def excerpt(lines: list[str], of: list[str]) -> bool:
    return any(of[start : start + len(lines)] == lines for start in range(len(of)))


def test_the_tour_runs_offline_in_an_empty_folder_and_shows_what_it_says(workspace: Path) -> None:
    (workspace / "src").symlink_to(PROJECT / "src")
    (workspace / ".venv").symlink_to(Path(sys.executable).parents[1])
    # The commands run in one shell, so that variables stay set; a mark ends the output of each.
    mark = "----- the tour goes on -----"
    script = "set -e\n" + f"\necho '{mark}'\n".join(step.commands for step in steps())
    unreachable = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")}
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=workspace,
        env=os.environ | unreachable,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    for step, shown in zip(steps(), done.stdout.split(f"{mark}\n"), strict=True):
        for expected in step.shows:
            assert excerpt(squeezed(expected), squeezed(shown)), (
                f"{step.commands}\nshowed\n{shown}\nand not\n{expected}"
            )
    assert len((workspace / "report.html").read_text(encoding="utf-8")) > 50_000
    assert (workspace / "chart.png").stat().st_size > 10_000


@pytest.mark.parametrize("page", ["tour.md", "reading-intervals.md"])
def test_every_link_of_the_guides_leads_to_a_file(page: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (PROJECT / "docs" / page).read_text(encoding="utf-8")):
        assert (PROJECT / "docs" / target).exists(), target
