"""Rules of the repository itself that no linter knows."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = [
    "PKaKey/requirements.txt",
    "KoolFlows/requirements.txt",
    "PeSequel/requirements.txt",
    "ddt/requirements.txt",
    "requirements-build.txt",
    "requirements-dev.txt",
]
LONGEST_FILE = 600


def tracked(*patterns: str) -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listing.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = [line for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    assert requirements
    assert all("==" in line for line in requirements)
    assert text.count("--hash=sha256:") >= len(requirements)
    assert not re.search(r"https?://|--index|--find-links|--extra-index|file:", text)


def test_no_file_outgrows_its_room() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py", "*.js", "*.css", "*.html", "*.sql")
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_no_module_is_a_home_for_whatever_had_none() -> None:
    homeless = {"utils", "util", "common", "helpers", "misc"}
    assert not [path for path in tracked("*.py") if homeless & {*path.parts, path.stem}]


def test_every_link_between_the_documents_leads_somewhere() -> None:
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists()
    ]
    assert not dead


def test_every_test_that_the_threat_model_names_is_there() -> None:
    named = re.findall(
        r"\[([^]`]+)\]\(([^)]+/test_\w+\.py)\)", (ROOT / "THREAT_MODEL.md").read_text()
    )
    assert len(named) > 50
    gone = [
        f"{file}: {words}"
        for words, file in named
        if f"def test_{words.replace(' ', '_')}(" not in (ROOT / file).read_text()
    ]
    assert not gone


def test_every_package_with_models_has_migrations() -> None:
    # `makemigrations --check` says "No changes" for an app that has models and no migrations.
    for models in tracked("PKaKey/server/src/**/models.py", "KoolFlows/src/**/models.py"):
        assert (models.parent / "migrations" / "__init__.py").is_file(), models
