"""What models learn from: inputs, datasets, recipes and widths."""
