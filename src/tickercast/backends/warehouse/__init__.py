"""Warehouses: DuckDB and BigQuery, one SQL dialect."""
