"""The main command with TensorFlow in the function's place: `main_with_tensorflow.py MODEL.keras ARGUMENTS`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tickercast import cli, engines
from tickercast.domain.forecast import Predictor
from tickercast.ports import ObjectStore


def predictors(store: ObjectStore) -> Sequence[Predictor]:
    """Loads the Keras model where the function would load the ONNX one; `store` is not read."""
    from tickercast.models.baselines import RandomWalk
    from tickercast.models.lstm.export import load_keras

    return [load_keras(Path(sys.argv[1])), RandomWalk()]


engines.predictors = predictors
cli.run(["forecast", *sys.argv[2:]])
