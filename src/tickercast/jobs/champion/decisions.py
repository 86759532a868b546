"""Carry out a decision on the champion exactly once, wherever an earlier run was interrupted.

A decision is recorded before it is carried out: `decisions/{model}/{day}/{kind}.json`, once. The next run, of whatever
day, finds it there, moves the pointer if that has not happened, and appends the row of `retrains` if that is missing. A
decision that newer ones have overtaken, or that somebody's choice by hand has, moves nothing, and its row says so.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator

from tickercast.domain.cards.model_card import Pointer
from tickercast.domain.frequency import DAILY, Frequency
from tickercast.domain.measures.intervals import Interval, figures
from tickercast.errors import ObjectNotFound, PreconditionFailed
from tickercast.jobs.training.seed import follow
from tickercast.model_store import ModelStore
from tickercast.ports import ModelRegistry, Warehouse

DECIDED_LATER = "a later day, {}, has been decided already"
"""The reason why nothing is decided for a day."""

_CHOSEN_SINCE = "{} {} has been chosen by hand since"
_REMEMBERED = timedelta(days=31)  # before the newest record: so far back the rows of decisions are looked for

Kind = Literal["promotion", "rollback"]

_KINDS: Mapping[str, Kind] = {"promotion": "promotion", "rollback": "rollback"}
_RECORD = re.compile(r"/(\d{4}-\d\d-\d\d)/(promotion|rollback)\.json$")

HOURLY_RECORD = "hourly"
"""The name under which decisions on the models of hourly bars are recorded."""


class Decided(BaseModel):
    """A decision with its numbers: a row of the table `retrains`, whose time is `decided_at`.

    Attributes:
        decided_at: when it was recorded; None before that, and in records of releases up to 0.2.0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    day: date
    kind: Kind
    decision: Literal["promoted", "kept", "demoted", "rolled back", "confirmed"]
    reason: str
    training: str | None = None
    cause: str | None = None
    model_name: str
    champion_version: str
    candidate_version: str | None = None
    origins: int = 0
    pinball_ratio: float | None = None
    pinball_ratio_lo: float | None = None
    pinball_ratio_hi: float | None = None
    walk_ratio: float | None = None
    coverage_80: float | None = None
    report: str | None = None
    run_id: str | None = None
    frequency: Literal["1d", "1h"] = "1d"
    decided_at: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_first_release(cls, content: Any) -> Any:
        """Read a decision of the first release, which called every candidate a challenger."""
        if not isinstance(content, dict) or "challenger_version" not in content:
            return content
        rest = {key: value for key, value in content.items() if key != "challenger_version"}
        return rest | {"candidate_version": content["challenger_version"]}

    @property
    def record(self) -> str:
        """The name in records: by model; models of hours share one, since their champion changes."""
        return self.model_name if self.frequency == DAILY.name else HOURLY_RECORD

    def pointer(self, served: Pointer) -> Pointer:
        """The pointer that follows from the decision.

        Args:
            served: the pointer now; the companions that it names stay.
        """
        match self.decision:
            case "promoted" if self.frequency != DAILY.name:
                return served.exchanged(self.candidate_version or "")
            case "promoted":
                former = self.champion_version if self.champion_version.isdigit() else ""  # a baseline needs no shadow
                return served.pointing(self.candidate_version or "", shadow=former)
            case "demoted":
                return served.demoted(self.candidate_version or "", self._baseline_ratio)
            case "rolled back":
                return served.returning(self.candidate_version or "")
            case _:
                return served.pointing(self.champion_version)

    @property
    def _baseline_ratio(self) -> float | None:
        """The loss of a demotion's baseline over the random walk's; None where that was not measured."""
        return self.walk_ratio / self.pinball_ratio if self.walk_ratio and self.pinball_ratio else None

    def overtaken(self, later: pd.DataFrame) -> "Decided":
        """The decision beside those of later days: kept, unless it was carried out before they were made.

        Args:
            later: the rows of `retrains` of later days, oldest first.
        """
        if later.empty or self.decision == "kept" or later["champion_version"].iloc[0] == self._serves:
            return self
        return self.model_copy(update={"decision": "kept", "reason": DECIDED_LATER.format(_newest(later))})

    def beside(self, served: Pointer) -> "Decided":
        """The decision beside what is served: kept, if somebody has chosen that by hand since.

        Args:
            served: the pointer now.
        """
        if self._is_carried_out(served):
            return self
        by_hand = served.rolled_back_at
        at = self.decided_at
        is_older = by_hand is not None and (at < by_hand if at else self.day <= by_hand.date())
        if served.serving == self.champion_version and not is_older:
            return self
        chosen = _CHOSEN_SINCE.format(self.model_name, served.serving)
        return self.model_copy(update={"decision": "kept", "reason": chosen})

    def moves(self, served: Pointer) -> bool:
        """Whether a pointer has still to be moved to carry it out."""
        return self.decision != "kept" and not self._is_carried_out(served)

    def _is_carried_out(self, served: Pointer) -> bool:
        ends_probation = self.decision == "confirmed"  # the same version is served before and after
        return served.same_as(self.pointer(served)) or (not ends_probation and served.serving == self._serves)

    def among(self, rows: pd.DataFrame) -> bool:
        """Whether it has been carried out: rows of `retrains` of its model have one of its day and kind."""
        return bool(((rows["day"] == pd.Timestamp(self.day)) & (rows["kind"] == self.kind)).any())

    @property
    def _serves(self) -> str | None:
        """The version that is served once the decision is carried out."""
        return self.champion_version if self.decision == "confirmed" else self.candidate_version


def ratio_figures(ratio: Interval | None) -> dict[str, float | None]:
    """The ratio of a decision and the ends of its interval; None where it, or they, are not known."""
    unknown = dict.fromkeys(("pinball_ratio", "pinball_ratio_lo", "pinball_ratio_hi"))
    return unknown | (figures("pinball_ratio", ratio) if ratio else {})


def recorded_decision(models: ModelStore, name: str, day: date, kind: Kind) -> Decided | None:
    """The recorded decision of a day, or None.

    Raises:
        StoreUnavailable: try again.
    """
    try:
        return Decided.model_validate_json(models.store.read(_object(name, day, kind)))
    except ObjectNotFound:
        return None


def carry_out(
    decided: Decided, *, models: ModelStore, registry: ModelRegistry | None, warehouse: Warehouse, now: datetime
) -> Decided:
    """Record a decision, move the pointer and append the row; a repeated call changes nothing.

    The registry's alias follows where a registry is given: hourly versions, which each month brings, are not in it.

    Returns:
        The decision, or the one that an earlier run recorded for that day; kept where a later day has been decided, or
        somebody has chosen by hand since.

    Raises:
        PreconditionFailed: the pointer changed in this moment; try again.
        BundleError, ModelUnavailable: the version cannot be served.
        Transient: try again.
    """
    earlier = decisions(warehouse, decided.model_name)
    later = after(earlier, decided.day)
    decided = decided.overtaken(later).model_copy(update={"decided_at": now})
    try:
        content = decided.model_dump_json(indent=2).encode() + b"\n"
        models.store.write(_object(decided.record, decided.day, decided.kind), content, if_generation="")
    except PreconditionFailed:
        recorded = recorded_decision(models, decided.record, decided.day, decided.kind) or decided
        decided = recorded.overtaken(later)
    if decided.among(earlier):
        return decided
    if decided.decision != "kept" and later.empty:
        decided = _moved(decided, models)
    row = pd.DataFrame([decided.model_dump(exclude={"decided_at"}) | {"created_at": decided.decided_at or now}])
    warehouse.append("retrains", row, key=f"retrains/{decided.model_name}/{decided.day}/{decided.kind}")
    if registry and decided.decision != "kept":
        follow(registry, models)  # the row is there: where the registry does not answer, the next run does only this
    return decided


def finish_decisions(*, models: ModelStore, warehouse: Warehouse, now: datetime) -> Decided | None:
    """Carry out the recent decisions on daily models that an interrupted run left without a row of `retrains`.

    The newest comes first, and moves the pointer if need be; those before it are overtaken. Their days need not be run
    again. The registry's alias is left to follow.

    Returns:
        The newest of them as it was carried out; None if there were none.

    Raises:
        BundleError, ModelUnavailable: the version cannot be served.
        Transient: try again.
    """
    name = models.pointer().name
    recorded = _recorded(models, name)
    if not recorded:
        return None
    rows, since = decisions(warehouse, name), recorded[0][0] - _REMEMBERED
    known = {(day.date(), kind) for day, kind in zip(rows["day"], rows["kind"], strict=True)}
    left = [one for one in recorded if one[0] > since and one not in known]
    found = [decided for day, kind in left if (decided := recorded_decision(models, name, day, kind))]
    done = [carry_out(one, models=models, registry=None, warehouse=warehouse, now=now) for one in found]
    return next(iter(done), None)


def _recorded(models: ModelStore, name: str) -> list[tuple[date, Kind]]:
    """The days and kinds of the recorded decisions on a model, the newest first; a day's rollback came first."""
    names = models.store.names(f"decisions/{name}/")
    found = [(date.fromisoformat(match[1]), _KINDS[match[2]]) for match in map(_RECORD.search, names) if match]
    return sorted(found, key=lambda one: (one[0], one[1] == "promotion"), reverse=True)


def decisions(warehouse: Warehouse, name: str) -> pd.DataFrame:
    """All rows of `retrains` of a model, oldest first.

    Raises:
        WarehouseUnavailable: try again.
    """
    return warehouse.read("retrains", {"model_name": name}).sort_values(["day", "created_at"], ignore_index=True)


def after(rows: pd.DataFrame, day: date) -> pd.DataFrame:
    """The rows of `retrains` of days after one."""
    return rows[rows["day"] > pd.Timestamp(day)]


def decided_later(rows: pd.DataFrame, day: date) -> str:
    """The reason why nothing is decided for a day of the past: `retrains` has a later one; empty if it has none."""
    later = after(rows, day)
    return "" if later.empty else DECIDED_LATER.format(_newest(later))


def decided_by(pointer: Pointer, frequency: Frequency, warehouse: Warehouse) -> str:
    """The decision that led to what is served, and its reason; empty if somebody has chosen by hand since.

    Args:
        pointer: the pointer at the served model.
        frequency: the frequency of the bars.
        warehouse: where decisions are kept.

    Raises:
        WarehouseUnavailable: try again.
    """
    rows = warehouse.read("retrains")
    moved = rows["decision"].isin(["promoted", "demoted", "rolled back"])
    moved &= rows["frequency"].fillna(DAILY.name) == frequency.name
    newest = rows[moved].sort_values(["day", "created_at"]).tail(1)
    if pointer.rolled_back_at:
        newest = newest[newest["created_at"] > pointer.rolled_back_at]
    served = pointer.baseline or (pointer.version if frequency.is_daily else pointer.name)
    newest = newest[newest["candidate_version"] == served]
    return "".join(f"{decision}: {why}" for decision, why in newest[["decision", "reason"]].to_numpy())


def _newest(rows: pd.DataFrame) -> date:
    return pd.Timestamp(rows["day"].max()).date()


def _moved(decided: Decided, models: ModelStore) -> Decided:
    """Move the pointer, unless that has been done or somebody has chosen by hand since; the decision as it is then."""
    live, served = models.generation(), models.pointer()
    decided = decided.beside(served)
    if decided.moves(served):
        models.point(decided.pointer(served), replacing=live)
    return decided


def _object(name: str, day: date, kind: str) -> str:
    return f"decisions/{name}/{day}/{kind}.json"
