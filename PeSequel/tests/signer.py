"""Tokens as PKaKey signs them for the data API, and the set of keys that checks them."""

import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://pkakey.theddt.test:8443"


@dataclass(frozen=True)
class Signer:
    """Whoever signs tokens: the platform's key, or somebody else's."""

    key: rsa.RSAPrivateKey
    key_id: str

    def token(self, **changes: Any) -> str:
        """Return a pki-auditor's token of the default namespace; None leaves a claim out."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "7",
            "aud": "pesequel",
            "iat": now,
            "exp": now + 600,
            "preferred_username": "ada",
            "role": "web_user",
            "roles": ["pki-auditor"],
            "namespace": "default",
            "scope": "openid profile",
        }
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})

    def jwks(self) -> str:
        """Return the JSON Web Key Set with the public key."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return json.dumps({"keys": [public | {"kid": self.key_id, "alg": "RS256", "use": "sig"}]})


def new_signer(key_id: str) -> Signer:
    """Return a signer with a new key of this id."""
    return Signer(rsa.generate_private_key(public_exponent=65537, key_size=2048), key_id)
