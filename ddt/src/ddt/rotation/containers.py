"""`ddt rotate --docker`: another value for each kind of secret of docker-compose.yml.

Each is changed where it counts first (database, queue, Keycloak), then in its file, then its
readers start again. What is cut off anywhere is finished by the same command.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ddt.containers import project, secret_kinds
from ddt.containers.engine import Compose
from ddt.containers.project import Project
from ddt.containers.servers import Server
from ddt.errors import TroubleError
from ddt.rotation import keycloak, scram, token_key
from ddt.rotation.journal import exclusively
from ddt.rotation.mounted import MountedJournal
from ddt.secret_files import private_folder, read

WAIT_SECONDS = 600.0
_RESTART_SECONDS = 600.0
_SIGNER = "pkakey_signer"
_KEK = "keystore-kek"
_KEYCLOAK_ADMIN = "keycloak-admin-password"

ROLES = {
    "pkakey-postgres-password": ("pkakey_postgres", ""),
    "pkakey-owner-password": ("pkakey_postgres", "pkakey_owner"),
    "pkakey-web-password": ("pkakey_postgres", "pkakey_web"),
    "pkakey-worker-password": ("pkakey_postgres", "pkakey_worker"),
    "pkakey-status-password": ("pkakey_postgres", "pkakey_status"),
    "pkakey-signer-password": ("pkakey_postgres", "pkakey_signer"),
    "pesequel-postgres-password": ("pesequel_postgres", ""),
    "pesequel-authenticator-password": ("pesequel_postgres", "authenticator"),
    "pesequel-relay-password": ("pesequel_postgres", "inventory_writer"),
    "pesequel-pgadmin-password": ("pesequel_postgres", "pgadmin"),
    "koolflows-owner-password": ("pesequel_postgres", "koolflows_owner"),
    "koolflows-web-password": ("pesequel_postgres", "koolflows_web"),
    "koolflows-worker-password": ("pesequel_postgres", "koolflows_worker"),
    "keycloak-postgres-password": ("quewall_postgres", ""),
}
"""The server and the role whose password it is; no name: the server's superuser."""

QUEUE_USERS = {"redis-password": "default", "redis-sessions-password": "sessions"}
CLIENTS = {
    "oauth2-proxy-client-secret": "oauth2-proxy",
    "pkakey-oidc-client-secret": "pkakey",
    "koolflows-oidc-client-secret": "koolflows",
}
PLAIN = (
    "django-secret-key", "koolflows-secret-key", "koolflows-service-key",
    "oauth2-proxy-cookie-secret",
)  # fmt: skip
"""What counts only in the file that its readers take at their start."""

NOT_OURS = {
    "admin-password": "It is a person's one-time password: change it in Keycloak's console.",
    "pgadmin-password": "It opens nothing: pgAdmin takes whom the gateway signed in, only.",
    "pesequel-postgrest-uri": "It holds pesequel-authenticator-password: rotate that.",
}
NAMES = (*ROLES, *QUEUE_USERS, *CLIENTS, *PLAIN, token_key.SECRET, _KEK, _KEYCLOAK_ADMIN)

# Who mounts a secret and need not start again when it changes.
_READS_ONCE = ("pkakey_postgres", "pesequel_postgres", "quewall_postgres", "pkakey_redis")
_READS_ANEW = {token_key.SECRET, "pesequel-pgadmin-password", _KEYCLOAK_ADMIN}
_IMPORTED = {*CLIENTS, _KEYCLOAK_ADMIN}
_FIRST = "pesequel_pgbouncer"

_REDIS = (
    'REDISCLI_AUTH="$(cat /run/secrets/redis-password)" exec redis-cli --no-auth-warning ACL '
    'SETUSER "$@"'
)


@dataclass(frozen=True)
class Rotation:
    """One rotation in containers: of what, when, and what it tells while it works."""

    project: Project
    now: datetime
    at_once: bool = False
    tell: Callable[[str], None] = lambda _: None

    @property
    def _journal(self) -> MountedJournal:
        return MountedJournal(self.project.secrets)

    @property
    def _compose(self) -> Compose:
        return Compose(self.project.folder)

    def run(self, name: str) -> bool:
        """Give the secret another value; True when one that was cut off was finished instead.

        Raises TroubleError when it cannot be done; the next call goes on from there.
        """
        check(name)
        self._compose.engine_version()
        private_folder(self.project.backups)
        with exclusively(self.project.backups, wait_seconds=WAIT_SECONDS):
            is_resumed = name in self._journal.unfinished()
            self._one(name)
            self._journal.end(name)
            return is_resumed

    def _one(self, name: str) -> None:
        journal = self._journal
        if journal.retired(name) is not None and not journal.has_begun(name):
            # Only its readers may not know yet.
            self._after(name)
            return
        if name == token_key.SECRET:
            token_key.prepare(journal, now=self.now, at_once=self.at_once)
        elif name == _KEK:
            self._seal_again()
        else:
            value = journal.begin(name, secret_kinds.kind_of(name).new)
            self._tell_first(name, value)
        journal.switch(name)
        self._after(name)

    def _tell_first(self, name: str, value: str) -> None:
        """Change it where it counts; can be done again with the same value."""
        if name in ROLES:
            service, role = ROLES[name]
            change = f"ALTER ROLE {role or 'CURRENT_USER'} PASSWORD '{scram.verifier(value)}';"
            Server(self._compose, service).query("postgres", change)
        elif name in QUEUE_USERS:
            self._queue(QUEUE_USERS[name], f"#{_digest(value)}")
        elif name in CLIENTS:
            keycloak.set_client_secret(
                self._compose, client=self._client(name), value=value,
                username=self._administrator, passwords=self._administrators(),
            )  # fmt: skip
        elif name == _KEYCLOAK_ADMIN:
            keycloak.set_administrators_password(
                self._compose, value=value, username=self._administrator,
                passwords=self._administrators(),
            )  # fmt: skip

    def _after(self, name: str) -> None:
        """Let those who read the secret know it, and let the one before end."""
        journal = self._journal
        if name == token_key.SECRET and self.at_once:
            token_key.forget(journal, now=self.now)
            # It remembers keys for some minutes.
            self._restart(["koolflows"])
        for derived, (source, text) in secret_kinds.DERIVED.items():
            if source == name:
                journal.write(derived, text.format(read(journal.folder, name)))
                self._restart(self._readers(derived))
        self._restart(self._readers(name))
        if name in QUEUE_USERS:
            value = read(journal.folder, name)
            self._queue(QUEUE_USERS[name], "resetpass", f"#{_digest(value)}")

    def _readers(self, name: str) -> list[str]:
        """Return the services that take the secret at their start, in the order to start again."""
        if name in _READS_ANEW or name == _KEK:
            return []
        left_out = {*_READS_ONCE, *(["quewall_keycloak"] if name in _IMPORTED else [])}
        found = [
            service
            for service, entry in project.services(self.project.folder).items()
            if name in (entry.get("secrets") or []) and entry.get("restart") != "no"
        ]
        ordered = sorted(set(found) - left_out, key=lambda each: (each != _FIRST, each))
        running = {row.get("Service") for row in self._compose.containers()}
        return [service for service in ordered if service in running]

    def _restart(self, services: list[str]) -> None:
        compose = self._compose
        for group in (
            [each for each in services if each == _FIRST],
            [each for each in services if each != _FIRST],
        ):
            if group:
                self.tell(f"Restarting {', '.join(group)} …")
                compose.run("restart", "--timeout", "30", *group, timeout=_RESTART_SECONDS)
                compose.run(
                    "up", "--detach", "--wait", "--no-build", "--no-deps", "--no-recreate", *group,
                    timeout=_RESTART_SECONDS,
                )  # fmt: skip

    def _queue(self, user: str, *rules: str) -> None:
        words = ("exec", "-T", "pkakey_redis", "sh", "-c", _REDIS, "-", user, *rules)
        said = self._compose.run(*words, timeout=60).decode().strip()
        if said != "OK":
            raise TroubleError(
                f"Redis does not do as ddt says: {said[:200]}. 'docker compose logs pkakey_redis' "
                "tells more; then run the command again.",
            )

    def _seal_again(self) -> None:
        """Let the signer, the only one that opens keys, seal each again under the key to come."""
        journal = self._journal
        present = read(journal.folder, _KEK).split("\n")[0]
        if not journal.has_begun(_KEK):
            # A file that does not open now would be lost with the key that may open its like.
            self._check_keystore("kek")
        coming = journal.begin(_KEK, secret_kinds.KEY_ENCRYPTION_KEY.new)
        # Both from here on: a signer that starts at any moment opens every key.
        journal.write(_KEK, f"{present}\n{coming}")
        self._restart([_SIGNER])
        self._check_keystore("next-kek")

    def _check_keystore(self, kek: str) -> None:
        words = (
            _SIGNER, "python", "-m", "pkakey_signers.check_keystore", "--keystore",
            "/var/lib/pkakey/keystore", "--kek-file", f"/run/signer/{kek}",
        )  # fmt: skip
        try:
            self._compose.run("exec", "-T", *words)
        except TroubleError as error:
            raise TroubleError(
                f"The key-encryption key was not changed: {error} The signer works as before.",
            ) from error

    @property
    def _administrator(self) -> str:
        return self._environment("KEYCLOAK_ADMIN", "admin")

    def _administrators(self) -> list[str]:
        journal = self._journal
        present = read(journal.folder, _KEYCLOAK_ADMIN)
        coming = journal.coming(_KEYCLOAK_ADMIN)
        return [present, *([coming] if coming else [])]

    def _client(self, name: str) -> str:
        if name == "oauth2-proxy-client-secret":
            return self._environment("OAUTH2_PROXY_CLIENT_ID", CLIENTS[name])
        return CLIENTS[name]

    def _environment(self, variable: str, default: str) -> str:
        return project.environment_of(self.project.folder / ".env").get(variable, default)


def check(name: str) -> None:
    """Raise TroubleError for what is no secret that can be rotated here."""
    if name not in NAMES:
        hint = f" {NOT_OURS[name]}" if name in NOT_OURS else ""
        raise TroubleError(
            f"'{name}' is no secret of the containers that can be rotated.{hint} There are: "
            f"{', '.join(NAMES)}.",
        )


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
