"""Become another program that dies with its parent; run as a script, it imports nothing of ours.

`launch.py --parent PID --death-signal N [--namespace UID | --account NAME] -- PROGRAM …`

- `--death-signal`: what the kernel sends this process when its parent dies (Linux, prctl(2)).
- `--namespace UID`: enter a user namespace in which root is UID. PostgreSQL refuses uid 0, and
  this needs no account and leaves all files root's.
- `--account NAME`: become an existing account, for tests where user namespaces are barred.

Ends with 97 when the namespace or account is refused, 98 when the parent is already gone.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
REFUSED = 97
ORPHANED = 98


def enter_namespace(uid: int) -> None:
    """Enter a new user namespace in which the present user and group are `uid`.

    Raises OSError where the kernel or a container's seccomp profile bars it.
    """
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    # user_namespaces(7): setgroups must be denied before an unprivileged process maps its group.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {user} 1"),
        ("gid_map", f"{uid} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  # pathlib costs 10 ms here.
            file.write(text)


def become(account: str) -> None:
    """Give up root for `account`; raises KeyError when there is none of that name."""
    import pwd  # noqa: PLC0415  # Needed on this path only; each start pays for imports.

    entry = pwd.getpwnam(account)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies (prctl(2)), to end them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: int) -> None:
    """Ask the kernel to send this process the signal when its parent dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def main(arguments: list[str]) -> int:  # noqa: RET503  # execv does not return.
    """Obey the options and replace this process; returns only on failure."""
    split = arguments.index("--")
    options = dict(zip(arguments[:split:2], arguments[1:split:2], strict=True))
    program = arguments[split + 1 :]
    try:
        if "--namespace" in options:
            enter_namespace(int(options["--namespace"]))
        elif "--account" in options:
            become(options["--account"])
    except (OSError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    # A change of credentials clears the setting, so it comes after them (prctl(2)).
    if "--death-signal" in options:
        die_with_parent(int(options["--death-signal"]))
    # The parent may have died before the kernel knew what to send.
    if "--parent" in options and os.getppid() != int(options["--parent"]):
        return ORPHANED
    os.execv(program[0], program)  # noqa: S606  # No shell is the point.


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
