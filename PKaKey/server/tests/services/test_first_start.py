"""The first start, the gateway's certificate, and the background work."""

import stat
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from pkakey.services.errors import (
    Conflict,
    NotFound,
    NotPermitted,
    ServiceUnavailable,
    Unauthenticated,
)
from pkakey_engine.errors import Refusal, Refused


@pytest.fixture
def started(transactional_db: None, services: Any, now: Any) -> Any:
    return services.bootstrap(now=now)


def files(outside: Any) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for folder in (outside.gateway_tls_dir, outside.secrets_dir)
        for path in folder.iterdir()
    }


def test_the_first_start_makes_what_a_platform_needs(
    started: Any, services: Any, outside: Any
) -> None:
    made = files(outside)
    assert set(made) == {"tls.pem", "root.pem", "admin-password", "cli-token"}
    for path in (outside.gateway_tls_dir / "tls.pem", outside.secrets_dir / "cli-token"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tls = outside.gateway_tls_dir
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *("-verify_hostname", "pkakey.theddt.localhost"),
            *("-CAfile", tls / "root.pem", "-untrusted", tls / "tls.pem", tls / "tls.pem"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_second_start_changes_nothing(
    started: Any, services: Any, outside: Any, now: Any
) -> None:
    before = files(outside)
    again = services.bootstrap(now=now + timedelta(hours=1))
    assert files(outside) == before
    assert (again.root_id, again.issuing_id) == (started.root_id, started.issuing_id)
    assert (again.created_admin, again.created_token, again.renewed_gateway) == (False,) * 3


def test_the_commands_token_is_replaced_and_the_ones_before_end(
    started: Any, services: Any, outside: Any, now: Any
) -> None:
    file = outside.secrets_dir / "cli-token"
    first = file.read_text().strip()
    holder = services.authenticate_token(first, now)
    # One of the same name that a person (here: a token) made is theirs.
    own = services.create_token(
        principal=holder, name="ddt on this machine", scopes=["tokens:manage"],
        expires_at=None, now=now,
    )  # fmt: skip
    assert services.rotate_cli_token(now=now) == 1
    second = file.read_text().strip()
    assert second != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert services.authenticate_token(second, now).can("tokens:manage")
    assert services.authenticate_token(own.token, now)
    with pytest.raises(Unauthenticated):
        services.authenticate_token(first, now)
    # What a replacement that was cut off had left in the file ends with the next one.
    file.write_text("ddt_lost")
    assert services.rotate_cli_token(now=now) == 1
    with pytest.raises(Unauthenticated):
        services.authenticate_token(second, now)


def test_the_commands_token_is_not_replaced_before_the_first_start(
    transactional_db: None, services: Any, now: Any
) -> None:
    with pytest.raises(NotFound):
        services.rotate_cli_token(now=now)


def test_a_start_without_a_signer_says_so_and_the_next_one_finishes(
    transactional_db: None, services: Any, outside: Any, now: Any, tmp_path: Path
) -> None:
    from dataclasses import replace

    from pkakey.services import Services
    from pkakey_signers.client import SignerClient

    alone = Services(replace(outside, signer=SignerClient(tmp_path / "nobody.sock")))
    with pytest.raises(ServiceUnavailable):
        alone.bootstrap(now=now)
    assert services.bootstrap(now=now).created_admin


def test_the_gateways_certificate_is_renewed_in_its_last_third(
    started: Any, services: Any, outside: Any, now: Any
) -> None:
    file = outside.gateway_tls_dir / "tls.pem"
    first = x509.load_pem_x509_certificate(file.read_bytes())
    life = first.not_valid_after_utc - first.not_valid_before_utc
    assert not services.renew_gateway_certificate(now=now + life / 2)
    assert services.renew_gateway_certificate(now=now + life * 0.67)
    second = x509.load_pem_x509_certificate(file.read_bytes())
    assert second.serial_number != first.serial_number
    assert not services.renew_gateway_certificate(now=now + life * 0.68)


@pytest.mark.parametrize("damaged", ["tls.pem", "root.pem"])
def test_a_damaged_or_missing_gateway_file_is_made_good(
    started: Any, services: Any, outside: Any, now: Any, damaged: str
) -> None:
    file = outside.gateway_tls_dir / damaged
    file.write_bytes(b"rubbish")
    assert services.renew_gateway_certificate(now=now)
    file.unlink()
    assert services.renew_gateway_certificate(now=now)
    assert not services.renew_gateway_certificate(now=now)


def test_the_responders_are_renewed_in_their_last_third(
    started: Any, services: Any, admin_dsn: str, now: Any
) -> None:
    import psycopg

    assert services.renew_ocsp_responders(now=now) == 0
    with psycopg.connect(admin_dsn) as admin:
        (ends,) = admin.execute(
            "SELECT min(not_after) FROM authorities_ocspresponder"
        ).fetchone() or (None,)
    assert ends is not None
    late = ends - (ends - now) / 4
    assert services.renew_ocsp_responders(now=late) == 2
    assert services.renew_ocsp_responders(now=late) == 0


def test_a_certificate_that_ends_soon_is_announced_once_for_each_distance(
    platform: Any, admin_connection: Any, worker_role: None
) -> None:
    issued = platform.issue()
    announce = platform.services.announce_expiring

    def told() -> int:
        (count,) = admin_connection.execute(
            "SELECT count(*) FROM outbox_event WHERE type = 'certificate.expiring' "
            "AND payload->>'serial_number' = %s",
            [issued.serial_number],
        ).fetchone()
        return int(count)

    announce(now=platform.now)
    assert told() == 0
    for days, expected in ((29, 1), (29, 1), (13, 2), (6, 3), (0.5, 4), (0.4, 4), (-1, 4)):
        announce(now=issued.not_after - timedelta(days=days))
        assert told() == expected, days


def test_a_revoked_certificate_is_not_announced(
    platform: Any, admin_connection: Any, worker_role: None
) -> None:
    issued = platform.issue()
    platform.services.revoke_certificate(
        principal=platform.admin,
        serial_number=issued.serial_number,
        reason="superseded",
        now=platform.now,
    )
    platform.services.announce_expiring(now=issued.not_after - timedelta(days=5))
    assert admin_connection.execute(
        "SELECT count(*) FROM certificates_expirynotice WHERE certificate_id = %s", [issued.id]
    ).fetchone() == (0,)


@pytest.mark.parametrize("slug", ["", "Default", "a_b", "-a", "a-", "x" * 64, "ä", "a\x00"])
def test_a_namespace_has_a_name_that_fits_everywhere(platform: Any, slug: str) -> None:
    with pytest.raises(Conflict):
        platform.services.create_namespace(slug=slug, name="x", now=platform.now)


def test_a_namespace_is_made_once(platform: Any) -> None:
    with pytest.raises(Conflict):
        platform.services.create_namespace(slug="guest", name="x", now=platform.now)


def test_the_authority_of_another_namespace_is_no_parent(platform: Any) -> None:
    from pkakey.services.errors import NotFound

    with pytest.raises(NotFound):
        platform.services.create_authority(
            principal=platform.guest,
            common_name="Mine",
            organization="x",
            profile="issuing-ca",
            parent_id=platform.root_id,
            algorithm="ecdsa-p256",
            now=platform.now,
        )


def fenced_authority(platform: Any, **constraints: Any) -> Any:
    return platform.services.create_authority(
        principal=platform.admin,
        common_name="Fenced",
        organization="x",
        profile="issuing-ca",
        parent_id=platform.root_id,
        algorithm="ecdsa-p256",
        now=platform.now,
        **constraints,
    )


def test_an_authority_issues_no_name_outside_its_constraints(platform: Any) -> None:
    made = fenced_authority(
        platform, permitted=["dns:inside.test"], excluded=["dns:no.inside.test"]
    )
    constraints = x509.load_pem_x509_certificate(made.pem.encode()).extensions
    found = constraints.get_extension_for_class(x509.NameConstraints)
    assert found.critical
    assert found.value.permitted_subtrees == [x509.DNSName("inside.test")]
    assert found.value.excluded_subtrees == [x509.DNSName("no.inside.test")]
    platform.services.set_default_authority(principal=platform.admin, authority_id=made.id)
    assert platform.issue("www.inside.test").authority_id == made.id
    for name in ("www.outside.test", "a.no.inside.test"):
        with pytest.raises(Refused) as caught:
            platform.issue(name)
        assert caught.value.refusal is Refusal.NAME_OUTSIDE_CONSTRAINTS


def test_a_constraint_that_is_none_makes_no_authority(platform: Any) -> None:
    with pytest.raises(Refused):
        fenced_authority(platform, permitted=["example.test"])
    assert fenced_authority(platform).name == "Fenced"


def test_only_who_manages_authorities_sets_the_namespaces_own(platform: Any) -> None:
    with pytest.raises(NotPermitted):
        platform.services.set_default_authority(
            principal=platform.principal("pki-officer"), authority_id=platform.root_id
        )


def test_an_authority_of_a_known_name_is_a_conflict(platform: Any) -> None:
    with pytest.raises(Conflict) as caught:
        platform.services.create_authority(
            principal=platform.admin,
            common_name="theDDT Root CA",
            organization="x",
            profile="root-ca",
            parent_id=None,
            algorithm="ecdsa-p256",
            now=platform.now,
        )
    assert caught.value.code == "authority.exists"


def test_secrets_are_not_left_behind_in_part(tmp_path: Path) -> None:
    from pkakey.services.secret_files import write_file

    write_file(tmp_path / "a" / "secret", b"one")
    write_file(tmp_path / "a" / "secret", b"two")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["secret"]
    assert (tmp_path / "a" / "secret").read_bytes() == b"two"
