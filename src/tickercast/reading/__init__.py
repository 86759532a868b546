"""Reading the warehouse and the model store: forecasts, track record, ledger, quarantine and views, as values."""
