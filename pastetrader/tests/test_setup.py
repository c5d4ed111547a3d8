"""`make` and `.ci/run` on a machine of their own making."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pastetrader.tests.live_server import ROOT

# A name with extras, its version, the Pythons that it is for, its hashes.
PIN = re.compile(r'[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+( ; python_version < "[\d.]+")?( +--hash=sha256:[0-9a-f]{64})+')


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile, with one package to install that needs no network."""
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text())
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text(f"{wheel}\n")
    return tmp_path


def make(checkout: Path, target: str) -> subprocess.CompletedProcess[str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", target], cwd=checkout, env=outer | {"PYTHON": sys.executable}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip


@pytest.mark.slow
def test_a_setup_says_why_it_fails_shows_what_pip_does_and_is_silent_when_all_is_there(checkout: Path) -> None:
    """One environment for all of it: making one takes seconds."""
    right = (checkout / "requirements-dev.txt").read_text()
    (checkout / "requirements-dev.txt").write_text("./missing-1.0-py3-none-any.whl\n")
    for text in ("  Successfully installed tiny-1.0\n", ""):  # it is tried again, from where it failed
        failed = make(checkout, "setup")
        assert failed.returncode == 2
        assert "missing-1.0-py3-none-any.whl" in failed.stderr
        assert text in failed.stdout
        assert "already satisfied" not in failed.stdout
    (checkout / "requirements-dev.txt").write_text(right)
    mended = make(checkout, "setup")
    assert mended.returncode == 0, mended.stderr
    assert "already satisfied" not in mended.stdout
    last = make(checkout, "setup")
    assert (last.returncode, last.stdout, last.stderr) == (0, "", "")


def test_without_a_python_that_is_new_enough_it_says_which_is_needed(checkout: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "make", "mkdir", "rm", "touch", "sed"):
        (tools / name).symlink_to(str(shutil.which(name)))
    old = tools / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # as an old one answers
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "setup"], cwd=checkout, env={"PATH": str(tools), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if "Making" in done.stdout:
        pytest.skip("this machine has a newer Python in a place where it is looked for")
    assert done.stderr.startswith("Python 3.12 or newer with its venv module is missing: install it, or name one")


@pytest.mark.parametrize(
    ("debian", "on_path", "found"),
    [
        (["17", "15"], [], "postgresql/15/bin"),
        (["17"], ["15"], "path/15"),
        (["16"], ["18"], "postgresql/16/bin"),
        ([], ["18"], "path/18"),
        ([], [], None),
    ],
)
def test_ci_takes_version_15_if_there_is_one(
    tmp_path: Path, debian: list[str], on_path: list[str], found: str | None
) -> None:
    folders = [tmp_path / "postgresql" / version / "bin" for version in debian]
    paths = [tmp_path / "path" / version for version in on_path]
    for folder, version in zip(folders + paths, debian + on_path, strict=True):
        pretend(folder, version)
    function = (ROOT / ".ci" / "run").read_text().partition("find_pg_bin() {")[2].partition("\n}\n")[0]
    done = subprocess.run(
        ["/bin/bash", "-euc", f"find_pg_bin() {{{function}\n}}\nfind_pg_bin && echo $pg_bin"], text=True, check=False,
        env={"PATH": ":".join(map(str, paths)), "PG_ROOT": str(tmp_path / "postgresql")}, capture_output=True,
    )  # fmt: skip
    assert done.stdout == (f"{tmp_path / found}\n" if found else ""), done.stderr
    assert (done.returncode == 0) is bool(found)


def pretend(folder: Path, version: str) -> None:
    folder.mkdir(parents=True)
    for name in ("initdb", "pg_ctl"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}.4 (Debian {version}.4-1)'\n")
        program.chmod(0o755)


FILES = ["requirements.txt", "requirements-otel.txt", "requirements-dev.txt", "requirements-proofs.txt"]


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_with_its_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / name).read_text().replace(" \\\n", " ")
    pins = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(pins) > 20
    for pin in pins:
        assert PIN.fullmatch(pin), pin
    assert "://" not in text
