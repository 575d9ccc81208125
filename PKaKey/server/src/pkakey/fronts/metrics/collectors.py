"""Figures that nobody counts along the way: each part of the platform is asked for its own.

A part that does not answer costs its own figures only, and `pkakey_part_up` tells of it.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from pkakey_signers.errors import SignerError
from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

BACKUP_SUFFIX: Final = ".age"

# Every figure of the SQL functions `status.platform_figures` and `status.inventory_figures`, and of
# the question beside them.
FIGURES: Final[Mapping[str, str]] = {
    "pkakey_intents_open": "Recorded intents whose certificate or CRL is not recorded yet.",
    "pkakey_intents_open_oldest_seconds": "Age of the oldest open intent; 0 without one.",
    "pkakey_outbox_waiting": "Events that wait for their delivery, counted to 100000.",
    "pkakey_outbox_oldest_seconds": "Age of the event that waits the longest; 0 without one.",
    "pkakey_inventory_waiting": "Events that the inventory has not got yet, counted to 100000.",
    "pkakey_inventory_oldest_seconds": (
        "How far the inventory is behind: the age of the first event that it lacks; 0 without one."
    ),
    "pkakey_authority_not_after_timestamp_seconds": "When an authority's certificate ends.",
    "pkakey_ocsp_responder_not_after_timestamp_seconds": (
        "When the newest OCSP responder's certificate of an authority ends."
    ),
    "pkakey_crl_this_update_timestamp_seconds": "When the newest CRL of an authority was made.",
    "pkakey_crl_next_update_timestamp_seconds": "Until when an authority's newest CRL is good.",
    "pkakey_crl_number": "The number of an authority's newest CRL.",
    "pkakey_crl_entries": "Revoked certificates on an authority's newest CRL.",
    "pkakey_crl_missing": "1 for an active authority that has published no CRL, else 0.",
    "pkakey_certificates_ending_within_7_days": (
        "Certificates of a namespace that end within a week, not revoked, counted to 10000."
    ),
    "pkakey_database_size_bytes": "Size of PKaKey's database.",
    "pkakey_database_connections": "Connections to the database server.",
    "pkakey_database_connections_limit": "The most connections that the server takes.",
}

Figure = tuple[str, Mapping[str, str], float]


class Database(Protocol):
    """Where the platform's figures come from."""

    def figures(self) -> Iterable[Figure]:
        """Return name, labels and value of each; raises `PartAway`."""


class Signer(Protocol):
    """The part of the signer's client that is asked here."""

    def health(self) -> dict[str, Any]:
        """Return the signer's account of itself; raises `SignerError`."""

    def metrics(self) -> dict[str, Any]:
        """Return what the signer has counted; raises `SignerError`."""


class Queue(Protocol):
    """The part of Redis' client that is asked here."""

    def llen(self, name: str) -> Any:  # noqa: ANN401  # As redis-py types it.
        """Return the length of a list."""

    def hlen(self, name: str) -> Any:  # noqa: ANN401  # As above.
        """Return the number of fields of a hash."""

    def xlen(self, name: str) -> Any:  # noqa: ANN401  # As above.
        """Return the length of a stream."""


class PartAway(Exception):  # noqa: N818  # Named by what happened.
    """The part does not answer."""


class Part(Protocol):
    """One part of the platform."""

    @property
    def name(self) -> str:
        """The label of `pkakey_part_up`."""

    def families(self) -> Iterable[Metric]:
        """Return its figures; raises `PartAway`."""


class PlatformCollector:
    """Asks every part."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._parts = tuple(parts)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of the parts that answer, and which those are."""
        up = GaugeMetricFamily(
            "pkakey_part_up", "1 when the part answered this question, else 0.", labels=["part"]
        )
        for part in self._parts:
            try:
                found = list(part.families())
            except PartAway as error:
                logger.warning("The %s gave no figures: %s", part.name, error)
                up.add_metric([part.name], 0)
            else:
                up.add_metric([part.name], 1)
                yield from found
        yield up


class DatabasePart:
    """Intents, outbox, CRLs, authorities and expiry, from the database."""

    name = "database"

    def __init__(self, database: Database) -> None:
        self._database = database

    def families(self) -> Iterable[Metric]:
        """Return one family for each name that the database told."""
        families: dict[str, GaugeMetricFamily] = {}
        for name, labels, value in self._database.figures():
            if name not in FIGURES:
                continue
            names = sorted(labels)
            if name not in families:
                families[name] = GaugeMetricFamily(name, FIGURES[name], labels=names)
            families[name].add_metric([str(labels[each]) for each in names], value)
        return families.values()


class SignerPart:
    """The signer's own counts, asked over its socket: it listens nowhere else."""

    name = "signer"

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def families(self) -> Iterator[Metric]:
        """Yield what the signer says of itself and what it has counted."""
        try:
            health, counted = self._signer.health(), self._signer.metrics()
        except SignerError as error:
            raise PartAway(str(error)) from error
        for name, words, value in (
            ("ready", "1 when the signer can sign, else 0.", health.get("state") == "ready"),
            ("keys", "Keys that can be used.", health.get("keys", 0)),
            ("damaged_keys", "Keys that cannot be used.", len(health.get("damaged_keys", ()))),
        ):
            yield GaugeMetricFamily(f"pkakey_signer_{name}", words, value=float(value))
        yield CounterMetricFamily(
            "pkakey_signer_log_entries",
            "Entries of the signer's log since its first one.",
            value=float(health.get("signatures", 0)),
        )
        yield _signatures(counted)


def _signatures(counted: Mapping[str, Any]) -> Metric:
    family = HistogramMetricFamily(
        "pkakey_signer_request_duration_seconds",
        "Time from question to answer of the signer, by what was to be signed, the key's "
        "algorithm, and the outcome: signed, or the refusal's code.",
        labels=["kind", "algorithm", "outcome"],
    )
    bounds = [*map(str, counted.get("bounds", ())), "+Inf"]
    for each in counted.get("signatures", ()):
        total, buckets = 0.0, []
        for bound, count in zip(bounds, each["classes"], strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(
            [each["kind"], each["algorithm"], each["outcome"]], buckets, sum_value=each["seconds"]
        )
    return family


class QueuePart:
    """Tasks that wait, tasks under way, and the length of the event stream."""

    name = "redis"

    def __init__(self, queue: Queue, *, name: str, stream: str) -> None:
        self._queue = queue
        self._key = name
        self._stream = stream

    def families(self) -> Iterator[Metric]:
        """Yield the lengths."""
        try:
            waiting = self._queue.llen(self._key)
            # Where Celery's transport keeps what a worker has taken and not finished.
            taken = self._queue.hlen("unacked")
            events = self._queue.xlen(self._stream)
        except RedisError as error:
            raise PartAway(str(error)) from error
        yield GaugeMetricFamily(
            "pkakey_task_queue_length", "Background tasks that wait for a worker.", value=waiting
        )
        yield GaugeMetricFamily(
            "pkakey_tasks_taken", "Background tasks that a worker has taken.", value=taken
        )
        yield GaugeMetricFamily(
            "pkakey_event_stream_length", "Events kept in the stream.", value=events
        )


class BackupPart:
    """When the newest backup was finished, by the file's time."""

    name = "backups"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def families(self) -> Iterator[Metric]:
        """Yield the time; 0 when there is no backup at all."""
        newest = 0.0
        try:
            for file in self._folder.iterdir():
                # A backup under way has another name until it is whole.
                if file.suffix == BACKUP_SUFFIX and file.is_file():
                    newest = max(newest, file.stat().st_mtime)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise PartAway(str(error)) from error
        yield GaugeMetricFamily(
            "pkakey_backup_last_success_timestamp_seconds",
            "When the newest backup was finished, in seconds since 1970; 0 without one.",
            value=newest,
        )
