"""Serial numbers."""

import secrets

__all__ = ["new_serial_number", "serial_hex"]

_OCTETS = 19


def new_serial_number() -> int:
    """Return a fresh serial number: positive, unpredictable, below 2**152.

    RFC 5280 section 4.1.2.2 allows 20 octets; we draw 19, since a leading 1 bit costs one more.
    All 152 bits come from the operating system's CSPRNG (BR section 7.1 wants at least 64).
    """
    while True:
        number = int.from_bytes(secrets.token_bytes(_OCTETS), "big")
        if number:
            return number


def serial_hex(serial_number: int) -> str:
    """Return the platform's one way to write a serial: lower-case hex without prefix or padding."""
    return format(serial_number, "x")
