"""Keep the service healthy: provision, check, watch drift, send alerts."""
