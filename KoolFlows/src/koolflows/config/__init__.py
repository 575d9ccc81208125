"""Settings, wiring and the entry points."""
