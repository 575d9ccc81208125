"""Each import contract holds on the tree, and breaks when it is violated on purpose."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINTER = Path(sys.executable).with_name("lint-imports")
SOURCES = {
    "theddt_identity": "identity/src",
    "pkakey_engine": "PKaKey/engine/src",
    "pkakey_signers": "PKaKey/signers/src",
    "pkakey_events": "PKaKey/events/src",
    "pkakey": "PKaKey/server/src",
    "koolflows": "KoolFlows/src",
    "pesequel": "PeSequel/src",
    "ddt": "ddt/src",
}

VIOLATIONS = [
    pytest.param(
        "pkakey_engine", "x.py", "import pkakey_signers", "Distributions", id="engine-signers"
    ),
    pytest.param(
        "pkakey_events", "x.py", "import pkakey_engine", "Distributions", id="events-engine"
    ),
    pytest.param("pkakey_signers", "x.py", "import pkakey", "Distributions", id="signers-server"),
    pytest.param("pkakey_engine", "x.py", "import django", "pure", id="engine-django"),
    pytest.param("pkakey_engine", "x.py", "import socket", "pure", id="engine-network"),
    pytest.param("theddt_identity", "x.py", "import django", "Identity", id="identity-django"),
    pytest.param(
        "theddt_identity", "x.py", "import pkakey_engine", "Distributions", id="identity-engine"
    ),
    pytest.param("pkakey", "store/x.py", "import pkakey.services", "Server", id="store-service"),
    pytest.param("pkakey", "selectors/x.py", "import pkakey.fronts", "Server", id="selector-front"),
    pytest.param("pkakey", "utils/__init__.py", "", "Server", id="a-new-utils-package"),
    pytest.param(
        "pkakey", "fronts/rest/x.py", "import pkakey.fronts.portal", "No front", id="front-front"
    ),
    pytest.param("pkakey", "fronts/rest/x.py", "import pkakey.store", "store", id="front-store"),
    pytest.param(
        "koolflows", "store/x.py", "import koolflows.services", "KoolFlows: config", id="flows"
    ),
    pytest.param("koolflows", "engine/x.py", "import django", "engine knows", id="flows-engine"),
    pytest.param(
        "koolflows", "services/x.py", "import pkakey", "by their APIs only", id="flows-pkakey"
    ),
    pytest.param("ddt", "x.py", "import pkakey", "ddt speaks", id="command-server"),
    pytest.param("pesequel", "x.py", "import pkakey", "PeSequel knows", id="data-server"),
    pytest.param("pkakey", "services/x.py", "import pesequel", "The relay", id="server-data"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(folder / name) for name in SOURCES)
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--no-cache",
            "--config",
            ROOT / "pyproject.toml",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package, source in SOURCES.items():
        shutil.copytree(
            ROOT / source / package,
            tmp_path / package / package,
            ignore=shutil.ignore_patterns("__pycache__", "static", "templates"),
        )
    return tmp_path


def test_every_contract_is_kept_on_the_tree(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize(("package", "file", "line", "contract"), VIOLATIONS)
def test_a_violation_breaks_its_contract(
    tree: Path, package: str, file: str, line: str, contract: str
) -> None:
    module = tree / package / package / file
    module.parent.mkdir(exist_ok=True)
    module.write_text(f"{line}\n")
    result = lint(tree)
    assert result.returncode != 0, result.stdout
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(contract in row for row in broken), result.stdout
