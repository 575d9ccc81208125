"""The four steps of docs/flows/issuance.md, shared by every use case that has something signed."""

import logging
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from pkakey_engine.issuance import IntendedCertificate, complete_certificate
from pkakey_signers.errors import SignerRefused, SignerUnavailable

from pkakey.selectors.values import names_to_text
from pkakey.services.errors import (
    Conflict,
    NotPermitted,
    ServiceUnavailable,
    Unauthenticated,
)
from pkakey.services.measuring import step
from pkakey.services.outside import Outside
from pkakey.services.principals import Principal
from pkakey.store import direct

logger = logging.getLogger(__name__)

ISSUE_INTENT = (
    "SELECT outcome, intent FROM pki.issue_intent(%s::uuid, %s::text, %s::text, %s::text, %s::text,"
    " %s::uuid, %s::uuid, %s::integer, %s::boolean, %s::text, %s::text, %s::uuid, %s::bytea,"
    " %s::text, %s::text, %s::text[], %s::timestamptz, %s::timestamptz, %s::text, %s::text,"
    " %s::integer, %s::text, %s::bytea, %s::text, %s::timestamptz, %s::text, %s::bytea)"
)
_STORE_CERTIFICATE = (
    "SELECT pki.store_certificate(%s::uuid, %s::uuid, %s::bytea, %s::timestamptz, %s::uuid)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an intended certificate is for: `leaf`, or the platform's own parts.

    `beneficiary_id` is the authority's id for `authority`, the key's id for `ocsp-responder`.
    """

    name: str = "leaf"
    beneficiary_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """What the client sent as Idempotency-Key, and the SHA-256 of what it asked for."""

    key: str
    request_sha256: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """The intent that stands for the request now; `is_new` unless an earlier request made it."""

    intent_id: UUID
    is_new: bool


class Stale(Exception):  # noqa: N818  # Caught by whoever read the stale values.
    """The authority or profile has changed since it was read."""


@step("intent")
def record_intent(
    *,
    principal: Principal,
    intended: IntendedCertificate,
    authority_id: UUID,
    authority_version: int,
    now: datetime,
    source: str,
    purpose: Purpose,
    is_default: bool = False,
    request_der: bytes = b"",
    idempotency: IdempotencyKey | None = None,
) -> Recorded:
    """Step 1 (docs/flows/issuance.md): commit the intent before any key is used.

    The same commit checks that the token still holds. Raises `Stale`, `Unauthenticated`,
    `NotPermitted`, `Conflict("idempotency.key-reused")`, `ServiceUnavailable("database")`.
    """
    intent_id = uuid4()
    values = (
        principal.namespace_id,
        principal.kind,
        principal.id,
        principal.name,
        principal.request_id,
        intent_id,
        authority_id,
        authority_version,
        is_default,
        "certificate",
        purpose.name,
        purpose.beneficiary_id,
        intended.to_be_signed,
        intended.serial_hex,
        intended.subject,
        names_to_text(intended.names),
        intended.not_before,
        intended.not_after,
        intended.public_key_sha256,
        intended.profile_name,
        intended.profile_version,
        intended.profile_digest,
        request_der,
        source,
        now,
        idempotency.key if idempotency else None,
        idempotency.request_sha256 if idempotency else None,
    )
    outcome, recorded_id = direct.call(ISSUE_INTENT, values)[0]
    _raise_for(outcome)
    return Recorded(recorded_id, is_new=outcome == "recorded")


@step("signature")
def sign_certificate(
    outside: Outside, *, intended: IntendedCertificate, intent_id: UUID, key_id: UUID
) -> bytes:
    """Do steps 2 and 3: one signature over exactly the intended bytes, compared; return the DER.

    Raises `ServiceUnavailable("signer")`, and the engine's alarm `SignedBytesDiffer`.
    """
    # Step 2 (docs/flows/issuance.md): the signer looks the intent up itself.
    signature = ask_signer(
        outside,
        kind="certificate",
        key_id=key_id,
        intent_id=intent_id,
        to_be_signed=intended.to_be_signed,
    )
    # Step 3 (docs/flows/issuance.md): signed bytes equal the intended, or alarm.
    return complete_certificate(intended, signature)


def ask_signer(
    outside: Outside, *, kind: str, key_id: UUID, intent_id: UUID, to_be_signed: bytes
) -> bytes:
    """Return the signer's signature; raises `ServiceUnavailable("signer")`."""
    try:
        return outside.signer.sign(
            kind=kind, key_id=key_id, intent_id=intent_id, to_be_signed=to_be_signed
        )
    except SignerUnavailable as error:
        logger.warning("The signer does not answer: %s", error.detail)
    except SignerRefused as error:
        # The intent stays open; the reconciler asks again and gives it up if this is final.
        logger.error("The signer refused intent %s: %s", intent_id, error)  # noqa: TRY400
    raise ServiceUnavailable(
        "signer",
        "The signer gave no signature at the moment. Send the same request again in a few "
        "seconds, with the same Idempotency-Key if you gave one.",
    )


@step("record")
def store_certificate(
    *, namespace_id: UUID, intent_id: UUID, certificate_der: bytes, now: datetime
) -> None:
    """Step 4: certificate, audit entry and event in one commit, which closes the intent.

    Raises `ServiceUnavailable("database")`; the intent then stays open for the reconciler.
    """
    # Step 4 (docs/flows/issuance.md).
    values = (namespace_id, intent_id, certificate_der, now, uuid4())
    outcome = direct.call(_STORE_CERTIFICATE, values)[0][0]
    if outcome == "closed":
        raise ServiceUnavailable(
            "signer", "The request took too long and was given up. Send it again."
        )


def _raise_for(outcome: str) -> None:
    match outcome:
        case "recorded" | "exists":
            return
        case "stale":
            raise Stale
        case "token-revoked":
            raise Unauthenticated("token.revoked")
        case "token-scope":
            raise NotPermitted("certificates:issue")
        case "key-reused":
            raise Conflict(
                "idempotency.key-reused",
                "This Idempotency-Key came before with another request. Use a new key for a new "
                "request, or repeat the first request unchanged.",
            )
        case _:
            raise AssertionError(outcome)
