"""Each kind of secret gets another value on a running platform: nothing is lost or left open."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import psycopg
import pytest
from ddt.native import postgresql
from ddt.rotation import roles
from ddt.rotation.journal import Journal
from ddt.rotation.rotate import KINDS
from ddt.settings import Settings
from redis import Redis
from redis.exceptions import AuthenticationError

from e2e.native_platform import DDT, Platform, make_csr, openssl

pytestmark = pytest.mark.platform

DATABASES = {
    "postgres": "postgres",
    "authenticator": "pesequel",
    "inventory_writer": "pesequel",
    "pgadmin": "pesequel",
    "koolflows_owner": "koolflows",
    "koolflows_web": "koolflows",
    "koolflows_worker": "koolflows",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a revoked certificate; a person of it may sign in."""
    running = Platform(tmp_path_factory.mktemp("rotation") / "home")
    running.ddt("up")
    issue(running, "before")
    yield running
    running.ddt("down", check=False)


def issue(platform: Platform, name: str) -> Path:
    """Issue a certificate over REST, ask OCSP about it, and return its file."""
    folder = platform.home.parent
    file = folder / f"{name}.pem"
    _, csr = make_csr(folder, f"{name}.example.test")
    chain = folder / "chain.pem"
    platform.ddt("issue", "--csr", csr, "--out", file, "--chain-out", chain)
    said = openssl(
        "ocsp", "-issuer", chain, "-cert", file, "-CAfile", platform.root(),
        "-url", f"http://127.0.0.1:{platform.http_port}/ocsp",
    ).stdout  # fmt: skip
    assert f"{file}: good" in said
    return file


def secret(platform: Platform, name: str) -> str:
    return (platform.home / "secrets" / name).read_text().strip()


def services(platform: Platform) -> dict[str, object]:
    return {row["name"]: row["pid"] for row in platform.status()["services"]}


def may_sign_in(platform: Platform, role: str, password: str) -> bool:
    address = postgresql.url(
        Settings(platform.home).runtime, user=role, password=password,
        database=DATABASES.get(role, "pkakey"),
    )  # fmt: skip
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)  # noqa: PT017  # Not another failure.
        return False
    return True


def assert_well(platform: Platform, name: str) -> None:
    """The platform is ready, whole, and issues."""
    deadline = time.monotonic() + 60
    while platform.status()["state"] != "ready" and time.monotonic() < deadline:
        time.sleep(0.2)
    issue(platform, name)
    doctor = json.loads(platform.ddt("doctor", "--json", check=False).stdout)
    assert doctor["ok"], doctor


def assert_nothing_is_left(platform: Platform) -> None:
    left = {file.name for file in (platform.home / "secrets").iterdir()}
    assert not [name for name in left if name.endswith((".next", ".retired", ".new"))]


@pytest.mark.parametrize("name", list(roles.ROLES))
def test_a_roles_password_changes_and_only_its_services_start_again(
    own: Platform, name: str
) -> None:
    old, before = secret(own, name), services(own)
    own.ddt("rotate", name)
    new, after = secret(own, name), services(own)
    assert new != old
    assert may_sign_in(own, roles.ROLES[name], new)
    assert not may_sign_in(own, roles.ROLES[name], old)
    restarted = {each for each in before if before[each] != after[each]}
    assert restarted == set(KINDS[name].services)
    assert_well(own, name)
    assert_nothing_is_left(own)


def queue_takes(platform: Platform, password: str) -> bool:
    ports = json.loads((Settings(platform.home).runtime / "ports.json").read_text())
    client = Redis("127.0.0.1", ports["valkey"], password=password)
    try:
        client.ping()
    except AuthenticationError:
        return False
    finally:
        client.close()
    return True


def test_the_queues_password_changes_while_the_queue_stays_up(own: Platform) -> None:
    old, before = secret(own, "redis-password"), services(own)
    own.ddt("rotate", "redis-password")
    new = secret(own, "redis-password")
    assert new != old
    assert queue_takes(own, new)
    assert not queue_takes(own, old)
    assert services(own)["valkey"] == before["valkey"]
    assert not queue_takes(own, "")
    # What the server knows after a start of its own is the same.
    own.ddt("restart", "valkey")
    assert queue_takes(own, new)
    assert not queue_takes(own, old)
    assert_well(own, "queue")


class Person:
    """Somebody who signs in with curl and keeps the cookies."""

    def __init__(self, platform: Platform) -> None:
        """Sign in with the one-time password and choose another."""
        self.platform = platform
        self.jar = platform.home.parent / "cookies"
        one_time = secret(platform, "admin-password")
        self._post("/accounts/login/", login="admin", password=one_time)
        chosen = "correct horse battery staple 7"
        self._post(
            "/accounts/password/change/", oldpassword=one_time, password1=chosen, password2=chosen
        )

    def _fetch(self, path: str, *options: str) -> str:
        words: list[str | Path] = [
            "-b",
            self.jar,
            "-c",
            self.jar,
            "-L",
            "-H",
            f"Referer: {self.platform.portal}",
        ]
        return self.platform.curl(f"{self.platform.portal}{path}", *words, *options).stdout

    def _post(self, path: str, **fields: str) -> str:
        form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self._fetch(path))
        assert form, path
        values = {"csrfmiddlewaretoken": form[1], **fields}
        words = [w for k, v in values.items() for w in ("--data-urlencode", f"{k}={v}")]
        return self._fetch(path, *words)

    @property
    def is_signed_in(self) -> bool:
        """Whether the portal shows a page of its own, not the one to sign in."""
        code = self.platform.curl(
            f"{self.platform.portal}/portal/", "-b", self.jar, "-c", self.jar,
            "-o", "/dev/null", "-w", "%{http_code}",
        ).stdout  # fmt: skip
        return code == "200"


def test_people_stay_signed_in_under_another_secret_key_unless_it_ends_at_once(
    own: Platform,
) -> None:
    person = Person(own)
    assert person.is_signed_in
    kept = person.jar.read_bytes()
    old = secret(own, "django-secret-key")
    own.ddt("rotate", "django-secret-key")
    assert secret(own, "django-secret-key") != old
    assert old in secret(own, "django-secret-key-fallbacks")
    assert person.is_signed_in
    own.ddt("rotate", "django-secret-key", "--at-once")
    assert not (own.home / "secrets" / "django-secret-key-fallbacks").exists()
    person.jar.write_bytes(kept)
    assert not person.is_signed_in
    assert_well(own, "key")


def keystore(platform: Platform) -> dict[str, bytes]:
    folder = platform.home / "keystore"
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.suffix in {".key", ".certificate", ".check"}
    }


def test_the_signers_keys_are_sealed_again_and_go_on_signing(own: Platform) -> None:
    old, before, root = secret(own, "keystore-kek"), keystore(own), own.root().read_text()
    backup = Path(json.loads(own.ddt("backup", "--json").stdout)["file"])
    own.ddt("rotate", "keystore-kek")
    assert secret(own, "keystore-kek") != old
    after = keystore(own)
    assert after.keys() == before.keys()
    assert all(after[name] != before[name] for name in before)
    assert own.root().read_text() == root
    assert_well(own, "sealed")
    assert_nothing_is_left(own)
    # A backup from before brings the key along that opens its own keystore.
    assert json.loads(own.ddt("backup", "drill", "--json", backup).stdout)["ok"]


def test_a_damaged_key_file_stops_the_change_before_anything_is_changed(own: Platform) -> None:
    before = secret(own, "keystore-kek"), keystore(own)
    path = own.home / "keystore" / next(n for n in before[1] if n.endswith(".key"))
    path.write_bytes(before[1][path.name][:-20])
    refused = own.ddt("rotate", "keystore-kek", check=False)
    path.write_bytes(before[1][path.name])
    assert refused.returncode == 1
    assert path.name in refused.stderr
    assert (secret(own, "keystore-kek"), keystore(own)) == before
    assert_nothing_is_left(own)
    assert_well(own, "damaged")


def test_the_commands_own_token_is_replaced_and_the_old_one_opens_nothing(own: Platform) -> None:
    old = secret(own, "cli-token")
    assert json.loads(own.ddt("rotate", "cli-token", "--json").stdout)["secret"] == "cli-token"
    assert secret(own, "cli-token") != old
    refused = own.ddt("list", token=old, check=False)
    assert refused.returncode == 1
    assert_well(own, "token")


def signed(platform: Platform, name: str) -> str:
    """Return a token that the data API and the REST API check by PKaKey's public keys."""
    words = ("--jwt", "--scope", "data:read", "--scope", "certificates:read")
    return platform.ddt("token", "create", "--name", name, *words).stdout.strip()


def answers(platform: Platform, token: str) -> dict[str, int]:
    """Return what the data API and the REST API say to the token."""
    addresses = {
        "data": f"https://api.{platform.domain}:{platform.https_port}/certificates?limit=1",
        "rest": f"{platform.portal}/api/v1/certificates/",
    }
    found = {}
    for name, url in addresses.items():
        host = f"{url.split('/')[2]}:127.0.0.1"
        words = ("-o", "/dev/null", "-w", "%{http_code}", "--resolve", host)
        headers = ("-H", f"Authorization: Bearer {token}")
        found[name] = int(platform.curl(url, *words, *headers).stdout)
    return found


def published(platform: Platform) -> set[str]:
    text = platform.curl(f"{platform.portal}/.well-known/jwks.json").stdout
    return {key["kid"] for key in json.loads(text)["keys"]}


GOOD, BAD = {"data": 200, "rest": 200}, {"data": 401, "rest": 401}


def test_tokens_live_on_under_another_signing_key_unless_they_end_at_once(own: Platform) -> None:
    former = signed(own, "former")
    assert answers(own, former) == GOOD
    before = services(own)
    own.ddt("rotate", "token-signing-key")
    newer = signed(own, "newer")
    kids = [jwt.get_unverified_header(token)["kid"] for token in (former, newer)]
    assert kids[0] != kids[1]
    assert published(own) == set(kids)
    assert answers(own, former) == answers(own, newer) == GOOD
    after = services(own)
    assert {each for each in before if before[each] != after[each]} == {"postgrest", "flows"}
    assert_nothing_is_left(own)
    own.ddt("rotate", "token-signing-key", "--at-once")
    newest = signed(own, "newest")
    assert answers(own, former) == answers(own, newer) == BAD
    assert answers(own, newest) == GOOD
    assert published(own) == {jwt.get_unverified_header(newest)["kid"]}
    assert_well(own, "token-key")
    assert_nothing_is_left(own)


def test_a_service_that_starts_when_a_change_was_cut_off_finds_the_password_that_counts(
    own: Platform,
) -> None:
    chosen = Settings(own.home)
    journal = Journal(chosen.secrets)
    name = "pkakey-signer-password"
    new = journal.begin(name)
    # As a kill -9 between the server and the file leaves it.
    with roles.administrator(chosen) as connection:
        connection.execute(f"ALTER ROLE pkakey_signer PASSWORD '{new}'".encode())
    assert secret(own, name) != new
    own.ddt("restart", "signer")
    assert secret(own, name) == new
    issue(own, "cut-off")
    doctor = json.loads(own.ddt("doctor", "--json", check=False).stdout)
    (row,) = [check for check in doctor["checks"] if check["name"] == "rotations"]
    assert not row["ok"]
    assert f"ddt rotate {name}" in row["detail"]
    refused = own.ddt("backup", check=False)
    assert refused.returncode == 1
    assert f"ddt rotate {name}" in refused.stderr
    assert json.loads(own.ddt("rotate", name, "--json").stdout)["resumed"]
    assert secret(own, name) == new
    assert_nothing_is_left(own)
    assert_well(own, "finished")


def test_the_queue_takes_both_passwords_until_the_change_is_finished(own: Platform) -> None:
    journal = Journal(own.home / "secrets")
    old = secret(own, "redis-password")
    new = journal.begin("redis-password")
    journal.switch("redis-password")
    own.ddt("restart", "valkey")
    assert queue_takes(own, old)
    assert queue_takes(own, new)
    own.ddt("rotate", "redis-password")
    assert secret(own, "redis-password") == new
    assert not queue_takes(own, old)
    assert_well(own, "both")


@pytest.mark.parametrize(
    "name", ["pkakey-web-password", "redis-password", "keystore-kek", "token-signing-key"]
)
def test_a_rotation_that_is_killed_anywhere_leaves_a_working_platform(
    own: Platform, name: str
) -> None:
    for number, seconds in enumerate((0.45, 0.6, 0.9, 1.5)):
        process = subprocess.Popen(
            [DDT, "rotate", name], env=own.environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        issue_when_ready(own, f"{name}-{number}")
        own.ddt("rotate", name)
        assert_nothing_is_left(own)
    assert_well(own, f"{name}-end")


def issue_when_ready(platform: Platform, name: str) -> None:
    """A restart that the killed command had asked for goes on."""
    deadline = time.monotonic() + 60
    while platform.status()["state"] != "ready" and time.monotonic() < deadline:
        time.sleep(0.1)
    issue(platform, name)


def test_up_finishes_what_was_cut_off_before_the_platform_stopped(own: Platform) -> None:
    chosen = Settings(own.home)
    journal = Journal(chosen.secrets)
    begun = {name: journal.begin(name) for name in ("postgres-password", "pkakey-web-password")}
    with roles.administrator(chosen) as connection:
        for name, new in begun.items():
            words = f"ALTER ROLE {roles.ROLES[name]} PASSWORD '{new}'"
            connection.execute(words.encode())
    begun |= {name: journal.begin(name) for name in ("redis-password", "keystore-kek")}
    own.ddt("down")
    said = own.ddt("up").stderr
    for name, new in begun.items():
        assert f"Finished the rotation of {name}" in said
        assert secret(own, name) == new
    assert_nothing_is_left(own)
    assert_well(own, "up")


def test_secrets_of_a_stopped_platform_change_too(own: Platform) -> None:
    own.ddt("down")
    before = {name: secret(own, name) for name in KINDS}
    for name in KINDS:
        own.ddt("rotate", name)
    assert all(secret(own, name) != before[name] for name in KINDS)
    assert own.status()["state"] == "stopped"
    own.ddt("up")
    for name, role in roles.ROLES.items():
        assert may_sign_in(own, role, secret(own, name))
        assert not may_sign_in(own, role, before[name])
    assert_nothing_is_left(own)
    assert_well(own, "stopped")
