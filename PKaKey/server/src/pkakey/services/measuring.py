"""What the use cases count and time for Prometheus (docs/monitoring.md).

On the issuing path every microsecond counts: a label's child is looked up once where it is known
beforehand.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from time import perf_counter
from typing import Final, ParamSpec, TypeVar

from pkakey_engine.errors import Refusal, Refused, SignedBytesDiffer
from pkakey_engine.issuance import shipped_profiles
from prometheus_client import Counter, Histogram

from pkakey.services.errors import (
    NotFound,
    NotPermitted,
    ServiceError,
    ServiceUnavailable,
)

P = ParamSpec("P")
R = TypeVar("R")

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

ISSUED = Counter(
    "pkakey_certificates_issued",
    "Certificates that were signed and recorded.",
    ["profile", "source"],
)
REFUSED = Counter(
    "pkakey_certificates_refused",
    "Requests for a certificate that a rule refused, by the refusal's code.",
    ["profile", "code"],
)
FAILED = Counter(
    "pkakey_certificates_failed",
    "Requests for a certificate that failed on our side, by the part that did not serve.",
    ["part"],
)
REVOKED = Counter("pkakey_certificates_revoked", "Certificates that were revoked.", ["reason"])
USE_CASES = Histogram(
    "pkakey_use_case_duration_seconds",
    "Time that a use case took, and how it ended: done, refused or failed.",
    ["use_case", "outcome"],
    buckets=SECONDS,
)
STEPS = Histogram(
    "pkakey_issuance_step_duration_seconds",
    "Time of each step of an issuance (docs/flows/issuance.md).",
    ["step"],
    buckets=SECONDS,
)

# A profile's name comes from the client; at most so many different ones become labels.
_MOST_PROFILES: Final = 100
_OTHER: Final = "other"
_profiles: set[str] = {profile.name for profile in shipped_profiles()}

_REFUSALS: Final = (Refused, NotPermitted, NotFound)


class _Process:
    span: Callable[[str], AbstractContextManager[object]] | None = None


def trace_with(span: Callable[[str], AbstractContextManager[object]] | None) -> None:
    """Open a span by `span(name)` around each use case and step from now on; None: none."""
    _Process.span = span


def _call(what: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    if _Process.span is None:
        return function(*args, **kwargs)
    with _Process.span(what):
        return function(*args, **kwargs)


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Time a step of issuance, whether it succeeds or raises."""
    observe = STEPS.labels(name).observe

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            began = perf_counter()
            try:
                return _call(name, function, *args, **kwargs)
            finally:
                observe(perf_counter() - began)

        return timed

    return decorate


def use_case(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Time a use case and tell how it ended."""
    done = USE_CASES.labels(name, "done").observe

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            began = perf_counter()
            try:
                result = _call(name, function, *args, **kwargs)
            except BaseException as error:
                outcome = "refused" if isinstance(error, _REFUSALS) else "failed"
                USE_CASES.labels(name, outcome).observe(perf_counter() - began)
                raise
            done(perf_counter() - began)
            return result

        return timed

    return decorate


def counted_issuance(function: Callable[P, R]) -> Callable[P, R]:
    """Count what was issued, refused and failed, by profile.

    For a function with keyword arguments `profile` and `source`.
    """

    @wraps(function)
    def counted(*args: P.args, **kwargs: P.kwargs) -> R:
        profile, source = str(kwargs["profile"]), str(kwargs["source"])
        try:
            result = function(*args, **kwargs)
        except Refused as error:
            label = _OTHER if error.refusal is Refusal.PROFILE_UNKNOWN else _profile(profile)
            REFUSED.labels(label, error.refusal.value).inc()
            raise
        except ServiceUnavailable as error:
            FAILED.labels(error.what).inc()
            raise
        except SignedBytesDiffer:
            FAILED.labels("signature").inc()
            raise
        except ServiceError:
            # Not allowed, not found, a key used twice: an answer to the client, no failure.
            raise
        except Exception:
            FAILED.labels("internal").inc()
            raise
        is_issued = hasattr(result, "replayed")  # What waits for an approval was not issued.
        if is_issued and not getattr(result, "replayed", False):
            if profile not in _profiles and len(_profiles) < _MOST_PROFILES:
                _profiles.add(profile)
            ISSUED.labels(_profile(profile), source).inc()
        return result

    return counted


def _profile(name: str) -> str:
    """Return the name as a label: one that ships, or that has issued in this process."""
    return name if name in _profiles else _OTHER
