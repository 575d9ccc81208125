"""The password of the Redis-compatible server: it knows two while its clients change over."""

import hashlib

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native.queue_configuration import SECRET, USER
from ddt.rotation.journal import NEXT, Journal
from ddt.settings import Settings

_SECONDS = 10.0


def allow(settings: Settings, port: int) -> None:
    """Let the running server take the password to come beside the present one."""
    Journal(settings.secrets).begin(SECRET)
    _set_password(settings, port, SECRET + NEXT, alone=False)


def forbid(settings: Settings, port: int) -> None:
    """Let the running server forget the password before; connections that are open stay."""
    _set_password(settings, port, SECRET, alone=True)


def _set_password(settings: Settings, port: int, wanted: str, *, alone: bool) -> None:
    # As the server keeps it: no log and no MONITOR can show the password.
    digest = hashlib.sha256(secret_files.read(settings.secrets, wanted).encode()).hexdigest()
    failure: RedisError | None = None
    for name in (SECRET, SECRET + NEXT):
        if not (settings.secrets / name).exists():
            continue
        client = Redis(
            "127.0.0.1", port, password=secret_files.read(settings.secrets, name),
            socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS,
        )  # fmt: skip
        try:
            client.acl_setuser(
                USER, enabled=True, hashed_passwords=[f"+{digest}"], reset_passwords=alone
            )
        except AuthenticationError as error:
            failure = error
        except RedisError as error:
            raise _trouble(error) from error
        else:
            return
        finally:
            client.close()
    raise _trouble(failure) from failure


def _trouble(error: RedisError | None) -> TroubleError:
    return TroubleError(
        f"Valkey does not do as ddt says: {error}. 'ddt status' and 'ddt logs valkey' tell more; "
        "then run the command again.",
    )
