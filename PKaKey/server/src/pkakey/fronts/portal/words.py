"""Codes of the platform in words that people read. What has no words here is shown as its code."""

from typing import Final

REASONS: Final = {
    "unspecified": "No particular reason",
    "keyCompromise": "The private key may be known to somebody else",
    "cACompromise": "The authority's key may be known to somebody else",
    "affiliationChanged": "The subject's name or affiliation has changed",
    "superseded": "Another certificate takes its place",
    "cessationOfOperation": "It is no longer used",
    "privilegeWithdrawn": "The subject may no longer use it",
    "aACompromise": "The attribute authority may be compromised",
}
"""Reasons for a revocation (RFC 5280 section 5.3.1) that the portal offers."""

ACTS: Final = {
    "certificate.issued": "Certificate issued",
    "certificate.revoked": "Certificate revoked",
    "certificate.expiring": "Certificate announced as ending soon",
    "gateway-certificate.renewed": "Gateway certificate renewed",
    "crl.published": "CRL published",
    "authority.created": "Authority created",
    "authority.granted": "Authority opened to another namespace",
    "authority.suspended": "Authority suspended",
    "authority.activated": "Authority activated",
    "profile.published": "Profile published",
    "profile.changed": "Profile changed by a process",
    "namespace.created": "Namespace created",
    "token.created": "API token created",
    "token.revoked": "API token revoked",
    "user.created": "Person added",
    "user.left": "Person left",
    "user.password-reset": "Password reset",
    "oidc-client.created": "Program registered for sign-in",
    "request.received": "Request received, approval begun",
    "request.issued": "Request approved and issued",
    "request.refused": "Request refused",
    "request.failed": "Approved request could not be issued",
    "grant.recorded": "Grant recorded",
    "grant.withdrawn": "Grant withdrawn",
    "process.renewed": "Renewed by a process",
    "process.revoked": "Revoked by a process",
    "intent.abandoned": "Unfinished issuance given up",
}
"""Actions of the audit log."""

REQUEST_STATES: Final = {
    "recorded": ("expired", "recorded"),
    "not-started": ("revoked", "not started"),
    "waiting": ("expired", "waits for approval"),
    "issued": ("valid", "issued"),
    "refused": ("revoked", "refused"),
    "failed": ("revoked", "failed"),
}
"""States of a request: the style of its mark, and the words in it."""

GRANT_STATES: Final = {"active": "valid", "expired": "expired", "withdrawn": "revoked"}
"""States of a grant: the style of the mark."""

FLOW_ACTS: Final = {
    "started": "Begun",
    "passed": "Passed",
    "decided": "Decided",
    "claimed": "Taken",
    "delegated": "Handed over",
    "escalated": "Handed to a higher role",
    "job-done": "Done",
    "job-failed": "Refused by the other side",
    "job-queued": "Ordered",
    "message": "Message came",
    "migrated": "Moved to another version",
    "task-opened": "Task given out",
    "task-withdrawn": "Task withdrawn",
    "timer": "A timer fired",
    "completed": "Ended",
    "cancelled": "Cancelled",
    "incident": "Stopped",
    "resumed": "Let go on",
}
"""Kinds of a process's history."""

SOURCES: Final = {
    "api": "the REST API",
    "portal": "the portal",
    "cli": "the ddt command",
    "gateway": "the platform",
    "authority": "the platform",
    "responder": "the platform",
}
"""The ways in which a certificate is asked for."""

PROFILE_FIELDS: Final = {
    "kind": "Kind",
    "key_algorithms": "Keys",
    "min_rsa_bits": "Least RSA size (bits)",
    "validity_days": "Validity (days)",
    "max_validity_days": "Longest validity (days)",
    "min_validity_seconds": "Shortest validity (seconds)",
    "backdate_seconds": "Starts before now by (seconds)",
    "common_name": "Common name is taken as",
    "names": "Names",
    "approval": "Approval",
    "key_usage": "Key usage",
    "extended_key_usage": "Extended key usage",
    "path_length": "Path length",
    "status": "Addresses of status in the certificate",
    "ignored_extensions": "Requested extensions that are ignored",
}
"""Fields of a profile's data, in the order in which they are shown."""


def in_words(value: object) -> str:
    """Return a value of a profile's data as text: lists with commas, flags as yes and no."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, dict):
        parts = (f"{name.replace('_', ' ')}: {in_words(part)}" for name, part in value.items())
        return "; ".join(parts)
    return str(value)
