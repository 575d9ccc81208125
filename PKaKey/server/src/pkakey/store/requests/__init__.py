"""Requests for certificates that need an approval first."""
