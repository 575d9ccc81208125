"""Ways to run the platform beyond one machine."""
