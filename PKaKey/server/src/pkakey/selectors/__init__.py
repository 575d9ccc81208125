"""Reads: each selector takes the principal, opens its own transaction and returns values."""
