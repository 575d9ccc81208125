"""Valkey's configuration file, with the passwords that its one user has."""

import hashlib
from pathlib import Path

from ddt import secret_files
from ddt.rotation.journal import Journal
from ddt.settings import Settings

SECRET = "redis-password"  # noqa: S105  # The file's name.
USER = "default"


def write(settings: Settings, port: int, file: Path) -> None:
    """Write the file for the owner only.

    The password before is good, too, while its rotation is not finished: clients may hold it.
    """
    passwords = [secret_files.read(settings.secrets, SECRET)]
    if (before := Journal(settings.secrets).retired(SECRET)) is not None:
        passwords.append(before)
    digests = " ".join(f"#{hashlib.sha256(word.encode()).hexdigest()}" for word in passwords)
    file.touch(mode=0o600)
    file.write_text(
        f'bind 127.0.0.1\nport {port}\ndir "{settings.home / "valkey"}"\n'
        f"user {USER} on {digests} ~* &* +@all\n"
        'appendonly yes\nappendfsync everysec\nsave ""\n'
        # Celery's queue must not be evicted; Django's cache entries expire by themselves.
        "maxmemory-policy noeviction\ndaemonize no\n",
        encoding="utf-8",
    )
