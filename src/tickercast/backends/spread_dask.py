"""Spread the forecasts of an evaluation over processes of this machine, or over a Dask cluster elsewhere.

Each model is sent to the workers once, and each symbol's bars once for all models. A worker needs the same release of
tickercast.
"""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tickercast.domain.forecast import Predictor
from tickercast.domain.measures.evaluation import Floats, Origins, Spread
from tickercast.errors import EngineUnusable, UsageError

_CONNECT_S = 10
_AHEAD = 64  # symbols whose bars are on the workers at a time
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://\S+:\d+")


@contextmanager
def spread(where: str) -> Iterator[Spread]:
    """Connect to the workers, for as long as the block runs.

    Args:
        where: a number of processes, or the address of a scheduler, such as `tcp://10.0.0.5:8786`.

    Raises:
        UsageError: the text is neither a number nor an address, or no scheduler answers there.
    """
    import distributed

    client_of: Any = distributed.Client
    cluster_of: Any = distributed.LocalCluster
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if where.isascii() and where.isdigit() and int(where):
        cluster = cluster_of(
            n_workers=int(where),
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )
        with cluster, client_of(cluster) as client:
            yield _on(client)
        return
    if not _ADDRESS.fullmatch(where):
        raise UsageError(
            f"--dask is {where[:60]!r}: a number of processes, such as 4, or the address of a scheduler, such as "
            "tcp://10.0.0.5:8786, was needed. Correct it."
        )
    try:
        client = client_of(where, timeout=_CONNECT_S)
    except OSError as error:
        raise UsageError(
            f"No Dask scheduler answers at {where} within {_CONNECT_S} s. Start one (dask scheduler), or name a number "
            "of processes instead."
        ) from error
    with client:
        yield _on(client)


def _on(client: Any) -> Spread:
    def run(
        work: Callable[[Predictor, Origins], Floats], models: Sequence[Predictor], found: Sequence[Origins]
    ) -> Iterator[Floats]:
        sent = client.scatter(list(models), broadcast=True, hash=False)
        for start in range(0, len(found), _AHEAD):
            futures: list[Any] = []
            for origins in found[start : start + _AHEAD]:
                series = client.scatter(origins, hash=False)
                futures += [client.submit(work, model, series, pure=False) for model in sent]
            for future in futures:
                yield _result(future)

    return run


def _result(future: Any) -> Floats:
    from distributed import CancelledError, KilledWorker

    try:
        made: Floats = future.result()
    except (KilledWorker, CancelledError) as error:
        raise EngineUnusable(
            f"The Dask workers end while they forecast ({type(error).__name__}): they run out of memory, or have "
            "another release of tickercast. Start fewer or larger ones."
        ) from error
    return made
