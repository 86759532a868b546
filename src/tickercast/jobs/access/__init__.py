"""Access to the API: tokens, quotas and usage."""
