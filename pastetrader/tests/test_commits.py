"""Check the subjects of new commits."""

import shutil
import subprocess

import pytest

from pastetrader.tests.live_server import ROOT

CHECKED_SINCE = "e94f90ae"
MAX_LENGTH = 72


def test_subjects_of_commits_have_at_most_72_characters() -> None:
    subjects = _subjects_since(CHECKED_SINCE)
    assert [subject for subject in subjects if len(subject) > MAX_LENGTH] == []


def test_subjects_of_commits_begin_with_an_area() -> None:
    subjects = _subjects_since(CHECKED_SINCE)
    assert [subject for subject in subjects if ": " not in subject] == []


def _subjects_since(commit: str) -> list[str]:
    """Return subjects without those of merges. Skip the test without git, as in an archive, or without the commit."""
    if (git := shutil.which("git")) is None:
        pytest.skip("git is not installed")
    log = [git, "log", "--no-merges", "--format=%s", f"{commit}..HEAD"]
    done = subprocess.run(log, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("the commit is not in this copy of the repository")
    return done.stdout.splitlines()
