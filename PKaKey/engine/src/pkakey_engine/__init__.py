"""pkakey-engine."""
