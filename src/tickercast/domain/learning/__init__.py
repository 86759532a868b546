"""Training material of the models: inputs, datasets, recipes and widths."""
