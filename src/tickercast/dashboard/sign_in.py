"""The sign-in to the dashboard: by OpenID Connect, by Google's IAP, or, on this machine, not at all.

The provider checks who somebody is; no password is kept here. Streamlit reads what it needs from a secrets file, which
is written at start, for this user alone, and removed when the server stops.
"""

import hashlib
import hmac
import importlib.util
import json
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import requests

from tickercast.app import callers
from tickercast.config import Settings
from tickercast.domain.people import People, parse_rules
from tickercast.domain.text import one_line, shown
from tickercast.errors import UsageError, not_installed
from tickercast.plain import without_secrets

CALLBACK = "/oauth2callback"
"""The path to which the provider sends people back; it has to know the whole address."""

_METADATA = "/.well-known/openid-configuration"
_NEEDED_OF_PROVIDER = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_TIMEOUT_S = 10.0
_LETTERS = re.ASCII | re.IGNORECASE


@dataclass(frozen=True)
class SignIn:
    """The settings of a provider.

    Attributes:
        issuer: the address of the provider.
        client_id: the id by which the provider knows the dashboard.
        client_secret: the secret by which the dashboard proves to be that client.
        url: the address at which people open the dashboard.
    """

    issuer: str
    client_id: str
    client_secret: str
    url: str

    @property
    def metadata_url(self) -> str:
        """The address at which the provider describes itself."""
        return self.issuer + _METADATA

    @property
    def cookie_key(self) -> str:
        """The key that signs cookies.

        It is derived from the client's secret: every instance of a service has the same one, and a new secret ends all
        sessions.
        """
        return hmac.new(self.client_secret.encode(), b"cookies of the dashboard", hashlib.sha256).hexdigest()

    def secrets(self) -> str:
        """The content of Streamlit's secrets file."""
        values = {
            "redirect_uri": self.url + CALLBACK,
            "cookie_secret": self.cookie_key,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "server_metadata_url": self.metadata_url,
        }
        lines = (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
        return "\n".join(["[auth]", *lines, ""])

    def check_provider(self) -> None:
        """Check that the provider is there and is the one that was named.

        Raises:
            UsageError: the provider does not answer, or says something else.
        """
        needed = "the address of an OpenID Connect provider was needed. Correct TICKERCAST_OIDC_ISSUER"
        try:
            answer = requests.get(self.metadata_url, timeout=_TIMEOUT_S)
            answer.raise_for_status()
            found = answer.json()
        except requests.RequestException as error:
            raise UsageError(
                f"{self.metadata_url} does not answer ({one_line(error)}): {needed}, or try again."
            ) from error
        named = found.get("issuer") if isinstance(found, dict) else None
        if not isinstance(named, str) or named.rstrip("/") != self.issuer:
            raise UsageError(f"{self.metadata_url} names the issuer {shown(named, 120)!r}: {needed}.")
        missing = [name for name in _NEEDED_OF_PROVIDER if not found.get(name)]
        if missing:
            raise UsageError(f"{self.metadata_url} has no {', '.join(missing)}: {needed}.")


def sign_in_of(settings: Settings, port: int) -> SignIn | None:
    """The settings of a provider; None if none is named.

    Args:
        settings: settings with `oidc` and `dashboard` in their names.
        port: the port of the dashboard, for the address that it has on this machine.

    Raises:
        UsageError: one is missing, or not valid.
    """
    secret = settings.oidc_client_secret.get_secret_value()
    given = {
        "TICKERCAST_OIDC_ISSUER": settings.oidc_issuer,
        "TICKERCAST_OIDC_CLIENT_ID": settings.oidc_client_id,
        "TICKERCAST_OIDC_CLIENT_SECRET": secret,
    }
    if not any(given.values()):
        return None
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise UsageError(f"{' and '.join(missing)} is empty: a login needs {', '.join(given)}. Set all three, or none.")
    if not all(value.isprintable() for value in given.values()):
        raise UsageError(
            "The login's settings hold letters that cannot be printed: plain text was needed. Correct them."
        )
    _check("TICKERCAST_OIDC_ISSUER", settings.oidc_issuer)
    url = _origin(settings.dashboard_url.rstrip("/") or f"http://localhost:{port}")
    if not importlib.util.find_spec("authlib"):
        raise not_installed("A login", ["authlib"], "dashboard")
    issuer = settings.oidc_issuer.removesuffix(_METADATA).rstrip("/")
    return SignIn(issuer, settings.oidc_client_id, secret, url)


def people_of(settings: Settings) -> People:
    """The access of people, by the settings.

    Raises:
        UsageError: a list does not parse, or makes everybody an operator.
    """
    operators = parse_rules(settings.dashboard_operators)
    if any(rule.text == "*" for rule in operators):
        raise UsageError(
            "TICKERCAST_DASHBOARD_OPERATORS holds *, so that whoever signs in could make tokens: addresses or "
            "claims were needed. Name them."
        )
    return People(parse_rules(settings.dashboard_viewers), operators)


def check_people(settings: Settings) -> None:
    """Check that there is somebody who may come in.

    Raises:
        UsageError: both lists are empty, or one is not valid.
    """
    people = people_of(settings)
    if not people.viewers and not people.operators:
        raise UsageError(
            "Nobody may open the dashboard: TICKERCAST_DASHBOARD_VIEWERS or TICKERCAST_DASHBOARD_OPERATORS was needed. "
            "Name addresses, such as ann@example.org or @example.org, or a claim, such as groups=desk."
        )


def _origin(url: str) -> str:
    """The dashboard's address as browsers write it; the cookies of a login count for nothing else."""
    parts = _check("TICKERCAST_DASHBOARD_URL", url)
    if parts.path:
        raise UsageError(
            f"TICKERCAST_DASHBOARD_URL is {url}: an address without a path was needed, such as https://HOST."
        )
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.lower().removesuffix(f':{usual}')}"


def _check(name: str, value: str) -> SplitResult:
    """The parts of an address.

    Raises:
        UsageError: the text is no address, has more than a host, a port and a path, or others could read what is sent
            to it.
    """
    try:
        parts = urlsplit(value)
        is_plain = parts.port != 0 and re.fullmatch(r"[\w.-]+(:\d+)?|\[[\da-f:]+\](:\d+)?", parts.netloc, _LETTERS)
    except ValueError:
        is_plain = None
    if not is_plain or set("?# ") & set(value):
        raise UsageError(
            f"{name} is {without_secrets(value)}: https://HOST was needed, without a user, `?` or `#`. Correct it."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in callers.OWN):
        raise UsageError(
            f"{name} is {value}: https://HOST was needed, or http:// on this machine, since others could read and "
            "change what is sent. Correct it."
        )
    return parts
