"""theddt."""
