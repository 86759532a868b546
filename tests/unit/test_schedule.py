"""The evenings on which the daily flow runs, by the exchange's own clock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from tests.support.trading import PROJECT, flow_module

pytest.importorskip("prefect")


@pytest.mark.parametrize(
    ("symbol", "start", "expected"),
    [
        ("MSFT", datetime(2024, 3, 8, 0, tzinfo=UTC), ["2024-03-08 23:30", "2024-03-11 22:30"]),
        ("MSFT", datetime(2024, 11, 1, 0, tzinfo=UTC), ["2024-11-01 22:30", "2024-11-04 23:30"]),
        ("VOD.L", datetime(2024, 3, 29, 0, tzinfo=UTC), ["2024-03-29 18:30", "2024-04-01 17:30"]),
    ],
)
def test_the_flow_runs_at_the_same_hour_of_the_exchange_in_summer_and_winter(
    symbol: str, start: datetime, expected: list[str], workspace: Path
) -> None:
    module = flow_module()
    assert _next(module.schedule([symbol], module.EVENING), start) == expected


def test_the_deployment_names_the_flow_and_the_same_evening(workspace: Path) -> None:
    module = flow_module()
    [deployment] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    file, name = deployment["entrypoint"].split(":")
    assert (PROJECT / file).is_file()
    assert hasattr(module, name)
    [evening] = deployment["schedules"]
    assert (evening["cron"], evening["timezone"]) == (module.EVENING, "America/New_York")


def _next(schedule: Any, start: datetime) -> list[str]:
    from prefect.client.schemas.schedules import construct_schedule

    made = construct_schedule(cron=schedule.cron, timezone=schedule.timezone)
    dates = anyio.run(lambda: _dates(made, start))
    return [day.astimezone(UTC).strftime("%Y-%m-%d %H:%M") for day in dates]


async def _dates(schedule: Any, start: datetime) -> list[datetime]:
    from prefect.server.schemas.schedules import CronSchedule

    return await CronSchedule(cron=schedule.cron, timezone=schedule.timezone).get_dates(2, start)
