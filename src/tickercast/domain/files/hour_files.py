r"""Hourly bars of several files as one series, and as CSV and Parquet; `price_files` reads them.

>>> from tickercast.domain.files.price_files import read_prices
>>> text = b"time,open,high,low,close\n2023-07-22 12:00,10,12,9,11\n2023-07-22 13:00,11,13,10,12\n"
>>> bars = read_prices(text, symbol="BTCUSDT", frequency=HOURLY).bars["BTCUSDT"]
>>> bars.end, bars.last_close
(datetime.datetime(2023, 7, 22, 14, 0), 12.0)
>>> in_order([bars, bars.rows(0, 1)])["BTCUSDT"].end
datetime.datetime(2023, 7, 22, 14, 0)
"""

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tickercast.domain.bars import Bars, Reading, below_each_other
from tickercast.domain.files.price_arrow import findings_column
from tickercast.domain.files.price_numbers import Numbers
from tickercast.domain.files.price_rows import SIMULATED, Rows, read_rows
from tickercast.domain.findings import NOTHING_FOUND, Findings
from tickercast.domain.frequency import HOURLY
from tickercast.domain.hourly.hours import PRICES
from tickercast.domain.text import rounded

_HOUR = np.timedelta64(1, "h")
_MICRO = pa.timestamp("us", "UTC")


def in_order(series: Sequence[Bars]) -> Reading:
    """The bars of one symbol from several files as one series; of an hour that several have, the last one's counts.

    What is refused in one file is refused in all together, such as a price that the hours around it exclude.

    Args:
        series: the bars of one symbol by file; the file that counts most last.
    """
    columns = below_each_other(series)
    ends = columns["closed_at"]
    _, last = np.unique(ends[::-1], return_index=True)
    order = len(ends) - 1 - last
    values = {name: columns[name][order] for name in (*PRICES, "volume")}
    simulated = np.repeat([bars.simulated for bars in series], [len(bars) for bars in series])[order]
    return read_rows(
        Rows(
            np.zeros(len(order), np.intp),
            [series[0].symbol],
            (ends[order] - _HOUR).astype("datetime64[s]"),
            {name: Numbers(each, np.isnan(each)) for name, each in values.items()},
            simulated,
            lambda name, row: rounded(values[name][row], 15),
            {},
            HOURLY,
        )
    )


def hours_csv(series: Sequence[Bars], findings: Findings = NOTHING_FOUND) -> bytes:
    """Hourly bars as CSV, with the findings about them."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(_written(series, findings), buffer)
    return buffer.getvalue()


def hours_parquet(series: Sequence[Bars], findings: Findings = NOTHING_FOUND) -> bytes:
    """Hourly bars as Parquet, with the findings about them."""
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(_written(series, findings), buffer, compression="zstd")
    return buffer.getvalue()


def _written(series: Sequence[Bars], findings: Findings) -> pa.Table:
    table = pa.concat_tables(list(_rows(series)))
    if not any(findings.values()):
        return table
    return table.append_column("findings", findings_column(series, findings).cast(pa.string()))


def _rows(series: Sequence[Bars]) -> Iterator[pa.Table]:
    for bars in series:
        opened = (bars.ends - _HOUR).astype("datetime64[us]")
        yield pa.table(
            {
                "symbol": pa.repeat(bars.symbol, len(bars)),
                "opened_at": pa.array(opened, _MICRO),
                **{name: pa.array(bars.columns[name]) for name in PRICES},
                "volume": pa.array(bars.columns["volume"], from_pandas=True),
                "source": pa.repeat(SIMULATED if bars.simulated else "", len(bars)),
            }
        )
