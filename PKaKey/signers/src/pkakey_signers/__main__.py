"""``python -m pkakey_signers``: the signer process."""

import argparse
import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pkakey_signers.errors import StartRefused
from pkakey_signers.intents import DatabaseIntents
from pkakey_signers.lines import say
from pkakey_signers.log_index import LogIndex
from pkakey_signers.log_writer import LogWriter
from pkakey_signers.secret_files import read_key_encryption_key, read_secret
from pkakey_signers.server import Limits, SignerServer
from pkakey_signers.signer import Signer
from pkakey_signers.software_keystore import SoftwareKeystore

_HOUSEKEEPING_SECONDS = 1.0
_RESPONSE_LOG_BYTES = 64 * 1024 * 1024
_PR_SET_DUMPABLE = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; return 0 then, or 1 with a sentence when it must not start."""
    options = _parser().parse_args(arguments)
    _harden()
    try:
        _run(options)
    except StartRefused as error:
        say(str(error), level="error")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pkakey_signers",
        description="Hold the authorities' keys and sign what has a recorded intent.",
    )
    limits = Limits()
    add = parser.add_argument
    add("--socket", type=Path, required=True, metavar="PATH", help="Unix socket to listen at")
    add("--keystore", type=Path, required=True, metavar="DIR", help="folder of sealed keys (0700)")
    add("--kek-file", type=Path, required=True, metavar="FILE", help="key-encryption key, hex")
    add(
        "--next-kek-file",
        type=Path,
        metavar="FILE",
        help="when it is there: the key-encryption key to seal every key again under",
    )
    add("--log", type=Path, required=True, metavar="FILE", help="append-only log of signatures")
    add("--database-url", required=True, metavar="URL", help="where the intents are recorded")
    add("--database-password-file", type=Path, metavar="FILE", help="the database role's password")
    add(
        "--allow-uid",
        type=int,
        action="append",
        metavar="N",
        help="user whose processes may ask; repeatable (default: the signer's own)",
    )
    add("--max-connections", type=int, default=limits.connections, metavar="N")
    add("--idle-seconds", type=float, default=limits.idle_seconds, metavar="S")
    add("--frame-seconds", type=float, default=limits.frame_seconds, metavar="S")
    return parser


def _run(options: argparse.Namespace) -> None:
    key_encryption_key = read_key_encryption_key(options.kek_file)
    next_key = None
    if options.next_kek_file is not None and options.next_kek_file.exists():
        next_key = read_key_encryption_key(options.next_kek_file)
    password = None
    if options.database_password_file is not None:
        password = read_secret(options.database_password_file, "database password").decode()
    # The log's lock comes first: a second signer must not touch the keystore.
    log = LogWriter(options.log, is_synced=True)
    index = LogIndex(options.log.with_name(options.log.name + ".index"), options.log)
    log.recover(index)
    response_log = LogWriter(options.log.with_name(options.log.name + ".ocsp"), is_synced=False)
    response_log.recover_end()
    keystore = SoftwareKeystore(options.keystore, key_encryption_key, next_key)
    for key_id in keystore.damaged():
        say(
            f"The key {key_id} is damaged and cannot be used; restore its files from a backup.",
            level="error",
        )
    intents = DatabaseIntents(options.database_url, password)
    signer = Signer(
        keystore=keystore,
        intents=intents,
        log=log,
        index=index,
        response_log=response_log,
        process_id=os.getpid(),
    )
    server = SignerServer(
        signer,
        options.socket,
        allowed_users=options.allow_uid or [os.geteuid()],
        limits=Limits(
            connections=options.max_connections,
            idle_seconds=options.idle_seconds,
            frame_seconds=options.frame_seconds,
        ),
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    stopped = threading.Event()
    housekeeper = threading.Thread(target=_keep_house, args=(stopped, index, response_log))
    housekeeper.start()
    say(f"ready at {options.socket} with {len(keystore.held_keys())} keys.")
    try:
        server.serve()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            # A second one must not interrupt the closing of the log.
            signal.signal(number, signal.SIG_IGN)
        stopped.set()
        housekeeper.join()
        intents.close()
        index.close()
        log.close()
        response_log.close()
    say("stopped.")


def _keep_house(stopped: threading.Event, index: LogIndex, response_log: LogWriter) -> None:
    while not stopped.wait(_HOUSEKEEPING_SECONDS):
        index.flush()
        response_log.rotate(_RESPONSE_LOG_BYTES)


def _harden() -> None:
    """Keep key octets out of core dumps and away from debuggers of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
