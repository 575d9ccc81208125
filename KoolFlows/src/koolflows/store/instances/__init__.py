"""Running and ended processes, and what they wait for."""
