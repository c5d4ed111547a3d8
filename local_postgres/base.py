"""Database backend: Django's PostgreSQL backend, which first makes sure that the embedded server is running."""

import atexit
import os
import signal
from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper

from local_postgres.client import DatabaseClient
from local_postgres.creation import DatabaseCreation
from local_postgres.server import ensure, leave_all


class DatabaseWrapper(PostgreSQLWrapper):
    client_class = DatabaseClient
    creation_class = DatabaseCreation

    def get_connection_params(self) -> dict[str, object]:
        ensure(self.settings_dict)
        params: dict[str, Any] = super().get_connection_params()
        return params


_owner = os.getpid()


@atexit.register
def _leave() -> None:
    """Close the pools before leaving the server: their threads would try to reconnect to a server that is stopping."""
    for each in (signal.SIGINT, signal.SIGTERM):  # a second signal must not interrupt the stop
        signal.signal(each, signal.SIG_IGN)
    if os.getpid() == _owner:  # a forked child holds sockets of the parent
        for pool in PostgreSQLWrapper._connection_pools.values():  # type: ignore[attr-defined] # the stubs lack it
            pool.close()
    leave_all()
