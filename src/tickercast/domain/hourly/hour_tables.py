"""The tables of the hourly models: what a month's refresh learns, small enough to travel in a model card."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tickercast.domain.forecast import QUANTILES
from tickercast.domain.hourly.hour_features import INPUTS
from tickercast.domain.hourly.hours import HORIZON, WEEK

Row = tuple[float, ...]
Quantiles = Annotated[
    tuple[Annotated[Row, Field(min_length=len(QUANTILES), max_length=len(QUANTILES))], ...],
    Field(min_length=HORIZON, max_length=HORIZON),
]


class HourTables(BaseModel):
    """The tables of `har-season`, and of the simple model that stands in for it where the history is short.

    Attributes:
        season: the multipliers of an hour's variance, from Monday 00:00 UTC on, 1 on average.
        centre: the means of the inputs.
        scale: the factors that scale them.
        weights: the intercept and the weights of the inputs, for each step.
        har: the quantiles of returns over the regression's σ, by step and level.
        simple: the quantiles of returns over the simple model's σ, by step and level.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    season: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=WEEK, max_length=WEEK)]
    centre: Annotated[Row, Field(min_length=len(INPUTS), max_length=len(INPUTS))]
    scale: Annotated[Row, Field(min_length=len(INPUTS), max_length=len(INPUTS))]
    weights: Annotated[
        tuple[Annotated[Row, Field(min_length=len(INPUTS) + 1, max_length=len(INPUTS) + 1)], ...],
        Field(min_length=HORIZON, max_length=HORIZON),
    ]
    har: Quantiles
    simple: Quantiles

    def __repr__(self) -> str:
        """The name alone: there are two thousand numbers."""
        return f"<{type(self).__name__}>"
