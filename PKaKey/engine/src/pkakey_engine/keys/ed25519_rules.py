"""Rules on Ed25519 public keys (RFC 8032, RFC 8410): canonical, on the curve, not of low order."""

from cryptography.hazmat.primitives.asymmetric import ed25519

from pkakey_engine.errors import Refusal, Refused

__all__ = ["check_ed25519_key"]

_FIELD = 2**255 - 19
_CURVE_D = -121665 * pow(121666, -1, _FIELD) % _FIELD

# The y coordinates of the eight points whose order divides 8: the neutral element (1), order 2
# (-1), order 4 (0), and the two pairs of order 8, which are roots of a quartic and written out.
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_LOW_ORDER_Y = frozenset({0, 1, _FIELD - 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y})


def _is_square(value: int) -> bool:
    """Return whether the value is zero or a square modulo the field's prime (Euler)."""
    return pow(value, (_FIELD - 1) // 2, _FIELD) in (0, 1)


def check_ed25519_key(public_key: ed25519.Ed25519PublicKey) -> None:
    """Raise ``Refused`` (key.malformed) unless the 32 octets name a point that may sign."""
    encoded = int.from_bytes(public_key.public_bytes_raw(), "little")
    y = encoded & (2**255 - 1)
    y2 = y * y % _FIELD
    # Points satisfy x^2 = (y^2 - 1) / (d y^2 + 1); RFC 8032 section 5.1.3.
    on_curve = y < _FIELD and _is_square((y2 - 1) * (_CURVE_D * y2 + 1) % _FIELD)
    if not on_curve or y in _LOW_ORDER_Y:
        raise Refused(
            Refusal.KEY_MALFORMED,
            "The Ed25519 key is no usable point of the curve (not canonical, not on it, or of low "
            "order); make a new key.",
        )
