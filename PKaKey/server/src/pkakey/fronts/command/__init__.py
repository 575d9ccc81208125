"""The management commands; each is a thin call of one use case."""
