"""Profiles: versioned rules for one kind of certificate."""
