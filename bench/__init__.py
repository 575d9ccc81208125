"""Benchmarks of a running platform, through its gateway: `make bench`."""
