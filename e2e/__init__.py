"""Real clients against the running platform."""
