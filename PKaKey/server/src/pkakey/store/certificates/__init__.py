"""Certificates, the intents that came before them, and idempotency keys."""
