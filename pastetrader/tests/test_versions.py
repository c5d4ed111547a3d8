"""The version of the code, and the commits and tags of releases."""

import re
import subprocess
from pathlib import Path

import pytest

import executions
from pastetrader.tests.live_server import ROOT

VERSION = (ROOT / "VERSION").read_text().strip()


def git(*arguments: str, folder: Path = ROOT) -> str:
    """Return what git prints, or nothing where there is no repository."""
    author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    command = ["git", *author, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def versions_of_changelog() -> list[str]:
    """Return the versions that the changelog has sections of, the newest first."""
    return re.findall(r"^## (\S+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def wrong_tags(folder: Path) -> list[str]:
    """Return the tags whose commit has another version."""
    tags = git("tag", "--list", "v*", folder=folder).split()
    return [tag for tag in tags if f"v{git('show', f'{tag}:VERSION', folder=folder)}" != tag]


def test_the_version_is_that_of_the_wheel_and_of_the_newest_release() -> None:
    assert executions.__version__ == VERSION
    assert versions_of_changelog()[0] == VERSION


def test_versions_are_semantic_and_rise() -> None:
    found = versions_of_changelog()
    assert len(found) >= 2
    assert [version for version in found if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    numbers = [tuple(map(int, version.split("."))) for version in found]
    assert numbers == sorted(set(numbers), reverse=True)


def test_each_commit_that_changes_the_version_is_a_release_of_the_changelog() -> None:
    commits = git("log", "--format=%H", "--", "VERSION").split()
    if not commits:
        pytest.skip("the history of the repository is not here")
    assert [
        version for commit in commits if (version := git("show", f"{commit}:VERSION")) not in versions_of_changelog()
    ] == []


def test_tags_are_of_the_version_that_they_name(tmp_path: Path) -> None:
    assert wrong_tags(ROOT) == []
    git("init", "--quiet", folder=tmp_path)
    (tmp_path / "VERSION").write_text("1.0.0\n")
    git("add", "VERSION", folder=tmp_path)
    git("commit", "--quiet", "--message=release", folder=tmp_path)
    for tag in ("v1.0.0", "v2.0.0"):
        git("tag", tag, folder=tmp_path)
    assert wrong_tags(tmp_path) == ["v2.0.0"], "a wrong tag is found"
