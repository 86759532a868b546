"""Tokens of the API: who may call it, for what, and how often a month.

A token's text is shown once, when it is made; only its SHA-256 is stored.

>>> made, text = new_token("desk", [Scope.READ], per_month=100, now=datetime(2026, 1, 2, tzinfo=UTC))
>>> tokens = TokenList(tokens=(made,))
>>> tokens.find(text) == made, tokens.find(text + "x"), tokens.find("tc_unknown_text")
(True, None, None)
>>> made.state(datetime(2026, 1, 3, tzinfo=UTC))
'valid'
"""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tickercast.domain.text import shown
from tickercast.errors import UsageError

NAME = "access/tokens.json"
"""The object of the model store that holds the tokens."""

_PREFIX = "tc_"
_ID_BYTES, _SECRET_BYTES = 4, 32
_LONGEST_OWNER = 64
_LONGEST_TEXT = 200


class Scope(StrEnum):
    """A part of the API that a token opens."""

    READ = "read"
    """Everything that is asked for with GET."""
    FORECAST = "forecast"
    """Requests for forecasts."""


State = Literal["valid", "expired", "revoked"]


class Token(BaseModel):
    """A token as it is stored.

    Attributes:
        id: the public part of the token's text.
        sha256: the sha256 of the token's text, in hexadecimal.
        owner: the person or service that the token was made for.
        scopes: the parts of the API that the token opens.
        per_month: the calls of a calendar month, UTC; None is no limit.
        created_at: the time at which it was made.
        expires_at: the time from which it is refused; None means never.
        revoked_at: when it was revoked; None if it was not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    owner: str
    scopes: tuple[Scope, ...]
    per_month: int | None = Field(None, ge=1)
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class TokenList(BaseModel):
    """All tokens that were ever made, in the order in which they were.

    Attributes:
        tokens: revoked ones too, so that their owner and usage can be named.
        nonce: differs with every write, so that no two contents are equal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[Token, ...] = ()
    nonce: str = ""

    def find(self, text: str) -> Token | None:
        """The token whose text this is, in whatever state; it takes as long whether or not there is one."""
        given = hashlib.sha256(text[:_LONGEST_TEXT].encode()).hexdigest()
        named = next((token for token in self.tokens if token.id == _id(text)), None)
        same = hmac.compare_digest(given, named.sha256 if named else "0" * len(given))
        return named if same and len(text) <= _LONGEST_TEXT else None


def new_token(
    owner: str,
    scopes: Sequence[Scope],
    *,
    now: datetime,
    per_month: int | None = None,
    expires_at: datetime | None = None,
) -> tuple[Token, str]:
    """Make a token, and the text that its owner sends.

    Raises:
        UsageError: the owner has no name, a scope is missing, or the limit or end is not one.
    """
    if not owner.strip() or len(owner) > _LONGEST_OWNER or not owner.isprintable():
        raise UsageError(
            f"{shown(owner, 80)!r} is no name of an owner: 1 to {_LONGEST_OWNER} printable letters were needed."
        )
    if not scopes:
        raise UsageError(f"No scope was named: {' or '.join(Scope)} was needed, or both.")
    if per_month is not None and per_month < 1:
        raise UsageError(f"{per_month} calls a month were named: 1 or more were needed. Name more, or no limit.")
    if expires_at is not None and expires_at <= now:
        raise UsageError(f"The token would end at {expires_at:%Y-%m-%d}, which is past. Name a later date.")
    number = secrets.token_hex(_ID_BYTES)
    text = f"{_PREFIX}{number}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    token = Token(
        id=number,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        owner=owner.strip(),
        scopes=tuple(dict.fromkeys(scopes)),
        per_month=per_month,
        created_at=now,
        expires_at=expires_at,
    )
    return token, text


def parse_scopes(text: str) -> list[Scope]:
    """Read scopes that are separated by commas.

    >>> parse_scopes("read,forecast")
    [<Scope.READ: 'read'>, <Scope.FORECAST: 'forecast'>]

    Raises:
        UsageError: one is not a scope.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in list(Scope)]
    if unknown:
        raise UsageError(
            f"{shown(unknown[0], 40)!r} is no scope: {' or '.join(Scope)} was needed, or both with a comma."
        )
    return [Scope(word) for word in words]


def month_of(now: datetime) -> str:
    """The calendar month in which calls are counted, UTC.

    >>> month_of(datetime(2026, 1, 31, 23, 30, tzinfo=UTC))
    '2026-01'
    """
    there = now if now.tzinfo is UTC else now.astimezone(UTC)
    return f"{there.year:04}-{there.month:02}"


def quota_object(token: str, month: str) -> str:
    """The object that counts a token's calls of a month.

    >>> quota_object("0a1b2c3d", "2026-01")
    'access/quota/0a1b2c3d/2026-01.json'
    """
    return f"access/quota/{token}/{month}.json"


def _id(text: str) -> str:
    return text.removeprefix(_PREFIX).partition("_")[0]
