"""The version of the code, and what the changelog and tags call it."""

import re
import subprocess

import executions
from pastetrader.tests.live_server import ROOT


def test_the_version_is_semantic_and_that_of_the_wheel() -> None:
    version = (ROOT / "VERSION").read_text().strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert version == executions.__version__
    tags = subprocess.run(["git", "tag", "--list", "v*"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"\n## {version} - " in changelog
    assert [tag for tag in tags.split() if f"## {tag[1:]}" not in changelog] == []
