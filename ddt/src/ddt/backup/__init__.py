"""Backups: one encrypted file with everything that is needed, its way back, and the drill."""
