"""DNS names: LDH syntax (RFC 1034, RFC 5890), IDNA 2008 (RFC 5891), wildcards (RFC 6125)."""

import re

import idna

from pkakey_engine.errors import Refusal, Refused

__all__ = ["is_dns_name", "parse_dns_name"]

MAX_DNS_OCTETS = 253
_MAX_SHOWN = 80

# A label: 1 to 63 letters, digits and hyphens, no hyphen at either end (RFC 1034 section 3.5).
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LDH_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Labels with hyphens in places 3 and 4 are reserved (RFC 5890 section 2.3.1): only xn-- is used.
_RESERVED_LABEL = re.compile(r"(?:^|\.)..--")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


def _refuse(value: str, why: str) -> Refused:
    return Refused(
        Refusal.NAME_MALFORMED_DNS, f"{value[:_MAX_SHOWN]!r} is no valid DNS name: {why}"
    )


def _check_a_labels(name: str) -> None:
    """Refuse reserved labels that are no A-label of IDNA 2008."""
    for label in name.split("."):
        if label[2:4] != "--":
            continue
        if not label.startswith("xn--"):
            raise _refuse(name, "hyphens in places 3 and 4 are kept for internationalised labels.")
        try:
            # ulabel alone is lenient: only the way there and back proves a true A-label.
            again = idna.alabel(idna.ulabel(label)).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise _refuse(name, f"{label!r} is no A-label of IDNA 2008.") from error
        if again != label:
            raise _refuse(name, f"{label!r} is not the A-label of what it stands for.")


def parse_dns_name(text: str, *, wildcard: bool = False) -> str:
    """Return the name in lower case with A-labels; raise ``Refused`` (name.*) if it is none.

    U-labels are converted by IDNA 2008 without mapping. ``wildcard`` allows ``*`` as the whole
    left-most label above at least two others, so that none stands for a whole top-level domain.
    """
    if len(text) > MAX_DNS_OCTETS:
        raise _refuse(text, f"it has {len(text)} characters, and {MAX_DNS_OCTETS} are allowed.")
    name = text.lower()
    if "*" not in name:
        return _plain_name(text, name)
    _check_wildcard(text, name, permitted=wildcard)
    name = "*." + _plain_name(text, name[2:])
    if len(name) > MAX_DNS_OCTETS:
        raise _refuse(text, f"it is longer than {MAX_DNS_OCTETS} octets.")
    return name


def _check_wildcard(text: str, name: str, *, permitted: bool) -> None:
    shown = repr(text[:_MAX_SHOWN])
    if not name.startswith("*.") or "*" in name[2:]:
        raise Refused(
            Refusal.NAME_WILDCARD,
            f"{shown}: a wildcard must be the whole left-most label, as in '*.example.com'.",
        )
    if not permitted:
        raise Refused(
            Refusal.NAME_WILDCARD,
            f"{shown}: the profile permits no wildcard; list the names.",
        )
    if "." not in name[2:]:
        raise Refused(
            Refusal.NAME_WILDCARD,
            f"{shown}: a wildcard directly under a top-level domain is refused; "
            "put at least two labels after it, as in '*.example.com'.",
        )


def _plain_name(text: str, name: str) -> str:
    """Return the name without a wildcard in normal form; ``text`` is what came, for sentences."""
    if not name.isascii():
        try:
            name = idna.encode(name, strict=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise _refuse(text, "it does not follow IDNA 2008.") from error
    if not _LDH_NAME.fullmatch(name):
        if name.endswith("."):
            raise _refuse(text, "leave out the dot at the end.")
        raise _refuse(
            text,
            "each label has 1 to 63 letters, digits and hyphens, with no hyphen at either end.",
        )
    if _RESERVED_LABEL.search(name):
        _check_a_labels(name)
    if len(name) > MAX_DNS_OCTETS:
        raise _refuse(text, f"it is longer than {MAX_DNS_OCTETS} octets.")
    if _NUMERIC.fullmatch(name.rpartition(".")[2]):
        raise _refuse(text, "its last label is a number; ask for an IP address as an IP name.")
    return name


def is_dns_name(text: str) -> bool:
    """Return whether the text is a DNS name, wildcards included."""
    try:
        parse_dns_name(text, wildcard=True)
    except Refused:
        return False
    return True
