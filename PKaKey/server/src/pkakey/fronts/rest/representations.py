"""What goes out: plain dictionaries, in the shapes that `schemas` describes."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, overload

from django.urls import reverse
from pkakey_engine.issuance import ExtensionInWords
from pkakey_engine.names import Name
from rest_framework.request import Request

from pkakey.selectors.results import (
    AuthorityItem,
    CertificateDetail,
    CertificateItem,
    GrantItem,
    ProfileItem,
    RequestItem,
    TokenItem,
)
from pkakey.services.results import IssuedCertificate, NewToken, RevokedCertificate


@overload
def timestamp(moment: datetime) -> str: ...
@overload
def timestamp(moment: None) -> None: ...
@overload
def timestamp(moment: datetime | None) -> str | None: ...
def timestamp(moment: datetime | None) -> str | None:
    """Return `moment` in RFC 3339 form in UTC, with "Z"; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@cache
def _path(name: str) -> str:
    return reverse(f"rest:{name}")


def certificate_links(serial_number: str, request: Request) -> dict[str, str]:
    """Return the full addresses of a certificate and its downloads."""
    one = f"{request.build_absolute_uri(_path('certificates'))}{serial_number}/"
    return {
        "self": one,
        "pem": f"{one}pem",
        "der": f"{one}der",
        "chain": f"{one}chain",
        "pkcs7": f"{one}pkcs7",
        "revoke": f"{one}revoke/",
    }


def issued(certificate: IssuedCertificate, request: Request) -> dict[str, Any]:
    """Return a certificate that was just issued."""
    return {
        "serial_number": certificate.serial_number,
        "subject": certificate.subject,
        "names": names(certificate.names),
        "profile": certificate.profile,
        "authority": str(certificate.authority_id),
        "not_before": timestamp(certificate.not_before),
        "not_after": timestamp(certificate.not_after),
        "pem": certificate.pem,
        "chain": certificate.chain,
        "links": certificate_links(certificate.serial_number, request),
    }


def request_item(item: RequestItem, request: Request) -> dict[str, Any]:
    """Return a request that needs an approval, and where to look."""
    links: dict[str, str | None] = {
        "self": f"{request.build_absolute_uri(_path('requests'))}{item.id}/",
        "portal": request.build_absolute_uri(reverse("portal:request", args=[item.id])),
        "certificate": None,
    }
    if item.serial_number is not None:
        links["certificate"] = certificate_links(item.serial_number, request)["self"]
    return {
        "id": str(item.id),
        "state": item.state,
        "sha256": item.sha256,
        "profile": item.profile,
        "profile_version": item.profile_version,
        "subject": item.subject,
        "names": names(item.names),
        "diagram": item.diagram,
        "diagram_version": item.diagram_version,
        "diagram_sha256": item.diagram_sha256,
        "process": str(item.process_id) if item.process_id else None,
        "path": list(item.path),
        "deciders": list(item.deciders),
        "reason": item.reason,
        "requested_by": item.requester_name,
        "created_at": timestamp(item.created_at),
        "closed_at": timestamp(item.closed_at),
        "serial_number": item.serial_number,
        "links": links,
    }


def grant(item: GrantItem, request: Request) -> dict[str, Any]:
    """Return what needs no further approval, and what allowed that."""
    return {
        "id": str(item.id),
        "state": item.state,
        "pattern": item.pattern,
        "profile": item.profile,
        "until": timestamp(item.until),
        "created_at": timestamp(item.created_at),
        "withdrawn_at": timestamp(item.withdrawn_at),
        "process": str(item.process_id),
        "diagram": item.diagram,
        "diagram_version": item.diagram_version,
        "diagram_sha256": item.diagram_sha256,
        "path": list(item.path),
        "deciders": list(item.deciders),
        "links": {
            "self": f"{request.build_absolute_uri(_path('grants'))}{item.id}/",
            "portal": request.build_absolute_uri(reverse("portal:grant", args=[item.id])),
        },
    }


def names(all_names: Iterable[Name]) -> list[dict[str, str]]:
    """Return subject alternative names, each with its kind."""
    return [{"kind": str(name.kind), "value": name.value} for name in all_names]


def revoked(certificate: RevokedCertificate) -> dict[str, Any]:
    """Return a certificate that was just revoked."""
    return {
        "serial_number": certificate.serial_number,
        "status": "revoked",
        "reason": certificate.reason,
        "revoked_at": timestamp(certificate.revoked_at),
    }


def new_token(token: NewToken) -> dict[str, Any]:
    """Return a token that was just created, with its plaintext."""
    return {
        "id": str(token.id),
        "name": token.name,
        "scopes": list(token.scopes),
        "created_at": timestamp(token.created_at),
        "expires_at": timestamp(token.expires_at),
        "token": token.token,
    }


def summary(item: CertificateItem, request: Request) -> dict[str, Any]:
    """Return a certificate as the list shows it."""
    return {
        "serial_number": item.serial_number,
        "subject": item.subject,
        "names": names(item.names),
        "profile": item.profile,
        "authority": str(item.authority_id),
        "status": item.status,
        "not_before": timestamp(item.not_before),
        "not_after": timestamp(item.not_after),
        "issued_at": timestamp(item.issued_at),
        "revoked_at": timestamp(item.revoked_at),
        "revocation_reason": item.revocation_reason,
        "links": certificate_links(item.serial_number, request),
    }


def detail(item: CertificateDetail, request: Request) -> dict[str, Any]:
    """Return one certificate with its chain and its extensions in words."""
    return {
        **summary(item, request),
        "profile_version": item.profile_version,
        "key": item.key,
        "signature_algorithm": item.signature_algorithm,
        "sha256": item.sha256,
        "requested_by": item.requested_by,
        "source": item.source,
        "extensions": [extension(one) for one in item.extensions],
        "pem": item.pem,
        "chain": item.chain,
    }


def extension(one: ExtensionInWords) -> dict[str, Any]:
    """Return one extension in words."""
    return {"name": one.name, "oid": one.oid, "critical": one.critical, "text": list(one.lines)}


def authority(item: AuthorityItem, request: Request) -> dict[str, Any]:
    """Return an authority as the list shows it."""
    one = f"{request.build_absolute_uri(_path('authorities'))}{item.id}/"
    return {
        "id": str(item.id),
        "name": item.name,
        "subject": item.subject,
        "parent": str(item.parent_id) if item.parent_id else None,
        "profile": item.profile,
        "algorithm": item.algorithm,
        "serial_number": item.serial_number,
        "sha256": item.sha256,
        "not_before": timestamp(item.not_before),
        "not_after": timestamp(item.not_after),
        "is_default": item.is_default,
        "is_suspended": item.is_suspended,
        "crl_number": item.crl_number,
        "crl_next_update": timestamp(item.crl_next_update),
        "links": {
            "self": one,
            "pem": f"{one}pem",
            "der": f"{one}der",
            "chain": f"{one}chain",
            "pkcs7": f"{one}pkcs7",
        },
    }


def authority_detail(item: AuthorityItem, request: Request) -> dict[str, Any]:
    """Return an authority with its certificate and the authorities above it."""
    return {**authority(item, request), "pem": item.pem, "chain": item.chain}


def profile(item: ProfileItem) -> dict[str, Any]:
    """Return the current version of a profile."""
    return {
        "name": item.name,
        "version": item.version,
        "digest": item.digest,
        "data": item.data,
        "created_at": timestamp(item.created_at),
    }


def token(item: TokenItem) -> dict[str, Any]:
    """Return an API token without its secret."""
    return {
        "id": str(item.id),
        "name": item.name,
        "scopes": list(item.scopes),
        "created_by": item.created_by,
        "created_at": timestamp(item.created_at),
        "expires_at": timestamp(item.expires_at),
        "last_used_at": timestamp(item.last_used_at),
        "revoked_at": timestamp(item.revoked_at),
    }
