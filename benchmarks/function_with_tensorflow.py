"""The forecast function with TensorFlow and the Keras model in BENCH_KERAS_MODEL, as functions-framework serves it."""

import os
import runpy
from pathlib import Path

from tickercast import config
from tickercast.app.ports import Ports
from tickercast.domain.forecast import Role, Served
from tickercast.domain.frequency import DAILY, Frequency


def served_models(ports: Ports, every: Frequency = DAILY) -> list[Served]:
    """Load the Keras model in place of the ONNX model; the bucket is not read."""
    config.set_up_tensorflow()
    import tensorflow as tf

    from tickercast.models.baselines import RandomWalk
    from tickercast.models.lstm.export import load_keras

    tf.config.run_functions_eagerly(True)  # for a single answer, a graph takes longer to trace than it saves
    keras = load_keras(Path(os.environ["BENCH_KERAS_MODEL"]))
    return [Served(keras, Role.CHAMPION), Served(RandomWalk(), Role.BASELINE)]


Ports.served_models = served_models  # type: ignore[assignment, method-assign]
forecast = runpy.run_path(str(config.resource("cloud_function") / "main.py"))["forecast"]
