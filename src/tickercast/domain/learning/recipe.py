"""A recipe: the hyperparameters of a training, and the JSON file that holds them.

>>> recipe = read_recipe(b'{"units": 16, "rate": 0.001}')
>>> recipe.units, recipe.rate, recipe.hidden
(16, 0.001, 32)
>>> read_recipe(recipe_json(recipe).encode()) == recipe
True
"""

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from tickercast.errors import UsageError

_MANY = 60_000  # examples, of some fifteen symbols


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class Recipe:
    """The hyperparameters; the defaults were chosen on the validation blocks, for the few symbols of the sample.

    Attributes:
        units: units of the LSTM layer.
        hidden: units of the dense layer.
        dropout: share of its inputs that are dropped in training.
        rate: AdamW's first learning rate; it decays to 0 as a cosine.
        decay: AdamW's weight decay.
        batch: examples a step of training.
        epochs: passes over the examples; the best by validation loss is kept.
        patience: epochs without a better validation loss after which a training stops early.
        every: train on every N-th session only: neighbours share nine of their ten targets.
        volatility_weight: the weight of the auxiliary loss.
        stretch: bound of `s`, the output that scales both sides of an interval.
        skew: bound of `k`, the output that scales one side of an interval.
        folds: every N-th block of `block` sessions is held out for validation, other blocks for other seeds.
        block: sessions of a validation block.
        results_hidden: units of the dense layer that reads results days.
        results_epochs: passes over the examples that teach it.
    """

    units: Annotated[int, Field(ge=1, le=512)] = 32
    hidden: Annotated[int, Field(ge=1, le=512)] = 32
    dropout: Annotated[float, Field(ge=0, le=0.9)] = 0.2
    rate: Annotated[float, Field(gt=0, le=0.1)] = 2e-3
    decay: Annotated[float, Field(ge=0, le=1)] = 1e-2
    batch: Annotated[int, Field(ge=1, le=65_536)] = 128
    epochs: Annotated[int, Field(ge=1, le=200)] = 6
    patience: Annotated[int, Field(ge=1, le=200)] = 2
    every: Annotated[int, Field(ge=1, le=20)] = 1
    volatility_weight: Annotated[float, Field(ge=0, le=10)] = 0.1
    stretch: Annotated[float, Field(gt=0, le=3)] = 1.0
    skew: Annotated[float, Field(gt=0, le=3)] = 0.3
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    block: Annotated[int, Field(ge=20, le=1000)] = 63
    results_hidden: Annotated[int, Field(ge=1, le=512)] = 32
    results_epochs: Annotated[int, Field(ge=1, le=200)] = 4

    @classmethod
    def of_size(cls, examples: int) -> "Recipe":
        """The recipe that suits a number of examples.

        A few hundred updates are enough for so small a network. On many symbols it therefore trains in two passes
        over every third session, in batches that leave some two hundred updates. On the validation blocks of 74 stocks
        (300,000 examples) all sessions or every second one, batches of 256 or 1024, a third pass and wider bounds
        changed the loss by at most 0.0005, less than another seed or block does, and took up to twice as long.
        """
        if examples < _MANY:
            return cls()
        return cls(batch=min(512, 2 ** int(math.log2(examples / 400))), epochs=2, every=3)


@dataclass(frozen=True)
class Epoch:
    """The state of a training after an epoch.

    Attributes:
        fold: the number of the network, from 0 on.
        seed: the seed of the network.
        share: the share of the network's epochs that are done.
        ratio: the best validation loss so far over the initial one.
        losses: the losses of this epoch, by name.
    """

    fold: int
    seed: int
    share: float
    ratio: float
    losses: Mapping[str, float]


def recipe_json(recipe: Recipe) -> str:
    """The recipe as the text of a file, every field of it."""
    return json.dumps(asdict(recipe), indent=2) + "\n"


def read_recipe(text: bytes) -> Recipe:
    """Read a recipe from a JSON object; a field that is left out has its default.

    Raises:
        UsageError: the text is not a JSON object, or fields of it are not valid: one sentence each.
    """
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise UsageError(" ".join(_sentence(dict(found)) for found in error.errors())) from error


_ADAPTER = TypeAdapter(Recipe)


def _sentence(found: Mapping[str, Any]) -> str:
    if not found["loc"]:
        return f"A recipe is a JSON object of {', '.join(_NAMES)}: {found['msg']}."
    name, seen = str(found["loc"][0]), repr(found["input"])[:40]
    if name in _NAMES:
        return f"The recipe's {name} is {seen}: {found['msg'].replace('Input', 'it')}."
    close = difflib.get_close_matches(name, _NAMES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(_NAMES)}."
    return f"{name[:40]!r} is not a field of a recipe: {hint}"


_NAMES = tuple(field.name for field in fields(Recipe))
