"""Events that wait for the relay."""
