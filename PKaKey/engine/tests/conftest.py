import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pkakey_engine.errors import Refusal, Refused
from pkakey_engine.testing import AuthorityForTests, make_issuing_authority, make_root_authority

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def root() -> AuthorityForTests:
    return make_root_authority(now=NOW)


@pytest.fixture(scope="session")
def ca(root: AuthorityForTests) -> AuthorityForTests:
    return make_issuing_authority(root, now=NOW)


@pytest.fixture
def refused() -> Callable[[Refusal, Callable[[], object]], Refused]:
    """Expect exactly this refusal, with a full sentence for the requester."""

    def expect(refusal: Refusal, action: Callable[[], object]) -> Refused:
        with pytest.raises(Refused) as caught:
            action()
        assert caught.value.refusal is refusal, str(caught.value)
        assert caught.value.detail[-1] in ".]", caught.value.detail
        return caught.value

    return expect


@pytest.fixture
def openssl(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the openssl command in the test's own folder."""
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have the openssl command for the cross-checks")
        pytest.skip("the openssl command is not installed; the cross-checks need it")

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=check
        )

    return run
