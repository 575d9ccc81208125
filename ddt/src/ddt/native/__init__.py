"""The native runner: real servers from wheels, started and watched without Docker and root."""
