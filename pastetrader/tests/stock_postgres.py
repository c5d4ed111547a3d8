"""A PostgreSQL server as Debian installs it, version 15 if there is one; else the embedded programs."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_postgres import cluster, system_user

OPTIONS = "-c listen_addresses='{}' -c fsync=off -c unix_socket_directories='{}'"


@contextmanager
def server(address: str = "") -> Iterator[Path]:
    """Run a server, with TCP only at the address; yield the folder of its socket. Its superuser is `postgres`, without
    a password."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)  # PostgreSQL refuses to run as root, and its own account must pass through
    data, socket = folder / "data", folder / "socket"
    for each in (data, socket):
        each.mkdir()
        system_user.give_to_system_user(each)
    try:
        _run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        _run("pg_ctl", "start", "-D", data, "-l", data / "log", "-w", "-s", "-o", OPTIONS.format(address, socket))
        yield socket
    finally:
        _run("pg_ctl", "stop", "-D", data, "-m", "immediate", "-s", check=False)
        shutil.rmtree(folder)


def _run(program: str, *arguments: str | Path, check: bool = True) -> None:
    # Not captured: the server would keep the pipe of pg_ctl open.
    command = [bin_dir() / program, *arguments]
    subprocess.run(command, cwd="/", check=check, stdout=subprocess.DEVNULL, **system_user.run_as())


def bin_dir() -> Path:
    installed = sorted(Path(os.environ.get("PG_ROOT", "/usr/lib/postgresql")).glob("*/bin"))
    on_path = [Path(folder) for folder in os.get_exec_path()]
    found = [folder for folder in (*installed, *on_path) if (folder / "initdb").exists()]
    oldest = [folder for folder in found if folder.parent.name == "15"]
    return next(iter((*oldest, *found)), Path(cluster.program("initdb")).parent)
