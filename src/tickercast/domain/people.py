"""People on the dashboard, by an identity provider's claims: who may open it, and who may make tokens there.

>>> people = People(viewers=parse_rules("@example.org"), operators=parse_rules("ann@example.org, groups=desk"))
>>> people.visitor({"sub": "1", "email": "Ann@example.org", "email_verified": True}).access
<Access.OPERATOR: 'operator'>
>>> people.visitor({"sub": "2", "email": "bob@example.org", "email_verified": True}).access
<Access.VIEWER: 'viewer'>
>>> people.visitor({"sub": "3", "groups": ["desk", "all"]}).access
<Access.OPERATOR: 'operator'>
>>> people.visitor({"sub": "4", "email": "bob@example.org"}) is None  # the provider did not check the address
True
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tickercast.domain.text import shown
from tickercast.errors import UsageError

_RULE = re.compile(r"\*|[^\s@=,]*@[^\s@=,]+|[^\s@=,]+=[^\s,].*")
_LONGEST_NAME = 80
_LONGEST_ADDRESS = 254
_NAMES = ("preferred_username", "name")


class Access(StrEnum):
    """The permissions of a person on the dashboard."""

    VIEWER = "viewer"
    """See every page, and the usage of tokens that were made for their own address."""
    OPERATOR = "operator"
    """Make and revoke tokens as well, and see everybody's usage."""


@dataclass(frozen=True)
class Visitor:
    """A person who has signed in.

    Attributes:
        name: the name to show.
        address: their e-mail address in small letters, if the provider has checked it; else empty.
        access: the permissions of the person.
    """

    name: str
    address: str
    access: Access


@dataclass(frozen=True)
class Rule:
    """A word of a list of people; see `parse_rules`.

    Attributes:
        text: the word.
    """

    text: str

    def admits(self, claims: Mapping[str, Any]) -> bool:
        """Whether it means the person of some claims."""
        if self.text == "*":
            return True
        name, is_claim, value = self.text.partition("=")
        if is_claim:
            held = claims.get(name)
            return value in [str(one) for one in (held if isinstance(held, list | tuple) else [held])]
        address = verified_address(claims)
        return address == self.text.lower() or (self.text[0] == "@" and address.endswith(self.text.lower()))


@dataclass(frozen=True)
class People:
    """The access of people; a person in neither list may not come in.

    Attributes:
        viewers: the rules of `TICKERCAST_DASHBOARD_VIEWERS`.
        operators: the rules of `TICKERCAST_DASHBOARD_OPERATORS`.
    """

    viewers: tuple[Rule, ...]
    operators: tuple[Rule, ...]

    def visitor(self, claims: Mapping[str, Any]) -> Visitor | None:
        """The person of some claims; None if they have no access."""
        if any(rule.admits(claims) for rule in self.operators):
            access = Access.OPERATOR
        elif any(rule.admits(claims) for rule in self.viewers):
            access = Access.VIEWER
        else:
            return None
        return Visitor(name_of(claims), verified_address(claims), access)

    def needed(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The claims that a person's access and name come from: a token may hold hundreds of groups.

        >>> people = People(parse_rules("groups=desk, groups=all"), ())
        >>> people.needed({"sub": "1", "groups": ["a", "all", "desk"], "address": "here"})
        {'sub': '1', 'groups': ['desk']}
        """
        found: dict[str, Any] = {}
        for rules in (self.viewers, self.operators):
            name, _, value = next((rule.text for rule in rules if rule.admits(claims)), "").partition("=")
            if value:
                is_list = isinstance(claims[name], list | tuple)
                found[name] = [*found.get(name, ()), value] if is_list else claims[name]
        address = claims.get("email")
        if address and len(str(address)) <= _LONGEST_ADDRESS:
            found |= {"email": address, "email_verified": claims.get("email_verified")}
        said = {name: str(claims[name])[:_LONGEST_NAME] for name in ("sub", *_NAMES) if claims.get(name)}
        return said | found


def parse_rules(text: str) -> tuple[Rule, ...]:
    """Read a list of people, separated by commas.

    A word is an address (`ann@example.org`), all addresses of a domain (`@example.org`), a claim with a value
    (`groups=desk`, which also means a list that holds it), or `*`: whoever the provider lets in.

    >>> [rule.text for rule in parse_rules("ann@example.org, @example.net, groups=night desk,*")]
    ['ann@example.org', '@example.net', 'groups=night desk', '*']

    Raises:
        UsageError: a word is none of these.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not _RULE.fullmatch(word) or word.lower().startswith("email="):
            raise UsageError(
                f"{shown(word, 80)!r} names nobody: an address such as ann@example.org, @example.org, a claim such as "
                "groups=desk, or * was needed."
            )
    return tuple(Rule(word) for word in words)


def verified_address(claims: Mapping[str, Any]) -> str:
    """The e-mail address of some claims, in small letters; empty where the provider has not checked it."""
    is_verified = str(claims.get("email_verified")).lower() == "true"
    return str(claims.get("email") or "").strip().lower() if is_verified else ""


def name_of(claims: Mapping[str, Any]) -> str:
    """The display name of a person: a verified address, or the name that they gave, which others may have given too.

    >>> name_of({"sub": "1", "email": "Ann@example.org", "email_verified": True})
    'Ann@example.org'
    >>> name_of({"sub": "1", "email": "ann@example.org"})
    'ann@example.org (not verified; sub 1)'
    """
    if verified_address(claims):
        return shown(str(claims["email"]).strip(), _LONGEST_NAME)
    names = (claims.get(name) for name in (*_NAMES, "email"))
    said = shown(next((str(name) for name in names if name), "somebody"), _LONGEST_NAME)
    return f"{said} (not verified; sub {shown(claims.get('sub'), _LONGEST_NAME)})"
