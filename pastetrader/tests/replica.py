"""A streaming replica of a cluster, made of the embedded programs."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from local_postgres import system_user
from local_postgres.cluster import program
from local_postgres.socket_path import socket_dir

# As the primary's, or the standby does not start; smaller buffers.
OPTIONS = "-c listen_addresses='' -c fsync=off -c shared_buffers=16MB -c unix_socket_directories='{}'"


class Replica:
    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pastetrader-replica-")).resolve()
        self.folder.chmod(0o711)  # the server's account must pass through
        self.data, self.socket = self.folder / "data", self.folder / "socket"
        for each in (self.data, self.socket):
            each.mkdir(mode=0o700)
            system_user.give_to_system_user(each)

    def copy(self, primary: Path) -> None:
        """Copy the running cluster in this folder, whose WAL the replica follows from its start."""
        source = ["--host", socket_dir(primary), "--username", "postgres"]
        options = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        _run("pg_basebackup", "--pgdata", self.data, *source, *options)

    @property
    def url(self) -> str:
        return f"postgresql://pastetrader@/pastetrader?host={self.socket}"

    def start(self) -> None:
        options = OPTIONS.format(self.socket)
        _run("pg_ctl", "start", "-D", self.data, "-l", self.data / "server.log", "-w", "-s", "-o", options)

    def stop(self) -> None:
        _run("pg_ctl", "stop", "-D", self.data, "-m", "immediate", "-s")

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the replica stay as it is within the block."""
        self.query("SELECT pg_wal_replay_pause()")
        while self.query("SELECT pg_get_wal_replay_pause_state()") != "paused":
            pass
        try:
            yield
        finally:
            self.query("SELECT pg_wal_replay_resume()")

    def query(self, statement: str) -> object:
        with psycopg.connect(host=str(self.socket), user="postgres", dbname="pastetrader", autocommit=True) as session:
            row = session.execute(statement.encode()).fetchone()
        return row and row[0]


def _run(name: str, *arguments: str | Path) -> None:
    # Not captured: the server would keep the pipe of pg_ctl open.
    command = [program(name), *arguments]
    subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL, **system_user.run_as())
