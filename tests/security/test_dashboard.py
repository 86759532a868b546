"""The dashboard answers to its own names alone, in no frame of others, and shows texts of others as they are."""

import re
import shutil
import socket
from collections.abc import Iterator

import pytest
import requests

pytest.importorskip("streamlit")


from tests.support.dashboard_server import Dashboard, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    with serving(folder) as served:
        yield served
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.x"])
@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/_stcore/host-config", "/media/x"])
def test_another_host_is_refused(dashboard: Dashboard, host: str, path: str) -> None:
    answer = requests.get(dashboard.url + path, headers={"Host": host}, timeout=30)
    assert answer.status_code == 400


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_no_connection_is_made_for_another_host_or_origin(dashboard: Dashboard, headers: dict[str, str]) -> None:
    host, _, port = dashboard.url.removeprefix("http://").partition(":")
    known = {"Host": f"{host}:{port}", "Origin": dashboard.url} | headers
    lines = [f"{name}: {value}" for name, value in known.items()]
    lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    asked = "\r\n".join(["GET /_stcore/stream HTTP/1.1", *lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""])
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(asked.encode())
        assert b" 101 " not in connection.recv(100)


def test_our_own_page_connects(dashboard: Dashboard) -> None:
    host, _, port = dashboard.url.removeprefix("http://").partition(":")
    lines = [f"Host: {host}:{port}", f"Origin: {dashboard.url}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall("\r\n".join(["GET /_stcore/stream HTTP/1.1", *lines, "", ""]).encode())
        assert b" 101 " in connection.recv(100)


def test_pages_are_in_no_frame_and_load_nothing_from_elsewhere(dashboard: Dashboard) -> None:
    answer = requests.get(dashboard.url, timeout=30)
    assert answer.ok
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "img-src 'self' data: blob:" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_error_is_shown_and_not_obeyed() -> None:
    from tickercast.plain import markdown

    shown = markdown("![x](https://evil.example/p.png) <b> [click](javascript:1)")
    assert not re.search(r"(?<!\\)[\[\]<>]", shown)


@pytest.mark.parametrize("link", ["https://evil.example", "HTTP://evil.example", "www.evil.example", "a@evil.example"])
def test_an_address_in_a_text_is_no_link(link: str) -> None:
    from tickercast.plain import markdown

    parts = markdown(f"model={link}").split("\N{WORD JOINER}")
    assert "".join(parts) == f"model={link}"
    assert not any(re.search(r"https?://|www\.|@.", part, re.IGNORECASE) for part in parts)
