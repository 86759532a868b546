"""Messages to people through Apprise: one URL is one receiver.

The URLs hold passwords and tokens. So neither they nor what Apprise logs of them ever reach a message of ours: a
receiver is called by its place in the setting and by its service.
"""

import hashlib
import logging
from collections.abc import Sequence

import apprise
from apprise.utils.parse import parse_urls

from tickercast.domain.alerts import Severity
from tickercast.errors import AlertUnavailable, UsageError

_SETTING = "TICKERCAST_ALERT_URLS"
_KINDS: dict[Severity, apprise.NotifyType] = {
    "info": apprise.NotifyType.INFO,
    "success": apprise.NotifyType.SUCCESS,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
}


class AppriseNotifier:
    """The `Notifier` port over one Apprise URL.

    Args:
        url: the receiver's.
        place: its place in the setting, from 1 on.
        twins: how many before it look the same without their secrets.

    Raises:
        UsageError: Apprise does not know such a URL.
    """

    def __init__(self, url: str, place: int, twins: int = 0) -> None:
        self.twins = twins
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True))
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        if "://" not in url or not self._apprise.add(url):
            scheme = url.partition("://")[0] if "://" in url else ""
            raise UsageError(
                f"Entry {place} of {_SETTING}{f', a {scheme[:20]}:// URL,' if scheme else ''} is no receiver that "
                "Apprise knows: URLs such as mailto://… or slack://… were needed, with blanks between them."
            )
        self._server = self._apprise[0]
        if self._server.overflow_mode == apprise.OverflowMode.UPSTREAM:  # what the URL does not decide
            self._server.overflow_mode = apprise.OverflowMode.SPLIT
        self._described = f"{self._server.service_name} (entry {place} of {_SETTING})"

    @property
    def key(self) -> str:
        """A name that tells nothing of the receiver, and stays when a password changes: a hash without the secrets."""
        public = f"{self._server.url(privacy=True)} {self.twins}"  # type: ignore[no-untyped-call]
        return hashlib.sha256(public.encode()).hexdigest()[:16]

    @property
    def service(self) -> str:
        """The kind of receiver, fit to be shown: `JSON`, `Slack`."""
        return str(self._server.service_name)

    def notify(self, title: str, text: str, severity: Severity) -> None:
        """Send a message; see `Notifier.notify`."""
        taken = self._apprise.notify(
            body=text, title=title, notify_type=_KINDS[severity], body_format=apprise.NotifyFormat.TEXT
        )
        if not taken:
            raise AlertUnavailable(
                f"{self._described} did not take the message «{title}». It will be sent again; check the receiver "
                "and the URL."
            )


def receivers(urls: str) -> Sequence[AppriseNotifier]:
    """The receivers in a list of URLs that blanks or commas separate; each once.

    Raises:
        UsageError: one of them is none.
    """
    words = dict.fromkeys(word for part in urls.split() for word in _split(part.strip(",")))
    made: list[AppriseNotifier] = []
    for place, url in enumerate(words, start=1):
        notifier = AppriseNotifier(url, place)
        keys = [before.key for before in made]
        while notifier.key in keys:
            notifier = AppriseNotifier(url, place, notifier.twins + 1)
        made.append(notifier)
    return made


def _split(text: str) -> list[str]:
    """A comma may separate URLs or belong to one: Apprise can tell."""
    return list(parse_urls(text))  # type: ignore[no-untyped-call]
