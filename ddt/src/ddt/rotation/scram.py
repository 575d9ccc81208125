"""What PostgreSQL keeps of a password, so that it is never sent, logged or shown (RFC 5803)."""

import base64
import hashlib
import hmac
import os

ITERATIONS = 4096
"""PostgreSQL's own number; the passwords are random, so more would win nothing."""


def verifier(password: str, salt: bytes | None = None) -> str:
    """Return the verifier of an ASCII password, as `ALTER ROLE … PASSWORD` takes it."""
    salt = os.urandom(16) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    stored = hashlib.sha256(client).digest()
    words = [base64.b64encode(octets).decode("ascii") for octets in (salt, stored, server)]
    return f"SCRAM-SHA-256${ITERATIONS}:{words[0]}${words[1]}:{words[2]}"
