"""The fixtures of the end-to-end tests."""

from collections.abc import Iterator

import pytest

from e2e.native_platform import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform, stopped at the end with nothing left behind."""
    running = Platform(tmp_path_factory.mktemp("platform") / "home")
    running.ddt("up")
    yield running
    running.ddt("down")
