"""Jobs of trading on paper."""
