"""Benchmarks: `make bench-…` runs each; results lie beside them as JSON."""
