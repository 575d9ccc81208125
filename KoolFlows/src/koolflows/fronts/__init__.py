"""The ways in: REST, the management commands, and the worker loop."""
