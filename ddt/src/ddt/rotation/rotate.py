"""`ddt rotate`: what is done for each kind of secret, and how one that was cut off is finished."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ddt.errors import TroubleError
from ddt.native import alone, environments, ports, start
from ddt.native.queue_configuration import SECRET as QUEUE
from ddt.rotation import queue, roles, secret_key, token_key
from ddt.rotation.journal import NEXT, Journal, exclusively
from ddt.settings import Settings

KEY_ENCRYPTION_KEY = "keystore-kek"
TOKEN = "cli-token"  # noqa: S105  # The file's name.
WAIT_SECONDS = 600.0
_SECONDS = 600


@dataclass(frozen=True)
class Kind:
    """A kind of secret: what it opens, and the services that read it when they start."""

    meaning: str
    services: tuple[str, ...] = ()


KINDS = {
    "postgres-password": Kind("PostgreSQL's superuser"),
    "pkakey-owner-password": Kind("the owner of PKaKey's tables, for migrations"),
    "pkakey-web-password": Kind("PKaKey's web process in the database", ("web",)),
    "pkakey-worker-password": Kind("PKaKey's worker in the database", ("worker",)),
    "pkakey-status-password": Kind("CRL, OCSP and figures in the database", ("status", "metrics")),
    "pkakey-signer-password": Kind("the signer in the database", ("signer",)),
    "pesequel-authenticator-password": Kind("the data API in the database", ("postgrest",)),
    "pesequel-relay-password": Kind("the relay that fills the inventory", ("worker",)),
    "pesequel-pgadmin-password": Kind("pgAdmin's entry for the inventory"),
    "koolflows-owner-password": Kind("the owner of KoolFlows' tables, for migrations"),
    "koolflows-web-password": Kind("KoolFlows' web process in the database", ("flows",)),
    "koolflows-worker-password": Kind("KoolFlows' worker in the database", ("flows-worker",)),
    "koolflows-secret-key": Kind("what KoolFlows signs", ("flows", "flows-worker")),
    "koolflows-service-key": Kind("KoolFlows' worker at PKaKey", ("web", "flows-worker")),
    QUEUE: Kind("Valkey: queue, cache, events", ("worker", "beat", "metrics", "web")),
    secret_key.SECRET: Kind("what Django signs: sessions, forms", ("web", "worker")),
    token_key.SECRET: Kind("what PKaKey signs: tokens", ("postgrest", "flows")),
    KEY_ENCRYPTION_KEY: Kind("the seal of the signer's keys", ("signer",)),
    TOKEN: Kind("the API token of ddt on this machine"),
}

READ_AT_START = ("koolflows-secret-key", "koolflows-service-key")
"""Nothing but the services themselves knows these: a new one counts when they start again."""


@dataclass(frozen=True)
class Rotation:
    """One rotation: of what, when, and what it tells while it works."""

    settings: Settings
    now: datetime
    at_once: bool = False
    tell: Callable[[str], None] = lambda _: None

    def run(self, name: str) -> bool:
        """Give the secret another value; True when one that was cut off was finished instead.

        Raises TroubleError when it cannot be done; the platform then works as before, and the next
        call goes on from there.
        """
        check(self.settings, name)
        with exclusively(self.settings.home, wait_seconds=WAIT_SECONDS):
            is_resumed = name in Journal(self.settings.secrets).unfinished()
            self._one(name)
            return is_resumed

    def finish(self) -> list[str]:
        """Finish what was cut off and return its names."""
        names = [n for n in Journal(self.settings.secrets).unfinished() if n in KINDS]
        if names:
            with exclusively(self.settings.home, wait_seconds=WAIT_SECONDS):
                for name in names:
                    self._one(name)
        return names

    def _one(self, name: str) -> None:
        journal = Journal(self.settings.secrets)
        if name == TOKEN:
            self._token()
            return
        is_switched = journal.retired(name) is not None and not journal.has_begun(name)
        if name in roles.ROLES:
            had_begun = journal.has_begun(name)
            with self._at_least("postgresql"):
                # A server that had to be started was settled first.
                is_switched |= had_begun and not journal.has_begun(name)
                if not is_switched:
                    roles.change(self.settings, name)
                self._restart(KINDS[name].services)
        elif name == QUEUE:
            self._queue(is_switched=is_switched)
        elif name == secret_key.SECRET:
            self._secret_key(is_switched=is_switched)
        elif name in READ_AT_START:
            if not is_switched:
                journal.begin(name)
                journal.switch(name)
            self._restart(KINDS[name].services)
        elif name == token_key.SECRET:
            self._token_key(is_switched=is_switched)
        else:
            self._key_encryption_key(is_switched=is_switched)
        journal.end(name)

    def _queue(self, *, is_switched: bool) -> None:
        port = ports.of_running(self.settings).valkey if self._runs() else None
        journal = Journal(self.settings.secrets)
        if not is_switched:
            if port is None:
                journal.begin(QUEUE)
            else:
                queue.allow(self.settings, port)
            journal.switch(QUEUE)
        if port is not None:
            self._restart(KINDS[QUEUE].services)
            queue.forbid(self.settings, port)

    def _secret_key(self, *, is_switched: bool) -> None:
        if not is_switched:
            secret_key.change(self.settings, now=self.now, at_once=self.at_once)
        if self.at_once:
            secret_key.forget(self.settings)
        self._restart(KINDS[secret_key.SECRET].services)

    def _token_key(self, *, is_switched: bool) -> None:
        """Let those who read keys when they start know the new one before it signs."""
        name, journal = token_key.SECRET, Journal(self.settings.secrets)
        if not is_switched:
            token_key.prepare(journal, now=self.now, at_once=self.at_once)
            if not self.at_once:
                self._restart(KINDS[name].services)
            journal.switch(name)
        if self.at_once:
            token_key.forget(journal, now=self.now)
        if self.at_once or is_switched:
            self._restart(KINDS[name].services)

    def _key_encryption_key(self, *, is_switched: bool) -> None:
        """Let the signer, the only one that opens keys, seal each again when it starts."""
        name = KEY_ENCRYPTION_KEY
        journal = Journal(self.settings.secrets)
        if is_switched:
            return
        if not journal.has_begun(name):
            # A file that does not open now would be lost with the key that may open its like.
            _check_keystore(self.settings, self.settings.secrets / name)
        journal.begin(name)
        if self._runs():
            self._restart(KINDS[name].services)
        else:
            with self._at_least("postgresql", "database", "signer"):
                self.tell("The signer has sealed its keys again.")
        _check_keystore(self.settings, self.settings.secrets / f"{name}{NEXT}")
        journal.switch(name)

    def _token(self) -> None:
        with self._at_least("postgresql", "database"):
            result = subprocess.run(
                [sys.executable, "-m", "pkakey.config.manage", "rotate_cli_token"],
                check=False, capture_output=True, text=True, timeout=_SECONDS,
                env=environments.of_manage(self.settings),
            )  # fmt: skip
        if result.returncode != 0:
            said = (result.stderr.strip().splitlines() or ["no reason was given"])[-1]
            raise TroubleError(f"The token was not replaced: {said} The present one still holds.")

    def _runs(self) -> bool:
        return bool(start.status(self.settings)["state"] != "stopped")

    @contextmanager
    def _at_least(self, *names: str) -> Iterator[None]:
        """Have these units running: as a part of the platform, or for this while."""
        if self._runs():
            yield
            return
        wanted = [n for n in names if n != "postgresql" or not self.settings.database_url]
        with alone.locked(self.settings), alone.running(self.settings, wanted[:1]):
            if not self.settings.database_url:
                # No service's start may find a password half changed.
                roles.settle(self.settings)
            with alone.running(self.settings, wanted[1:]):
                yield

    def _restart(self, services: tuple[str, ...]) -> None:
        if self._runs():
            absent = {
                row["name"]
                for row in start.status(self.settings)["services"]
                if row["state"] == "absent"
            }
            for service in services:
                if service in absent:
                    continue
                self.tell(f"Restarting {service} …")
                start.restart(self.settings, service)


def check(settings: Settings, name: str) -> None:
    """Raise TroubleError for what is no secret that can be rotated, or not by us."""
    if name not in KINDS:
        hint = {
            "admin-password": " A person's one-time password: ddt manage reset_admin_password",
            "backup-identity": " The key that opens backups stays; see docs/operations.md.",
        }.get(name, "")
        raise TroubleError(
            f"'{name}' is no secret that can be rotated.{hint} There are: {', '.join(KINDS)}.",
        )
    if not (settings.home / "keystore" / "keystore.check").is_file():
        raise TroubleError(
            f"The platform in {settings.home} has never run, so its secrets are new. Start it with "
            "'ddt up'.",
        )
    if name == roles.SUPERUSER and settings.database_url:
        raise TroubleError(
            "The database server is one of your own (DATABASE_URL): change its administrator's "
            "password there, then in DATABASE_URL.",
        )


def _check_keystore(settings: Settings, kek_file: Path) -> None:
    result = subprocess.run(  # noqa: S603
        [
            sys.executable, "-m", "pkakey_signers.check_keystore",
            "--keystore", str(settings.home / "keystore"), "--kek-file", str(kek_file),
        ],
        check=False, capture_output=True, text=True, timeout=_SECONDS,
    )  # fmt: skip
    if result.returncode != 0:
        said = (result.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise TroubleError(
            f"The key-encryption key was not changed: {said} The signer works as before.",
        )
