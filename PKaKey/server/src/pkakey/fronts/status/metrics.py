"""What the status front counts for Prometheus (docs/monitoring.md)."""

from typing import Final

from prometheus_client import Counter, Histogram

OCSP: Final = Counter(
    "pkakey_ocsp_responses",
    "OCSP responses: what each certificate's status was, or which error was answered.",
    ["status"],
)
SIGNED: Final = Counter(
    "pkakey_ocsp_signatures", "OCSP responses that were signed anew; the others were kept ones."
)
DOWNLOADS: Final = Counter(
    "pkakey_status_downloads",
    "CRLs and authorities' certificates that were asked for, by the HTTP status.",
    ["what", "status"],
)
REQUESTS: Final = Histogram(
    "pkakey_status_request_duration_seconds",
    "Time that the status front took for a request, by what was asked for.",
    ["what"],
    buckets=(0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0),
)
