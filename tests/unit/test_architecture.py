"""Rules that the import linter cannot see."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DOORS = ["src/main.py", "cloud_function/main.py", *(str(path) for path in (PROJECT / "flows").glob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("door", DOORS)
def test_a_door_imports_the_command_line_bootstrap_jobs_and_nothing_of_an_engine(door: str) -> None:
    ours = {name.split(".")[1] for name in imports(PROJECT / door) if name.startswith("tickercast.")}
    assert ours <= {"cli", "chart", "bootstrap", "jobs", "domain", "config", "errors", "logs"}


def test_only_config_reads_the_environment() -> None:
    reads = re.compile(r"os\.(environ|getenv)|import (environ|getenv)")
    assert [path.name for path in (PROJECT / "src").rglob("*.py") if reads.search(path.read_text())] == ["config.py"]


def test_nothing_is_unpickled() -> None:
    for folder in ("src", "cloud_function", "flows"):
        for path in (PROJECT / folder).rglob("*.py"):
            assert not {"pickle", "joblib", "dill", "cloudpickle"} & set(imports(path)), path


def test_the_door_is_three_lines() -> None:
    body = ast.parse((PROJECT / "src" / "main.py").read_text()).body[1:]
    assert len(body) == 3
