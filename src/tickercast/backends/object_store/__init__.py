"""Buckets: a local folder, and Google Cloud Storage."""
