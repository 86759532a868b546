"""The jobs, one a file: each takes its ports as arguments, gathers facts, decides and applies the decision."""
