"""Announce certificates that end soon, once for each of a few distances."""

from datetime import datetime, timedelta

from pkakey.services.namespace_walk import each_namespace
from pkakey.services.principals import Principal
from pkakey.services.records import Told, record
from pkakey.store.certificates.models import Certificate, ExpiryNotice
from pkakey.store.context import acting_as

DAYS = (1, 7, 14, 30)
_AT_ONCE = 1000


def announce_expiring(*, now: datetime) -> int:
    """Announce in every namespace; return how many announcements were made."""
    return sum(
        _announce(principal, days=days, after=after, now=now)
        for principal in each_namespace("expiry")
        for after, days in zip((0, *DAYS), DAYS, strict=False)
    )


def _announce(principal: Principal, *, days: int, after: int, now: datetime) -> int:
    """Announce what ends between `after` and `days` days from now and was not announced so."""
    with acting_as(principal):
        ending = (
            Certificate.objects.filter(
                namespace_id=principal.namespace_id,
                not_after__gt=now + timedelta(days=after),
                not_after__lte=now + timedelta(days=days),
                revoked_at__isnull=True,
            )
            # The platform renews its responders itself.
            .exclude(purpose="ocsp-responder")
            .exclude(expirynotice__days=days)
            .order_by("not_after")[:_AT_ONCE]
        )
        count = 0
        for certificate in ending:
            life = certificate.not_after - certificate.not_before
            if life < timedelta(days=2 * days):
                # For a certificate of a week, "ends in 7 days" would be no news.
                continue
            _, is_new = ExpiryNotice.objects.get_or_create(
                certificate=certificate,
                days=days,
                defaults={"namespace_id": principal.namespace_id, "announced_at": now},
            )
            if is_new:
                _tell(principal, certificate, now)
                count += 1
    return count


def _tell(principal: Principal, certificate: Certificate, now: datetime) -> None:
    record(
        principal=principal,
        now=now,
        action="certificate.expiring",
        target=certificate.serial_number,
        details={"not_after": certificate.not_after.isoformat()},
        told=Told(
            type="certificate.expiring",
            payload={
                "certificate_id": str(certificate.id),
                "serial_number": certificate.serial_number,
                "authority_id": str(certificate.authority_id),
                "subject": certificate.subject,
                "not_after": certificate.not_after.isoformat(),
                "days_left": (certificate.not_after - now).days,
            },
        ),
    )
