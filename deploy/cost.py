"""Estimate the monthly cost of 10, 500 and 8,000 symbols a day, from the figures of one table.

Prices are list prices on the date in the table, in US dollars, before taxes. Usage is measured where possible; the
table marks estimates. Not included: the machines of the daily flow, of MLflow and of Prefect, which setup.sh does not
create.

    python deploy/cost.py --memory-mib 2048
"""

import argparse
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIGURES = Path(__file__).parent / "figures.tsv"
SYMBOLS = (10, 500, 8000)
_DAYS, _BATCH, _KEPT_DAYS = 30, 500, 400
_GB, _GIB = 1e9, 2**30


@dataclass(frozen=True)
class Figure:
    """A row of the table.

    Attributes:
        name: its name in this module.
        value: a price, or an amount of usage.
        free: the amount that is free each month.
        unit: the unit of the value.
        kind: `list price`, `measured` or `estimate`.
        source: where the value comes from.
        date: when it was read or measured.
    """

    name: str
    value: float
    free: float
    unit: str
    kind: str
    source: str
    date: str


def read() -> dict[str, Figure]:
    """Read the figures of the table, by name."""
    with FIGURES.open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    return {
        row["name"]: Figure(
            row["name"], float(row["value"]), float(row["free"]), row["unit"], row["kind"], row["source"], row["date"]
        )
        for row in rows
    }


def usage(symbols: int, memory_mib: int, figures: Mapping[str, Figure]) -> dict[str, float]:
    """The usage of a month in the units of the prices, a year after the start and without `tickercast compact`.

    Args:
        symbols: the number of symbols forecast each day, in files of 500.
        memory_mib: the memory of an instance.
        figures: the figures of the table.
    """
    values = {name: figure.value for name, figure in figures.items()}
    files = math.ceil(symbols / _BATCH) * _DAYS
    seconds = files * values["load_s_a_file"] + symbols * _DAYS / values["symbols_a_second"]
    return {
        "cpu": seconds,
        "memory": seconds * memory_mib / 1024,
        "requests": files,
        "objects": symbols * values["csv_kb_a_symbol"] * 1e3 * _KEPT_DAYS / _GB,
        "writes": files,
        "reads": files * 4,
        "tables": symbols * values["bytes_a_symbol_day"] * 365 / _GIB,
        "queries": (values["refresh_gb"] * values["refreshes_a_day"] * _DAYS + 0.1 * files) * _GB / 2**40,
        "messages": files * 2 * 2048 / 2**40,
        "logs": symbols * values["log_kb_a_symbol"] * 1e3 * _DAYS / _GIB,
        "images": values["image_gb"],
        "conditions": 1,
    }


def cost(used: Mapping[str, float], figures: Mapping[str, Figure]) -> dict[str, float]:
    """The monthly cost in US dollars by price, after deducting the free amounts.

    >>> figures = {"requests": Figure("requests", 0.5, 100, "", "", "", "")}
    >>> cost({"requests": 90}, figures), cost({"requests": 110}, figures)
    ({'requests': 0.0}, {'requests': 5.0})
    """
    return {name: max(0.0, amount - figures[name].free) * figures[name].value for name, amount in used.items()}


def table(memory_mib: int) -> str:
    """The estimate as text."""
    figures = read()
    months = [cost(usage(symbols, memory_mib, figures), figures) for symbols in SYMBOLS]
    lines = [f"{'estimate, USD a month':<24}" + "".join(f"{f'{symbols:,} symbols':>16}" for symbols in SYMBOLS)]
    for name in months[0]:
        if any(month[name] >= 0.005 for month in months):
            lines.append(f"  {name:<22}" + "".join(f"{month[name]:>16.2f}" for month in months))
    lines.append(f"  {'together':<22}" + "".join(f"{sum(month.values()):>16.2f}" for month in months))
    dates = sorted({figure.date for figure in figures.values() if figure.kind == "list price"})
    return "\n".join(
        [
            *lines,
            f"  List prices of {', '.join(dates)} less what is free, a year after the start; without compact. Usage is",
            "  partly estimated. Every figure with its source: deploy/figures.tsv, docs/cost.md.",
        ]
    )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--memory-mib", type=int, default=2048)
    arguments.add_argument("--day-memory-gib", type=int, default=8)
    arguments.add_argument("--budget", type=int, default=0)
    arguments.add_argument("--with-mlflow", action="store_true")
    arguments.add_argument("--with-dashboard", action="store_true")
    print(table(arguments.parse_args().memory_mib))
