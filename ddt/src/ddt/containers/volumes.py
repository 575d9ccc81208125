"""Files of the volumes, read and written by a container that mounts them, as its own user."""

import tarfile
from pathlib import Path

from ddt.containers.engine import Compose

KEYSTORE = "/var/lib/pkakey/keystore"
MEDIA = "/var/lib/pkakey/media"
GATEWAY = "/var/lib/pkakey/gateway"

# Python is in the platform's own images; tar and find may not be.
_READ = """
import os, sys, tarfile
place, limited, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as tar:
    for folder, _, names in sorted(os.walk(place)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as source:
                    info = tarfile.TarInfo(os.path.relpath(path, place))
                    info.size = os.fstat(source.fileno()).st_size
                    if info.name == limited:
                        info.size = min(info.size, limit)
                    tar.addfile(info, source)
"""
_WRITE = """
import os, sys, tarfile
place = sys.argv[1]
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for info in tar:
        path = os.path.join(place, info.name)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, info.mode), "wb") as out:
            out.write(tar.extractfile(info).read())
            out.flush()
            os.fsync(out.fileno())
"""
_SIZE = "import os, sys; p = sys.argv[1]; print(os.path.getsize(p) if os.path.exists(p) else 0)"
_SECONDS = 3600.0


def size(compose: Compose, service: str, file: str) -> int:
    """Return the octets of a file in a running container; 0 when there is none."""
    words = ("exec", "-T", service, "python", "-c", _SIZE, file)
    return int(compose.run(*words, timeout=60))


def read(
    compose: Compose, service: str, place: str, target: Path, *, limited: str = "", limit: int = 0
) -> Path:
    """Write a tar of the folder's regular files, read by the running container; return it.

    Of the file `limited` no more than the first `limit` octets.
    """
    words = ("exec", "-T", service, "python", "-c", _READ, place, limited, str(limit))
    with target.open("wb") as out:
        compose.run(*words, stdout=out, timeout=_SECONDS)
    return target


def write(compose: Compose, service: str, source: Path, place: str) -> None:
    """Put the files under a folder into a volume, by a container of the service for this alone."""
    packed = source.with_name(f"{source.name}.tar")
    with tarfile.open(packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.rglob("*")):
            if path.is_file():
                info = tarfile.TarInfo(path.relative_to(source).as_posix())
                info.size, info.mode = path.stat().st_size, 0o600
                with path.open("rb") as stream:
                    tar.addfile(info, stream)
    words = ("run", "--rm", "--no-deps", "-T", service, "python", "-c", _WRITE, place)
    with packed.open("rb") as stream:
        compose.run(*words, stdin=stream, timeout=_SECONDS)
    packed.unlink()
