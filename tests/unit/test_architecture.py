"""Rules that the import linter cannot see."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import pytest

from tickercast.domain.frequency import DAILY
from tickercast.domain.trading import strategy

PROJECT = Path(__file__).parents[2]
FLOWS = sorted((PROJECT / "flows").glob("*.py"))
FUNCTIONS = [PROJECT / folder / "main.py" for folder in ("cloud_function", "aws_function")]
OURS = {
    PROJECT / "src" / "main.py": {"start"},
    **{door: {"app", "engines", "errors", "logs", "memory"} for door in FUNCTIONS},
    **{door: {"app", "cli", "config", "domain", "engines", "show", "start"} for door in FLOWS},
}
"""The parts of the package that each door may import."""
VENDORS = {
    *("apprise", "bokeh_sampledata", "duckdb", "evidently", "google", "keras", "mlflow", "onnxruntime", "optuna"),
    *("botocore", "onnxmltools", "quantstats", "sqlglot", "tensorflow", "tf2onnx", "xgboost", "yfinance"),
}
LONGEST_FLOW = 80


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("door", OURS, ids=name)
def test_a_door_imports_the_application_and_nothing_of_a_backend_or_a_model(door: Path) -> None:
    ours = {found.split(".")[1] for found in imports(door) if found.startswith("tickercast.")}
    assert ours <= OURS[door]
    assert not {found.split(".")[0] for found in imports(door)} & VENDORS


@pytest.mark.parametrize("flow", FLOWS, ids=name)
def test_a_flow_is_short(flow: Path) -> None:
    text = flow.read_text()
    docstring = ast.parse(text).body[0]
    code = text.splitlines()[docstring.end_lineno :]
    assert len([line for line in code if line.strip()]) <= LONGEST_FLOW


def test_only_config_reads_the_environment() -> None:
    reads = re.compile(r"os\.(environ|getenv)|import (environ|getenv)")
    assert [path.name for path in (PROJECT / "src").rglob("*.py") if reads.search(path.read_text())] == ["config.py"]


def test_nothing_is_unpickled() -> None:
    for folder in ("src", "cloud_function", "aws_function", "flows"):
        for path in (PROJECT / folder).rglob("*.py"):
            packages = {found.split(".")[0] for found in imports(path)}
            assert not {"pickle", "joblib", "dill", "cloudpickle"} & packages, path


def test_the_door_is_three_lines() -> None:
    body = ast.parse((PROJECT / "src" / "main.py").read_text()).body[1:]
    assert len(body) == 3


RIDDLES = re.compile(r"\s*(Of|That|What|Whom?|Whose|Which|When|Where|Why|How|By|From when|Those|It|Its|To)\b")


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a module, and the texts below its constants and fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


@pytest.mark.parametrize("folder", ["src", "cloud_function", "aws_function", "flows", "deploy", "benchmarks", "infra"])
def test_a_docstring_is_a_noun_phrase_or_an_imperative(folder: str) -> None:
    texts = [(name(path), text) for path in (PROJECT / folder).rglob("*.py") for text in docstrings(path)]
    assert [(path, text.partition("\n")[0]) for path, text in texts if RIDDLES.match(text)] == []


@pytest.mark.parametrize(
    ("file", "number"),
    [
        ("queries/outcomes.sql", f"INTERVAL {DAILY.longest_forecast.days} DAY"),
        ("compact/skill_blocks.sql", f"INTERVAL {DAILY.longest_forecast.days} DAY"),
        ("views/anomalies.sql", f"* {2 * NormalDist().inv_cdf(0.9):.4f}"),
    ],
)
def test_sql_has_the_numbers_of_python(file: str, number: str) -> None:
    """A cutoff is looked for as far back as a forecast reaches, and an 80% interval is as wide as a Gaussian's."""
    assert number in (PROJECT / "sql" / file).read_text()


def test_the_width_of_an_80_percent_interval_is_a_gaussians() -> None:
    assert pytest.approx(NormalDist().inv_cdf(0.9)) == strategy._HALF_80
