"""The permitted callers of the function: senders of events, and no page that somebody has open in a browser.

A browser sends a page's posts to any address of this machine, and by a name that the page's owner points there. What
it cannot do is leave out `Origin` and `Sec-Fetch-Site`, send an event's content type without asking first, or name
another host.

>>> from tickercast.config import Settings
>>> refused({"Host": "localhost:8080", "Content-Type": "application/cloudevents+json"}, Settings())
>>> refused({"Host": "evil.example", "Content-Type": "application/cloudevents+json"}, Settings()).status
421
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tickercast import config
from tickercast.config import Settings
from tickercast.domain.text import shown
from tickercast.errors import UsageError

OWN = ("localhost", "127.0.0.1", "::1")
"""The names of this machine, by which nobody else can call it."""

_KINDS = ("application/cloudevents", "application/json")


@dataclass(frozen=True)
class Refused:
    """The refusal of a request.

    Attributes:
        status: the status of the answer.
        reason: the fault, the need and the remedy, in a sentence or two.
    """

    status: int
    reason: str

    def __str__(self) -> str:
        return self.reason


def refused(headers: Mapping[str, str], settings: Settings) -> Refused | None:
    """The refusal of a request; None if it may be an event.

    Args:
        headers: the headers of the request.
        settings: the settings, which name the hosts; on Cloud Run, which calls by names of its own, any host is
            accepted.
    """
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
    if origin is not None or site not in (None, "none"):
        seen = shown(origin or f"Sec-Fetch-Site: {site}", 80)
        return Refused(403, f"The request comes from a page, {seen!r}: an event was needed. Send it from a program.")
    host = headers.get("Host", "")
    if not config.on_cloud_run() and host_name(host) not in _hosts(settings):
        return Refused(
            421,
            f"The request is for the host {shown(host, 80)!r}: this machine's own name was needed. "
            "Name others in TICKERCAST_FUNCTION_HOSTS.",
        )
    kind = headers.get("Content-Type", "")
    if not kind and headers.get("Ce-Id"):  # a browser asks before it sends such a header
        return None
    if kind.partition(";")[0].strip().lower().partition("+")[0] not in _KINDS:
        return Refused(
            415,
            f"The request has the content type {shown(kind, 80)!r}: a CloudEvent's was needed. "
            f"Send one of {_KINDS[0]}+json.",
        )
    return None


def _hosts(settings: Settings) -> set[str]:
    named = [urlsplit(settings.function_url).hostname or "", *settings.function_hosts.lower().split(",")]
    return {*OWN, *(name.strip() for name in named if name.strip())}


def host_name(host: str) -> str:
    """The host without its port.

    >>> host_name("127.0.0.1:8080"), host_name("[::1]:8080"), host_name("a@b")
    ('127.0.0.1', '::1', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "") if "@" not in host and not parts.path else ""
    except ValueError:
        return ""


def check_port(host: str, port: int, command: str) -> None:
    """Check that a server can listen at a port.

    Args:
        host: the address.
        port: the port at that address.
        command: starts the server; for the error.

    Raises:
        UsageError: the port is in use, or not ours to use.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", "") or str(error)
            raise UsageError(
                f"Port {port} of {host} is not available: {reason}. Name another: {command} --port {port + 1}."
            ) from error
