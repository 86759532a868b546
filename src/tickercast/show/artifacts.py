"""The display of runs in Prefect: their names and tags, and artifacts beside a task, made from the job's result."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from urllib.parse import quote

from tickercast.domain.frequency import Frequency, stamp
from tickercast.domain.learning.market import Market
from tickercast.domain.measures.intervals import in_words
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
        key: the key of the artifact.
        description: a line about it.
        content: the rows of a table, or a text in Markdown.
        link: an absolute URL that opens in a browser; empty for none.
    """

    key: str
    description: str
    content: Any
    link: str = ""

    def __post_init__(self) -> None:
        link = f" [Open the report]({self.link})" if self.link else ""
        object.__setattr__(self, "description", markdown(self.description) + link)
        if not isinstance(self.content, str):
            object.__setattr__(self, "content", _plain(self.content))

    @property
    def kind(self) -> Literal["table", "markdown"]:
        """The form in which it is shown."""
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
        result: the result of the job.
        models: where evaluation reports are.
        store: where drift reports are.
    """
    match result:
        case Market():
            yield _quality(result)
        case DriftCheck():
            yield _drift(result, store)
        case Contest() if result.report:
            yield from _contest(result, models)
        case Decided() if job == "decide_promotion":
            values = {name: value for name, value in result.model_dump().items() if value is not None}
            rows = [{"": name, "value": _rounded(value)} for name, value in values.items()]
            yield Artifact("decision", f"{result.decision}: {result.reason}", rows)


def run_name(flow: str, day: date, symbols: Sequence[str]) -> str:
    """The name of a flow's run.

    >>> run_name("daily", date(2023, 7, 24), ["MSFT", "AAPL"]), run_name("daily", date(2023, 7, 24), [])
    ('daily 2023-07-24 · 2 symbols', 'daily 2023-07-24 · watchlist')
    """
    count = len(symbols)
    named = f"{count} symbol{'s' * (count != 1)}" if count else "watchlist"
    return f"{flow} {stamp(day)} · {named}"


def run_tags(frequency: Frequency, source: str, warehouse: str) -> list[str]:
    """The tags of a flow's run, by which people filter: frequency, environment and source.

    Args:
        frequency: the frequency of the bars.
        source: the market data; a path is shortened to the last part of it.
        warehouse: the URL of the warehouse.

    >>> from tickercast.domain.frequency import DAILY
    >>> run_tags(DAILY, "/data/prices", "bigquery://my-project/tickercast")
    ['1d', 'bigquery', 'prices']
    """
    return [frequency.name, warehouse.partition(":")[0], printable(source.rstrip("/").rpartition("/")[2])]


def opened(url: str, name: str) -> str:
    """The address at which a browser opens an object; empty where there is none.

    >>> opened("gs://bucket", "reports/a b.html"), opened("file://FOLDER/bucket", "a.html")
    ('https://storage.cloud.google.com/bucket/reports/a%20b.html', '')
    """
    scheme, _, bucket = url.partition("://")
    return f"https://storage.cloud.google.com/{quote(f'{bucket}/{name}')}" if scheme == "gs" else ""


def _rounded(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _drift(found: DriftCheck, store: ObjectStore) -> Artifact:
    columns = ["kind", "name", "score", "threshold", "drifted"]
    table = [columns, *found.rows[columns].round(4).values.tolist()]
    verdict = "; ".join(found.reasons) or "no drift"
    said = " ".join(filter(None, [f"{found.day}: {verdict}.", found.unmeasured, f"{store.url}/{found.report}"]))
    return Artifact("drift", said, table, link=opened(store.url, found.report))


def _quality(market: Market) -> Artifact:
    odd = [{"symbol": found.symbol, "check": found.check, "finding": found.text} for found in market.findings]
    failed = [{"symbol": symbol, "check": "failed", "finding": str(why)} for symbol, why in market.failures.items()]
    return Artifact("quality", f"Bars up to {market.day}", odd + failed or [{"finding": "none"}])


def _contest(contest: Contest, models: ModelStore) -> Iterator[Artifact]:
    report: Mapping[str, Any] = json.loads(models.store.read(contest.report))
    rows = [
        {
            "against": baseline,
            "loss": loss,
            "ratio": round(ratio, 4),
            "from": low and round(low, 4),
            "to": high and round(high, 4),
        }
        for baseline, losses in report["ratios"].items()
        for loss, (ratio, low, high) in losses.items()
    ]
    version = contest.challenger.card.version
    said = f"Challenger {version}"
    if contest.comparison:
        evidence = contest.comparison.evidence
        said += f": ratio {in_words(evidence.vs_champion)} to what is served, over {evidence.origins} origins"
    yield Artifact("comparison", said, rows, link=opened(models.url, contest.report))
    picture = base64.b64encode(models.store.read(contest.report.removesuffix("json") + "png")).decode()
    text = f"![Reliability, and loss by step](data:image/png;base64,{picture})\n\n`{models.url}/{contest.report}`"
    yield Artifact("comparison-picture", f"Challenger {version}", text)
