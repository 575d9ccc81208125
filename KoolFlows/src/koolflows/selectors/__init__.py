"""Reads, one file per resource."""
