"""A folder for a cluster of its own, and programs that use it: real processes, so that they can be killed."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pastetrader.postgres import processes
from pastetrader.postgres.cluster import Cluster
from pastetrader.postgres.lease import one_at_a_time
from pastetrader.tests.site import ROOT, Serve, Site

USER = """
import sys
from pathlib import Path
from pastetrader.postgres.base import ensure
ensure({"EMBEDDED": {"data_dir": Path(sys.argv[1]), "durable": sys.argv[2] == "durable"}, "NAME": "pastetrader"})
print("up", flush=True)
sys.stdin.read()
"""


# As in another container: it sees none of the processes outside, and shares nothing with them but the file system.
APART = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-current-user"])]
APART += ["--pid", "--ipc", "--mount-proc", "--fork", "--kill-child"]


class User:
    """A process that uses the server until it is told to go."""

    def __init__(self, data_dir: Path, durable: bool, apart: bool) -> None:
        python = [*(APART if apart else []), sys.executable]
        self.process = subprocess.Popen(
            [*python, "-c", USER, str(data_dir), "durable" if durable else "careless"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def arrive(self) -> "User":
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n", self.process.communicate()[1]
        return self

    def leave(self) -> None:
        self.process.communicate(timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


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
    """What `serve` makes in its folder before it serves: a database, migrated, and static files. No user yet."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all processes of this run
    made = shared / "prepared"
    with one_at_a_time(shared / "prepared.lock"):
        if not made.exists():
            with new_home() as home:
                done = manage("shell", "--no-imports", "-c", PREPARE, local=home, PASTETRADER_DURABLE="0")
                assert done.returncode == 0, done.stderr
                copy_files(home, made)
    return made


PREPARE = """
from django.core.management import call_command
from pastetrader.static import collect_if_changed
call_command("migrate", verbosity=0)
collect_if_changed()
"""


def copy_files(source: Path, target: Path) -> None:
    """With whose they are: the data belongs to the account that runs the database."""
    subprocess.run(["cp", "-Rp", source, target], check=True)


def copy(prepared: Path, home: Path) -> None:
    """All but the static files, which are only read."""
    for each in prepared.iterdir():
        if each.name == "static":
            (home / each.name).symlink_to(each)
        else:
            copy_files(each, home / each.name)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Of nothing yet: whoever starts a server here first makes it."""
    with new_home() as home:
        yield home / "postgres"


@pytest.fixture
def ready(prepared: Path, data_dir: Path) -> None:
    """For whom a start from nothing is not the point: it costs seconds."""
    copy(prepared, data_dir.parent)


@pytest.fixture(scope="module")
def site(prepared: Path) -> Iterator[Site]:
    """One server for a module."""
    with new_home() as home:
        copy(prepared, home)
        site = Site(home, demo=False)
        yield site.wait()
        site.end()


@pytest.fixture
def use(data_dir: Path) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def start(durable: bool = False, apart: bool = False) -> User:
        users.append(User(data_dir, durable, apart))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Serve]:
    sites: list[Site] = []

    def start(demo: bool = False) -> Site:
        sites.append(Site(data_dir.parent, demo))
        return sites[-1].wait()

    yield start
    for site in sites:
        site.end()


@pytest.fixture
def namespaces() -> None:
    """Skips where processes cannot be kept apart."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare(1)")
    tried = subprocess.run([*APART, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"unshare is not permitted here: {tried.stderr.strip()}")


@pytest.fixture
def cluster(data_dir: Path) -> Cluster:
    return Cluster(data_dir, durable=False)


def postmaster(data_dir: Path) -> psutil.Process | None:
    return processes.find_postmaster(data_dir)


def kill(process: psutil.Process) -> None:
    """And wait until it is dead: a signal is only sent."""
    process.kill()
    deadline = time.monotonic() + 10
    while processes.is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)


def kill_all(home: Path) -> None:
    """Whatever a failed test left running under its folder."""
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
        check=False, stdin=subprocess.DEVNULL, timeout=120,
    )  # fmt: skip
