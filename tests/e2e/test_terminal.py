"""The output on a terminal, in a pipe, after a mistake, and in a shell with completion."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

PROJECT = Path(__file__).parents[2]
DOOR = (sys.executable, str(PROJECT / "src" / "main.py"))
COMMAND = (sys.executable, "-m", "tickercast")
SCHEMA = json.loads((PROJECT / "docs" / "forecast.schema.json").read_text())
SAMPLE = ("MSFT", "2012-08-15", "--source", "sample")
COLOUR = re.compile(r"\x1b\[(?:\d+;)*3\d")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(workspace: Path) -> Run:
    def call(*words: object, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(map(str, words)),
            cwd=workspace,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return call


def on_a_terminal(workspace: Path, *words: str, **settings: str) -> str:
    """The output of a process on a terminal of its own."""
    ours, its = pty.openpty()
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        settings.setdefault(name, "")
    environment = {name: value for name, value in (os.environ | settings).items() if value}
    with subprocess.Popen(words, cwd=workspace, env=environment, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait(timeout=300) == 0, shown.decode()
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_the_fan_and_colours_and_a_pipe_neither(workspace: Path, run: Run) -> None:
    shown = on_a_terminal(workspace, *DOOR, *SAMPLE, "--actual", TERM="xterm-256color", COLUMNS="100")
    assert "▒" in shown
    assert "◆" in shown
    assert COLOUR.search(shown)
    piped = run(*DOOR, *SAMPLE, "--actual").stdout
    assert not set("▒░◆\x1b") & set(piped)
    assert "track record  too early: no close after a forecast of MSFT by tickercast-lstm is stored yet" in piped


def test_no_color_is_respected(workspace: Path) -> None:
    shown = on_a_terminal(workspace, *DOOR, *SAMPLE, "--actual", TERM="xterm-256color", COLUMNS="100", NO_COLOR="1")
    assert "▒" in shown
    assert not COLOUR.search(shown)


def test_a_narrow_terminal_gets_the_table_without_the_fan(workspace: Path) -> None:
    shown = on_a_terminal(workspace, *DOOR, *SAMPLE, TERM="xterm-256color", COLUMNS="60")
    assert "2012-08-29" in shown
    assert "▒" not in shown


def test_json_fits_its_schema_whatever_else_is_asked_for(run: Run) -> None:
    plain = run(*DOOR, "MSFT", "AAPL", *SAMPLE[1:], "--json")
    for done in (
        plain,
        run(*DOOR, *SAMPLE, "--json", "--actual", "--report", "r.html", "--chart", "c.png"),
        run(*DOOR, "ETH-USD", "2023-07-22", "--source", "simulated", "--json"),
    ):
        assert (done.returncode, done.stderr) == (0, "")
        jsonschema.validate(json.loads(done.stdout), SCHEMA, format_checker=jsonschema.FormatChecker())
    assert [made["symbol"] for made in json.loads(plain.stdout)] == ["MSFT", "AAPL"]


def test_the_schema_refuses_what_is_missing_or_new(run: Run) -> None:
    made = json.loads(run(*DOOR, *SAMPLE, "--json").stdout)
    for broken in ([{**made[0], "extra": 1}], [{**made[0], "forecast": made[0]["forecast"][1:]}], made[0]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)


def test_a_later_forecast_shows_the_record_of_the_earlier_ones(run: Run) -> None:
    run(*DOOR, "MSFT", "2012-07-02", "--source", "sample")
    shown = run(*DOOR, *SAMPLE).stdout
    assert (
        "track record  too early: 10 closes in 1 of the 8 blocks of 28 days that a verdict needs; "
        "10 forecast after the fact" in shown
    )


def test_a_mistyped_command_or_option_is_answered_with_the_right_one(run: Run) -> None:
    wrong = run(*COMMAND, "forcast", *SAMPLE)
    assert wrong.returncode == 2
    assert "Did you mean 'forecast'?" in wrong.stderr
    assert "Did you mean 'release'?" in run(*COMMAND, "quarantine", "relase", "x").stderr
    assert "--source" in run(*COMMAND, "forecast", *SAMPLE[:2], "--sourc", "sample").stderr


def test_a_mistyped_symbol_is_answered_with_the_right_one(run: Run, price_folder: Callable[..., Path]) -> None:
    assert "Did you mean MSFT?" in run(*DOOR, "MFST", *SAMPLE[1:]).stderr
    folder = price_folder()
    assert "Did you mean MSFT?" in run(*DOOR, "MSFTT", "2023-07-22", "--source", folder).stderr


def test_a_shell_is_given_its_completion(run: Run, workspace: Path) -> None:
    asked = run(*COMMAND, _TICKERCAST_COMPLETE="complete_bash", COMP_WORDS="tickercast quarantine rel", COMP_CWORD="2")
    assert asked.stdout.split() == ["release"]
    home = workspace / "home"
    home.mkdir()
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the shell is named, not looked for
    done = run(*COMMAND, "--install-completion", "bash", HOME=str(home), **named)
    assert done.returncode == 0, done.stderr
    assert "tickercast" in (home / ".bashrc").read_text()
    shown = run(*COMMAND, "--show-completion", "bash", **named).stdout
    assert "_TICKERCAST_COMPLETE=complete_bash" in shown


def test_a_report_and_a_chart_are_written_and_named(run: Run, workspace: Path) -> None:
    (workspace / "old.html").write_text("old")
    done = run(*DOOR, "MSFT", "AAPL", *SAMPLE[1:], "--report", "old.html", "--chart", "c.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("written: old.html\nwritten: c.png\n")
    assert "2 symbols: ten sessions ahead" in (workspace / "old.html").read_text(encoding="utf-8")
    assert (workspace / "c.png").read_bytes().startswith(b"\x89PNG")


BAD_FILES = {
    "no such folder": (("--report", "nowhere/r.html"), "there is no folder nowhere"),
    "a folder": (("--report", "folder"), "folder exists and is not a file"),
    "a device": (("--report", "/dev/null"), "/dev/null exists and is not a file"),
    "a folder in the way": (("--chart", "in-the-way/c.png"), "there is no folder in-the-way"),
    "a long name": (("--report", "x" * 300), "cannot be a file"),
    "another kind of picture": (("--chart", "c.jpg"), "does not end in .png"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_written_is_a_sentence_before_anything_is_sent(
    run: Run, workspace: Path, case: str
) -> None:
    (workspace / "folder").mkdir()
    (workspace / "in-the-way").write_text("a file")
    words, sentence = BAD_FILES[case]
    done = run(*DOOR, *SAMPLE, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (workspace / ".tickercast").exists()


def test_more_symbols_than_a_report_takes_are_refused(run: Run, workspace: Path) -> None:
    (workspace / "many.txt").write_text("\n".join(f"S{number}" for number in range(51)))
    done = run(*DOOR, "2023-07-22", "--symbols-file", "many.txt", "--source", "simulated", "--report", "r.html")
    assert done.returncode == 2
    assert "--report was given with 51 symbols, and one file takes 50" in done.stderr


def test_nothing_is_written_where_nothing_was_forecast(run: Run, workspace: Path) -> None:
    assert run(*DOOR, "BOGUS", *SAMPLE[1:], "--report", "r.html").returncode == 2
    assert not (workspace / "r.html").exists()


def test_a_report_of_what_is_not_waited_for_is_refused(run: Run) -> None:
    done = run(*DOOR, *SAMPLE, "--no-wait", "--report", "r.html", TICKERCAST_BUCKET="gs://nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("--no-wait was given, and a report or chart needs the results.")


def test_an_ascii_locale_gets_two_dots_for_an_ellipsis(run: Run) -> None:
    done = run(*DOOR, *SAMPLE, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert " .. " in done.stdout
    assert "?" not in done.stdout


def test_a_dumb_terminal_gets_no_control_sequences(workspace: Path) -> None:
    shown = on_a_terminal(workspace, *DOOR, *SAMPLE, TERM="dumb", COLUMNS="40")
    assert "\x1b" not in shown
    assert "2012-08-29" in shown


def test_without_a_home_the_command_works(workspace: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run([*DOOR, *SAMPLE], cwd=workspace, env=kept, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "stage",
    [
        "import tickercast.start",  # before anything heavy
        "import typer",  # in the middle of the imports
        "import duckdb",
    ],
)
def test_ctrl_c_while_everything_is_imported_is_one_line(workspace: Path, stage: str) -> None:
    module = stage.removeprefix("import ")
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r} and "tickercast.start" in sys.modules:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
from tickercast.start import run
if {module!r} == "tickercast.start":
    from tickercast import start
    start.end_on_interrupt()
    os.kill(os.getpid(), signal.SIGINT)
run({["forecast", *SAMPLE]!r})
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


ENDS = """
import atexit, sys, threading, time
from tickercast import cli, start
from tickercast.cli.terminal import guarded
{command}
atexit.register(lambda: print("the exit functions ran"))
cli.run = lambda argv: guarded(command)
start.run()
"""

WORKS_ON = """
def work():
    import duckdb
    started.set()
    duckdb.sql("SELECT COUNT(*) FROM range(1000000000000)").fetchall()
def command():
    threading.Thread(target=work, daemon=True).start()
    started.wait()
    time.sleep(0.3)  # until DuckDB is at it
    raise {error}
started = threading.Event()
"""

STOPPED_IMPORT = """
def command():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        raise ImportError("Encountered an error while initializing the extension.") from error
"""

WAITED_FOR = """
def command():
    threading.Timer(0.2, lambda: print("the other thread ended")).start()
"""


@pytest.mark.parametrize(
    ("command", "code", "printed", "said"),
    [
        (WORKS_ON.format(error="KeyboardInterrupt"), 130, "the exit functions ran\n", "Interrupted.\n"),
        (WORKS_ON.format(error="SystemExit(1)"), 1, "the exit functions ran\n", ""),
        (STOPPED_IMPORT, 130, "the exit functions ran\n", "Interrupted.\n"),
        (WAITED_FOR, 0, "the other thread ended\nthe exit functions ran\n", ""),
    ],
    ids=["Ctrl-C", "an error", "Ctrl-C in an import", "a thread that is no daemon"],
)
def test_the_process_ends_in_order_whatever_other_threads_do(
    workspace: Path, command: str, code: int, printed: str, said: str
) -> None:
    script = ENDS.format(command=command)
    done = subprocess.run([sys.executable, "-c", script], cwd=workspace, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (code, printed, said)


@pytest.mark.parametrize(("closing", "printed"), [("<&-", "tickercast "), (">&-", ""), ("2>&-", "tickercast ")])
def test_a_closed_stream_is_no_fault(workspace: Path, closing: str, printed: str) -> None:
    words = f'"{sys.executable}" -m tickercast --version {closing}'
    done = subprocess.run(["sh", "-c", words], cwd=workspace, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(printed)
    assert bool(done.stdout) == bool(printed)
