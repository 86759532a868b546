"""The LSTM: examples, network, training, calibration and export. No other package imports TensorFlow."""
