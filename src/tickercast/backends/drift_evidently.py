"""Drift reports, drawn by Evidently; no other module imports it.

Evidently takes seconds to import, so it is imported only when a report is drawn.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tickercast.domain.measures.drift import AT_LEAST, DISTANCE, DriftFinding
from tickercast.errors import EngineUnusable
from tickercast.ports import DriftReport

if TYPE_CHECKING:
    from evidently.core.metric_types import Metric

_DISTANCE = "wasserstein"


class EvidentlyReporter:
    """Draws one page: the tests, then a histogram of each column, today's values over the training's."""

    def report(self, seen: pd.DataFrame, sample: pd.DataFrame, findings: Sequence[DriftFinding]) -> DriftReport:
        """Draw a report; see `DriftReporter.report`."""
        with _quiet(), _translated():
            from evidently import DataDefinition, Dataset, Report

            columns = DataDefinition(numerical_columns=[finding.name for finding in findings])
            current, reference = (Dataset.from_pandas(rows, data_definition=columns) for rows in (seen, sample))
            drawn = Report([_metric(finding) for finding in findings], include_tests=True).run(current, reference)
            return DriftReport(drawn.get_html_str(as_iframe=False).encode(), drawn.json().encode())


def _metric(finding: DriftFinding) -> "Metric":
    from evidently import tests
    from evidently.metrics import MeanValue, ValueDrift

    if finding.method == DISTANCE:
        return ValueDrift(column=finding.name, method=_DISTANCE, threshold=finding.threshold)
    bound = tests.gte if finding.method.endswith(AT_LEAST) else tests.lte
    return MeanValue(column=finding.name, tests=[bound(finding.threshold)])


@contextmanager
def _translated() -> Iterator[None]:
    """Raise whatever Evidently raises, which has no exceptions of its own, as ours: the day goes on without a page."""
    try:
        yield
    except Exception as error:
        raise EngineUnusable(
            f"Evidently {version('evidently')} cannot draw the drift report ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:160].rstrip('.')}). Install the release that requirements-dev.txt names."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of Evidently and of its dependencies."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
