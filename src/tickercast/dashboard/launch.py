"""The start of the dashboard: Streamlit on the loopback address, or behind a login anywhere.

Its settings keep it from connecting out, but for the provider of the login.
"""

import importlib.util
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tickercast.app import callers
from tickercast.config import Settings, take_headers
from tickercast.dashboard.sign_in import SignIn, check_people, sign_in_of
from tickercast.errors import UsageError, not_installed

ADDRESS = "127.0.0.1"
_SERVER = Path(__file__).parent / "server.py"
_NEEDED = ("streamlit", "plotly")
_LONGEST_HEADER = 64 * 1024
"""The longest header, in bytes, such as the cookies of all services of a host: as many as a request for a page may
have. The connection for its content would be refused from 8 KB on, and the page stay empty."""
_SETTINGS = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "1",  # megabytes; a file of holdings is the largest that a page takes
    "server.maxWidgetStateSize": "2",  # megabytes; what a page may send in one message
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
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


@dataclass(frozen=True)
class Place:
    """The address of the dashboard, and its login.

    Attributes:
        host: the address at which it listens.
        port: the port at that address.
        sign_in: the provider; None without one.
        is_behind_iap: whether Google's IAP is in front of it.
    """

    host: str = ADDRESS
    port: int = 8501
    sign_in: SignIn | None = None
    is_behind_iap: bool = False

    @property
    def url(self) -> str:
        """The address at which people open it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.sign_in.url if self.sign_in else f"http://{host}:{self.port}"

    @property
    def hosts(self) -> list[str]:
        """The names by which it is called; `*` is any."""
        named = [urlsplit(self.sign_in.url).hostname or ""] if self.sign_in else []
        return ["*"] if self.is_behind_iap else list(dict.fromkeys([*named, "localhost", ADDRESS]))


def require(settings: Settings, host: str, port: int) -> Place:
    """Check that the dashboard can be started, and tell where.

    Args:
        settings: name the login.
        host: the address at which it is to listen; any other than this machine's needs a login.
        port: the port at that address.

    Raises:
        UsageError: its packages are not installed, the login is not valid, anybody could open it, or the port is in
            use.
    """
    if not all(importlib.util.find_spec(name) for name in _NEEDED):
        raise not_installed("The dashboard", _NEEDED, "dashboard")
    place = Place(host, port, sign_in_of(settings, port), bool(settings.iap_audience))
    if place.sign_in and place.is_behind_iap:
        raise UsageError(
            "TICKERCAST_OIDC_ISSUER and TICKERCAST_IAP_AUDIENCE are both set: one login was needed. Unset one of them."
        )
    if place.sign_in or place.is_behind_iap:
        check_people(settings)
    elif host not in callers.OWN:
        raise UsageError(
            f"There is no login, so that anybody could open the dashboard at {host}: {ADDRESS} was needed, or a "
            "provider of logins. Set TICKERCAST_OIDC_ISSUER, TICKERCAST_OIDC_CLIENT_ID and "
            "TICKERCAST_OIDC_CLIENT_SECRET."
        )
    callers.check_port(host, port, "tickercast dashboard")
    if place.sign_in:
        place.sign_in.check_provider()
    return place


def words(place: Place, secrets: Sequence[Path] = ()) -> list[str]:
    """The arguments of Streamlit, which override the user's own settings.

    Args:
        place: where it is served.
        secrets: Streamlit's files of secrets.
    """
    settings = [
        *_SETTINGS.items(),
        ("server.address", place.host),
        ("server.port", place.port),
        ("browser.serverAddress", urlsplit(place.url).hostname),
        *(("server.allowedHosts", host) for host in place.hosts),
        *(("secrets.files", path) for path in secrets),
    ]
    return ["run", str(_SERVER), *(f"--{name}={value}" for name, value in settings)]


def serve(place: Place) -> None:
    """Serve the dashboard until the process is stopped."""
    take_headers(_LONGEST_HEADER)
    from streamlit.web import cli

    if place.sign_in:
        from authlib.deprecate import AuthlibDeprecationWarning

        warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # of calls that are not ours
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the secrets are removed
    with TemporaryDirectory(prefix="tickercast-dashboard-") as folder:  # for this user alone
        secrets = Path(folder) / "secrets.toml"
        if place.sign_in:
            secrets.write_text(place.sign_in.secrets())
        cli.main(words(place, [secrets] if place.sign_in else []), prog_name="streamlit")
