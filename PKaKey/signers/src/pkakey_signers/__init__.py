"""pkakey-signers."""
