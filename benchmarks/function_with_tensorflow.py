"""The forecast function with TensorFlow and the Keras model in BENCH_KERAS_MODEL, as functions-framework serves it."""

import os
import runpy
from collections.abc import Sequence
from pathlib import Path

from tickercast import config, engines
from tickercast.domain.forecast import Predictor
from tickercast.ports import ObjectStore


def predictors(store: ObjectStore) -> Sequence[Predictor]:
    """Loads the Keras model where the function would load the ONNX one; `store` is not read."""
    config.silence_tensorflow()
    from tickercast.models.baselines import RandomWalk
    from tickercast.models.lstm.export import load_keras

    return [load_keras(Path(os.environ["BENCH_KERAS_MODEL"])), RandomWalk()]


engines.predictors = predictors
forecast = runpy.run_path(str(config.resource("cloud_function") / "main.py"))["forecast"]
