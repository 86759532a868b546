"""Score the forecasts whose closes a file has brought, or corrected.

A score is stored once. It is stored again, with a higher revision, where a correction has changed the close or where a
newer file has replaced the forecast before that close; the sums for the verdict then take the old one back.
"""

import itertools
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain.forecast import LEVELS, RANDOM_WALK, to_digits
from tickercast.domain.frequency import Frequency
from tickercast.domain.measures.scores import BLOCK_DAYS, SUMS, addends, errors
from tickercast.domain.stored_bars import MOST, TOLERANCE, Ints, Mask, places
from tickercast.jobs.serving.store_bars import News
from tickercast.jobs.serving.stored_rows import File, Rows, Stored
from tickercast.ports import Between

_PAIR = ("role", "model_name", "cutoff", "step")
_FORECAST = (
    *("frequency", "target_date", "last_close", *LEVELS, "model_version", "origin", "model_has_seen", "doubtful"),
    "created_at",
    *_PAIR,
)
_OUTCOME = ("actual_close", "walk_loss", "scale")
_DECIMALS = 9  # decimals of log-returns
_SCORE = (*_FORECAST, *_OUTCOME, "revision", "basis")
_KEPT = ("symbol", "simulated", "object", "generation", "written_at")


def score(file: File, news: News, own: Rows, stored: Stored) -> dict[str, pa.Table]:
    """The rows that an event adds to `scores` and `skill_blocks`, once its bars and forecasts are stored.

    Args:
        file: the event's file; scores that an earlier delivery of it stored do not count as stored.
        news: the bars that the file added.
        own: the event's own forecasts, as they were stored.
        stored: the stored rows of the symbols.

    Raises:
        WarehouseUnavailable: try again.
    """
    forecasts, may_be_scored = _candidates(news, own, stored)
    forecasts = _take(forecasts, np.isfinite(forecasts["close_median"]))  # 0.2.0 stored what a damaged model answered
    if not len(forecasts.table):
        return {}
    frequency = stored.frequency
    forecasts, move = _with_moves(_newest(forecasts, frequency), stored)
    if not len(forecasts.table):
        return {}
    scored = _scored(forecasts, move, frequency)
    same, revision = np.zeros(len(move), bool), np.ones(len(move), np.int64)
    old: list[Rows] = []
    if may_be_scored:
        before = _before(file, forecasts, stored)
        at = places(_keys(forecasts, frequency), _keys(before, frequency))
        seen = at >= 0
        same[seen] = _is_same(forecasts, scored, before, at, seen)
        revision[seen] = before["revision"][at[seen]] + 1
        old = [_take(before, at[seen & ~same])]
    new = np.flatnonzero(~same)
    if not len(new):
        return {}
    basis = {"basis": f"{file.object}#{file.generation}", "scored_at": file.written_at}
    added = _table(forecasts, scored | {"revision": revision}, new, frequency)
    sums = [_blocks(_take(forecasts, new), {name: values[new] for name, values in scored.items()}, 1, frequency)]
    sums += [_blocks(rows, {name: rows[name] for name in _OUTCOME}, -1, frequency) for rows in old if len(rows.number)]
    return {
        "scores": _with(added, basis),
        "skill_blocks": _with(pa.concat_tables(sums), {"scored_at": file.written_at}),
    }


def _candidates(news: News, own: Rows, stored: Stored) -> tuple[Rows, bool]:
    """The stored forecasts whose target or cutoff has changed, and the event's own if their closes may be known.

    The second says whether one may have a score already: not where each has waited for a bar that nobody else stores.
    """
    at_once, known, parts, frequency = stored.at_once(), news.known.copy(), [], stored.frequency
    known[at_once] = True
    scored = known[news.changed.symbol]
    changed = news.changed.take(scored)
    if len(changed):
        corrected = changed.key[news.corrected[scored]]
        last = int(changed.number.max()) + frequency.longest_horizon * bool(len(corrected))
        found = _forecasts(np.unique(changed.symbol), int(changed.number.min()), last, stored)
        wanted = np.isin(_bar(found, "target_date", frequency), changed.key)
        parts.append(_take(found, wanted | np.isin(_bar(found, "cutoff", frequency), corrected)))
    ends = {name: frequency.numbers(own[frequency.key(name)]) for name in ("cutoff", "target_date")}
    late = np.isin(own.number, np.concatenate([news.later, at_once])) | (ends["cutoff"] < news.last[own.number])
    if late.any():
        target = ends["target_date"][late]
        found = _forecasts(np.unique(own.number[late]), int(target.min()), int(target.max()), stored)
        parts.append(_take(found, np.isin(_bar(found, "cutoff", frequency), _bar(own, "cutoff", frequency)[late])))
    if not parts:
        return _take(own, np.zeros(len(own.number), bool)), False
    may_be_scored = bool(len(at_once) or len(parts) > 1 or late.any() or news.corrected[scored].any())
    joined = [np.concatenate(arrays) for arrays in zip(*((part.number, part.order) for part in parts), strict=True)]
    table = pa.concat_tables([part.table for part in parts])
    return Rows(table, joined[0], joined[1], parts[0].own, parts[0].live), may_be_scored


def _forecasts(numbers: Ints, first: int, last: int, stored: Stored) -> Rows:
    frequency = stored.frequency
    where = {
        "cutoff": Between(frequency.date_of(first - frequency.longest_horizon), frequency.date_of(last)),
        "target_date": Between(frequency.date_of(first), frequency.date_of(last)),
    }
    symbols = [stored.symbols[number] for number in numbers]
    return stored.read("forecasts", symbols, _names(_FORECAST, frequency), with_own=True, **where)


def _names(columns: tuple[str, ...], frequency: Frequency) -> tuple[str, ...]:
    """The columns, the time from which the close is known, and what names the bar at the cutoff where dates do not."""
    return (*columns, "target_at") if frequency.is_daily else (*columns, "cutoff_at", "target_at")


def _newest(forecasts: Rows, frequency: Frequency) -> Rows:
    """One forecast a symbol, role, model, cutoff and step: the newest live one that was made before its close.

    One that was made later counts only where there is no other, and a backfill only where there is no live one.
    """
    keys, made = _keys(forecasts, frequency), forecasts["created_at"]
    at = pc.rank(forecasts.table["written_at"], tiebreaker="dense").to_numpy()
    live = forecasts["origin"] == "live"
    text = pc.rank(forecasts.table["generation"], tiebreaker="dense").to_numpy()
    order = np.lexsort((made, text, at, ~_backfilled(forecasts), live, keys))
    kept = order[np.append(keys[order][1:] != keys[order][:-1], True)]
    return _take(forecasts, kept)


def _with_moves(forecasts: Rows, stored: Stored) -> tuple[Rows, NDArray[np.float64]]:
    """The forecasts whose cutoff and target are stored, and the log-returns between them."""
    between = Between(_day(forecasts["cutoff"].min()), _day(forecasts["target_date"].max()))
    bar, close = stored.closes(np.unique(forecasts.number), between)
    ends = [places(_bar(forecasts, name, stored.frequency), bar) for name in ("target_date", "cutoff")]
    kept = np.flatnonzero((ends[0] >= 0) & (ends[1] >= 0))
    return _take(forecasts, kept), np.log(close[ends[0][kept]] / close[ends[1][kept]])


def _scored(forecasts: Rows, move: NDArray[np.float64], frequency: Frequency) -> dict[str, NDArray[Any]]:
    """The columns `_OUTCOME` of the forecasts."""
    levels, last_close = {name: forecasts[name] for name in LEVELS}, forecasts["last_close"]
    actual = np.where(move == 0, last_close, to_digits(last_close * np.exp(move)))
    walk = np.flatnonzero(forecasts["model_name"] == RANDOM_WALK)
    twin = _twins(forecasts, frequency)
    walk = walk[np.argsort(twin[walk])]
    at = places(twin, twin[walk])
    walks, has_twin = {name: values[walk] for name, values in levels.items()}, at >= 0
    beside = {"walk_loss": np.full(len(twin), np.nan), "scale": np.full(len(twin), np.nan)}
    beside["walk_loss"][has_twin] = errors(last_close[walk], walks, actual[walk])["loss"][at[has_twin]]
    beside["scale"][has_twin] = np.log(walks["close_hi_80"] / walks["close_lo_80"])[at[has_twin]]
    for values in beside.values():
        values[walk] = np.nan  # its own loss and width say it
    return {"actual_close": actual, **{name: np.round(values, _DECIMALS) for name, values in beside.items()}}


def _before(file: File, forecasts: Rows, stored: Stored) -> Rows:
    """The newest score of each pair in the order of their keys, without those that this file's event has stored."""
    where = {
        name: Between(_day(forecasts[name].min()), _day(forecasts[name].max())) for name in ("cutoff", "target_date")
    }
    symbols = [stored.symbols[number] for number in np.unique(forecasts.number)]
    found = stored.read("scores", symbols, _names(_SCORE, stored.frequency), with_own=True, **where)
    found = _take(found, found["basis"] != f"{file.object}#{file.generation}")
    keys = _keys(found, stored.frequency)
    order = np.lexsort((found["revision"], keys))
    return _take(found, order[np.append(keys[order][1:] != keys[order][:-1], True)[: len(keys)]])


def _is_same(forecasts: Rows, scored: dict[str, NDArray[Any]], before: Rows, at: Ints, seen: Mask) -> Mask:
    same = np.ones(int(seen.sum()), bool)
    for name in ("object", "generation"):
        same &= forecasts[name][seen] == before[name][at[seen]]
    actual = scored["actual_close"][seen]
    same &= np.abs(actual - before["actual_close"][at[seen]]) <= TOLERANCE * actual
    return same


def _blocks(rows: Rows, outcome: dict[str, NDArray[Any]], sign: int, frequency: Frequency) -> pa.Table:
    """The rows of `skill_blocks` that some scores add, or take back."""
    table = rows.table
    made = addends({name: rows[name] for name in _FORECAST} | {"backfilled": _backfilled(rows)} | outcome)
    counts = ~table["simulated"].to_numpy() & ~table["model_has_seen"].to_numpy()
    counts &= ~table["doubtful"].to_numpy()
    day = table["cutoff"].to_numpy().astype("datetime64[D]").astype(np.int64)
    month = table["target_date"].to_numpy().astype("datetime64[M]")
    keys = ["model_name", "model_version", "role", "symbol", "frequency", "step", "block", "month", "has_scale"]
    table = table.append_column("block", pa.array(day // BLOCK_DAYS))
    table = table.append_column("month", pa.array(month.astype("datetime64[D]")))
    table = table.append_column("has_scale", pa.array(made["has_scale"]))
    for name in SUMS:
        column = pa.array(made[name] * sign)
        where = table.schema.get_field_index(name)
        table = table.set_column(where, name, column) if where >= 0 else table.append_column(name, column)
    table, steps = table.filter(pa.array(counts)), _numbered(rows.number * 64 + rows["step"], rows)[counts]
    if len(np.unique(steps)) == len(steps):  # one score a model, symbol and step, as after a daily file, is its own sum
        return table.select([*keys, *SUMS])
    summed = table.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in SUMS])
    return summed.rename_columns({f"{name}_sum": name for name in SUMS}).select([*keys, *SUMS])


def _backfilled(rows: Rows) -> Mask:
    """Whether each forecast was made after its close was known; 0.2.0 stored no moment of that, only the date."""
    made, known = rows["created_at"], rows["target_at"]
    late: Mask = made > known
    undated = np.isnat(known)
    if undated.any():
        late |= undated & (made.astype("datetime64[D]") > rows["target_date"].astype("datetime64[D]"))
    return late


def _table(forecasts: Rows, scored: dict[str, NDArray[Any]], kept: Ints, frequency: Frequency) -> pa.Table:
    table = forecasts.table.take(kept).select([*_KEPT, *_names(_FORECAST, frequency)])
    for name, values in scored.items():
        table = table.append_column(name, pa.array(values[kept], from_pandas=True))
    return table


def _with(rows: pa.Table, same: dict[str, Any]) -> pa.Table:
    for name, value in same.items():
        rows = rows.append_column(name, pa.repeat(value, len(rows)))
    return rows


def _take(rows: Rows, kept: NDArray[Any]) -> Rows:
    wanted = np.flatnonzero(kept) if kept.dtype == bool else kept
    return Rows(rows.table.take(wanted), rows.number[wanted], rows.order[wanted], rows.own, rows.live)


def _bar(rows: Rows, column: str, frequency: Frequency) -> Ints:
    """A number for symbol and bar, in their order, by a column with the bar's date."""
    return rows.number * MOST + frequency.numbers(rows[frequency.key(column)])


def _twins(rows: Rows, frequency: Frequency) -> Ints:
    twins: Ints = _bar(rows, "cutoff", frequency) * 64 + rows["step"]
    return twins


def _keys(rows: Rows, frequency: Frequency) -> Ints:
    """A number for symbol, cutoff, step, role and model."""
    return _numbered(_twins(rows, frequency), rows)


def _numbered(numbers: Ints, rows: Rows) -> Ints:
    """Numbers of rows that tell roles and models apart too."""
    named: Ints = np.zeros(len(numbers), np.int64)
    for name in ("role", "model_name"):
        named = named * 1024 + _codes(rows.table[name])
    numbered: Ints = numbers * (1 << 20) + named
    return numbered


def _codes(texts: pa.ChunkedArray) -> Ints:
    """A number for each text that depends on the text alone: two tables have to give the same."""
    different = texts.combine_chunks().dictionary_encode()
    numbers = np.array([_number(text) for text in different.dictionary.to_pylist()], np.int64)
    return numbers[different.indices.to_numpy()] if len(numbers) else np.empty(0, np.int64)


_NUMBERS: dict[str, int] = {}
_NEXT = itertools.count()


def _number(text: str) -> int:
    found = _NUMBERS.get(text)
    return _NUMBERS.setdefault(text, next(_NEXT)) if found is None else found  # two threads never get the same


def _day(day: np.datetime64) -> date:
    found: date = day.astype("datetime64[D]").item()
    return found
