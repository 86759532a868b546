"""Choose which model version is served, and record why."""
