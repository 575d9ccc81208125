"""Deployed diagrams: versions that never change."""
