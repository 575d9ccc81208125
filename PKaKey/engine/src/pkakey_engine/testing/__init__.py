"""Stand-ins for tests: keys in memory, CSRs, issuers. Never for production."""

from pkakey_engine.testing.authorities import (
    AuthorityForTests,
    make_issuing_authority,
    make_ocsp_responder,
    make_root_authority,
)
from pkakey_engine.testing.requests import make_csr
from pkakey_engine.testing.signer import NotForProductionWarning, SoftSigner, generate_key

__all__ = [
    "AuthorityForTests",
    "NotForProductionWarning",
    "SoftSigner",
    "generate_key",
    "make_csr",
    "make_issuing_authority",
    "make_ocsp_responder",
    "make_root_authority",
]
