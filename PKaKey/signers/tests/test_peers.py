"""Who may speak to the signer: the socket's owner, and users that were named."""

import os
from collections.abc import Callable

import pytest
from pkakey_signers.client import SignerUnavailable
from pkakey_signers.testing.process import SignerProcess

from PKaKey.signers.tests.test_process import HEALTH, connect


def test_the_socket_is_the_owners_alone(signer: SignerProcess) -> None:
    assert signer.socket_path.stat().st_mode & 0o777 == 0o600


def test_who_is_not_allowed_is_not_heard(make_signer: Callable[..., SignerProcess]) -> None:
    signer = make_signer("--allow-uid", str(os.getuid() + 1)).start()
    with connect(signer) as connection:
        with_nothing = b""
        try:
            connection.sendall(HEALTH)
            with_nothing = connection.recv(100)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert with_nothing == b""
    with pytest.raises(SignerUnavailable):
        signer.client().health()
    # Its own user's health check, which only looks whether somebody takes the call.
    assert "not allowed" not in signer.said()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_not_heard_and_told_of(make_signer: Callable[..., SignerProcess]) -> None:
    signer = make_signer().start()
    signer.socket_path.parent.chmod(0o711)
    signer.socket_path.chmod(0o666)
    os.seteuid(65534)
    try:
        with connect(signer) as connection:
            connection.settimeout(20)
            assert connection.recv(100) == b""
    finally:
        os.seteuid(0)
    assert "the number 65534 tried to connect; not allowed" in signer.said()


def test_a_user_named_beside_others_is_heard(make_signer: Callable[..., SignerProcess]) -> None:
    mine, other = str(os.getuid()), str(os.getuid() + 1)
    signer = make_signer("--allow-uid", other, "--allow-uid", mine).start()
    assert signer.client().health()["state"] == "ready"
