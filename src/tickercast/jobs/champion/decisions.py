"""Settle: carry a decision about the served model out, once, wherever a run before was stopped.

A decision is written down before anything follows from it: `decisions/{model}/{day}/{kind}.json`, once. Whoever comes
back to that day finds it there, moves the pointer if it has not been moved, and appends the row of `retrains` if it is
not there. A decision that newer ones have overtaken moves nothing any more.
"""

from datetime import date, datetime
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from tickercast.domain.model_card import CHAMPION, CHAMPION_ALIAS, Pointer
from tickercast.errors import ObjectNotFound, PreconditionFailed
from tickercast.jobs.champion.model_store import point_champion, read_pointer
from tickercast.ports import ModelRegistry, ObjectStore, Warehouse

Kind = Literal["promotion", "rollback"]


class Decided(BaseModel):
    """A decision with its numbers: a row of the table `retrains`, without its time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    kind: Kind
    decision: Literal["promoted", "kept", "rolled back", "confirmed"]
    reason: str
    training: str | None = None
    cause: str | None = None
    model_name: str
    champion_version: str
    challenger_version: str | None = None
    origins: int = 0
    pinball_ratio: float | None = None
    pinball_ratio_lo: float | None = None
    pinball_ratio_hi: float | None = None
    walk_ratio: float | None = None
    coverage_80: float | None = None
    report: str | None = None
    run_id: str | None = None

    def pointer(self) -> Pointer:
        """What is served after it."""
        match self.decision:
            case "promoted":
                version, shadow = self.challenger_version or "", self.champion_version
            case "rolled back":
                version, shadow = self.challenger_version or "", ""
            case _:
                version, shadow = self.champion_version, ""
        return Pointer(name=self.model_name, version=version, shadow=shadow)


def recorded(store: ObjectStore, name: str, day: date, kind: Kind) -> Decided | None:
    """The decision of a day that has been written down, None where none has.

    Raises:
        StoreUnavailable: try again.
    """
    try:
        return Decided.model_validate_json(store.read(_object(name, day, kind)))
    except ObjectNotFound:
        return None


def settle(
    decided: Decided, *, store: ObjectStore, registry: ModelRegistry, warehouse: Warehouse, now: datetime
) -> Decided:
    """Writes a decision down, carries it out and appends its row; done again, nothing changes.

    Returns:
        What was decided: where another run had written a decision down for that day before, that one.

    Raises:
        PreconditionFailed: another version has come to be served since it was decided.
        BundleError, ModelUnavailable: the version that is to be served cannot be.
        Transient: try again.
    """
    try:
        store.write(_object(decided.model_name, decided.day, decided.kind), _bytes(decided), if_generation=0)
    except PreconditionFailed:
        decided = recorded(store, decided.model_name, decided.day, decided.kind) or decided
    history = decisions(warehouse, decided.model_name)
    done = (history["day"] == pd.Timestamp(decided.day)) & (history["kind"] == decided.kind)
    if done.any():
        return decided
    if decided.decision != "kept" and not (history["day"] > pd.Timestamp(decided.day)).any():
        _carry_out(decided, store, registry)
    row = pd.DataFrame([decided.model_dump() | {"created_at": now}])
    warehouse.append("retrains", row, key=f"retrains/{decided.model_name}/{decided.day}/{decided.kind}")
    return decided


def decisions(warehouse: Warehouse, name: str) -> pd.DataFrame:
    """All rows of `retrains` of a model, oldest first.

    Raises:
        WarehouseUnavailable: try again.
    """
    return warehouse.read("retrains", {"model_name": name}).sort_values(["day", "created_at"], ignore_index=True)


def _carry_out(decided: Decided, store: ObjectStore, registry: ModelRegistry) -> None:
    live, wanted = store.generation(CHAMPION), decided.pointer()
    served = read_pointer(store)
    if served.version == decided.champion_version and served != wanted:
        point_champion(store, wanted.name, wanted.version, shadow=wanted.shadow, replacing=live)
    elif served != wanted:
        raise PreconditionFailed(
            f"{decided.model_name} {served.version} has come to be served since {decided.champion_version} was "
            f"{decided.decision} on {decided.day}, and was left alone. Look at `tickercast models`; the next day's run "
            "decides anew."
        )
    if registry.aliased(wanted.name, CHAMPION_ALIAS) != wanted.version:
        registry.set_alias(wanted.name, CHAMPION_ALIAS, wanted.version)


def _object(name: str, day: date, kind: str) -> str:
    return f"decisions/{name}/{day}/{kind}.json"


def _bytes(decided: Decided) -> bytes:
    return decided.model_dump_json(indent=2).encode() + b"\n"
