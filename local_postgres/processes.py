"""PostgreSQL processes that work on a data folder. A process id alone proves nothing: it may have been reused."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PATIENCE = 5.0  # seconds that orphans get to notice that their postmaster has died


def is_postmaster(process: psutil.Process) -> bool:
    """Its children rename themselves `postgres: ...`."""
    command = process.cmdline()
    return bool(command) and not command[0].startswith("postgres:")


def find_postmaster(data_dir: Path) -> psutil.Process | None:
    for process in _working_on(data_dir):
        try:
            if is_postmaster(process):
                return process
        except psutil.Error:
            continue
    return None


def is_alive(process: psutil.Process) -> bool:
    """A zombie, as a container without an init keeps them, is not alive."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_orphans(data_dir: Path) -> None:
    """Children outlive a killed postmaster for a moment, and hold its shared memory; nobody may start beside them."""
    deadline = time.monotonic() + PATIENCE
    while orphans := list(_working_on(data_dir)):
        if time.monotonic() > deadline:
            _kill(orphans)
        time.sleep(0.05)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _working_on(data_dir: Path) -> Iterator[psutil.Process]:
    """A server and all its children stand in the data folder."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.name() == "postgres" and _stands_in(data_dir, process):
                yield process
        except psutil.Error:  # gone meanwhile, a zombie, or another user's
            continue


def _stands_in(data_dir: Path, process: psutil.Process) -> bool:
    """One folder has many spellings: links, and on macOS /tmp and the case of letters."""
    try:
        return data_dir.samefile(process.cwd())
    except OSError:  # one of the two folders is no more, or is none of ours to look at
        return False
