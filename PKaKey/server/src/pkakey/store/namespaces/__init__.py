"""Namespaces: who owns each row, and who belongs to them."""
