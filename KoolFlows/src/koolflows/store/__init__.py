"""The tables, and the one way to open a transaction on them."""
