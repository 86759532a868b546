"""The artifacts that Prefect shows beside a task: tables and a chart, made from the job's result."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tickercast.domain.market import Market
from tickercast.jobs.champion.decisions import Decided
from tickercast.jobs.daily.retrain import Contest
from tickercast.jobs.operations.drift import DriftCheck
from tickercast.model_store import ModelStore
from tickercast.plain import markdown, printable
from tickercast.ports import ObjectStore


@dataclass(frozen=True)
class Artifact:
    """An artifact of a task.

    Attributes:
        key: its name.
        description: a line about it.
        content: the rows of a table, or a text in Markdown.
    """

    key: str
    description: str
    content: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "description", markdown(self.description))
        if not isinstance(self.content, str):
            object.__setattr__(self, "content", _plain(self.content))

    @property
    def kind(self) -> Literal["table", "markdown"]:
        """How to show it."""
        return "markdown" if isinstance(self.content, str) else "table"


def _plain(content: Any) -> Any:
    """The rows of a table, of which no text is a link."""
    if isinstance(content, str):
        return printable(content)
    if isinstance(content, Mapping):
        return {name: _plain(value) for name, value in content.items()}
    return [_plain(value) for value in content] if isinstance(content, list) else content


def artifacts_of(job: str, result: Any, models: ModelStore, store: ObjectStore) -> Iterator[Artifact]:
    """The artifacts of a job's result; none for most jobs.

    Args:
        job: the name of the job.
        result: its result.
        models: where evaluation reports are.
        store: where drift reports are.
    """
    match result:
        case Market():
            yield _quality(result)
        case DriftCheck():
            columns = ["kind", "name", "score", "threshold", "drifted"]
            table = [columns, *result.rows[columns].values.tolist()]
            yield Artifact("drift", f"{store.url}/{result.report}", table)
        case Contest() if result.report:
            yield from _contest(result, models)
        case Decided() if job == "decide_promotion":
            values = {name: value for name, value in result.model_dump().items() if value is not None}
            rows = [{"": name, "value": str(value)} for name, value in values.items()]
            yield Artifact("decision", f"{result.decision}: {result.reason}", rows)


def _quality(market: Market) -> Artifact:
    odd = [{"symbol": found.symbol, "check": found.check, "finding": found.text} for found in market.findings]
    failed = [{"symbol": symbol, "check": "failed", "finding": str(why)} for symbol, why in market.failures.items()]
    return Artifact("quality", f"Bars up to {market.day}", odd + failed or [{"finding": "none"}])


def _contest(contest: Contest, models: ModelStore) -> Iterator[Artifact]:
    report: Mapping[str, Any] = json.loads(models.store.read(contest.report))
    rows = [
        {"against": baseline, "loss": loss, "ratio": round(ratio, 4), "from": round(low, 4), "to": round(high, 4)}
        for baseline, losses in report["ratios"].items()
        for loss, (ratio, low, high) in losses.items()
    ]
    version = contest.challenger.card.version
    yield Artifact("comparison", f"Challenger {version}", rows)
    picture = base64.b64encode(models.store.read(contest.report.removesuffix("json") + "png")).decode()
    text = f"![Reliability, and loss by step](data:image/png;base64,{picture})\n\n`{models.url}/{contest.report}`"
    yield Artifact("comparison-picture", f"Challenger {version}", text)
