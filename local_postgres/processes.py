"""PostgreSQL processes of a data folder. A process id alone proves nothing, as it may have been reused."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

PATIENCE = 5.0  # seconds for orphans to notice that their postmaster is dead


def is_postmaster(process: psutil.Process) -> bool:
    """Return whether it is the main process. Its children rename themselves `postgres: ...`, but a moment after they
    begin."""
    command = process.cmdline()
    if not command or command[0].startswith("postgres:"):
        return False
    parent = process.parent()
    return parent is None or parent.name() != "postgres"


def find_postmaster(data_dir: Path) -> psutil.Process | None:
    for process in _processes_of(data_dir):
        try:
            if is_postmaster(process):
                return process
        except psutil.Error:
            continue
    return None


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process is running. A zombie, as in a container without init, is not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end_orphans(data_dir: Path) -> None:
    """End children of a killed postmaster. They outlive it for a moment and hold its shared memory, so a new server
    cannot start."""
    deadline = time.monotonic() + PATIENCE
    while orphans := list(_processes_of(data_dir)):
        if time.monotonic() > deadline:
            _kill(orphans)
        time.sleep(0.05)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _processes_of(data_dir: Path) -> Iterator[psutil.Process]:
    """Yield the processes of the folder: the working directory of a server and its children is the data folder."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.name() == "postgres" and _works_in(data_dir, process):
                yield process
        except psutil.Error:  # ended meanwhile, a zombie, or of another user
            continue


def _works_in(data_dir: Path, process: psutil.Process) -> bool:
    """Return whether the working directory of the process is the folder. Compares the folders, not their names, because
    of links and case-insensitive file systems."""
    try:
        return data_dir.samefile(process.cwd())
    except OSError:  # one of the folders was deleted or is not accessible
        return False
