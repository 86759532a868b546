"""Printed text is data: no markup is obeyed, no control character is left, no text is a formula or a mention."""

import ast
import csv
import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.text import Text
from typer.testing import CliRunner

from tickercast import logs, plain
from tickercast.app import App
from tickercast.cli import app
from tickercast.cli.terminal import Terminal, complain, print_table, say
from tickercast.show import tables

PROJECT = Path(__file__).parents[2]
BAR = "2023-07-21,1,1,1,1\n"
MARKUP = ["[/x]", "[bold]", "[link=http://evil.example]", "[/]", ":skull:"]
CONTROL = [
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "a\rb",
    "a\bb",
    "\u202egpj",
    "\x1b]8;;http://evil.example\x07x",
]


@pytest.fixture
def run(workspace: Path) -> Callable[..., str]:
    def call(*words: str) -> str:
        done = CliRunner().invoke(app, list(words))
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.output

    return call


def send(name: str, data: bytes) -> None:
    service = App()
    service.provision()
    service.store.write(name, data)


@pytest.mark.parametrize("names", [MARKUP, CONTROL], ids=["markup", "control"])
@pytest.mark.parametrize("words", [["ingestions"], ["query", "SELECT symbol, reason FROM ingestions"]])
def test_a_symbol_in_a_rejected_file_breaks_no_command(
    run: Callable[..., str], names: list[str], words: list[str]
) -> None:
    table = pa.table({"Symbol": names, "Date": ["2023-07-21"] * len(names)} | dict.fromkeys(
        ("Open", "High", "Low", "Close"), [1.0] * len(names)))  # fmt: skip
    file = io.BytesIO()
    pq.write_table(table, file)
    send("ohlc/2023-07-22/batch-0001.parquet", file.getvalue())
    said = run(*words)
    assert "is not a symbol" in said.replace("\n", " ") or "are" in said
    assert_clean(said)


@pytest.mark.parametrize("text", [*MARKUP, *CONTROL])
def test_a_cell_of_a_query_is_shown_as_it_is(run: Callable[..., str], text: str) -> None:
    App().provision()
    shown = plain.printable(text).replace("\n", "")
    for words in ([], ["--csv"]):
        said = run("query", f"SELECT {sql(text)} AS a, 'b' AS `{text if text in MARKUP else 'c'}`", *words)
        assert shown in said
        assert_clean(said)
    said = run("query", f"SELECT {sql(text)} AS a", "--json")
    assert json.loads(said) == [{"a": text}]
    assert_clean(said)


def sql(text: str) -> str:
    return f"CONCAT({', '.join(f'CHR({ord(letter)})' for letter in text)})" if text in CONTROL else f"'{text}'"


def assert_clean(said: str) -> None:
    assert not [letter for letter in said if not letter.isprintable() and letter != "\n"]


@pytest.mark.parametrize("text", [*MARKUP, *CONTROL])
def test_every_way_to_the_terminal_cleans(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    complain(text)
    print_table(tables.rows_table(pd.DataFrame({text: [text]})))
    print_table(Text(text))
    captured = capsys.readouterr()
    assert captured.out.count(plain.printable(text)) >= 3  # rich has its own way with some control characters in a Text
    assert plain.printable(text) in captured.err
    assert_clean(captured.out + captured.err)


def test_there_is_no_other_way_to_the_terminal() -> None:
    """`print` and rich's consoles are for `cli/terminal.py`; whoever needs another way extends it there."""
    found = []
    for path in (PROJECT / "src" / "tickercast").rglob("*.py"):
        if path.name in ("terminal.py", "start.py"):  # this prints one word of its own, before anything is imported
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            text = ast.unparse(node) if isinstance(node, (ast.Attribute, ast.ImportFrom)) else ""
            if name in ("print", "Console") or text in ("sys.stdout", "sys.stderr", "typer.echo", "click.echo"):
                found.append(f"{path.relative_to(PROJECT)}:{node.lineno}")  # type: ignore[attr-defined]
    assert [place for place in found if "logs.py" not in place] == []


def test_a_table_never_obeys_markup() -> None:
    assert Terminal()._markup is False


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0"])
def test_a_text_in_a_csv_is_no_formula(run: Callable[..., str], text: str) -> None:
    rows = pd.DataFrame({text: [text], "number": [-1.5]})
    header, cells = csv.reader(io.StringIO(plain.csv(rows)))
    assert header[0].startswith("'")
    assert cells[0].startswith("'")
    assert cells[1] == "-1.5"
    App().provision()
    if text.isprintable():
        quoted = text.replace("'", "''").replace("\\", "\\\\")
        assert "'" + text[:1] in run("query", f'SELECT "{quoted}" AS a', "--csv")


def test_a_line_of_the_log_is_one_line_without_control_characters() -> None:
    text = "a\x1b[31m\nb\x9b\u202e https://u:p@host/"
    record = logging.LogRecord("tickercast", logging.WARNING, "", 1, text, None, None)
    with logs.fields(symbol="\x1b[2J"):
        line = logs.JsonFormatter("").format(record)
    assert "\n" not in line
    assert_clean(line)
    assert json.loads(line)["message"].endswith("https://***@host/")
    assert "\x1b" not in json.loads(line)["symbol"]


def test_an_alert_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    apprise = pytest.importorskip("apprise")
    from tickercast.backends.alerts_apprise import receivers

    sent: list[dict[str, str]] = []
    monkeypatch.setattr(apprise.Apprise, "notify", lambda self, **given: sent.append(given) or True)
    [receiver] = receivers("json://localhost", "TICKERCAST_ALERT_URLS")
    receiver.notify("@here", "@everyone <!channel> <@U123> <#C1> \x1b[31m", "failure")
    text = sent[0]["title"] + sent[0]["body"]
    assert "@" not in text
    assert "<" not in text
    assert_clean(text)


def test_an_artifact_is_no_markdown_of_others() -> None:
    from tickercast.domain.findings import Finding
    from tickercast.domain.learning.market import Market
    from tickercast.show.artifacts import Artifact, artifacts_of

    shown = Artifact("a", "![x](http://evil.example/p.png)", []).description
    assert shown == "\\!\\[x\\](http\N{WORD JOINER}://evil.example/p.png)"
    finding = Finding("\x1b[31mX", "gap", "a\x9bb")
    market = Market.__new__(Market)
    for name, value in {"findings": [finding], "failures": {}, "day": datetime.now(UTC).date()}.items():
        object.__setattr__(market, name, value)
    [made] = artifacts_of("fetch", market, None, None)  # type: ignore[arg-type]
    assert_clean(json.dumps(made.content, ensure_ascii=False))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a\\b", "a\x00b", "\x1b[31m.csv", "a b\n.csv"])
def test_a_files_name_is_no_path(name: str) -> None:
    assert Path(plain.file_name(name)).name == plain.file_name(name)
    assert plain.file_name(name).isprintable()
