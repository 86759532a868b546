"""A provider of logins on this machine, and a person who signs in to the dashboard without a browser."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_DNS, uuid5

import requests
from tests.support.dashboard_server import free_port

PEOPLE: Mapping[str, Mapping[str, Any]] = {
    "ann": {"email": "Ann@example.org", "email_verified": True},
    "bob": {"email": "bob@example.org", "email_verified": True},
    "cleo": {"email": "cleo@elsewhere.example", "email_verified": True, "groups": ["all", "desk"]},
    "dora": {"email": "dora@example.org", "email_verified": False},
    "finn": {
        "email": "finn@elsewhere.example",
        "email_verified": True,
        "groups": [*(str(uuid5(NAMESPACE_DNS, str(number))) for number in range(200)), "desk"],
    },
    "eve": {"email": "eve@evil.example", "email_verified": True},
}
"""The accounts, and the provider's claims about them."""

CLIENT = {"TICKERCAST_OIDC_CLIENT_ID": "dashboard", "TICKERCAST_OIDC_CLIENT_SECRET": "a secret of the provider"}
ROLES = {
    "TICKERCAST_DASHBOARD_OPERATORS": "ann@example.org",
    "TICKERCAST_DASHBOARD_VIEWERS": "@example.org, groups=desk",
}


@contextmanager
def provider() -> Iterator[dict[str, str]]:
    """Run the provider, and yield the settings that name it."""
    port = free_port()
    people = [
        word for name, claims in PEOPLE.items() for word in ("--user-claims", json.dumps({"sub": name, **claims}))
    ]
    command = [sys.executable, "-m", "oidc_provider_mock", "--host", "localhost", "--port", str(port), *people]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://localhost:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the provider ended"
            try:
                requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).raise_for_status()
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield {"TICKERCAST_OIDC_ISSUER": issuer, **CLIENT, **ROLES}
    finally:
        process.terminate()
        process.wait(timeout=30)


class Person:
    """Somebody with cookies.

    Args:
        url: of the dashboard.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.web = requests.Session()
        self.web.get(f"{url}/_stcore/host-config", timeout=30).raise_for_status()
        self.web.get(f"{url}/_stcore/health", timeout=30).raise_for_status()

    def sign_in(self, name: str) -> requests.Response:
        """Press the button, say who one is at the provider, and come back."""
        path = self._pressed()
        asked = self.web.get(self.url + path, timeout=30)
        assert "/oauth2/authorize" in asked.url, asked.url
        return self.web.post(asked.url, data={"sub": name}, timeout=30)

    def sees(self, query: str = "") -> str:
        """Everything that the page shows to these cookies, at an address with a query."""
        return "\n".join(str(message) for message in self._run(query=query))

    def uploads(self) -> requests.Response:
        """Send a file, of a page that is not open."""
        sent = {"X-Xsrftoken": self.web.cookies["_streamlit_xsrf"]}
        return self.web.put(f"{self.url}/_stcore/upload_file/a/b", files={"f": b"x"}, headers=sent, timeout=30)

    def _pressed(self) -> str:
        """The address to which the button of the login sends a browser."""
        button = next(
            message.delta.new_element.button.id
            for message in self._run()
            if message.WhichOneof("type") == "delta" and message.delta.new_element.button.label == "Sign in"
        )
        sent = next(one.auth_redirect.url for one in self._run(button) if one.WhichOneof("type") == "auth_redirect")
        return str(sent)

    def _run(self, pressed: str = "", query: str = "") -> Iterator[Any]:
        """Let the page run once, as a browser does."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
        from websockets.sync.client import connect
        from websockets.typing import Subprotocol

        asked = BackMsg()
        asked.rerun_script.query_string = query
        if pressed:
            widget = asked.rerun_script.widget_states.widgets.add()
            widget.id, widget.trigger_value = pressed, True
        cookies = "; ".join(f"{name}={value}" for name, value in self.web.cookies.items())
        protocols = [Subprotocol(one) for one in ("streamlit", self.web.cookies.get("_streamlit_xsrf") or "none")]
        address = f"ws://{urlsplit(self.url).netloc}/_stcore/stream"
        ends = time.monotonic() + 60
        with connect(
            address, origin=self.url, subprotocols=protocols, additional_headers={"Cookie": cookies}
        ) as socket:  # type: ignore[arg-type]
            socket.send(asked.SerializeToString())
            while True:
                message = ForwardMsg()
                message.ParseFromString(socket.recv(ends - time.monotonic()))  # type: ignore[arg-type]
                yield message
                if message.WhichOneof("type") == "script_finished":
                    return


def forged(secret: str, url: str, claims: Mapping[str, Any]) -> str:
    """A cookie of somebody who has signed in, signed by a secret."""
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    content = json.dumps({**claims, "origin": url, "is_logged_in": True, "provider": "default"})
    return create_signed_value(secret or secrets.token_hex(), "_streamlit_user", content).decode()
