"""Database backend: Django's PostgreSQL backend, which first makes sure that the embedded server is running."""

import atexit
import os
import signal
from functools import lru_cache
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper as PostgreSQLWrapper
from django.db.backends.postgresql.base import ServerBindingCursor

from local_postgres.client import DatabaseClient
from local_postgres.creation import DatabaseCreation
from local_postgres.server import ensure, release_all


class PreparingCursor(ServerBindingCursor):
    """Cursor of a connection with a `prepare_threshold`. Lists and counts are not prepared: they are planned at each
    execution, because the right index depends on their values, such as a rare status. A list with a parameter as its
    LIMIT is prepared; Django writes none."""

    def execute(self, query: object, params: object = None, *, prepare: bool | None = None, **options: object) -> Any:
        if prepare is None and _is_list(str(query)):
            prepare = False
        return super().execute(query, params, prepare=prepare, **options)  # type: ignore[misc] # the stubs lack it


@lru_cache(1_000)
def _is_list(query: str) -> bool:
    is_page = "ORDER BY" in query and "LIMIT" in query and not query.endswith("LIMIT %s")
    return is_page or "GROUP BY" in query or "COUNT(" in query


class DatabaseWrapper(PostgreSQLWrapper):
    client_class = DatabaseClient
    creation_class = DatabaseCreation

    def get_connection_params(self) -> dict[str, object]:
        # A pool's later connections are those of EmbeddedConnection.
        if self.alias not in _used or not self.settings_dict["OPTIONS"].get("pool"):
            ensure(self.settings_dict)
        _used.add(self.alias)  # not before: what closes the pool of a server that cannot start would start it again
        params: dict[str, object] = super().get_connection_params()
        if params["prepare_threshold"] is not None and params["cursor_factory"] is ServerBindingCursor:
            params["cursor_factory"] = PreparingCursor
        return params


_owner = os.getpid()
_used: set[str] = set()  # aliases that were connected to, each with a pool if the settings say so


@atexit.register
def _leave() -> None:
    """Close the pools before leaving the server: their threads would try to reconnect to a server that is stopping."""
    # A second signal must not interrupt the stop. It is not ignored: Python complains about one that came just before.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    if os.getpid() == _owner:  # a forked child holds sockets of the parent
        for connection in connections.all():
            if connection.alias in _used and isinstance(connection, DatabaseWrapper):
                connection.close_pool()
    release_all()
