"""Read back what an upload led to, once it is there: for each symbol its stored forecast, or the stored reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from tickercast.domain.bars import SIMULATED
from tickercast.domain.forecast import LEVELS, RANDOM_WALK, SHADOW
from tickercast.errors import FunctionUnavailable, Permanent
from tickercast.jobs.requests.ledger import NO_PATIENCE, Patience, accounted
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import Warehouse


@dataclass(frozen=True)
class StoredForecast:
    """The champion's forecast of one symbol, as the warehouse holds it.

    Attributes:
        symbol: the series.
        cutoff: the forecast origin.
        last_close: the close there.
        model_name: who made it.
        model_version: which version of it.
        object: the file that it was made from.
        generation: the version of that file.
        steps: ten mappings with `step`, `target_date` and the five closes of `LEVELS`.
        note: what must be known of the bars («simulated»), or empty.
    """

    symbol: str
    cutoff: date
    last_close: float
    model_name: str
    model_version: str
    object: str
    generation: int
    steps: Sequence[Mapping[str, Any]]
    note: str = ""


@dataclass(frozen=True)
class Collected:
    """What an upload led to: forecasts in the order of the upload, and the reason for each other symbol."""

    forecasts: Sequence[StoredForecast] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)


def collect(uploaded: Upload, *, warehouse: Warehouse, patience: Patience = NO_PATIENCE) -> Collected:
    """Reads the ledger and the views for one upload.

    Where a later run has replaced a forecast for the same cutoff by now, the newer one is given, under its
    own object and generation.

    Args:
        uploaded: what was sent.
        warehouse: where the function stores.
        patience: how long to wait for the function.

    Raises:
        FunctionUnavailable: a symbol of the upload is not accounted for.
        WarehouseUnavailable: try again.
    """
    ledger = accounted(uploaded.object, uploaded.generation, warehouse=warehouse, patience=patience)
    done = ledger[ledger["status"] == "forecast"]
    failures = _failures(uploaded, ledger[ledger["status"] != "forecast"])
    missing = set(uploaded.symbols) - set(done["symbol"]) - set(failures)
    if missing:
        raise FunctionUnavailable(
            f"{uploaded.object} was uploaded, and {f'{patience.seconds:.0f} s later ' if patience.seconds else ''}"
            f"neither a forecast nor a reason is stored for {', '.join(sorted(missing))}. Check that the function is "
            f"deployed and what it logs; look later with tickercast ingestions {uploaded.object}, or send the file "
            f"again with tickercast replay {uploaded.object}."
        )
    return Collected(_forecasts(uploaded, done, warehouse) if len(done) else [], failures)


def collect_all(
    uploads: Sequence[Upload], symbols: Sequence[str], *, warehouse: Warehouse, patience: Patience = NO_PATIENCE
) -> tuple[Collected, list[FunctionUnavailable]]:
    """Reads what several uploads led to; one that is not accounted for does not sink the others.

    Args:
        uploads: what was sent.
        symbols: the order that the forecasts shall have.
        warehouse: where the function stores.
        patience: how long to wait for the function, for all together.

    Returns:
        What is there, and a reason for each upload that is not accounted for.

    Raises:
        FunctionUnavailable: none of them is.
        WarehouseUnavailable: try again.
    """
    found: list[Collected] = []
    lost: list[FunctionUnavailable] = []
    for uploaded in uploads:
        try:
            found.append(collect(uploaded, warehouse=warehouse, patience=patience))
        except FunctionUnavailable as error:
            lost.append(error)
    if lost and not found:
        raise lost[0]
    rank = {symbol: number for number, symbol in enumerate(symbols)}
    forecasts = sorted((made for each in found for made in each.forecasts), key=lambda made: rank.get(made.symbol, -1))
    return Collected(forecasts, {name: why for each in found for name, why in each.failures.items()}), lost


def _failures(uploaded: Upload, rejected: pd.DataFrame) -> dict[str, Permanent]:
    failures: dict[str, Permanent] = {}
    for symbol, reason in zip(rejected["symbol"], rejected["reason"], strict=True):
        for name in [symbol] if pd.notna(symbol) else uploaded.symbols:
            if name in uploaded.symbols:
                failures[name] = Permanent(reason)
    return failures


def _forecasts(uploaded: Upload, done: pd.DataFrame, warehouse: Warehouse) -> list[StoredForecast]:
    wanted = {"symbol": list(done["symbol"]), "cutoff": list(done["cutoff"].dt.date.unique())}
    history = warehouse.read("forecast_history", wanted)
    asked = done[["symbol", "cutoff"]].assign(simulated=done["reason"].eq(SIMULATED))
    champion = history[~history["model_name"].isin([RANDOM_WALK, SHADOW])].merge(asked)
    newest = champion[champion["generation"] == champion.groupby("symbol")["generation"].transform("max")]
    stored: dict[str, list[dict[str, Any]]] = {}
    for row in newest.sort_values("step").to_dict("records"):
        stored.setdefault(row["symbol"], []).append({str(name): value for name, value in row.items()})
    return [_stored(stored[symbol]) for symbol in uploaded.symbols if symbol in stored]


def _stored(rows: Sequence[Mapping[str, Any]]) -> StoredForecast:
    first = rows[0]
    return StoredForecast(
        symbol=first["symbol"],
        cutoff=first["cutoff"].date(),
        last_close=first["last_close"],
        model_name=first["model_name"],
        model_version=first["model_version"],
        object=first["object"],
        generation=first["generation"],
        steps=[_step(row) for row in rows],
        note=SIMULATED if first["simulated"] else "",
    )


def _step(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"step": row["step"], "target_date": row["target_date"].date(), **{name: row[name] for name in LEVELS}}
