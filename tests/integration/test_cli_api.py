"""Tokens and the server from the command line."""

import importlib.util
import re
import socket
from pathlib import Path

import httpx
import pytest
from tests.support.api_server import serving
from typer.testing import CliRunner

from tickercast.cli import app
from tickercast.errors import UsageError


def run(*words: str) -> str:
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_token_is_printed_once_listed_without_its_text_and_revoked(workspace: Path) -> None:
    assert run("tokens", "list") == "no tokens: tickercast tokens create makes one\n"
    said = run(
        "tokens", "create", "desk", "--per-month", "1000", "--scopes", "read,forecast", "--expires", "2099-01-01"
    )
    first, text = said.splitlines()
    assert re.fullmatch(r"tc_[0-9a-f]{8}_[\w-]{43}", text)
    assert first == f"token {text[3:11]} of desk, for read and forecast; it is shown this once:"
    listed = run("tokens", "list")
    for word in (text[3:11], "desk", "read, forecast", "valid", "2099-01-01", "1,000"):
        assert word in listed
    assert text not in listed
    assert run("tokens", "revoke", "desk") == f"token {text[3:11]} of desk is revoked\n"
    assert "revoked" in run("tokens", "list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "desk", "--scopes", "write"], "'write' is no scope"),
        (["create", "desk", "--scopes", ""], "No scope was named"),
        (["create", "desk", "--expires", "soon"], "'soon' is not a date"),
        (["create", "desk", "--expires", "2001-01-01"], "which is past"),
        (["revoke", "desk"], "is no token's id or owner"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(workspace: Path, words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(app, ["tokens", *words], catch_exceptions=False)


@pytest.mark.skipif(not importlib.util.find_spec("uvicorn"), reason="the extra api is not installed")
def test_without_tokens_no_other_address_is_served(workspace: Path) -> None:
    with pytest.raises(UsageError, match="anybody could call the API at 0"):
        CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"], catch_exceptions=False)


@pytest.mark.skipif(not importlib.util.find_spec("uvicorn"), reason="the extra api is not installed")
def test_what_the_server_warns_of_is_a_line_of_the_log(workspace: Path) -> None:
    urls = {"bucket": f"file://{workspace}/bucket", "warehouse": f"duckdb://{workspace}/w.duckdb", "source": "sample"}
    with serving(workspace, urls) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 30) as caller:
            caller.sendall(b"hello\r\n\r\n")
            assert caller.recv(100).startswith(b"HTTP/1.1 400")
        httpx.get(f"{url}/v1/symbols")
    said = (workspace / "log").read_text().splitlines()
    [written] = [each for each in said if each and not each.startswith("API of ")]
    assert re.fullmatch(r"[\d-]{10} [\d:,]{12} WARNING Invalid HTTP request received\.", written)
