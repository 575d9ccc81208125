"""pkakey-events."""
