"""The shapes of requests and answers, for the OpenAPI document only.

Nothing here runs for a request: `reading` checks what comes in and `representations` builds what
goes out; tests hold both to these shapes.
"""

from typing import Any

from pkakey_engine.revocation import RevocationReason
from rest_framework import serializers

from pkakey.fronts.rest.reading import MAX_CSR_CHARACTERS, MAX_NAME_CHARACTERS
from pkakey.selectors.grants import STATES as GRANT_STATES
from pkakey.services.grants import MAX_REASON, MIN_REASON
from pkakey.services.principals import PERMISSIONS

CERTIFICATE_STATUSES = ("valid", "expired", "revoked")
REQUEST_STATES = ("recorded", "not-started", "waiting", "issued", "refused", "failed")


class Shape(serializers.Serializer[Any]):
    """A JSON object of the API; never instantiated for a request."""


class CertificateName(Shape):
    """One subject alternative name: its kind (RFC 5280 section 4.2.1.6) and its value."""

    kind = serializers.CharField()
    value = serializers.CharField()


class CertificateLinks(Shape):
    """Full addresses of one certificate and its downloads."""

    self = serializers.URLField()
    pem = serializers.URLField()
    der = serializers.URLField()
    chain = serializers.URLField()
    pkcs7 = serializers.URLField()
    revoke = serializers.URLField()


class IssueCertificate(Shape):
    """A certificate signing request and the profile to issue it by."""

    csr = serializers.CharField(
        max_length=MAX_CSR_CHARACTERS,
        trim_whitespace=False,
        help_text="The certificate signing request (RFC 2986) in PEM, at most 64 KiB.",
    )
    profile = serializers.CharField(
        max_length=MAX_NAME_CHARACTERS,
        trim_whitespace=False,
        help_text="The name of a profile, such as `tls-server`; `GET profiles/` lists them.",
    )
    authority = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="The authority to issue from; left out, the namespace's issuing authority.",
    )


class IssuedCertificate(Shape):
    """A certificate that was issued by this request, or by the first one with the same key."""

    serial_number = serializers.CharField(help_text="Lower-case hexadecimal without a prefix.")
    subject = serializers.CharField(help_text="The subject's name (RFC 4514).")
    names = CertificateName(many=True)
    profile = serializers.CharField()
    authority = serializers.UUIDField()
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    pem = serializers.CharField()
    chain = serializers.ListField(
        child=serializers.CharField(),
        help_text="The certificates above this one in PEM, its issuer first.",
    )
    links = CertificateLinks()


class CertificateSummary(Shape):
    """A certificate as the list shows it."""

    serial_number = serializers.CharField()
    subject = serializers.CharField()
    names = CertificateName(many=True)
    profile = serializers.CharField()
    authority = serializers.UUIDField()
    status = serializers.ChoiceField(choices=CERTIFICATE_STATUSES)
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    issued_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revocation_reason = serializers.CharField(allow_null=True)
    links = CertificateLinks()


class Extension(Shape):
    """One extension of a certificate in words."""

    name = serializers.CharField()
    oid = serializers.CharField()
    critical = serializers.BooleanField()
    text = serializers.ListField(child=serializers.CharField())


class CertificateDetail(CertificateSummary):
    """A certificate with its chain and every extension in words."""

    pem = serializers.CharField()
    chain = serializers.ListField(child=serializers.CharField())
    extensions = Extension(many=True)
    profile_version = serializers.IntegerField()
    key = serializers.CharField(help_text="The public key in words.")
    signature_algorithm = serializers.CharField()
    sha256 = serializers.CharField(help_text="The certificate's fingerprint, in hex.")
    requested_by = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # The metaclass takes it off.


class CertificatePage(Shape):
    """One page of certificates, newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CertificateSummary(many=True)


class RevokeCertificate(Shape):
    """Why a certificate is revoked (RFC 5280 section 5.3.1)."""

    reason = serializers.ChoiceField(choices=[reason.value for reason in RevocationReason])


class RevokedCertificate(Shape):
    """A certificate that is revoked from now on."""

    serial_number = serializers.CharField()
    status = serializers.ChoiceField(choices=("revoked",))
    reason = serializers.CharField()
    revoked_at = serializers.DateTimeField()


class Authority(Shape):
    """A certification authority; its key is in the signer."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    subject = serializers.CharField()
    parent = serializers.UUIDField(allow_null=True)  # type: ignore[assignment]  # The metaclass takes it off.
    profile = serializers.CharField()
    algorithm = serializers.CharField()
    serial_number = serializers.CharField()
    sha256 = serializers.CharField(help_text="The certificate's fingerprint, in hex.")
    not_before = serializers.DateTimeField()
    not_after = serializers.DateTimeField()
    is_default = serializers.BooleanField(help_text="Issues when a request names no authority.")
    is_suspended = serializers.BooleanField(
        help_text="Issues nothing until key holders activate it; its CRLs and OCSP go on."
    )
    crl_number = serializers.IntegerField(allow_null=True)
    crl_next_update = serializers.DateTimeField(allow_null=True)
    links = serializers.DictField(child=serializers.URLField())


class AuthorityDetail(Authority):
    """An authority with its certificate and chain."""

    pem = serializers.CharField()
    chain = serializers.ListField(child=serializers.CharField())


class AuthorityList(Shape):
    """Every authority of the namespace."""

    results = Authority(many=True)


class Profile(Shape):
    """A profile: the versioned rule for one kind of certificate."""

    name = serializers.CharField()
    version = serializers.IntegerField()
    digest = serializers.CharField(help_text="SHA-256 of the profile's canonical data, in hex.")
    data = serializers.DictField()  # type: ignore[assignment]  # The metaclass takes it off.
    created_at = serializers.DateTimeField()


class ProfileList(Shape):
    """Every profile of the namespace."""

    results = Profile(many=True)


class CreateToken(Shape):
    """A new API token, for the caller's namespace."""

    name = serializers.CharField(max_length=MAX_NAME_CHARACTERS, trim_whitespace=False)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=sorted(PERMISSIONS)), min_length=1
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    form = serializers.ChoiceField(choices=["jwt", "opaque"], required=False, allow_null=True)


class Token(Shape):
    """An API token without its secret, of which only a hash is kept."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewToken(Shape):
    """A token that was just created; `token` is shown this once."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    token = serializers.CharField()


class TokenList(Shape):
    """The caller's tokens."""

    results = Token(many=True)


class RequestLinks(Shape):
    """Where to look: here, in the portal, and at the certificate once it is there."""

    self = serializers.URLField()
    portal = serializers.URLField()
    certificate = serializers.URLField(allow_null=True)


class RequestItem(Shape):
    """A request under a profile that needs an approval (docs/flows/approval.md)."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=REQUEST_STATES)
    sha256 = serializers.CharField(help_text="Over all that is approved; an approval is for this.")
    profile = serializers.CharField()
    profile_version = serializers.IntegerField()
    subject = serializers.CharField()
    names = CertificateName(many=True)
    diagram = serializers.CharField(help_text="The key of KoolFlows' diagram.")
    diagram_version = serializers.IntegerField(allow_null=True)
    diagram_sha256 = serializers.CharField(allow_null=True)
    process = serializers.UUIDField(allow_null=True)
    path = serializers.ListField(
        child=serializers.CharField(), help_text="The diagram's elements that were passed."
    )
    deciders = serializers.ListField(child=serializers.DictField())
    reason = serializers.CharField(allow_blank=True, help_text="Why it was refused or failed.")
    requested_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    serial_number = serializers.CharField(allow_null=True)
    links = RequestLinks()


class RequestDetail(RequestItem):
    """A request with its certificate, once there is one."""

    pem = serializers.CharField(allow_null=True)
    chain = serializers.ListField(child=serializers.CharField(), allow_null=True)


class RequestList(Shape):
    """Requests, newest first."""

    results = RequestItem(many=True)


class GrantLinks(Shape):
    """Where to look: here and in the portal."""

    self = serializers.URLField()
    portal = serializers.URLField()


class Grant(Shape):
    """Names that need no further approval under a profile until a date."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=GRANT_STATES)
    pattern = serializers.CharField(help_text="A DNS name, or `*.` for one label before it.")
    profile = serializers.CharField()
    until = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)
    process = serializers.UUIDField()
    diagram = serializers.CharField()
    diagram_version = serializers.IntegerField()
    diagram_sha256 = serializers.CharField()
    path = serializers.ListField(
        child=serializers.CharField(), help_text="The diagram's elements that were passed."
    )
    deciders = serializers.ListField(child=serializers.DictField())
    links = GrantLinks()


class GrantPage(Shape):
    """One page of grants, newest first."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = Grant(many=True)


class WithdrawGrant(Shape):
    """Why a grant is withdrawn."""

    reason = serializers.CharField(
        min_length=MIN_REASON, max_length=MAX_REASON, trim_whitespace=False
    )


class WithdrawnGrant(Shape):
    """A grant that is withdrawn from now on."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=("withdrawn",))
    withdrawn_at = serializers.DateTimeField()
