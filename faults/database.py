"""PostgreSQL in a folder of its own, with fsync, on a disk of its own if this process may mount one."""

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import psycopg

from local_postgres import system_user
from pastetrader.tests.stock_postgres import bin_dir

DISK = 700  # MB
# deadlock_timeout: who waits first is ended, which is to be the server.
OPTIONS = (
    "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=on -c max_wal_size=200MB -c max_connections=60"
    " -c deadlock_timeout=5s"
)
MKFS = ["mkfs.ext4", "-q", "-m", "0"]


class Database:
    def __init__(self, home: Path) -> None:
        self.home, self.disk = home, home / "disk"
        self.data, self.sockets, self.log = self.disk / "data", home / "sockets", home / "postgresql.log"
        self.address = f"postgresql://postgres@/postgres?host={self.sockets}"
        self.has_disk = False

    def make(self) -> None:
        self.disk.mkdir()
        self.has_disk = self._mount()
        for folder in (self.data, self.sockets):
            folder.mkdir()
            system_user.give_to_system_user(folder)
        self.log.touch()
        system_user.give_to_system_user(self.log)
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8")
        self.start()

    def _mount(self) -> bool:
        """Put the data on a disk of its own. Return whether that was possible."""
        image = self.home / "disk.img"
        if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
            return False
        with image.open("wb") as file:
            file.truncate(DISK * 1_000_000)
        made = subprocess.run([*MKFS, image], check=False, capture_output=True)
        mounted = subprocess.run(["mount", "-o", "loop", image, self.disk], check=False, capture_output=True)
        self.disk.chmod(0o711)
        return made.returncode == mounted.returncode == 0

    def start(self) -> None:
        self._run("pg_ctl", "start", "-D", self.data, "-l", self.log, "-w", "-s", "-o", OPTIONS.format(self.sockets))

    def stop(self, mode: str) -> None:
        self._run("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-s", check=False)

    def kill(self) -> None:
        """Kill the first process, as the kernel does when memory is short, and wait until its children are gone."""
        first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        children = first.children()
        first.kill()
        psutil.wait_procs([first, *children], timeout=30)
        (self.data / "postmaster.pid").unlink()

    def remove(self) -> None:
        self.stop("immediate")
        if self.has_disk:
            subprocess.run(["umount", self.disk], check=False)

    def connect(self, **options: object) -> psycopg.Connection:
        settings = " ".join(f"-c {name}={value}" for name, value in options.items())
        return psycopg.connect(self.address, autocommit=True, options=settings, application_name="faults")

    def _run(self, program: str, *arguments: str | Path, check: bool = True) -> None:
        # Not captured: the server would keep the pipe of pg_ctl open.
        command = [bin_dir() / program, *arguments]
        subprocess.run(command, cwd="/", check=check, stdout=subprocess.DEVNULL, **system_user.run_as())
