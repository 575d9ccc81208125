import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.keys import check_public_key

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(one: Point, two: Point) -> Point:
    """The complete addition law of the twisted Edwards curve (RFC 8032 section 5.1.4)."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def recover_x(y: int) -> int | None:
    """A root of (y^2 - 1) / (d y^2 + 1), if there is one (RFC 8032 section 5.1.3)."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return x if x * x % P == square else None


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def low_order_points() -> list[Point]:
    """The eight points of the torsion subgroup, from one of order 8."""
    order_of_subgroup = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        x = recover_x(y)
        if x is None:
            continue
        point, multiple, scalar = (x, y), NEUTRAL, order_of_subgroup
        while scalar:
            if scalar & 1:
                multiple = add(multiple, point)
            point, scalar = add(point, point), scalar >> 1
        points = [NEUTRAL]
        while len(points) < 2 or points[-1] != NEUTRAL:
            points.append(add(points[-1], multiple))
        if len(points) == 9:
            return points[1:]
    raise AssertionError("no point of order 8 found")


def refusal(raw: bytes) -> Refusal:
    with pytest.raises(Refused) as caught:
        check_public_key(ed25519.Ed25519PublicKey.from_public_bytes(raw))
    return caught.value.refusal


def test_each_of_the_eight_low_order_points_is_refused() -> None:
    points = low_order_points()
    assert len(set(points)) == 8
    assert {refusal(encode(point)) for point in points} == {Refusal.KEY_MALFORMED}


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", range(P, 2**255))
def test_a_y_that_is_not_reduced_is_refused(y: int, sign: int) -> None:
    assert refusal((y | sign << 255).to_bytes(32, "little")) is Refusal.KEY_MALFORMED


def test_octets_that_are_on_no_curve_are_refused() -> None:
    off_curve = [y for y in range(2, 40) if recover_x(y) is None]
    assert len(off_curve) > 5
    for y in off_curve:
        assert refusal(y.to_bytes(32, "little")) is Refusal.KEY_MALFORMED


def test_fresh_keys_and_those_of_rfc_8032_pass() -> None:
    for _ in range(20):
        check_public_key(ed25519.Ed25519PrivateKey.generate().public_key())
    # RFC 8032 section 7.1, TEST 1.
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    check_public_key(ed25519.Ed25519PublicKey.from_public_bytes(raw))
