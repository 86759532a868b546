"""The model registry and the store of tuning studies."""
