"""Train, tune and evaluate models."""
