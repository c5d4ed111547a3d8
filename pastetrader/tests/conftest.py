"""A folder for a cluster of its own, and programs that use it: real processes, so that they can be killed."""

import io
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from local_postgres import processes
from local_postgres.cluster import Cluster
from local_postgres.socket_path import socket_dir
from pastetrader.tests.live_server import ALL_SCOPES, ROOT, Serve, Site
from pastetrader.tests.prepared_folder import copy, manage, new_home

USER = """
import sys
from pathlib import Path
from local_postgres import processes
from local_postgres.base import ensure
processes.PATIENCE = float(sys.argv[3])
ensure({"EMBEDDED": {"data_dir": Path(sys.argv[1]), "durable": sys.argv[2] == "durable"}, "NAME": "pastetrader"})
print("up", flush=True)
sys.stdin.read()
"""


# As in another container: it sees none of the processes outside, and shares nothing with them but the file system.
APART = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-current-user"])]
APART += ["--pid", "--ipc", "--mount-proc", "--fork", "--kill-child"]


class User:
    """A process that uses the server until its input ends."""

    def __init__(self, data_dir: Path, durable: bool, apart: bool, patience: float) -> None:
        python = [*(APART if apart else []), sys.executable]
        self.process = subprocess.Popen(
            [*python, "-c", USER, str(data_dir), "durable" if durable else "careless", str(patience)],
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


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Yield a path at which nothing exists: the first start of a server makes the folder."""
    with new_home() as home:
        yield home / "postgres"


@pytest.fixture
def ready(prepared: Path, data_dir: Path) -> None:
    """Fill the folder with a migrated database: making one takes seconds."""
    copy(prepared, data_dir.parent)


@pytest.fixture(scope="session")
def running(prepared: Path) -> Iterator[Callable[[], Site]]:
    """Return a function for the one server of the suite: a test that ends it leaves the next to start it again."""
    sites: list[Site] = []
    with new_home() as home:
        copy(prepared, home)

        def run() -> Site:
            if not sites or sites[-1].process.poll() is not None:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("DATABASE_POOL_MAX", "3")  # fewer than the streams that are open at once in a test
                    sites.append(Site(home, demo=False).wait())
            return sites[-1]

        yield run
        for site in sites:
            site.end()


@pytest.fixture(scope="module")
def site(running: Callable[[], Site]) -> Site:
    return running()


@pytest.fixture(scope="session")
def token(running: Callable[[], Site]) -> str:
    """Return a token of the server's superuser, with every scope."""
    made = manage("create_token", "admin", *ALL_SCOPES, local=running().local)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def use(data_dir: Path) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def start(durable: bool = False, apart: bool = False, patience: float = processes.PATIENCE) -> User:
        users.append(User(data_dir, durable, apart, patience))
        return users[-1]

    yield start
    for user in users:
        user.kill()


@pytest.fixture
def serve(data_dir: Path) -> Iterator[Serve]:
    sites: list[Site] = []

    def start(*options: str, demo: bool = False) -> Site:
        sites.append(Site(data_dir.parent, demo, *options))
        return sites[-1].wait()

    yield start
    for site in sites:
        site.end()


@pytest.fixture
def namespaces() -> None:
    """Skip the test where processes cannot be isolated."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare(1)")
    tried = subprocess.run([*APART, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"unshare is not permitted here: {tried.stderr.strip()}")


@pytest.fixture
def cluster(data_dir: Path) -> Cluster:
    return Cluster(data_dir, durable=False)


def start(cluster: Cluster) -> psutil.Process:
    began = time.monotonic()
    leader = cluster.start()
    cluster.create_database("pastetrader")
    assert time.monotonic() - began < 60
    return leader


def connect(data_dir: Path, database: str = "pastetrader") -> psycopg.Connection:
    return psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname=database, autocommit=True)


def postmaster(data_dir: Path) -> psutil.Process | None:
    return processes.find_postmaster(data_dir)


def kill(process: psutil.Process) -> None:
    """Kill the process and wait until it is dead."""
    process.kill()
    deadline = time.monotonic() + 10
    while processes.is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.fixture(scope="module")
def site_api(site: Site, token: str) -> Iterator[httpx.Client]:
    """Return a client of a module's `site`, with its `token`."""
    with httpx.Client(base_url=f"{site.address}/api/v1", headers={"Authorization": f"Token {token}"}) as client:
        yield client


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Yield the text that the handler of the settings writes to stderr."""
    handler: Any = logging.getHandlerByName("stderr")
    stream = io.StringIO()
    before = handler.setStream(stream)
    yield stream
    handler.setStream(before)
