"""Alerts and digests through Apprise: one URL is one receiver.

The URLs hold passwords and tokens, so neither they nor Apprise's log lines about them ever reach our messages: a
receiver is named by its position in the setting and by its service.
"""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any

import apprise
from apprise.attachment.memory import AttachMemory
from apprise.utils.parse import parse_urls

from tickercast.domain.alerts import Severity
from tickercast.errors import AlertUnavailable, UsageError
from tickercast.plain import without_mentions
from tickercast.ports import Letter

_ROOM_OF_A_PAGE = 10_000  # characters: chat services with less call HTML what knows no table
_KINDS: dict[Severity, apprise.NotifyType] = {
    "info": apprise.NotifyType.INFO,
    "success": apprise.NotifyType.SUCCESS,
    "warning": apprise.NotifyType.WARNING,
    "failure": apprise.NotifyType.FAILURE,
}


class AppriseNotifier:
    """The `Notifier` port over one Apprise URL.

    Args:
        url: the receiver's URL.
        setting: the setting that names it.
        position: the position of the URL in the setting, from 1 on.
        duplicates: the number of earlier receivers that look the same without their secrets.

    Raises:
        UsageError: Apprise does not recognise the URL.
    """

    def __init__(self, url: str, setting: str, position: int, duplicates: int = 0) -> None:
        self.duplicates = duplicates
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(secure_logging=True))
        logging.getLogger("apprise").setLevel(logging.CRITICAL)
        if "://" not in url or not self._apprise.add(url):
            scheme = url.partition("://")[0] if "://" in url else ""
            raise UsageError(
                f"Entry {position} of {setting}{f', a {scheme[:20]}:// URL,' if scheme else ''} is not a receiver "
                "that Apprise knows: URLs such as mailto://… or slack://… were needed, separated by blanks. Correct it."
            )
        self._server = self._apprise[0]
        if self._server.overflow_mode == apprise.OverflowMode.UPSTREAM:  # unless the URL sets another mode
            self._server.overflow_mode = apprise.OverflowMode.SPLIT
        self._described = f"{self._server.service_name} (entry {position} of {setting})"

    @property
    def key(self) -> str:
        """A hash of the URL without its secrets: it reveals nothing, and a change of password does not change it."""
        public = f"{self._server.url(privacy=True)} {self.duplicates}"  # type: ignore[no-untyped-call]
        return hashlib.sha256(public.encode()).hexdigest()[:16]

    @property
    def service(self) -> str:
        """The kind of receiver, safe to print: `JSON`, `Slack`."""
        return str(self._server.service_name)

    def notify(self, title: str, text: str, severity: Severity) -> None:
        """Send a message; see `Notifier.notify`."""
        self._send(
            title,
            body=without_mentions(text),
            notify_type=_KINDS[severity],
            body_format=apprise.NotifyFormat.TEXT,
        )

    def send(self, letter: Letter) -> None:
        """Send a letter; see `Notifier.send`."""
        room = self._server.body_maxlen
        shows_pages = self._server.notify_format == apprise.NotifyFormat.HTML and room >= _ROOM_OF_A_PAGE
        as_page = shows_pages and len(letter.html) <= room
        self._send(
            letter.title,
            body=letter.html if as_page else without_mentions(letter.text),
            notify_type=apprise.NotifyType.INFO,
            body_format=apprise.NotifyFormat.HTML if as_page else apprise.NotifyFormat.TEXT,
            attach=_attached(letter.picture) if letter.picture and self._server.attachment_support else None,
        )

    def _send(self, title: str, **message: Any) -> None:
        try:
            accepted = self._apprise.notify(title=without_mentions(title), **message)
        except Exception:  # any error of the plug-in's library; its text may hold the URL's secrets
            accepted = False
        if not accepted:
            raise AlertUnavailable(
                f'{self._described} did not accept the message "{title}". It will be sent again; check the receiver '
                "and its URL."
            )


def _attached(picture: bytes) -> AttachMemory:
    return AttachMemory(picture, name="forecasts.png", mimetype="image/png")  # type: ignore[no-untyped-call]


def receivers(urls: str, setting: str) -> Sequence[AppriseNotifier]:
    """The receivers in a list of URLs, separated by blanks or commas; duplicates are dropped.

    Args:
        urls: the list.
        setting: where it stands, for messages.

    Raises:
        UsageError: an entry is not a receiver.
    """
    words = dict.fromkeys(word for part in urls.split() for word in _split(part.strip(",")))
    made: list[AppriseNotifier] = []
    for position, url in enumerate(words, start=1):
        notifier = AppriseNotifier(url, setting, position)
        keys = [earlier.key for earlier in made]
        while notifier.key in keys:
            notifier = AppriseNotifier(url, setting, position, notifier.duplicates + 1)
        made.append(notifier)
    return made


def _split(text: str) -> list[str]:
    """Split at the commas that separate URLs, not at those inside one: Apprise tells them apart."""
    return list(parse_urls(text))  # type: ignore[no-untyped-call]
