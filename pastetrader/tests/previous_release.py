"""The code of the release before this commit, for tests of the upgrade."""

import io
import subprocess
import tarfile
from pathlib import Path

from pastetrader.tests.live_server import ROOT


def commit() -> str | None:
    """Return the last commit before this one that made a release: each changes VERSION. None without the history."""
    found = subprocess.run(
        ["git", "log", "-1", "--format=%H", "HEAD~1", "--", "VERSION"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip() or None


def unpack(release: str, folder: Path) -> Path:
    """Write the files of this commit to the folder, and return it."""
    packed = subprocess.run(["git", "archive", release], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder
