"""Times, numbers and icons as people read them."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from django import template
from django.forms import BoundField, CheckboxInput
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from pkakey.fronts.portal import words
from pkakey.selectors.results import AuditEvent, CertificateItem
from pkakey.services.outside import Outside

register = template.Library()

CERTIFICATE_ACTS = frozenset(
    {
        "certificate.issued",
        "certificate.revoked",
        "certificate.expiring",
        "gateway-certificate.renewed",
    }
)
AUTHORITY_ACTS = frozenset(
    {"authority.created", "authority.granted", "authority.suspended", "authority.activated"}
    | {"crl.published"}
)

_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


@register.simple_tag
def moment(value: datetime | None, now: datetime) -> SafeString:
    """Return a time as "in 89 days", with the exact time on hover and for screen readers."""
    if value is None:
        return format_html("{}", "—")
    exact = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, in_words(value, now)
    )


def in_words(value: datetime, now: datetime) -> str:
    """Return the distance in its largest unit: "in 89 days", "3 hours ago", "just now"."""
    distance = value - now
    length = abs(distance)
    for unit, name in _UNITS:
        number = length // unit
        if number:
            text = f"{number:,} {name}{'' if number == 1 else 's'}"
            return f"in {text}" if distance > timedelta() else f"{text} ago"
    return "within a minute" if distance > timedelta() else "just now"


@register.filter
def exact(value: datetime | None) -> str:
    """Return a time to the second, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if value else "—"


@register.filter
def grouped(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,}"


@register.filter
def colons(value: str) -> str:
    """Return hex in pairs, as fingerprints are read."""
    return ":".join(value[i : i + 2] for i in range(0, len(value), 2)).upper()


@register.simple_tag
def icon(name: str) -> SafeString:
    """Return an icon of the sprite; it is decoration, so the words beside it carry the meaning."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("portal/icons.svg"),
        name,
    )


@register.simple_tag
def reference() -> str:
    """Return the id of the request, by which an administrator finds it in the logs.

    From the logs' own context: the page for 500 is rendered without the request.
    """
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


@register.simple_tag
def crl_url(addresses: Outside, authority_id: UUID) -> str:
    """Return where the authority's CRL is published."""
    return addresses.crl_url(authority_id)


@register.simple_tag
def ca_url(addresses: Outside, authority_id: UUID) -> str:
    """Return where the authority's certificate is published."""
    return addresses.ca_issuer_url(authority_id)


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Return whether the field is ticked rather than filled in."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def plain(field: BoundField) -> SafeString:
    """Return the field's input without a placeholder: the label says it, and stays."""
    attributes: dict[str, str | bool] = {"class": "" if is_checkbox(field) else "wide"}
    if field.errors:
        attributes["aria-invalid"] = "true"
        attributes["aria-describedby"] = f"{field.auto_id}_error"
    field.field.widget.attrs.pop("placeholder", None)
    return field.as_widget(attrs=attributes)


@register.filter
def title_of(item: CertificateItem) -> str:
    """Return what a person calls the certificate: its first name, else its subject."""
    return item.names[0].value if item.names else item.subject or item.serial_number


@register.filter
def day(value: datetime) -> str:
    """Return the day of a time, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d}"


@register.filter
def reason_in_words(value: str) -> str:
    """Return why a certificate was revoked."""
    return words.REASONS.get(value, value)


@register.filter
def source_in_words(value: str) -> str:
    """Return the way in which a certificate was asked for."""
    return words.SOURCES.get(value, value)


@register.filter
def act_in_words(value: str) -> str:
    """Return an action of the audit log."""
    return words.ACTS.get(value, value)


@register.filter
def flow_act(value: str) -> str:
    """Return a kind of a process's history."""
    return words.FLOW_ACTS.get(value, value)


@register.filter
def days(seconds: int) -> str:
    """Return a length of time in days."""
    number = round(seconds / 86400, 1)
    return f"{number:g} day{'' if number == 1 else 's'}"


@register.simple_tag
def request_state(value: str) -> SafeString:
    """Return a request's state as a mark."""
    style, text = words.REQUEST_STATES.get(value, ("expired", value))
    return format_html('<span class="status {}">{}</span>', style, text)


@register.simple_tag
def grant_state(value: str) -> SafeString:
    """Return a grant's state as a mark."""
    return format_html('<span class="status {}">{}</span>', words.GRANT_STATES[value], value)


@register.simple_tag
def event_in_words(event: AuditEvent) -> SafeString:
    """Return an entry as a sentence that leads to what it is about."""
    act = act_in_words(event.action)
    details = event.data.get("details", {})
    told = details.get("subject") or details.get("username") or details.get("name")
    if event.action in CERTIFICATE_ACTS:
        place = reverse("portal:certificate", args=[event.target])
    elif event.action in AUTHORITY_ACTS:
        place = reverse("portal:authority", args=[event.target])
    elif event.action.startswith("request."):
        place = reverse("portal:request", args=[event.target])
    elif event.action.startswith("grant."):
        place, told = reverse("portal:grant", args=[event.target]), details.get("pattern")
    else:
        return format_html('{} <span class="mono">{}</span>', act, told or event.target)
    return format_html('{} <a href="{}">{}</a>', act, place, told or event.target)
