"""Wait for the function, and read the result of an upload: for each symbol the stored forecast, or the reason."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import pandas as pd

from tickercast.domain.findings import has_no_forecast
from tickercast.domain.forecast import Forecast
from tickercast.errors import FunctionUnavailable, Permanent
from tickercast.jobs.requests.upload import Upload
from tickercast.ports import Warehouse
from tickercast.reading.forecasts import stored_forecasts

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 5.0


class Patience:
    """The patience with the function, counted from now; several waits share the time.

    Args:
        seconds: the seconds for which to look again; 0 looks once.
        on_wait: called before each pause with the seconds waited so far.
        clock: seconds, never decreasing.
        sleep: pauses for a number of seconds.
    """

    def __init__(
        self,
        seconds: float = 0.0,
        on_wait: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.seconds = seconds
        self._on_wait = on_wait
        self._clock = clock
        self._sleep = sleep
        self._started = clock()

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._waited() >= self.seconds

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        waited = self._waited()
        self._on_wait(waited)
        self._sleep(max(0.0, min(seconds, self.seconds - waited)))

    def _waited(self) -> float:
        return self._clock() - self._started


NO_PATIENCE = Patience()
"""Reads once, without waiting."""


@dataclass(frozen=True)
class Results:
    """The results of an upload: forecasts in the order of the upload, and the reason for each other symbol."""

    forecasts: Sequence[Forecast] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """The answers of the ledger about several uploads.

    Attributes:
        symbols: the forecast symbols.
        failures: the reason for each other.
        forecasts: the number of forecasts: a symbol has one for each session that was sent.
    """

    symbols: Sequence[str] = ()
    failures: Mapping[str, Permanent] = field(default_factory=dict)
    forecasts: int = 0


def wait_for_ledger(name: str, generation: str, *, warehouse: Warehouse, patience: Patience) -> pd.DataFrame:
    """Read the ledger's rows of one write, waiting for them.

    A superseded write is followed to the newest one that was not.

    Args:
        name: the object's name.
        generation: the version that was written.
        warehouse: where the function stores.
        patience: the time limit; after it, whatever is there is returned, perhaps nothing.

    Raises:
        WarehouseUnavailable: try again.
    """
    [rows] = _wait_for_ledgers([(name, generation)], warehouse, patience)
    return rows


def _wait_for_ledgers(
    writes: Sequence[tuple[str, str]], warehouse: Warehouse, patience: Patience
) -> Sequence[pd.DataFrame]:
    """The ledger's rows of each write, all by one query, until none is missing or the time is up."""
    names = sorted({name for name, _ in writes})
    if not names:
        return []
    pause = _FIRST_PAUSE_S
    while True:
        ledger = warehouse.read("ingestions", {"object": names})
        found = [_newest_answer(ledger[ledger["object"] == name], generation) for name, generation in writes]
        if patience.is_over() or not any(rows.empty or _is_superseded(rows) for rows in found):
            return found
        patience.pause(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)


def read_results(
    uploaded: Upload, *, warehouse: Warehouse, patience: Patience = NO_PATIENCE, model: str = ""
) -> Results:
    """Read the results of one upload.

    Args:
        uploaded: the upload.
        warehouse: where the function stores.
        patience: the time limit for waiting for the function.
        model: the model whose forecasts are read; the champion if it is empty.

    Raises:
        FunctionUnavailable: a symbol of the upload is not accounted for.
        WarehouseUnavailable: try again.
    """
    results, _ = read_all_results([uploaded], uploaded.symbols, warehouse=warehouse, patience=patience, model=model)
    return results


def read_all_results(
    uploads: Sequence[Upload],
    symbols: Sequence[str],
    *,
    warehouse: Warehouse,
    patience: Patience = NO_PATIENCE,
    model: str = "",
) -> tuple[Results, list[FunctionUnavailable]]:
    """Read the results of several uploads; one that is not accounted for does not fail the others.

    Args:
        uploads: the uploads.
        symbols: the order of the forecasts.
        warehouse: where the function stores.
        patience: the time limit for waiting for the function, for all together.
        model: the model whose forecasts are read; the champion if it is empty.

    Returns:
        The results, and a reason for each upload that is not accounted for.

    Raises:
        FunctionUnavailable: none of them is accounted for.
        WarehouseUnavailable: try again.
    """
    found, lost = _answered(uploads, warehouse, patience)
    made: dict[str, Forecast] = {}
    failures: dict[str, Permanent] = {}
    for done, reasons in found:
        stored = stored_forecasts(done, warehouse, model=model)
        made |= stored
        failures |= reasons | (_not_forecast(done[~done["symbol"].isin(list(stored))], model) if model else {})
    return Results([made[symbol] for symbol in _in_order(made, symbols)], failures), lost


def read_answers(
    uploads: Sequence[Upload], symbols: Sequence[str], *, warehouse: Warehouse, patience: Patience = NO_PATIENCE
) -> tuple[Answers, list[FunctionUnavailable]]:
    """Read from the ledger alone what was forecast of several uploads: a hundredth of what the forecasts are.

    Args:
        uploads: the uploads.
        symbols: the order of the symbols that were forecast.
        warehouse: where the function stores.
        patience: the time limit for waiting for the function, for all together.

    Returns:
        The answers, and a reason for each upload that is not accounted for.

    Raises:
        FunctionUnavailable, WarehouseUnavailable: as `read_all_results`.
    """
    found, lost = _answered(uploads, warehouse, patience)
    done = [symbol for rows, _ in found for symbol in rows["symbol"]]
    failures = {name: why for _, whys in found for name, why in whys.items()}
    return Answers(_in_order(set(done), symbols), failures, len(done)), lost


def _in_order(made: Iterable[str], symbols: Sequence[str]) -> list[str]:
    rank = {symbol: number for number, symbol in enumerate(symbols)}
    return sorted(made, key=lambda symbol: rank.get(symbol, -1))


def _answered(
    uploads: Sequence[Upload], warehouse: Warehouse, patience: Patience
) -> tuple[list[tuple[pd.DataFrame, dict[str, Permanent]]], list[FunctionUnavailable]]:
    """The ledger's rows of forecasts for each upload, and the reason for each other symbol."""
    found: list[tuple[pd.DataFrame, dict[str, Permanent]]] = []
    lost: list[FunctionUnavailable] = []
    writes = [(uploaded.object, uploaded.generation) for uploaded in uploads]
    for uploaded, ledger in zip(uploads, _wait_for_ledgers(writes, warehouse, patience), strict=True):
        done = ledger[ledger["status"] == "forecast"]
        failures = _failures(uploaded, ledger[ledger["status"] != "forecast"], set(done["symbol"]))
        if missing := set(uploaded.symbols) - set(done["symbol"]) - set(failures):
            lost.append(_unaccounted(uploaded, missing, patience))
        else:
            found.append((done[done["symbol"].isin(uploaded.symbols)], failures))
    if lost and not found:
        raise lost[0]
    return found, lost


def _unaccounted(uploaded: Upload, missing: Set[str], patience: Patience) -> FunctionUnavailable:
    return FunctionUnavailable(
        f"{uploaded.object} was uploaded, and {f'{patience.seconds:.0f} s later ' if patience.seconds else ''}"
        f"neither a forecast nor a reason is stored for {', '.join(sorted(missing))}. Check that the function is "
        f"deployed and what it logs; look later with tickercast ingestions {uploaded.object}, or send the file "
        f"again with tickercast replay {uploaded.object}."
    )


def _newest_answer(ledger: pd.DataFrame, generation: str) -> pd.DataFrame:
    rows = ledger[ledger["generation"] == generation]
    if rows.empty or not _is_superseded(rows):
        return rows
    later = ledger[(ledger["written_at"] > rows["written_at"].max()) & ledger["status"].ne("superseded")]
    return rows if later.empty else later[later["written_at"] == later["written_at"].max()]


def _is_superseded(rows: pd.DataFrame) -> bool:
    return bool(rows["status"].eq("superseded").all())


_NOT_SERVED = (
    "it was not among the models that forecast the file. Name it in TICKERCAST_MODELS where the function runs, and "
    "send the file again."
)


def _not_forecast(rows: pd.DataFrame, model: str) -> dict[str, Permanent]:
    """The reason why a model forecast none of these symbols, which the champion has forecast."""
    failures: dict[str, Permanent] = {}
    for symbol, findings in zip(rows["symbol"], rows["findings"].fillna(""), strict=True):
        reason = f"{findings}." if has_no_forecast(model, findings) else _NOT_SERVED
        failures[symbol] = Permanent(f"{symbol} is forecast by the champion, and not by {model}: {reason}")
    return failures


def _failures(uploaded: Upload, rejected: pd.DataFrame, done: Set[str]) -> dict[str, Permanent]:
    """The reason for each symbol: its own, or that of the file, which stands for all that have none."""
    failures: dict[str, Permanent] = {}
    for reason in rejected.loc[rejected["symbol"].isna(), "reason"]:
        failures |= {name: Permanent(reason) for name in uploaded.symbols if name not in done}
    named = rejected[rejected["symbol"].isin(uploaded.symbols)]
    own = zip(named["symbol"], named["reason"], strict=True)
    return failures | {symbol: Permanent(reason) for symbol, reason in own}
