"""API tokens, of which only a digest is kept."""
