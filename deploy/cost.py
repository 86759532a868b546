"""Estimate the monthly cost of 10, 500 and 8,000 symbols a day, from a table of prices and one of usage.

Prices are list prices on the date in their table, in US dollars, before taxes. The bytes that queries read are those of
`benchmarks/cost.json`, which counts them in recorded queries by BigQuery's rules; the table of usage marks estimates.

    python deploy/cost.py --memory-mib 2048
"""

import argparse
import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FIGURES = Path(__file__).parent / "figures.tsv"
PRICES = Path(__file__).parents[1] / "sql" / "list_prices.tsv"
SYMBOLS = (10, 500, 8000)
_DAYS, _SESSIONS, _WEEKS, _BATCH, _SAMPLE, _KEPT_DAYS = 30, 21, 4.3, 500, 500, 400
_GB, _GIB, _MB_A_TIB = 1e9, 2**30, 2**40 / 1e6


@dataclass(frozen=True)
class Figure:
    """A row of a table.

    Attributes:
        name: the name of the figure in this module.
        value: a price, or an amount of usage.
        free: the amount that is free each month.
        unit: the unit of the value.
        kind: `list price`, `measured` or `estimate`.
        source: the source of the value.
        date: the date on which it was read or measured.
    """

    name: str
    value: float
    free: float
    unit: str
    kind: str
    source: str
    date: str


@dataclass(frozen=True)
class Plan:
    """The load of a service.

    Attributes:
        symbols: symbols that are forecast each session, in files of 500.
        refreshes: refreshes of a symbol's page, a day; None: as the table says.
        track_records: readings of the track record, a day; None: as the table says.
        memory_mib: the memory of an instance of the function, in MiB.
        day_memory_gib: the memory of the day's job, in GiB.
        with_mlflow: whether MLflow has a server and a database.
        with_dashboard: whether the dashboard runs on Cloud Run.
        with_api: whether the API runs on Cloud Run.
        coins: coins that are forecast every hour, in one file.
    """

    symbols: int
    refreshes: float | None = None
    track_records: float | None = None
    memory_mib: int = 2048
    day_memory_gib: int = 8
    with_mlflow: bool = False
    with_dashboard: bool = False
    with_api: bool = False
    coins: int = 0

    @property
    def files(self) -> int:
        """The files of a session."""
        return math.ceil(self.symbols / _BATCH)

    @property
    def hours(self) -> int:
        """The hours of a month that are forecast from."""
        return 24 * _DAYS * bool(self.coins)


def read() -> dict[str, Figure]:
    """Read the figures of both tables, by name."""
    rows = [*_rows(PRICES, kind="list price"), *_rows(FIGURES, free="0")]
    return {
        row["name"]: Figure(
            row["name"], float(row["value"]), float(row["free"]), row["unit"], row["kind"], row["source"], row["date"]
        )
        for row in rows
    }


def _rows(path: Path, **same: str) -> list[dict[str, str]]:
    with path.open() as lines:
        return [row | same for row in csv.DictReader(lines, delimiter="\t")]


def scanned(plan: Plan, figures: Mapping[str, Figure]) -> dict[str, float]:
    """The megabytes that queries read: one refresh, one track record, one day, its events, and one compaction."""
    values = {name: figure.value for name, figure in figures.items()}
    return {
        "refresh": values["refresh_mb"] + values["symbols_mb"] * plan.symbols,
        "track_record": max(40.0, values["track_record_mb"] * plan.symbols),
        "flow": values["flow_least_mb"]
        + values["flow_mb"] * plan.symbols
        + values["flow_sample_mb"] * min(plan.symbols, _SAMPLE),
        "events": values["event_mb"] * plan.files,
        "compact": max(90.0, values["compact_mb"] * plan.symbols),
    }


def usage(plan: Plan, figures: Mapping[str, Figure]) -> dict[str, float]:
    """The usage of a month in the units of the prices, a year after the start."""
    values = {name: figure.value for name, figure in figures.items()}
    files = plan.files * _SESSIONS + plan.hours
    seconds = files * values["load_s_a_file"] + plan.symbols * _SESSIONS / values["symbols_a_second"]
    hourly = plan.hours * values["hour_s"]
    day = _SESSIONS * (values["day_s"] + values["day_s_a_symbol"] * plan.symbols)
    watch = 2 * _DAYS * values["watch_s"]
    cpus = 2 if plan.day_memory_gib <= 8 else 4 if plan.day_memory_gib <= 16 else 8
    refreshes = values["refreshes_a_day"] if plan.refreshes is None else plan.refreshes
    records = values["track_records_a_day"] if plan.track_records is None else plan.track_records
    mb = scanned(plan, figures)
    queried = _DAYS * (refreshes * mb["refresh"] + records * mb["track_record"])
    queried += _SESSIONS * (mb["flow"] + mb["events"]) + _WEEKS * mb["compact"] + plan.hours * values["hour_mb"]
    used = {
        "cpu": seconds,
        "memory": seconds * plan.memory_mib / 1024,
        "requests": files,
        "job_cpu": day * cpus + watch + hourly,
        "job_memory": day * plan.day_memory_gib + watch + 2 * hourly,
        "schedules": 2 + bool(plan.coins),
        "secrets": 5 if plan.with_mlflow else 1,
        "builds": 60,
        "objects": plan.symbols * values["parquet_kb_a_symbol"] * 1e3 * _KEPT_DAYS * _SESSIONS / _DAYS / _GB,
        "writes": files * 3,
        "reads": files * 4,
        "tables": (plan.symbols * values["table_mb_a_symbol"] + plan.coins * values["hour_mb_a_coin"]) * 1e6 / _GIB,
        "queries": queried / _MB_A_TIB,
        "messages": files * 2 * 2048 / 2**40,
        "logs": plan.symbols * values["log_kb_a_symbol"] * 1e3 * _SESSIONS / _GIB,
        "images": values["image_gb"] * (1 + plan.with_mlflow + plan.with_dashboard + plan.with_api),
        "conditions": 4 + bool(plan.coins),
    }
    return used | ({"database": 1.0} if plan.with_mlflow else {})


def cost(used: Mapping[str, float], figures: Mapping[str, Figure]) -> dict[str, float]:
    """The monthly cost in US dollars by price, after deducting the free amounts.

    >>> figures = {"requests": Figure("requests", 0.5, 100, "", "", "", "")}
    >>> cost({"requests": 90}, figures), cost({"requests": 110}, figures)
    ({'requests': 0.0}, {'requests': 5.0})
    """
    return {name: max(0.0, amount - figures[name].free) * figures[name].value for name, amount in used.items()}


def total(plan: Plan) -> float:
    """US dollars a month, all told."""
    figures = read()
    return sum(cost(usage(plan, figures), figures).values())


def table(plans: list[Plan], budget: int = 0) -> str:
    """The estimate as text."""
    figures = read()
    months = [cost(usage(plan, figures), figures) for plan in plans]
    lines = [f"{'estimate, USD a month':<24}" + "".join(f"{f'{plan.symbols:,} symbols':>16}" for plan in plans)]
    for name in months[0]:
        if any(month[name] >= 0.005 for month in months):
            lines.append(f"  {name:<22}" + "".join(f"{month[name]:>16.2f}" for month in months))
    lines.append(f"  {'together':<22}" + "".join(f"{sum(month.values()):>16.2f}" for month in months))
    dates = sorted({figure.date for figure in figures.values() if figure.kind == "list price"})
    lines += [
        f"  List prices of {', '.join(dates)} less what is free, a year after the start, with the day, its jobs and",
        f"  {figures['refreshes_a_day'].value:.0f} refreshes and {figures['track_records_a_day'].value:.0f} track "
        "records a day. Usage is partly estimated. Every figure with its",
        "  source: docs/cost.md.",
    ]
    beyond = [
        plan.symbols for plan, month in zip(plans, months, strict=True) if budget and sum(month.values()) > budget
    ]
    if beyond:
        lines.append(
            f"  The budget of {budget} USD is less than {', '.join(f'{count:,}' for count in beyond)} symbols cost."
        )
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--memory-mib", type=int, default=2048)
    arguments.add_argument("--day-memory-gib", type=int, default=8)
    arguments.add_argument("--budget", type=int, default=0)
    arguments.add_argument("--with-mlflow", action="store_true")
    arguments.add_argument("--with-dashboard", action="store_true")
    arguments.add_argument("--with-api", action="store_true")
    arguments.add_argument("--hourly", default="", help="coins, with commas between")
    given = arguments.parse_args()
    asked = [
        Plan(
            count,
            memory_mib=given.memory_mib,
            day_memory_gib=given.day_memory_gib,
            with_mlflow=given.with_mlflow,
            with_dashboard=given.with_dashboard,
            with_api=given.with_api,
            coins=len([coin for coin in given.hourly.split(",") if coin]),
        )
        for count in SYMBOLS
    ]
    print(table(asked, given.budget))
