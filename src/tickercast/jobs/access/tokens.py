"""Create, list and revoke tokens; each change is one compare-and-swap of the list."""

import uuid
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from tickercast.domain.text import shown
from tickercast.domain.tokens import NAME, Token, TokenList
from tickercast.errors import EngineUnusable, ObjectNotFound, UsageError
from tickercast.jobs.rewrite import rewrite
from tickercast.ports import ObjectStore

_BEFORE = {"revoked": "was revoked before", "expired": "has ended before"}


def read_tokens(store: ObjectStore) -> TokenList:
    """All tokens; none where none was ever made.

    Raises:
        EngineUnusable: the list is damaged.
        StoreUnavailable: try again.
    """
    try:
        return _parsed(store.read(NAME), store)
    except ObjectNotFound:
        return TokenList()


def add_token(token: Token, store: ObjectStore) -> None:
    """Add a token to the list.

    Raises:
        UsageError: a valid token has the same owner.
        EngineUnusable, StoreUnavailable: as `read_tokens`.
    """

    def added(known: TokenList) -> TokenList:
        if any(one.owner == token.owner and one.state(token.created_at) == "valid" for one in known.tokens):
            raise UsageError(
                f"{token.owner} has a token already: another name was needed, so that each can be revoked alone. Name "
                f"it otherwise, or first: tickercast tokens revoke {token.owner!r}."
            )
        return known.model_copy(update={"tokens": (*known.tokens, token)})

    _change(added, store)


def revoke_token(name: str, store: ObjectStore, *, now: datetime) -> Token:
    """Revoke the valid token of an id or an owner, and return it.

    Raises:
        UsageError: no token has that id or owner, or it was revoked or has ended before.
        EngineUnusable, StoreUnavailable: as `read_tokens`.
    """
    revoked: list[Token] = []

    def without(known: TokenList) -> TokenList:
        named = [one for one in known.tokens if one.id == name] or [one for one in known.tokens if one.owner == name]
        valid = next((one for one in named if one.state(now) == "valid"), None)
        if valid is None:
            seen = _BEFORE[named[-1].state(now)] if named else "is no token's id or owner"
            raise UsageError(f"{shown(name, 64)!r} {seen}: one that tickercast tokens list shows as valid was needed.")
        revoked[:] = [valid.model_copy(update={"revoked_at": now})]
        kept = (revoked[0] if one.id == valid.id else one for one in known.tokens)
        return known.model_copy(update={"tokens": tuple(kept)})

    _change(without, store)
    return revoked[0]


def _change(change: Callable[[TokenList], TokenList], store: ObjectStore) -> None:
    def changed(before: bytes) -> bytes:
        made = change(_parsed(before, store) if before else TokenList())
        return made.model_copy(update={"nonce": uuid.uuid4().hex}).model_dump_json(indent=1).encode()

    rewrite(NAME, store, changed)


def _parsed(data: bytes, store: ObjectStore) -> TokenList:
    try:
        return TokenList.model_validate_json(data)
    except ValidationError as error:
        raise EngineUnusable(
            f"{NAME} in {store.url} does not parse, so that nobody is let in. Restore an earlier generation of it."
        ) from error
