"""People: the Django user, outside of row-level security (docs/adr/0003)."""
