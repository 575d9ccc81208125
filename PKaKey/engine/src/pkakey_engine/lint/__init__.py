"""Lint: read the to-be-signed bytes once more, before anyone signs them."""

from dataclasses import dataclass

from cryptography import x509

from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.lint.rules import RULES, Rule, Subject

__all__ = ["RULES", "Finding", "Rule", "check_certificate", "lint_certificate"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that the certificate breaks: its stable code, its source and a sentence."""

    code: str
    source: str
    sentence: str


def lint_certificate(
    certificate: x509.Certificate, *, issuer_certificate: x509.Certificate | None
) -> list[Finding]:
    """Return every finding on the certificate (a draft or a signed one), in the rules' order.

    ``issuer_certificate`` None means that it is self-signed. The signature is not looked at.
    """
    try:
        subject = Subject(certificate, issuer_certificate)
    except (ValueError, x509.DuplicateExtension) as error:
        return [Finding("rfc5280.extension.malformed", "RFC 5280 section 4.2", str(error))]
    findings = []
    for rule in RULES:
        sentence = rule.check(subject)
        if sentence is not None:
            findings.append(Finding(rule.code, rule.source, sentence))
    return findings


def check_certificate(
    certificate: x509.Certificate, *, issuer_certificate: x509.Certificate | None
) -> None:
    """Raise ``Refused`` (lint.failed) naming every finding; return when there is none."""
    findings = lint_certificate(certificate, issuer_certificate=issuer_certificate)
    if findings:
        text = " ".join(f"[{finding.code}] {finding.sentence}" for finding in findings)
        raise Refused(
            Refusal.LINT_FAILED, f"The certificate would break rules and is not signed: {text}"
        )
