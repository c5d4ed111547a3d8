"""The embedded server, shared by all processes that use it: the first one starts it, the last one stops it."""

import threading
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from local_postgres.cluster import Cluster
from local_postgres.exceptions import EmbeddedServerError
from local_postgres.lease import Lease, exclusive_lock


class EmbeddedServer:
    def __init__(self, data_dir: Path, *, durable: bool) -> None:
        self.cluster = Cluster(data_dir, durable=durable)
        self.lease = Lease(data_dir.with_name(f"{data_dir.name}.lease"))
        self.database: str | None = None
        self.starting = data_dir.with_name(f"{data_dir.name}.starting")
        self._joined = False
        self._postmaster: psutil.Process | None = None  # None if the process is not visible
        self._mutex = threading.Lock()

    def ensure(self, database: str | None) -> None:
        """Start the server if it is not running. Called before each new connection, so that a killed server is started
        again; fast if it is running."""
        with self._mutex:
            self.database = database
            if self.lease.held and self._joined and self.cluster.is_up(self._postmaster):
                return
            try:
                self._join(database)
            except PermissionError as exc:
                raise EmbeddedServerError(
                    f"{exc.filename} belongs to another user. Work as that user, or set PASTETRADER_LOCAL."
                ) from exc

    def leave(self) -> None:
        with self._mutex, self.lease.give_back() as last:
            self._joined = False
            if last:
                self.cluster.stop()

    def _join(self, database: str | None) -> None:
        self.cluster.data_dir.parent.mkdir(parents=True, exist_ok=True)
        if not self.lease.held:
            self.lease.take()
        with exclusive_lock(self.starting):
            self._postmaster = self.cluster.start()
            if database is None:
                self.cluster.make_role()
            else:
                self.cluster.create_database(database)
        self._joined = True


_servers: dict[Path, EmbeddedServer] = {}


def ensure(settings: dict[str, Any]) -> None:
    """Start the server if these database settings are those of the embedded one."""
    if embedded := settings.get("EMBEDDED"):
        data_dir = embedded["data_dir"]
        if data_dir not in _servers:
            _servers.setdefault(data_dir, EmbeddedServer(data_dir, durable=embedded["durable"]))
        _servers[data_dir].ensure(settings["NAME"])


class EmbeddedConnection(psycopg.Connection):
    """Connection of a pool. Starts the embedded server that this process uses, if any, again if it was killed."""

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:
        for server in _servers.values():
            server.ensure(server.database)
        return super().connect(conninfo, **options)


def allow_tests(settings: dict[str, Any]) -> None:
    """Prepare the server for the databases of a test suite, if these database settings are those of the embedded
    one."""
    if embedded := settings.get("EMBEDDED"):
        ensure(settings | {"NAME": None})
        _servers[embedded["data_dir"]].cluster.allow_tests()


def release_all() -> None:
    for each in _servers.values():
        each.leave()
