"""The figures of the first screen, kept for some seconds: counting costs more than a page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q
from django.db.models.functions import TruncDay

from pkakey.selectors.audit import event_of
from pkakey.selectors.certificates import ending_soon
from pkakey.selectors.results import DashboardSummary, DayCount
from pkakey.store.audit.models import Entry
from pkakey.store.authorities.models import Authority
from pkakey.store.certificates.models import Certificate
from pkakey.store.context import Principal, acting_as, require

KEPT_SECONDS = 15
DAYS_SHOWN = 30
ROWS_SHOWN = 8


def summary(principal: Principal, now: datetime) -> DashboardSummary:
    """Return the namespace's figures; `counted_at` says how old the counts are.

    The last events are left out for who may not read the audit log.
    """
    require(principal, "certificates:read")
    key = f"dashboard:{principal.namespace_id}"
    counts: dict[str, Any] | None = cache.get(key)
    with acting_as(principal):
        if counts is None or not now - timedelta(seconds=KEPT_SECONDS) < counts["at"] <= now:
            counts = _counts(now)
            cache.set(key, counts, KEPT_SECONDS)
        soon = ending_soon(now, now + timedelta(days=30), ROWS_SHOWN)
        events = (
            tuple(map(event_of, Entry.objects.order_by("-id")[:ROWS_SHOWN]))
            if principal.can("audit:read")
            else ()
        )
    return DashboardSummary(
        **counts["figures"],
        issued_by_day=_every_day(counts["days"], now),
        expiring_soon=soon,
        last_events=events,
        counted_at=counts["at"],
    )


def _counts(now: datetime) -> dict[str, Any]:
    living = Q(revoked_at__isnull=True, not_after__gte=now)
    figures = Certificate.objects.aggregate(
        valid=Count("id", filter=living),
        expired=Count("id", filter=Q(revoked_at__isnull=True, not_after__lt=now)),
        revoked=Count("id", filter=Q(revoked_at__isnull=False)),
        expiring_7_days=Count("id", filter=living & Q(not_after__lte=now + timedelta(days=7))),
        expiring_30_days=Count("id", filter=living & Q(not_after__lte=now + timedelta(days=30))),
        issued_24_hours=Count("id", filter=Q(issued_at__gt=now - timedelta(hours=24))),
    )
    figures["authorities"] = Authority.objects.filter(state=Authority.ACTIVE).count()
    days = (
        Certificate.objects.filter(issued_at__gt=now - timedelta(days=DAYS_SHOWN))
        .annotate(day=TruncDay("issued_at", tzinfo=UTC))
        .values("day")
        .annotate(count=Count("id"))
        .order_by("day")
    )
    return {
        "at": now,
        "figures": figures,
        "days": {row["day"]: row["count"] for row in days},
    }


def _every_day(counts: dict[datetime, int], now: datetime) -> tuple[DayCount, ...]:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in range(DAYS_SHOWN - 1, -1, -1)]
    return tuple(DayCount(day=day, count=counts.get(day, 0)) for day in days)
