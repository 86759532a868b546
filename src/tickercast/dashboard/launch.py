"""The start of the dashboard: Streamlit on the loopback address, with settings that keep it from connecting out."""

import importlib.util
import socket
from collections.abc import Sequence
from pathlib import Path

from tickercast.errors import UsageError

ADDRESS = "127.0.0.1"
_SERVER = Path(__file__).parent / "server.py"
_NEEDED = ("streamlit", "plotly")
_SETTINGS = {
    "server.address": ADDRESS,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "global.developmentMode": "false",
    "logger.level": "error",
    "logger.hideWelcomeMessage": "true",
    "theme.headingFontSizes": "1.7rem,1.4rem,1.15rem",
    "theme.light.primaryColor": "#005B96",
    "theme.dark.primaryColor": "#56B4E9",
}


def require(port: int) -> None:
    """Check that the dashboard can be started.

    Raises:
        UsageError: its packages are not installed, or the port is in use.
    """
    if not all(importlib.util.find_spec(name) for name in _NEEDED):
        raise UsageError(f"The dashboard needs {' and '.join(_NEEDED)}, which are not installed. Run `make setup-dev`.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise UsageError(
                f"Port {port} of {ADDRESS} is not available: {error.strerror}. Name another: tickercast dashboard "
                f"--port {port + 1}."
            ) from error


def words(port: int, hosts: Sequence[str] = ("localhost", ADDRESS)) -> list[str]:
    """The arguments of Streamlit, which override the user's own settings.

    Args:
        port: where it listens.
        hosts: the names by which it is called; `*` is any.
    """
    settings = [*_SETTINGS.items(), ("server.port", port), *(("server.allowedHosts", host) for host in hosts)]
    return ["run", str(_SERVER), *(f"--{name}={value}" for name, value in settings)]


def serve(port: int) -> None:
    """Serve the dashboard until the process is stopped."""
    from streamlit.web import cli

    cli.main(words(port), prog_name="streamlit")
