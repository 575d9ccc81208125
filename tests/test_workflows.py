"""The forge's workflows: pinned, linted, and calling targets that exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
BAD = """
name: bad
on: [pull_request_target]
jobs:
  one:
    runs-on: ubuntu-24.04
    needs: nothing
    steps:
      - uses: actions/checkout@v7
      - run: echo "${{ github.event.pull_request.title }}"
"""


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_action_is_pinned_by_commit_and_says_its_version(file: Path) -> None:
    uses = re.findall(r"uses: *(.+)", file.read_text())
    assert uses
    for action in uses:
        if action.startswith("./"):
            assert (ROOT / action.split()[0]).is_file()
            continue
        assert PINNED.fullmatch(action.strip()), action


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_every_target_and_file_that_a_workflow_names_exists(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = file.read_text()
    called = set(re.findall(r"\bmake ([a-z-]+)", re.sub(r"#.*", "", text)))
    assert called <= targets
    for path in re.findall(r"[\w./-]+/Dockerfile\b", text):
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_no_job_may_do_more_than_it_says(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, name
        # A job that calls a workflow has the limits of that one's jobs.
        assert "uses" in job or job["timeout-minutes"] <= 90, name


def test_an_image_is_named_after_it_was_scanned_and_signed() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    steps = [str(step.get("uses", step.get("run"))) for step in release["jobs"]["image"]["steps"]]
    order = [
        next(number for number, step in enumerate(steps) if step.startswith(begins))
        for begins in (
            "docker/build-push-action",
            "anchore/scan-action",
            "actions/attest",
            "docker buildx imagetools create",
        )
    ]
    assert order == sorted(order)
    assert {"ci", "version"} <= set(release["jobs"]["image"]["needs"])
    assert release["jobs"]["release"]["needs"] == "image"


def test_ci_lints_the_workflows() -> None:
    assert "make workflows" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.skipif(
    shutil.which("go") is None and not os.environ.get("CI"), reason="actionlint needs Go."
)
def test_both_linters_refuse_a_bad_workflow(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(BAD)
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent))
    assert zizmor is not None
    audited = subprocess.run(
        [zizmor, "--offline", "--no-progress", bad], capture_output=True, text=True, check=False
    )
    assert audited.returncode != 0
    for finding in ("template-injection", "dangerous-triggers", "unpinned-uses"):
        assert finding in audited.stdout
    linted = subprocess.run(
        ["sh", ROOT / "bin" / "actionlint", bad], capture_output=True, text=True, check=False
    )
    assert linted.returncode != 0
    assert "nothing" in linted.stdout
    assert "potentially untrusted" in linted.stdout
