"""Lease calls of a token's month from one object, a few at a time: no call writes by itself, no limit is exceeded."""

import time
import uuid
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tickercast.domain.tokens import Token, quota_object
from tickercast.errors import EngineUnusable, ObjectNotFound
from tickercast.jobs.rewrite import rewrite
from tickercast.ports import ObjectStore

LEASED_AT_ONCE = 50
"""The calls that an instance takes at a time; towards the end of a quota fewer, since others may need them too."""

_SHARE = 1000  # a large quota is leased by the thousandth: a bucket takes about one write of an object a second


class Quota(BaseModel):
    """The content of a quota's object.

    Attributes:
        leased: the calls of the month that instances have taken.
        nonce: differs with every write.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    leased: int = Field(0, ge=0)
    nonce: str = ""


def lease_calls(
    token: Token, month: str, store: ObjectStore, *, pause: Callable[[float], None] = time.sleep
) -> tuple[int, int]:
    """Take some of a token's calls, none if the quota is spent.

    Args:
        token: has a limit.
        month: `YYYY-MM`.
        store: the model store.
        pause: waits some seconds after another instance came first.

    Returns:
        The calls that were taken, and those that are left after them.

    Raises:
        EngineUnusable: the object is damaged.
        StoreUnavailable: try again.
    """
    assert token.per_month is not None
    most = max(LEASED_AT_ONCE, token.per_month // _SHARE)
    return _swap(token, month, store, lambda left: max(0, min(most, (left + 1) // 2)), pause)


def return_calls(
    token: Token, month: str, calls: int, store: ObjectStore, *, pause: Callable[[float], None] = time.sleep
) -> None:
    """Give back calls that were taken and not used, so that other instances have them.

    Raises:
        EngineUnusable: the object is damaged.
        StoreUnavailable: try again.
    """
    _swap(token, month, store, lambda _: -calls, pause)


def leased_calls(token: Token, month: str, store: ObjectStore) -> int:
    """The calls of a month that instances have taken.

    Raises:
        EngineUnusable: the object is damaged.
        StoreUnavailable: try again.
    """
    try:
        return _read(store.read(quota_object(token.id, month)), token, store).leased
    except ObjectNotFound:
        return 0


def _swap(
    token: Token, month: str, store: ObjectStore, wanted: Callable[[int], int], pause: Callable[[float], None]
) -> tuple[int, int]:
    limit, taken, left = token.per_month or 0, 0, 0

    def swapped(before: bytes) -> bytes | None:
        nonlocal taken, left
        known = _read(before, token, store) if before else Quota()
        taken = wanted(limit - known.leased)
        made = Quota(leased=max(0, known.leased + taken), nonce=uuid.uuid4().hex)
        left = max(0, limit - made.leased)
        return made.model_dump_json().encode() if taken else None

    rewrite(quota_object(token.id, month), store, swapped, pause=pause)
    return taken, left


def _read(data: bytes, token: Token, store: ObjectStore) -> Quota:
    try:
        return Quota.model_validate_json(data)
    except ValidationError as error:
        raise EngineUnusable(
            f"The quota of {token.owner} in {store.url} does not parse. Delete {quota_object(token.id, '…')} there."
        ) from error
