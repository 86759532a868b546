"""A password in a setting is in no output, no log and no list of processes, and what is kept is its owner's alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tickercast import config, errors
from tickercast.cli import app
from tickercast.plain import without_secrets

PROJECT = Path(__file__).parents[2]
PLANTED = "pl4nt/ed%40pw"
ARGUMENTS = {
    "SQL": ["SELECT * FROM nowhere"],
    "TICKER": ["MSFT"],
    "FIRST": ["2012-08-01"],
    "NAME": ["forecast_skill"],
    "FILE": ["no-such-file.csv"],
    "OBJECT": ["ohlc/2023-07-22/MSFT.csv"],
}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = {" ".join(path): command for path, command in commands(typer.main.get_command(app))}
SERVERS = {"dashboard", "serve", "watch"}  # these run until they are stopped


@pytest.fixture
def planted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every URL of the settings has a password, and nothing answers there."""
    url = f"http://user:{PLANTED.replace('/', '%2F')}@127.0.0.1:9"
    monkeypatch.setenv("TICKERCAST_FUNCTION_URL", url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{url}/?token={PLANTED}")
    monkeypatch.setenv("TICKERCAST_ALERT_URLS", f"json://user:{PLANTED}@127.0.0.1:9")
    monkeypatch.setenv("TICKERCAST_DIGEST_URLS", f"json://user:{PLANTED}@127.0.0.1:9/digest")
    for name in ("ALPACA_KEY", "ALPACA_SECRET", "BINANCE_TESTNET_KEY", "BINANCE_TESTNET_SECRET"):
        monkeypatch.setenv(f"TICKERCAST_{name}", f"{PLANTED}\u00e9")  # which no header can hold
    monkeypatch.setenv("TICKERCAST_SOURCE", "sample")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - SERVERS))
def test_no_command_prints_a_password(planted: None, name: str) -> None:
    words = name.split()
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument" and parameter.required:
            words += ARGUMENTS.get(parameter.metavar, ["MSFT"])
    done = CliRunner().invoke(app, words)
    said = done.output + (str(done.exception) if isinstance(done.exception, errors.TickercastError) else "")
    assert PLANTED not in said
    assert "pl4nt" not in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TICKERCAST_WAREHOUSE", f"postgresql://user:{PLANTED}@host/db"),
        ("TICKERCAST_BUCKET", f"s3://user:{PLANTED}@host/db"),
        ("MLFLOW_TRACKING_URI", f"ftp://user:{PLANTED}@host/db"),
        ("TICKERCAST_MAX_FILE_MB", f"http://user:{PLANTED}@host/db"),
        ("TICKERCAST_FUNCTION_URL", f"ftp://user:{PLANTED}@host/db"),
        ("TICKERCAST_BINANCE_URL", f"http://user:{PLANTED}@host/db?x"),
        ("TICKERCAST_ALERT_URLS", f"nonsense://user:{PLANTED}@host"),
        ("TICKERCAST_DIGEST_URLS", f"nonsense://user:{PLANTED}@host"),
    ],
)
def test_a_wrong_setting_is_named_without_its_password(
    planted: None, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    for name in ("doctor", "provision", "alerts --send", "models list"):
        done = CliRunner().invoke(app, name.split())
        said = done.output + (str(done.exception) if isinstance(done.exception, errors.TickercastError) else "")
        assert "pl4nt" not in said


@pytest.mark.parametrize(
    "broker", ["alpaca-paper://", "binance-testnet://", f"alpaca-paper://{PLANTED}:x@live.example"]
)
def test_the_keys_of_a_venue_are_in_no_message(planted: None, broker: str) -> None:
    done = CliRunner().invoke(app, ["trade", "--strategy", "buy-and-hold", "--symbols", "MSFT", "--broker", broker])
    assert done.exit_code != 0
    said = done.output + str(done.exception)
    assert "TICKERCAST_" in said
    assert "pl4nt" not in said
    assert "pl4nt" not in repr(config.load().alpaca_secret) + repr(config.load().binance_testnet_key)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@host:1/x", "http://***@host:1/x"),
        ("postgresql://u:p/a@ss@host/db", "postgresql://***@host/db"),
        ("mysql+pymysql://u:p%40@host/db", "mysql+pymysql://***@host/db"),
        ("https://ghp_token@github.com/x", "https://***@github.com/x"),
        ("https://h/?a=1&access_token=x&b=2", "https://h/?a=1&access_token=***&b=2"),
        ("https://h/?X-Goog-Signature=x", "https://h/?X-Goog-Signature=***"),
        ("see 'http://u:p@h/' and 'http://u:q@h/'", "see 'http://***@h/' and 'http://***@h/'"),
        ("a@b.example, gs://bucket/x, file:///a/b", "a@b.example, gs://bucket/x, file:///a/b"),
    ],
)
def test_a_url_is_shown_without_its_secrets(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
    assert str(errors.UsageError(text)) == shown


def test_a_fault_of_our_own_is_kept_without_passwords(
    planted: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from tickercast.cli import terminal

    monkeypatch.setattr(terminal, "_mute", lambda: None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def command() -> None:
        raise RuntimeError(f"http://user:{PLANTED}@host/")

    with pytest.raises(SystemExit):
        terminal.guarded(command)
    [file] = tmp_path.glob("tickercast-*.log")
    assert "pl4nt" not in file.read_text() + capsys.readouterr().err
    assert "RuntimeError: http://***@host/" in file.read_text()


def test_mlflows_server_gets_no_password_by_its_arguments() -> None:
    script = (PROJECT / "deploy" / "mlflow-server.sh").read_text()
    assert "--backend-store-uri" not in script
    assert "$MLFLOW_BACKEND_STORE_URI" not in script.partition("exec mlflow server")[2]


def test_what_is_kept_is_its_owners_alone(workspace: Path) -> None:
    script = (
        "import os; os.umask(0o022)\n"
        "from tickercast.cli import run\n"
        "run(['forecast', 'MSFT', '2012-08-15', '--source', 'sample'])"
    )
    known = {name: value for name, value in os.environ.items() if not name.startswith("TICKERCAST_")}
    done = subprocess.run([sys.executable, "-c", script], env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = [path for path in Path(".tickercast").rglob("*") if not path.is_symlink()]
    assert len(kept) > 5
    assert Path(".tickercast").stat().st_mode & 0o777 == 0o700
    open_to_others = [path for path in kept if path.is_file() and path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_a_private_folder_is_private_with_its_parents(tmp_path: Path) -> None:
    config.private_folder(tmp_path / "a" / "b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]
