"""What can be wrong with a token, and with the keys that it is checked by."""

from typing import Final

REASONS: Final = {
    "jwt.too-large": "The token is longer than any that is issued here. Ask for a new one.",
    "jwt.malformed": "The token is no signed JWT (RFC 7519). Send it as it was issued.",
    "jwt.header": "The token's header names a key, an address or an extension; it may not.",
    "jwt.algorithm": "The token's algorithm is not allowed: RS256, PS256 and ES256 are.",
    "jwt.type": "The token is no access token. Send the access token, not another one.",
    "jwt.issuer": "The token comes from an issuer that is not trusted here.",
    "jwt.key": "The token's issuer has no such signing key. Ask for a new token.",
    "jwt.signature": "The token's signature does not fit. Send it as it was issued.",
    "jwt.audience": "The token is meant for another service. Ask for one for this audience.",
    "jwt.expired": "The token has expired. Ask for a new one.",
    "jwt.not-yet-valid": "The token is not valid yet. Compare the clocks of both machines.",
    "jwt.claims": "The token's claims are not what is issued here. Ask for a new one.",
    "jwt.bound": "The token is bound to a key of its holder, which is not supported here.",
}
"""Each code and its sentence; the sentence never repeats what came."""


class IdentityError(Exception):
    """The base of both errors."""


class TokenRefused(IdentityError):  # noqa: N818  # Named by what happened.
    """The token proves nothing. `code` is one of `REASONS`, `detail` its sentence."""

    def __init__(self, code: str) -> None:
        super().__init__(REASONS[code])
        self.code = code
        self.detail = REASONS[code]


class KeysUnavailable(IdentityError):  # noqa: N818  # Named by what happened.
    """The issuer's keys cannot be had now, so no token can be checked: answer 503, not 401."""

    def __init__(self, issuer: str) -> None:
        super().__init__(f"The keys of {issuer} cannot be had at the moment.")
        self.issuer = issuer
