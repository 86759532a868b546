"""The stored rows of a file's symbols, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tickercast.domain.bars import Bars
from tickercast.domain.forecast import Origin
from tickercast.domain.objects import origin_of
from tickercast.domain.stored_bars import Columns, Ints, Mask, Rank, month_keys, newest
from tickercast.ports import Between, Warehouse

_ENTRY = ("object", "generation", "symbol")


@dataclass(frozen=True)
class File:
    """A file of prices, as rows name it.

    Attributes:
        object: the object's name.
        generation: the version of it.
        written_at: when it was written.
    """

    object: str
    generation: str
    written_at: datetime

    @property
    def rank(self) -> Rank:
        """The place of the file in the order of files."""
        return Rank(origin_of(self.object) is Origin.LIVE, self.written_at, self.generation)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of every table that name it."""
        return {"object": self.object, "generation": self.generation, "written_at": self.written_at}


@dataclass(frozen=True)
class Rows:
    """Rows of a table about the symbols of a file.

    Attributes:
        table: the rows.
        number: `(n,)`, the number of each row's symbol.
        order: `(n,)`, the place of each row's file among all files of the rows and the one compared.
        own: the place of that one.
        live: the place from which files are live; those before are backfills.
    """

    table: pa.Table
    number: Ints
    order: Ints
    own: int
    live: int

    def __getitem__(self, column: str) -> NDArray[Any]:
        values: NDArray[Any] = self.table[column].to_numpy()
        return values


class Stored:
    """The stored rows of a file's symbols, in the frequency of its bars."""

    def __init__(self, file: File, series: Sequence[Bars], warehouse: Warehouse, *, alone: bool = False) -> None:
        """Ask nothing yet; `alone` says that nobody else writes meanwhile, and that files are stored whole or not."""
        self._file, self._warehouse, self._alone = file, warehouse, alone
        self.symbols = [bars.symbol for bars in series]
        self.frequency = series[0].frequency
        self._simulated = np.array([bars.simulated for bars in series], bool)
        self._finished: pa.ChunkedArray = pa.chunked_array([], pa.string())

    def numbered(self, rows: pa.Table) -> Rows:
        """Rows about these symbols that are not stored yet."""
        number = pc.index_in(rows["symbol"].cast(pa.string()), pa.array(self.symbols)).to_numpy().astype(np.int64)
        return Rows(rows, number, np.zeros(len(rows), np.int64), 0, 0)

    def spans(self, unfinished_since: datetime) -> tuple[Rows, Mask]:
        """The files that may matter, one row a symbol, and which of them are finished.

        These are newer ones and, where others write meanwhile, all that were written from a moment on.
        """
        since = self._since = self._file.written_at if self._alone else min(self._file.written_at, unfinished_since)
        names = self.frequency.keys("first_session", "last_session")
        others = self.read("spans", self.symbols, names, written_at=Between(since, None))
        if self._alone or not len(others.table):
            return others, np.ones(len(others.table), bool)
        objects = pc.unique(others.table["object"]).to_pylist()
        ledger = self._warehouse.read_arrow("ingestions", {"object": objects}, _ENTRY)
        self._finished = _joined(ledger, _ENTRY)
        return others, _among(others.table, self._finished)

    def at_once(self) -> Ints:
        """The numbers of the symbols of which another file was not finished when `spans` was asked."""
        if self._alone:
            return np.empty(0, np.int64)
        others = self.read("spans", self.symbols, [], written_at=Between(self._since, None))
        return np.unique(others.number[~_among(others.table, self._finished)])

    def digests(self) -> tuple[Rows, Ints]:
        """The newest digest of each symbol's month, in the order of their keys, and these."""
        known = self.read("digests", self.symbols, ["month", "bars", "digest"])
        keys = month_keys(known.number, known["month"])
        order = np.lexsort((known.order, keys))
        kept = order[np.append(keys[order][1:] != keys[order][:-1], True)[: len(keys)]]
        found = known.table.select(["bars", "digest"]).take(kept)
        return Rows(found, known.number[kept], known.order[kept], known.own, known.live), keys[kept]

    def bars(self, numbers: Ints, *dates: Between) -> tuple[Columns, Mask, Mask]:
        """The bars of some dates that count, in order; whether they are of newer files, and whether of a backfill."""
        rows = self._prices(numbers, ("open", "high", "low", "close", "volume", "adj_close"), list(dates))
        values = {name: rows[name].astype(np.float64) for name in ("open", "high", "low", "close", "volume")}
        values["factor"] = rows["adj_close"] / values["close"]
        kept, order = newest(self._columns(rows, values), rows.order)
        return kept, order > rows.own, order < rows.live

    def closes(self, numbers: Ints, dates: Between) -> tuple[Ints, NDArray[np.float64]]:
        """The keys of the bars of some dates that count, in order, and their closes; the file's own are among them."""
        rows = self._prices(numbers, ("close",), [dates], with_own=True)
        kept, _ = newest(self._columns(rows, {"close": rows["close"]}), rows.order)
        return kept.key, kept.values["close"]

    def _prices(self, numbers: Ints, names: Sequence[str], dates: list[Between], *, with_own: bool = False) -> Rows:
        symbols = [self.symbols[number] for number in numbers]
        names = [self.frequency.key("session_date"), *names]
        return self.read("prices", symbols, names, with_own=with_own, session_date=dates)

    def _columns(self, rows: Rows, values: dict[str, NDArray[np.float64]]) -> Columns:
        number = self.frequency.numbers(rows[self.frequency.key("session_date")])
        return Columns(rows.number, number, values, self.frequency)

    def read(
        self, table: str, symbols: Sequence[str], columns: Sequence[str], *, with_own: bool = False, **where: Any
    ) -> Rows:
        """Rows about some symbols, real or simulated as the file's are; the file's own only where they are wanted.

        Raises:
            WarehouseUnavailable: try again.
        """
        names = ["symbol", "simulated", "object", "generation", "written_at"]
        where = {"symbol": list(symbols), "frequency": self.frequency.name, **where}
        rows = self._warehouse.read_arrow(table, where, [*names, *columns])
        number = pc.index_in(rows["symbol"], pa.array(self.symbols)).to_numpy().astype(np.int64)
        file, files = _files(rows)
        ranks = sorted({*files, self._file.rank})
        place = np.array([ranks.index(rank) for rank in files], np.int64)
        own = ranks.index(self._file.rank)
        order = place[file] if len(rows) else file
        wanted = rows["simulated"].to_numpy() == self._simulated[number]
        kept = np.flatnonzero(wanted if with_own else wanted & (order != own))
        live = sum(not rank.live for rank in ranks)
        if len(kept) == len(rows):
            return Rows(rows, number, order, own, live)
        return Rows(rows.take(kept), number[kept], order[kept], own, live)


def _among(rows: pa.Table, entries: pa.ChunkedArray) -> Mask:
    found: Mask = pc.is_in(_joined(rows, _ENTRY), entries).to_numpy(zero_copy_only=False)
    return found


def _joined(rows: pa.Table, names: Sequence[str]) -> pa.ChunkedArray:
    texts = [pc.fill_null(rows[name], "") for name in names]
    return pc.binary_join_element_wise(*texts, "\n")


def _files(rows: pa.Table) -> tuple[Ints, list[Rank]]:
    """The number of each row's file, and the ranks of the files."""
    objects, generations = (rows[name].combine_chunks().dictionary_encode() for name in ("object", "generation"))
    codes = objects.indices.to_numpy().astype(np.int64) * len(generations.dictionary) + generations.indices.to_numpy()
    row = np.full(len(objects.dictionary) * len(generations.dictionary), -1)
    row[codes] = np.arange(len(codes))
    files = np.flatnonzero(row >= 0)
    number = np.zeros(len(row), np.int64)
    number[files] = np.arange(len(files))
    named = rows.select(["object", "generation", "written_at"]).take(pa.array(row[files])).to_pylist()
    return number[codes], [
        Rank(origin_of(one["object"]) is Origin.LIVE, one["written_at"], one["generation"]) for one in named
    ]
