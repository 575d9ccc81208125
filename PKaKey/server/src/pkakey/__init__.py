"""pkakey."""
