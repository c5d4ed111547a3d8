"""A folder as `serve` finds it at its second start: made once, and copied for each server of the suite."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from local_postgres.lease import exclusive_lock
from pastetrader.tests.live_server import ROOT


@contextmanager
def new_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="pastetrader-server-")).resolve()
    try:
        yield home
    finally:
        kill_all(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as `serve` leaves it: with a migrated database and static files, and without users."""
    return made_once(tmp_path_factory, "prepared", prepare)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a migrated database, for a run that starts no server."""
    return made_once(tmp_path_factory, "migrated", migrate)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder of all processes of this run; the first one that needs it makes it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made, part = shared / name, shared / f"{name}.part"
    with exclusive_lock(shared / f"{name}.lock"):
        if not made.exists():
            with new_home() as home:
                make(home)
                copy_files(home, part)
            part.rename(made)  # a copy that was interrupted is not taken for the whole
    return made


def prepare(home: Path) -> None:
    _run("shell", "--no-imports", "-c", PREPARE, home=home)


def migrate(home: Path) -> None:
    _run("migrate", "--verbosity=0", home=home)


def _run(*arguments: str, home: Path) -> None:
    done = manage(*arguments, local=home, PASTETRADER_DURABLE="0")
    assert done.returncode == 0, done.stderr


PREPARE = """
from django.core.management import call_command
from pastetrader.collect_static import collect_if_changed
call_command("migrate", verbosity=0)
collect_if_changed()
"""


def copy_files(source: Path, target: Path) -> None:
    """Copy files with their owners: the data belongs to the account that runs the database."""
    subprocess.run(["cp", "-Rp", source, target], check=True)


def copy(prepared: Path, home: Path) -> None:
    """Copy all files but the static ones, which are only read."""
    for each in prepared.iterdir():
        if each.name == "static":
            (home / each.name).symlink_to(each)
        else:
            copy_files(each, home / each.name)


def kill_all(home: Path) -> None:
    """Kill each server that a failed test left running under its folder."""
    for process in psutil.process_iter():
        try:
            if process.name() == "postgres" and Path(process.cwd()).is_relative_to(home):
                process.kill()
        except psutil.Error:
            continue


def manage(*arguments: str, local: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=kept | {"PASTETRADER_LOCAL": str(local), **environment}, capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL, timeout=600,  # beside a load of 15 `migrate` takes over two minutes
    )  # fmt: skip
