"""The daily run, step by step."""
