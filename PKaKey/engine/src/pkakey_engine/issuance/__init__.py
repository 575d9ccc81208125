"""Issuance: request + profile + issuer + time → intended certificate → checked certificate."""

from pkakey_engine.issuance.authority import (
    authority_subject,
    intend_authority,
    intend_ocsp_responder,
)
from pkakey_engine.issuance.certificate import intend_certificate
from pkakey_engine.issuance.chain import certified_names, verify_chain
from pkakey_engine.issuance.describe import ExtensionInWords, describe_certificate
from pkakey_engine.issuance.intended import (
    IntendedCertificate,
    complete_certificate,
    complete_certificate_from_parts,
)
from pkakey_engine.issuance.issuer import Issuer, key_identifier
from pkakey_engine.issuance.profile import (
    CommonNameRule,
    Profile,
    ProfileKind,
    shipped_profile,
    shipped_profiles,
)
from pkakey_engine.issuance.request import MAX_CSR_BYTES, CertificateRequest, parse_csr
from pkakey_engine.issuance.serials import new_serial_number, serial_hex
from pkakey_engine.names import Name, NameKind, parse_name

__all__ = [
    "MAX_CSR_BYTES",
    "CertificateRequest",
    "CommonNameRule",
    "ExtensionInWords",
    "IntendedCertificate",
    "Issuer",
    "Name",
    "NameKind",
    "Profile",
    "ProfileKind",
    "authority_subject",
    "certified_names",
    "complete_certificate",
    "complete_certificate_from_parts",
    "describe_certificate",
    "intend_authority",
    "intend_certificate",
    "intend_ocsp_responder",
    "key_identifier",
    "new_serial_number",
    "parse_csr",
    "parse_name",
    "serial_hex",
    "shipped_profile",
    "shipped_profiles",
    "verify_chain",
]
