"""The tables: one Django app per aggregate, and the one way to open a transaction on them."""
